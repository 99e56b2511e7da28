"""What the evaluator reads in a setup.py, as text: modules, their conditions and sources, and what it cannot read."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from torch_stabilize.buildfiles.model import Abi, GapKind, Origin
from torch_stabilize.buildfiles.setup.evaluate.read import SetupFile, read_setup_file
from torch_stabilize.repository.snapshot import Snapshot

FILES = (
    "csrc/bind.cpp", "csrc/fused/one.cu", "csrc/fused/two.cu", "csrc/fused/two_hip.cu", "csrc/norm.cpp",
    "csrc/cpu/norm_cpu.cpp", "csrc/cpu/pool_cpu.cpp", "csrc/gpu/norm_gpu.cu", "csrc/pool.cpp", "csrc/probe.cpp",
    "setup.py",
)  # fmt: skip


def read(text: str, **others: str) -> SetupFile:
    overlay = {"setup.py": dedent(text).encode()}
    overlay |= {path.replace("__", "/") + ".py": dedent(body).encode() for path, body in others.items()}
    return read_setup_file(Snapshot(Path(), tuple(sorted({*FILES, *overlay})), overlay), "setup.py")


def shown(file: SetupFile) -> list[str]:
    """Each module on a line: its conditions, its name, and its sources with those that they have in addition."""
    lines = []
    for one in file.entries:
        entry = one.entry
        parts = []
        for source in entry.sources:
            more = [c for c in source.when if c not in entry.when]
            parts.append(source.path.removeprefix("csrc/") + "".join(f" if {c}" for c in more))
        head = "".join(f"if {c}: " for c in entry.when)
        tail = " ?" if one.is_open else ""
        lines.append(f"{head}{entry.module or '?'}: {', '.join(parts)}{tail}")
    return lines


def modules(text: str, **others: str) -> list[str]:
    """The lines for a file whose modules setup() gets as `modules`."""
    body = dedent(text)
    return shown(read(f"{body}\nsetup(ext_modules=modules)\n", **others))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "parts = ['csrc/bind.cpp']\nif gpu:\n    parts += ['csrc/fused/one.cu']\n"
            "modules = [CppExtension('p._C', parts)]",
            ["p._C: bind.cpp, fused/one.cu if gpu"],
        ),
        (  # a list that is copied before something is added is another list
            "base = ['csrc/bind.cpp']\nmore = list(base)\nmore.append('csrc/norm.cpp')\n"
            "modules = [CppExtension('p.a', base), CppExtension('p.b', more)]",
            ["p.a: bind.cpp", "p.b: bind.cpp, norm.cpp"],
        ),
        (  # what is added later is not in the module that was made before
            "parts = ['csrc/bind.cpp']\na = CppExtension('p.a', parts)\nparts.append('csrc/norm.cpp')\n"
            "modules = [a, CppExtension('p.b', parts)]",
            ["p.a: bind.cpp", "p.b: bind.cpp, norm.cpp"],
        ),
        (
            "kind, parts = CppExtension, ['csrc/bind.cpp']\nif gpu:\n"
            "    kind, parts = CUDAExtension, ['csrc/bind.cpp', 'csrc/fused/one.cu']\n"
            "modules = [kind('p._C', parts)]",
            ["p._C: bind.cpp if not (gpu), bind.cpp if gpu, fused/one.cu if gpu"],
        ),
        (
            "if gpu:\n    modules = [CUDAExtension('p._C', ['csrc/fused/one.cu'])]\n"
            "else:\n    modules = [CppExtension('p._C', ['csrc/norm.cpp'])]",
            ["if gpu: p._C: fused/one.cu", "if not (gpu): p._C: norm.cpp"],
        ),
        (  # the first one never reaches setup() where the second does
            "modules = [CppExtension('p._C', ['csrc/norm.cpp'])]\n"
            "if gpu:\n    modules = [CUDAExtension('p._C', ['csrc/fused/one.cu'])]",
            ["if not (gpu): p._C: norm.cpp", "if gpu: p._C: fused/one.cu"],
        ),
        (
            "modules = [CppExtension('p._C', ['csrc/norm.cpp'])]\nmodules.clear()",
            [],
        ),
        (
            "import itertools\nmodules = []\nfor name, kind in itertools.product(['norm', 'pool'], ('cpu', 'gpu')):\n"
            "    parts = [f'csrc/{name}.cpp']\n    extra = os.path.join('csrc', kind, f'{name}_{kind}.cpp')\n"
            "    if os.path.exists(extra):\n        parts.append(extra)\n"
            "    modules.append(CppExtension(f'p.{name}_{kind}', parts))",
            [
                "p.norm_cpu: norm.cpp, cpu/norm_cpu.cpp", "p.norm_gpu: norm.cpp",
                "p.pool_cpu: pool.cpp, cpu/pool_cpu.cpp", "p.pool_gpu: pool.cpp",
            ],
        ),
        (
            "found = glob.glob('csrc/fused/*.cu')\nmodules = [CUDAExtension('p._C', [f for f in found if 'hip' not in f])]",
            ["p._C: fused/one.cu, fused/two.cu"],
        ),
        (
            "root = Path(__file__).parent.resolve() / 'csrc'\n"
            "own = {root / 'pool.cpp', root / ('norm.cpp' if small else 'probe.cpp')}\n"
            "def rest(paths): return [one for one in paths if one not in own]\n"
            "modules = [CppExtension('p._C', sorted(str(p) for p in rest(root.glob('*.cpp'))))]",
            ["p._C: bind.cpp, norm.cpp if not (small), probe.cpp if small"],
        ),
        (
            "every = glob.glob('csrc/**/*.cu', recursive=True)\nhip = glob.glob('csrc/**/*_hip.cu', recursive=True)\n"
            "modules = [CUDAExtension('p._C', list(set(every) - set(hip)))]",
            ["p._C: fused/one.cu, fused/two.cu, gpu/norm_gpu.cu"],
        ),
        (
            "parts = glob.glob('csrc/*.cpp')\nif not probing:\n    parts.remove('csrc/probe.cpp')\n"
            "modules = [CppExtension('p._C', parts)]",
            ["p._C: bind.cpp, norm.cpp, pool.cpp, probe.cpp if probing"],
        ),
        (
            "common = dict(include_dirs=['csrc'])\nargs = {'sources': ['csrc/norm.cpp'], **common}\n"
            "modules = [CppExtension('p._C', **args)]",
            ["p._C: norm.cpp"],
        ),
        (
            "def make(name, *parts, folder='csrc', **more):\n"
            "    return CppExtension('p.' + name, [osp.join(folder, part) for part in parts], **more)\n"
            "modules = [make('a', 'norm.cpp', 'pool.cpp'), make('b', 'one.cu', folder='csrc/fused')]",
            ["p.a: norm.cpp, pool.cpp", "p.b: fused/one.cu"],
        ),
        (
            "def build():\n    if os.environ.get('SKIP') == '1':\n        return []\n"
            "    return [CppExtension('p._C', ['csrc/norm.cpp'])]\nmodules = build()",
            ["if not (os.environ.get('SKIP') == '1'): p._C: norm.cpp"],
        ),
        (
            "import functools\nmake = functools.partial(CUDAExtension, include_dirs=['csrc'])\n"
            "modules = [make('p._C', ['csrc/fused/one.cu'])]",
            ["p._C: fused/one.cu"],
        ),
        (
            "has_gpu = False\ntry:\n    import gpulib\n    has_gpu = True\nexcept ImportError:\n    pass\n"
            "modules = [CppExtension('p._C', ['csrc/norm.cpp'])]\n"
            "if not os.path.isdir('third_party/lib'):\n    raise RuntimeError('no submodule')",
            ["p._C: norm.cpp"],
        ),
        (
            "table = {'a': ['csrc/norm.cpp'], 'b': ['csrc/pool.cpp']}\ntable['b'] += ['csrc/probe.cpp']\n"
            "modules = [CppExtension(f'p.{name}', parts) for name, parts in table.items()]",
            ["p.a: norm.cpp", "p.b: pool.cpp, probe.cpp"],
        ),
        (
            "modules = []\nfor name in ['norm', 'probe', 'pool']:\n    if name == 'probe':\n        continue\n"
            "    modules += [CppExtension('p.%s' % name, ['csrc/{}.cpp'.format(name)])]",
            ["p.norm: norm.cpp", "p.pool: pool.cpp"],
        ),
        (
            "extra = []\nfor name in os.environ['OPS'].split(','):\n    extra.append(f'csrc/{name}.cpp')\n"
            "modules = [CppExtension('p._C', ['csrc/bind.cpp'] + extra)]",
            ["p._C: bind.cpp ?"],
        ),
        ("modules = [CppExtension('p._C', find_sources())]", ["p._C:  ?"]),
        ("modules = [CppExtension(os.environ['NAME'], ['csrc/norm.cpp'])]", ["?: norm.cpp"]),
        (
            "large = mode == 'large'\nparts = ['csrc/norm.cpp']\nif large:\n    parts += ['csrc/pool.cpp']\n"
            "if not large:\n    parts += ['csrc/probe.cpp']\nmodules = [CppExtension('p._C', parts)]",
            ["p._C: norm.cpp, pool.cpp if large, probe.cpp if not (large)"],
        ),
        (  # what holds already is no condition again, and what cannot be is left out
            "modules = []\nif gpu:\n    parts = ['csrc/fused/one.cu'] if gpu else ['csrc/norm.cpp']\n"
            "    modules.append(CUDAExtension('p._C', parts))",
            ["if gpu: p._C: fused/one.cu"],
        ),
    ],
)  # fmt: skip
def test_modules_as_text(text: str, expected: list[str]) -> None:
    assert modules(text) == expected


def test_a_module_for_each_main_file_and_backend() -> None:
    found = read(
        """
        import glob, os, os.path as osp
        from itertools import product
        from torch.utils.cpp_extension import CppExtension, CUDAExtension

        HAVE_GPU = False
        if torch.cuda.is_available():
            HAVE_GPU = CUDA_HOME is not None
        backends = ['cpu', 'gpu'] if HAVE_GPU else ['cpu']
        if os.getenv('ONLY_CPU') == '1':
            backends = ['cpu']

        def extensions():
            made = []
            mains = [m for m in glob.glob(osp.join('csrc', '*.cpp')) if 'bind' not in m and 'probe' not in m]
            for main, backend in product(mains, backends):
                name = main.split(os.sep)[-1][:-4]
                parts = [main]
                path = osp.join('csrc', 'cpu', f'{name}_cpu.cpp')
                if osp.exists(path):
                    parts += [path]
                path = osp.join('csrc', 'gpu', f'{name}_gpu.cu')
                if backend == 'gpu' and osp.exists(path):
                    parts += [path]
                Kind = CppExtension if backend == 'cpu' else CUDAExtension
                one = Kind(f'pkg._{name}_{backend}', parts, include_dirs=['csrc'])
                made += [one]
            return made

        setup(ext_modules=extensions() if not DOCS else [])
        """
    )
    only = "os.getenv('ONLY_CPU') == '1'"
    cpu, gpu = "", f"if not ({only}): if HAVE_GPU: "
    lines = [line.replace("if not (DOCS): ", "") for line in shown(found)]
    assert lines == [
        f"{cpu}pkg._norm_cpu: norm.cpp, cpu/norm_cpu.cpp",
        f"{gpu}pkg._norm_gpu: norm.cpp, cpu/norm_cpu.cpp, gpu/norm_gpu.cu",
        f"{cpu}pkg._pool_cpu: pool.cpp, cpu/pool_cpu.cpp",
        f"{gpu}pkg._pool_gpu: pool.cpp, cpu/pool_cpu.cpp",
    ]
    kinds = {one.entry.name: [kind for _, kind in one.kinds] for one in found.entries}
    assert kinds["_norm_cpu"] == ["CppExtension"]
    assert kinds["_norm_gpu"] == ["CUDAExtension"]
    assert found.entries[0].entry.round == "main='csrc/norm.cpp', backend='cpu'"
    assert {source.origin for source in found.entries[0].entry.sources} == {Origin.GLOB, Origin.LOOP}


def test_one_module_of_globs_with_parts_taken_out() -> None:
    found = read(
        """
        def modules():
            if not WITH_CODE:
                return []
            gpu = torch.version.cuda and CUDA_HOME is not None
            kind = CUDAExtension if gpu else CppExtension
            flags = {'cxx': ['-O3'], 'nvcc': ['-O3']}
            top = os.path.join(os.path.dirname(os.path.curdir), 'csrc')
            parts = list(glob.glob(os.path.join(top, '**/*.cpp'), recursive=True))
            apart = glob.glob(os.path.join(top, 'cpu', '**', '*.cpp'), recursive=True)
            parts = [p for p in parts if p not in apart]
            if not LINUX:
                parts = [p for p in parts if p not in glob.glob(os.path.join(top, 'probe*'))]
            if gpu:
                parts += glob.glob(os.path.join(top, '**', '*.cu'), recursive=True)
            new = None
            if gpu and LINUX:
                new = [os.path.join(top, 'fused', 'one.cu')]
                for kind_of in ['two']:
                    new.append(os.path.join(top, 'fused', kind_of + '.cu'))
                parts = [p for p in parts if p not in new]
            made = []
            if len(parts) > 0:
                made.append(kind('pkg._C', parts, py_limited_api=True, extra_compile_args=flags))
            if new is not None and len(new) > 0:
                newer = copy.deepcopy(flags)
                newer['cxx'].extend(['-DTORCH_TARGET_VERSION=0x020a000000000000'])
                newer['nvcc'].append('-DUSE_CUDA')
                made.append(kind('pkg._C_new', new, extra_compile_args=newer))
            return made

        setup(ext_modules=modules())
        """
    )
    gpu, both = "gpu", "gpu and LINUX"
    lines = [line.replace("if WITH_CODE: ", "") for line in shown(found)]
    assert lines == [
        f"pkg._C: bind.cpp, norm.cpp, pool.cpp, probe.cpp if LINUX, fused/one.cu if not ({both}) if {gpu}, "
        f"fused/two.cu if not ({both}) if {gpu}, fused/two_hip.cu if {gpu}, gpu/norm_gpu.cu if {gpu}",
        f"if {both}: pkg._C_new: fused/one.cu, fused/two.cu",
    ]
    old, new = (one.entry for one in found.entries)
    assert (old.abi, new.abi) == (Abi.LEGACY, Abi.STABLE)
    assert (old.limited_api, new.limited_api) == (True, False)
    assert ("USE_CUDA", "") in new.macros
    assert not old.macros


def test_other_modules_of_the_repository_are_read() -> None:
    lines = modules(
        """
        import tools.kinds as kinds
        from tools.lists import *
        from tools import parts as names
        modules = [kinds.make('a', NORM), kinds.make('b', names.POOL)]
        """,
        tools__lists="NORM = ['csrc/norm.cpp']",
        tools__parts="import os\nPOOL = [os.path.join('csrc', 'pool.cpp')]",
        tools__kinds="""
        from torch.utils.cpp_extension import CppExtension
        from .lists import NORM as _same
        class Mine(CppExtension):
            pass
        def make(name, parts):
            return Mine(f'pkg.{name}', sources=parts)
        """,
    )
    assert lines == ["pkg.a: norm.cpp", "pkg.b: pool.cpp"]


def test_a_function_that_nothing_calls_and_modules_that_setup_is_not_given() -> None:
    assert shown(read("def later():\n    return [CppExtension('p._C', ['csrc/norm.cpp'])]\n")) == ["p._C: norm.cpp"]
    unused = "CppExtension('p.unused', ['csrc/pool.cpp'])\n"
    assert shown(read(unused + "setup(ext_modules=[CppExtension('p._C', ['csrc/norm.cpp'])])")) == ["p._C: norm.cpp"]
    assert shown(read(unused + "setup(**settings)")) == ["p.unused: pool.cpp"]


def test_gaps_have_a_place_and_nothing_raises() -> None:
    text = "parts = ['csrc/norm.cpp'] + found_by_magic()\nsetup(ext_modules=[CppExtension('p._C', parts)])\n"
    (gap,) = read(text).entries[0].entry.gaps
    assert text[gap.span.start : gap.span.end] == "found_by_magic()"
    assert (gap.kind, gap.path) == (GapKind.SOURCES, "setup.py")
    (broken,) = read("print 'python 2'").gaps
    assert broken.kind is GapKind.FILE
    assert read("from tools.bad import x\nsetup(ext_modules=x)", tools__bad="def (").gaps[0].path == "tools/bad.py"
    deep = "modules = " + "[" * 60 + "]" * 60
    assert shown(read(deep)) == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return f(x) + f(x)\nmodules = f([1])",
        "modules = [CppExtension(str(i), [g]) for i in range(2000) for g in range(2000)]",
        "while True:\n    modules = 1",
        "x = []\nx.append(x)\nmodules = [CppExtension('p._C', x)]",
        "x = {}\nx['x'] = x\nimport copy\ny = copy.deepcopy(x)\nmodules = []",
        "x = [1, 2]\n(a, *b), c = x\ndel x[0]\nmodules = x[5:] + x[a] or b @ c",
        "match kind:\n    case 'a':\n        modules = []\n    case _:\n        modules = lambda: 1",
        "async def f():\n    async with a as b:\n        yield b\nmodules = await_(f())",
        "modules = ('%d files' % len(x), '{0}'.format(), 'a'.split(1), Path().parent.parents[2], -'a', ~x)",
        "import setup\nfrom . import other\nmodules = other.x",
    ],
)
def test_odd_files_are_read_all_the_same(text: str) -> None:
    read(text + "\nsetup(ext_modules=modules)")


def test_sources_that_a_function_collects_by_walking_the_folders() -> None:
    lines = modules(
        """
        from os import path, walk
        def collected(root, endings):
            parts = []
            for folder, _, names in walk(root):
                for name in names:
                    if path.splitext(name)[1] in endings:
                        parts.append(path.join(folder, name))
            return parts
        modules = [CppExtension('p.cpu', collected('csrc/cpu', ['.cpp'])), CUDAExtension('p.gpu', collected('csrc', ['.cu']))]
        """
    )
    assert lines == [
        "p.cpu: cpu/norm_cpu.cpp, cpu/pool_cpu.cpp",
        "p.gpu: fused/one.cu, fused/two.cu, fused/two_hip.cu, gpu/norm_gpu.cu",
    ]
