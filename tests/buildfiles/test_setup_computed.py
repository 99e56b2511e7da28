"""setup.py with sources that are not simply listed: globs, comprehensions, loops over tables, functions."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.buildfiles.test_setup_py import HEAD, migrated
from tests.buildfiles.trees import plan

MOVING = ("csrc/norm.cpp",)
STAYING = {"csrc/bindings.cpp": "", "csrc/deep/other.cpp": ""}


def sources(body: str, *units: str, created: tuple[str, ...] = (), **more: str) -> list[str]:
    """The lines of the migrated setup.py that say where sources come from."""
    after = migrated(body, *(units or MOVING), created=created, **STAYING, **more)
    return [line.strip() for line in after.splitlines() if "csrc" in line or "stable" in line or "ources" in line]


@pytest.mark.parametrize(
    ("glob", "stable"),
    [
        ('glob.glob("csrc/*.cpp")', 'glob.glob("csrc/stable/*.cpp")'),
        ('sorted(glob.glob("./csrc/*.cpp"))', 'glob.glob("./csrc/stable/*.cpp")'),
        ('glob.glob(os.path.join(HERE, "csrc", "*.cpp"))', 'glob.glob(os.path.join(HERE, "csrc", "stable", "*.cpp"))'),
        ('[str(p) for p in Path("csrc").glob("*.cpp")]', '[str(path) for path in Path("csrc").glob("stable/*.cpp")]'),
        ('list(map(str, ROOT.glob("csrc/*.cpp")))', '[str(path) for path in ROOT.glob("csrc/stable/*.cpp")]'),
    ],
)
def test_a_glob_that_moved_sources_leave_by_themselves(glob: str, stable: str) -> None:
    """The stable extension finds its sources by the same glob one folder down."""
    body = f"""\
        HERE = os.path.dirname(os.path.abspath(__file__))
        ROOT = Path(__file__).resolve().parent
        sources = {glob}
        ext_modules = [CppExtension("pkg._C", sources)]
        """
    assert sources(body) == [
        f"sources = {glob}",
        f"stable_sources = {stable}",
        'ext_modules = [CppExtension("pkg._C", sources), CppExtension(',
        '"pkg._C_stable",',
        "stable_sources,",
    ]


def test_a_glob_that_would_find_the_moved_sources_leaves_out_their_folder() -> None:
    body = """\
        ext_modules = [
            CppExtension("pkg._C", glob.glob("csrc/**/*.cpp", recursive=True)),
        ]
        """
    after = migrated(body, *MOVING, created=("csrc/stable/bindings.cpp",), **STAYING)
    assert (
        """\
    CppExtension("pkg._C", [
        path for path in glob.glob("csrc/**/*.cpp", recursive=True)
        if not path.startswith("csrc/stable/")
    ]),
    CppExtension(
        "pkg._C_stable",
        glob.glob("csrc/stable/**/*.cpp", recursive=True),
"""
        in after
    )


def test_the_name_for_what_is_left_out_is_free() -> None:
    body = """\
        from os import path
        csrc = path.join(path.dirname(__file__), "csrc")
        sources = glob.glob(path.join(csrc, "**", "*.cpp"))
        ext_modules = [CppExtension("pkg._C", sources)]
        """
    after = migrated(body, "csrc/deep/norm.cpp", created=("csrc/stable/bindings.cpp",), **STAYING)
    assert 'if not source.startswith(path.join(csrc, "stable", ""))\n' in after
    assert 'glob.glob(path.join(csrc, "stable", "**", "*.cpp"))\n' in after


def test_globs_under_conditions() -> None:
    body = """\
        def extensions():
            sources = glob.glob("csrc/*.cpp")
            cuda_sources = glob.glob("csrc/cuda/*.cu")
            if WITH_CUDA:
                sources += cuda_sources
            return [CppExtension("pkg._C", sources)]
        """
    other = {"csrc/cuda/act.cu": ""}
    assert sources(body, "csrc/norm.cpp", "csrc/cuda/norm.cu", created=(), **other)[:6] == [
        'sources = glob.glob("csrc/*.cpp")',
        'stable_sources = glob.glob("csrc/stable/*.cpp")',
        'cuda_sources = glob.glob("csrc/cuda/*.cu")',
        'stable_cuda_sources = glob.glob("csrc/stable/cuda/*.cu")',
        "sources += cuda_sources",
        "stable_sources += stable_cuda_sources",
    ]
    assert sources(body, "csrc/norm.cpp", "csrc/cuda/norm.cu")[:4] == [  # nothing is left for the second glob
        'sources = glob.glob("csrc/*.cpp")',
        'stable_sources = glob.glob("csrc/stable/*.cpp")',
        'stable_cuda_sources = glob.glob("csrc/stable/cuda/*.cu")',
        "stable_sources += stable_cuda_sources",
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (  # as lists
            """\
            cpp, extra = ["csrc/bindings.cpp"], []
            cuda = ["csrc/cuda/norm.cu"]
            ext_modules = [CUDAExtension("pkg._C", cpp + cuda)]
            """,
            ['cpp, extra = ["csrc/bindings.cpp"], []', 'stable_cuda = ["csrc/stable/cuda/norm.cu"]'],
        ),
        (
            """\
            cuda = []
            if CUDA:
                cuda += ["csrc/cuda/norm.cu"]
            sources = ["csrc/bindings.cpp"]
            sources.extend(cuda)
            ext_modules = [CUDAExtension("pkg._C", sources)]
            """,
            [
                "stable_cuda = []", 'stable_cuda += ["csrc/stable/cuda/norm.cu"]', 'sources = ["csrc/bindings.cpp"]',
                "stable_sources = []", "stable_sources += stable_cuda",
            ],
        ),
        (  # something else asks for the list
            """\
            cuda = ["csrc/cuda/norm.cu"]
            print(len(cuda))
            ext_modules = [CUDAExtension("pkg._C", ["csrc/bindings.cpp", *cuda])]
            """,
            ["cuda = []", 'stable_cuda = ["csrc/stable/cuda/norm.cu"]', "print(len(cuda))"],
        ),
    ],
)  # fmt: skip
def test_no_list_is_left_with_nothing(body: str, expected: list[str]) -> None:
    after = migrated(body, "csrc/cuda/norm.cu", created=(), **STAYING)
    assert [line.strip() for line in after.splitlines()][
        : len(expected) + 1 if "if CUDA" in body else len(expected)
    ] == ([expected[0], "if CUDA:", *expected[1:]] if "if CUDA" in body else expected)


def test_in_place_a_glob_of_which_every_file_moves_changes_its_extension() -> None:
    files = dict.fromkeys(("csrc/bindings.cpp", "csrc/ops/other.cpp"), "")
    body = 'cpp = glob.glob("csrc/*.cpp")\nsources = cpp + glob.glob("csrc/ops/*.cpp") + glob.glob("csrc/cuda/*.cu")\n'
    body += 'ext_modules = [CUDAExtension("pkg._C", sources)]\n'
    done = plan({"setup.py": HEAD + body, **files}, ["csrc/cuda/a.cu", "csrc/cuda/b.cu"], in_place=True)
    after = done.text("setup.py").removeprefix(HEAD)
    assert after.startswith(
        'cpp = glob.glob("csrc/*.cpp")\nsources = cpp + glob.glob("csrc/ops/*.cpp")\n'
        'stable_sources = glob.glob("csrc/cuda/*.cu")\n'
    )
    assert not done.diagnostics("TSA622")
    part = plan({"setup.py": HEAD + body, **files}, ["csrc/cuda/a.cu", "csrc/ops/norm.cpp"], in_place=True)
    assert """CUDAExtension("pkg._C", [
    source for source in sources
    if source not in ("csrc/ops/norm.cpp", "csrc/cuda/a.cu")
])""" in part.text("setup.py")
    assert not part.diagnostics("TSA622")
    whole = plan({"setup.py": HEAD + body}, ["csrc/cuda/a.cu", "csrc/ops/norm.cpp", "csrc/b.cpp"], in_place=True)
    assert 'CUDAExtension("pkg._C_stable", sources' in whole.text("setup.py")
    assert body.split("ext_modules")[0] in whole.text("setup.py")
    assert not whole.diagnostics("TSA622")


def test_the_other_arm_of_an_if_has_nothing_to_say() -> None:
    body = """\
        if FOREIGN:
            sources = glob.glob("csrc/*.cc")
            sources.remove("csrc/foreign.cc")
        else:
            sources = glob.glob("csrc/*.cpp")
            ext_modules.append(CppExtension("pkg._C", sources))
        """
    after = sources(body, created=("csrc/stable/bindings.cpp",))
    assert after[2:4] == [
        'sources = glob.glob("csrc/*.cpp")',
        'stable_sources = glob.glob("csrc/stable/*.cpp")',
    ]


def test_every_arm_that_defines_the_list_gets_the_new_bindings() -> None:
    body = """\
        if CUDA:
            sources = ["csrc/norm.cpp", "csrc/norm.cu"]
        else:
            sources = ["csrc/norm.cpp"]
        module = extension("pkg._C", sources + ["csrc/bindings.cpp"])
        modules.append(module)
        """
    body = "extension = CUDAExtension if CUDA else CppExtension\n" + dedent(body)
    after = migrated(body, "csrc/norm.cpp", created=("csrc/stable/bindings.cpp",))
    assert after.count('stable_sources = ["csrc/stable/bindings.cpp", "csrc/stable/norm.cpp"]') == 2
    assert "modules.append(module)\nmodules.append(stable_module)\n" in after


def test_where_a_glob_finds_nothing_else_it_finds_the_stable_sources_from_now_on() -> None:
    planned = plan(
        {"setup.py": HEAD + 'ext_modules = [CppExtension("pkg._C", glob.glob("csrc/*.cpp"))]\n'},
        MOVING,
        created=("csrc/stable/bindings.cpp",),
    )
    assert 'CppExtension("pkg._C_stable", glob.glob("csrc/stable/*.cpp"), py_limited_api' in planned.text("setup.py")


def test_a_glob_that_the_build_takes_something_out_of() -> None:
    body = 'sources = [s for s in glob.glob("csrc/*.cpp") if s not in SLOW]\n'
    after = migrated(body + 'ext_modules = [CppExtension("pkg._C", sources)]\n', *MOVING, created=(), **STAYING)
    assert after.startswith(body + 'ext_modules = [CppExtension("pkg._C", sources), *([CppExtension(\n')
    assert after.endswith(""")] if not ('csrc/norm.cpp' in SLOW) else [])]\n""")


@pytest.mark.parametrize("taken_out", ['sources.remove("csrc/norm.cpp")', "del sources[2:]"])
def test_a_glob_that_something_is_taken_out_of_is_computed(taken_out: str) -> None:
    body = f'sources = glob.glob("csrc/*.cpp")\n{taken_out}\next_modules = [CppExtension("pkg._C", sources)]\n'
    planned = plan({"setup.py": HEAD + body, **STAYING}, MOVING)
    assert planned.text("setup.py") == HEAD + body
    assert "TSA622" in planned.codes


def test_what_a_glob_finds_in_place_is_left_out_of_the_legacy_extension() -> None:
    body = 'ext_modules = [CppExtension("pkg._C", glob.glob("csrc/*.cpp"))]\n'
    planned = plan({"setup.py": HEAD + body, **STAYING}, MOVING, in_place=True)
    assert planned.text("setup.py").startswith(
        HEAD
        + """\
ext_modules = [CppExtension("pkg._C", [
    source for source in glob.glob("csrc/*.cpp")
    if source not in ("csrc/norm.cpp",)
]), CppExtension(
    "pkg._C_stable",
    ["csrc/norm.cpp"],
"""
    )
    assert "TSA622" not in planned.codes


@pytest.mark.parametrize(
    "comprehension",
    [
        'os.path.join("csrc", name) for name in ["norm.cpp", "bindings.cpp"]',
        'f"csrc/{name}.cpp" for name in ["norm", "bindings"]',
        '"csrc/" + name for name in ["norm.cpp", "bindings.cpp"]',
    ],
)
def test_a_comprehension_over_a_literal_list(comprehension: str) -> None:
    after = migrated(f'ext_modules = [CppExtension("pkg._C", [{comprehension}])]', *MOVING)
    assert '"pkg._C_stable",\n    ["csrc/stable/norm.cpp"],' in after
    assert '"norm' not in after


def test_a_list_that_gets_its_folder_later() -> None:
    body = """\
        sources = ["norm.cpp", "bindings.cpp"]
        if WITH_CUDA:
            sources += ["norm.cu"]
        sources = [os.path.join("csrc", name) for name in sources]
        ext_modules = [CUDAExtension("pkg._C", sources)]
        """
    assert sources(body, "csrc/norm.cpp", "csrc/norm.cu")[:5] == [
        'sources = ["bindings.cpp"]',
        'stable_sources = ["csrc/stable/norm.cpp"]',
        'stable_sources += ["csrc/stable/norm.cu"]',
        'sources = [os.path.join("csrc", name) for name in sources]',
        'ext_modules = [CUDAExtension("pkg._C", sources), CUDAExtension(',
    ]


def test_a_source_of_one_arm_keeps_its_condition() -> None:
    body = 'ext_modules = [CUDAExtension("pkg._C", ["csrc/b.cpp"] + (["csrc/norm.cu"] if WITH_CUDA else []))]'
    after = migrated(body, "csrc/norm.cu")
    assert '*([CUDAExtension(\n    "pkg._C_stable",\n    ["csrc/stable/norm.cu"],' in after
    assert after.endswith(")] if WITH_CUDA else [])]")


LOOP = """\
for name, files in [
    ("_C", ["csrc/bindings.cpp", "csrc/norm.cpp"]),
    ("_other", ["csrc/other.cpp"]),
]:
    ext_modules.append(
        CppExtension(f"pkg.{name}", files, extra_compile_args={"cxx": FLAGS})
    )
"""


def test_a_loop_over_a_table() -> None:
    """The row loses its source, the stable extension stands behind the loop with the row's values put in."""
    after = migrated(LOOP, *MOVING)
    assert '("_C", ["csrc/bindings.cpp"]),' in after
    assert after.endswith(
        """\
    )
ext_modules.append(CppExtension(
    "pkg._C_stable",
    ["csrc/stable/norm.cpp"],
    extra_compile_args={"cxx": FLAGS},
    py_limited_api=True,
    define_macros=[
        ("TORCH_TARGET_VERSION", "0x020b000000000000ULL"),
    ],
))
"""
    )


TABLE = """\
TABLE = [
    ("_C", ["csrc/bindings.cpp", "csrc/norm.cpp"]),
    ("_other", ["csrc/other.cpp"]),
]
"""


@pytest.mark.parametrize(
    ("loop", "behind"),
    [
        (
            'modules = [CppExtension(f"pkg.{name}", files) for name, files in TABLE]\n',
            'for name, files in TABLE] + [CppExtension(\n    "pkg._C_stable",\n',
        ),
        (
            'for name, files in TABLE:\n    modules += [CppExtension("pkg." + name, files)]\n',
            '\nmodules += [CppExtension(\n    "pkg._C_stable",\n',
        ),
    ],
)
def test_other_ways_to_collect_the_rows(loop: str, behind: str) -> None:
    after = migrated(TABLE + loop, *MOVING)
    assert '("_C", ["csrc/bindings.cpp"]),' in after
    assert behind in after


def test_a_row_of_which_nothing_stays_goes() -> None:
    after = migrated(LOOP, "csrc/bindings.cpp", "csrc/norm.cpp")
    assert '"_C"' not in after
    assert '"_other"' in after
    assert '["csrc/stable/bindings.cpp", "csrc/stable/norm.cpp"],' in after


FUNCTION = """\
def make(name, module, sources, extra=()):
    return CppExtension(
        name="%s.%s" % (module, name),
        sources=[os.path.join(*module.split("."), source) for source in sources],
        extra_compile_args=[*FLAGS, *extra],
    )

ext_modules = [
    make("_C", "csrc", ["bindings.cpp", "norm.cpp"]),
    make(name="_other", module="csrc.deep", sources=["other.cpp"]),
]
"""


def test_a_function_that_is_called_with_literals() -> None:
    after = migrated(FUNCTION, *MOVING)
    assert after.endswith(
        """\
    make("_C", "csrc", ["bindings.cpp"]),
    CppExtension(
        name="csrc._C_stable",
        sources=["csrc/stable/norm.cpp"],
        extra_compile_args=[*FLAGS, *()],
        py_limited_api=True,
        define_macros=[
            ("TORCH_TARGET_VERSION", "0x020b000000000000ULL"),
        ],
    ),
    make(name="_other", module="csrc.deep", sources=["other.cpp"]),
]
"""
    )


def test_a_call_of_which_nothing_stays_becomes_the_stable_extension() -> None:
    after = migrated(FUNCTION, "csrc/bindings.cpp", "csrc/norm.cpp")
    assert 'make("_C"' not in after
    assert 'make(name="_other", module="csrc.deep", sources=["other.cpp"]),' in after
    assert 'sources=["csrc/stable/bindings.cpp", "csrc/stable/norm.cpp"],' in after


def test_a_function_with_more_to_it_returns_both_extensions() -> None:
    body = FUNCTION.replace("    return", "    flags = probe(name)\n    return").replace("*FLAGS", "*flags")
    after = plan({"setup.py": HEAD + body}, MOVING).text("setup.py")
    assert '    return [CppExtension(\n        name="%s.%s" % (module, name),' in after
    assert (
        """\
    ), *([CppExtension(
        name="csrc._C_stable",
        sources=["csrc/stable/norm.cpp"],
        extra_compile_args=[*flags, *extra],
"""
        in after
    )
    assert ')] if "%s.%s" % (module, name) == "csrc._C" else [])]\n' in after
    assert '    *make("_C", "csrc", ["bindings.cpp"]),\n    *make(name="_other",' in after


def test_a_parameter_that_is_changed_by_what_is_not_read() -> None:
    body = FUNCTION.replace("    return", "    sources += GENERATED\n    return")
    after = plan({"setup.py": HEAD + body}, MOVING).text("setup.py")
    assert '"csrc/norm.cpp" in [os.path.join(*module.split("."), source) for source in sources]' in after
    other = plan({"setup.py": HEAD + body}, ["csrc/act.cpp"])  # it may be one of the generated ones
    assert other.text("setup.py") == HEAD + body
    assert other.codes & {"TSA607", "TSA622"}


def test_a_function_whose_sources_depend_on_a_condition() -> None:
    body = FUNCTION.replace("for source in sources]", "for source in sources + ([] if CPU else kernels)]")
    body = body.replace("sources, extra=()", "sources, kernels").replace(", *extra", "")
    body = body.replace('"norm.cpp"]),', '"act.cpp"], ["norm.cpp"]),').replace(
        '["other.cpp"])', '["other.cpp"], kernels=[])'
    )
    after = plan({"setup.py": HEAD + body}, MOVING).text("setup.py")
    assert ')] if "%s.%s" % (module, name) == "csrc._C" and not (CPU) else [])]\n' in after


@pytest.mark.parametrize(
    ("names", "is_split"),
    [
        ("[f'csrc/{name}.cpp' for name in listed(WITH_NORM)]", True),
        ("(f'csrc/{name}.cpp' for name in listed(WITH_NORM))", False),
        ("map('csrc/{}.cpp'.format, listed(WITH_NORM))", False),
    ],
)
def test_an_iterator_is_not_asked_twice(names: str, *, is_split: bool) -> None:
    """Whether it names a source cannot be asked where the legacy extension has used it up."""
    body = f"""\
def listed(with_norm):
    found = ["bindings", "other"]
    if with_norm:
        found += ["norm", "act"]
    return found

names = {names}
ext_modules = [CppExtension("pkg._C", list(names))]
"""
    planned = plan({"setup.py": HEAD + body}, MOVING)
    assert ('*(["csrc/stable/norm.cpp"] if' in planned.text("setup.py")) is False
    assert (')] if "csrc/norm.cpp" in list(names) else [])]' in planned.text("setup.py")) is is_split
    assert bool(planned.codes & {"TSA607", "TSA622", "TSA628"}) is not is_split
