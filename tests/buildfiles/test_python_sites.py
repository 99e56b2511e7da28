"""Python loads the stable library beside the legacy one, and calls pybind functions as operators."""

from __future__ import annotations

from textwrap import dedent

import pytest
from torch_stabilize.model import Severity

from tests.buildfiles.trees import Planned, plan

SETUP = 'ext_modules = [CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cpp"])]\n'
ONE = 'ext_modules = [CppExtension("pkg._C", ["csrc/norm.cpp"])]\n'


def planned(text: str, path: str = "pkg/__init__.py", **more: object) -> Planned:
    return plan({"setup.py": SETUP, path: dedent(text)}, ["csrc/norm.cpp"], **more)  # type: ignore[arg-type]


def site(text: str, path: str = "pkg/__init__.py", **more: object) -> str:
    after = planned(text, path, **more).text(path)
    compile(after, path, "exec")
    return after


@pytest.mark.parametrize(
    ("before", "twin"),
    [
        ("import pkg._C", "import pkg._C_stable  # noqa: F401"),
        ("import pkg._C  # noqa: F401  # ops", "import pkg._C_stable  # noqa: F401  # ops"),
        ("import pkg._C as ext", "import pkg._C_stable  # noqa: F401"),
        ("from pkg import _C", "from pkg import _C_stable  # noqa: F401"),
        ("from . import _C", "from . import _C_stable  # noqa: F401"),
        ("from . import _C, other", "from . import _C_stable  # noqa: F401"),
        ("from pkg._C import fwd", "from pkg import _C_stable  # noqa: F401"),
        ("from ._C import fwd", "from . import _C_stable  # noqa: F401"),
        ('importlib.import_module("pkg._C")', 'importlib.import_module("pkg._C_stable")'),
        (
            'torch.ops.load_library(os.path.join(HERE, "_C.so"))',
            'torch.ops.load_library(os.path.join(HERE, "_C_stable.so"))',
        ),
        ('torch.ops.load_library("lib/_C.abi3.so")', 'torch.ops.load_library("lib/_C_stable.abi3.so")'),
    ],
)
def test_a_load_gets_a_twin(before: str, twin: str) -> None:
    assert site(f"{before}\nx = 1\n") == f"{before}\n{twin}\nx = 1\n"


def test_a_relative_import_from_below() -> None:
    after = site("from ..  import _C\n", "pkg/sub/ops.py")
    assert after == "from ..  import _C\nfrom .. import _C_stable  # noqa: F401\n"


def test_a_path_in_a_variable() -> None:
    before = 'def load():\n    path = HERE / "_C.so"\n    torch.ops.load_library(path)\n'
    assert site(before) == before + '    torch.ops.load_library(HERE / "_C_stable.so")\n'


def test_a_try_around_the_import_alone_is_repeated() -> None:
    """One missing library must not hide the other."""
    before = dedent("""\
        try:
            import pkg._C  # noqa: F401
        except ImportError as error:
            logger.warning("Failed to import pkg._C: %r", error)

        import os
        """)
    twin = dedent("""\

        try:
            import pkg._C_stable  # noqa: F401
        except ImportError as error:
            logger.warning("Failed to import pkg._C_stable: %r", error)
        """)
    assert site(before) == before.replace("\nimport os", twin + "\nimport os")


def test_a_handler_that_sets_the_module_to_none_is_not_repeated() -> None:
    before = "try:\n    from . import _C as ext\nexcept ImportError:\n    ext = None\n"
    assert site(before) == before + "try:\n    from . import _C_stable  # noqa: F401\nexcept ImportError:\n    pass\n"


def test_a_try_that_does_more_takes_the_import_in() -> None:
    before = "try:\n    import pkg._C\n    HAVE = True\nexcept ImportError:\n    HAVE = False\n"
    after = site(before)
    assert after == before.replace("pkg._C\n", "pkg._C\n    import pkg._C_stable  # noqa: F401\n")


def test_suppressed_errors() -> None:
    before = "with suppress(ImportError):\n    import pkg._C\n"
    assert site(before) == before + "with suppress(ImportError):\n    import pkg._C_stable\n"


def test_each_function_loads_for_itself_and_once() -> None:
    before = "def a():\n    import pkg._C\n    from pkg import _C\n\ndef b():\n    import pkg._C\n"
    after = site(before)
    assert after.count("import pkg._C_stable  # noqa: F401\n") == 2
    assert after.count("_C_stable") == 2


@pytest.mark.parametrize(
    "text",
    [
        "torch.ops._C.norm(x)\n",
        "import torch._C\n",
        "from torch import _C\n",
        "import pkg._C_other\n",
        '_C = TypeVar("_C")\n',
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert site(text) == text


def test_where_the_library_exists_its_imports_do_too() -> None:
    setup = SETUP.replace("])]", ']), CppExtension("pkg._C_stable", ["csrc/stable/bindings.cpp"])]')
    text = "import pkg._C\n"
    done = plan({"setup.py": setup, "pkg/a.py": text}, ["csrc/norm.cpp"])
    assert done.text("pkg/a.py") == text


def test_a_cpu_site_is_left_alone_by_a_group_of_cuda_units() -> None:
    setup = 'ext_modules = [CUDAExtension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cu"])]\n'
    done = plan({"setup.py": setup, "pkg/cpu.py": "import pkg._C\n", "pkg/gpu.py": "import pkg._C\n"}, ["csrc/norm.cu"])
    assert "_C_stable" not in done.text("pkg/cpu.py")
    assert "_C_stable" in done.text("pkg/gpu.py")
    assert [d.path for d in done.diagnostics("TSA631")] == ["pkg/cpu.py"]


def test_prose_is_no_pattern() -> None:
    assert not planned('"""About _C and its kernels.\n\n* the *first* one"""\nimport pkg._C\n').diagnostics("TSA631")


def test_libraries_of_computed_names_are_one_finding() -> None:
    loads = 'for name in NAMES:\n    torch.ops.load_library(f"{name}.so")\n    importlib.import_module(name)\n'
    (found,) = planned(loads).diagnostics("TSA631")
    assert found.message.endswith("cannot be told; 1 more do so")


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ('if find_spec("pkg._C") is None:\n    pass\n', Severity.NOTE),
        ('files = HERE.glob("_C*.so")\n', Severity.ERROR),
        ('NAMES = ["_C.abi3.so"]\n', Severity.WARNING),
    ],
)
def test_probes_and_patterns_are_listed(text: str, severity: Severity) -> None:
    done = planned(text)
    assert done.text("pkg/__init__.py") == text
    assert [d.severity for d in done.diagnostics("TSA631")] == [severity]


@pytest.mark.parametrize("pattern", ["exactly one _Core*.so", "_C[.]abi3[.]so*"])
def test_a_pattern_that_does_not_find_the_stable_library_is_none(pattern: str) -> None:
    found = planned(f'files = HERE.glob("{pattern}")\n').diagnostics("TSA631")
    assert not any("pattern" in one.message for one in found)


def test_a_file_that_cannot_be_parsed_is_listed() -> None:
    done = planned("import pkg._C\nprint 'python 2'\n")
    (found,) = done.diagnostics("TSA631")
    assert "cannot parse" in found.message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import pkg._C", "import pkg._C_stable  # noqa: F401"),
        ("import pkg._C  # noqa: F401", "import pkg._C_stable  # noqa: F401"),
        ("from pkg import _C, other", "from pkg import _C_stable, other  # noqa: F401"),
        ("from . import _C\nok = _C is not None", "from . import _C_stable as _C\nok = _C is not None"),
        ("from . import _C as ext\nrun(ext)", "from . import _C_stable as ext\nrun(ext)"),
        ("ext = importlib.import_module('pkg._C')", "ext = importlib.import_module('pkg._C_stable')"),
        ('torch.ops.load_library("lib/_C.so")', 'torch.ops.load_library("lib/_C_stable.so")'),
    ],
)
def test_where_nothing_is_left_of_the_legacy_library_its_loads_are_replaced(before: str, after: str) -> None:
    done = plan({"setup.py": ONE, "pkg/__init__.py": f"{before}\n"}, ["csrc/norm.cpp"])
    assert done.text("pkg/__init__.py") == f"{after}\n"


def test_one_load_replaces_several() -> None:
    text = "import torch\nfrom . import _C\nfrom ._C import fwd\n\n\ndef run(x):\n    return _C.fwd(fwd(x))\n"
    done = plan({"setup.py": ONE, "pkg/ops.py": text}, ["csrc/norm.cpp"], pybind={"fwd": "_C::fwd"})
    loads = [line for line in done.text("pkg/ops.py").splitlines() if "_C_stable" in line]
    assert loads == ["from . import _C_stable  # noqa: F401"]


def test_a_load_that_is_assigned_gets_a_twin() -> None:
    before = 'ext = importlib.import_module("pkg._C")\n'
    assert site(before) == before + 'importlib.import_module("pkg._C_stable")\n'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('torch.ops.load_library(find(f"_{name}.so"))\n', "pkg/__init__.py"),
        ("x = 1\n", "pkg/__init__.py"),
    ],
)
def test_a_library_that_nobody_is_seen_to_load_is_reported(text: str, place: str) -> None:
    (found,) = planned(text).diagnostics("TSA631")
    assert (found.severity, found.path) == (Severity.ERROR, place)
