"""Good plans, broken in one place each: the plan's own check finds every one, once, and nothing in the good plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from torch_stabilize.config import Config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.layout.read import Program
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import FileChange, Plan
from torch_stabilize.program.check import check_plan
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.program.planned import Planned
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot

from tests.conftest import make_repository
from tests.repository.program import trees

_FILTERS = ("csrc/blur.cpp", "csrc/sharpen.cpp", "csrc/shared.cpp")
TREES = {
    "setup": (trees.WITH_SETUP, _FILTERS),
    "cmake": (trees.WITH_CMAKE, _FILTERS),
    "pybind": (trees.PYBIND, ("csrc/twice.cpp",)),
}

MEMBERSHIP, ENTRIES, WRONG_ABI, INCLUDE = "TSA703", "TSA704", "TSA705", "TSA706"
LINK, REGISTRATION, PYTHON, NAME, UNREADABLE = "TSA707", "TSA708", "TSA709", "TSA710", "TSA711"

BINDINGS = "csrc/libtorch_stable/torch_bindings.cpp"
BLUR, SHARPEN, SHARED = (f"csrc/libtorch_stable/{name}.cpp" for name in ("blur", "sharpen", "shared"))
LEGACY, HEADER = "csrc/bindings.cpp", "csrc/libtorch_stable/shared.h"
TWICE, BIND = "csrc/libtorch_stable/twice.cpp", "csrc/bind.cpp"


class Good(NamedTuple):
    """A tree and the plan that migrates its group."""

    snapshot: Snapshot
    layout: Layout
    plan: Plan


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Good]:
    """The plan of each tree, made once."""
    known: dict[str, Good] = {}

    def make(name: str) -> Good:
        if name not in known:
            files, units = TREES[name]
            root = make_repository(tmp_path_factory.mktemp(name) / name, files)
            snapshot, config = open_snapshot(root), Config()
            layout = detect_layout(snapshot, config)
            group = resolve_group(snapshot, layout, config, units)
            known[name] = Good(snapshot, layout, plan_migration(snapshot, layout, group, Options(format=False), config))
        return known[name]

    return make


def _check(made: Good, plan: Plan) -> list[tuple[str, str, str]]:
    program = Program(made.snapshot, Config(), made.layout.include_roots)
    return [(d.code, d.path, d.message) for d in check_plan(Planned(program, plan))]


def _changed(plan: Plan, snapshot: Snapshot, path: str, old: str, new: str) -> Plan:
    """`plan` with `old` replaced by `new` in the file that is at `path` afterwards."""
    files = []
    found = False
    for file in plan.files:
        if file.new_path == path and file.after is not None:
            assert old.encode() in file.after, file.after.decode()
            file = replace(file, after=file.after.replace(old.encode(), new.encode(), 1))
            found = True
        files.append(file)
    if not found:
        data = snapshot.read(path)
        assert old.encode() in data
        files.append(FileChange(path, path, data, data.replace(old.encode(), new.encode(), 1)))
    return replace(plan, files=tuple(files))


@pytest.mark.parametrize("name", TREES)
def test_a_good_plan_has_no_finding(good: Callable[[str], Good], name: str) -> None:
    made = good(name)
    assert not [d for d in made.plan.diagnostics if d.severity.value == "error"]
    assert _check(made, made.plan) == []


_SETUP_LINE = '                "{}",\n'


def _line(path: str) -> str:
    return _SETUP_LINE.format(path)


# tree, file as it would be, text in it, what it is replaced by, code, words of the message
MUTATIONS = [
    # sources of setup.py
    ("setup", "setup.py", _line(BLUR), "", MEMBERSHIP, "csrc/blur.cpp into nothing"),
    ("setup", "setup.py", _line(SHARPEN), "", MEMBERSHIP, "csrc/sharpen.cpp into nothing"),
    ("setup", "setup.py", _line(SHARED), "", MEMBERSHIP, "csrc/shared.cpp into nothing"),
    ("setup", "setup.py", _line("csrc/rows.cpp"), "", MEMBERSHIP, "csrc/rows.cpp into nothing"),
    ("setup", "setup.py", _line(LEGACY), "", MEMBERSHIP, "csrc/bindings.cpp into nothing"),
    ("setup", "setup.py", _line(BINDINGS), "", MEMBERSHIP, "torch_bindings.cpp into nothing"),
    ("setup", "setup.py", _line(BLUR), _line(BLUR) * 2, ENTRIES, "blur.cpp twice"),
    ("setup", "setup.py", _line(SHARED), _line(SHARED) * 2, ENTRIES, "shared.cpp twice"),
    ("setup", "setup.py", _line("csrc/rows.cpp"), _line("csrc/rows.cpp") * 2, ENTRIES, "rows.cpp twice"),
    ("setup", "setup.py", _line(BINDINGS), _line(BINDINGS) * 2, ENTRIES, "torch_bindings.cpp twice"),
    ("setup", "setup.py", _line("csrc/rows.cpp"), _line("csrc/rows.cpp") + _line(SHARPEN), MEMBERSHIP, "sharpen.cpp"),
    ("setup", "setup.py", _line(SHARED), _line(SHARED) + _line("csrc/rows.cpp"), MEMBERSHIP, "rows.cpp"),
    ("setup", "setup.py", _line(SHARED), _line("csrc/shared.cpp"), ENTRIES, "csrc/shared.cpp there"),
    ("setup", "setup.py", _line(SHARED), _line(SHARED) + _line("csrc/gone.cpp"), ENTRIES, "gone.cpp there"),
    ("setup", "setup.py", '"img._C_stable_libtorch"', '"img._C"', ENTRIES, "two libraries img._C"),
    ("setup", "setup.py", '"img._C_stable_libtorch"', '"img._D"', PYTHON, "img._D"),
    ("setup", "setup.py", '("TORCH_TARGET_VERSION", "0x020b000000000000ULL"),', "", WRONG_ABI, "unstable API"),
    ("setup", "setup.py", "    cmdclass=", "    cmdclass==", UNREADABLE, "setup.py"),
    ("setup", "setup.py", "        CppExtension(\n            \"img._C\",", "        CppExtension(\n            \"img._B\",",
     MEMBERSHIP, "img._B"),
    # sources of CMake
    ("cmake", "CMakeLists.txt", f'"{BLUR}"', "", MEMBERSHIP, "csrc/blur.cpp into nothing"),
    ("cmake", "CMakeLists.txt", f'"{SHARED}"', "", MEMBERSHIP, "csrc/shared.cpp into nothing"),
    ("cmake", "CMakeLists.txt", '"csrc/rows.cpp"', "", MEMBERSHIP, "csrc/rows.cpp into nothing"),
    ("cmake", "CMakeLists.txt", f'"{BINDINGS}"', "", MEMBERSHIP, "torch_bindings.cpp into nothing"),
    ("cmake", "CMakeLists.txt", f'"{SHARPEN}"', f'"{SHARPEN}" "{SHARPEN}"', ENTRIES, "sharpen.cpp twice"),
    ("cmake", "CMakeLists.txt", '"csrc/rows.cpp"', f'"csrc/rows.cpp" "{SHARPEN}"', MEMBERSHIP, "sharpen.cpp"),
    ("cmake", "CMakeLists.txt", f'"{SHARPEN}"', f'"{SHARPEN}" "csrc/lost.cpp"', ENTRIES, "lost.cpp there"),
    ("cmake", "CMakeLists.txt", "if(WITH_FILTERS)", "if(NOT WITH_FILTERS)", MEMBERSHIP, "WITH_FILTERS"),
    ("cmake", "CMakeLists.txt", "Python_add_library(_C_stable_libtorch", "Python_add_library(_C", ENTRIES, "two _C"),
    ("cmake", "CMakeLists.txt", "PRIVATE TORCH_TARGET_VERSION", "PRIVATE OTHER",
     WRONG_ABI, "unstable API"),
    ("cmake", "CMakeLists.txt", "endif()", "endif(", UNREADABLE, "CMakeLists.txt"),
    ("cmake", "CMakeLists.txt", "${IMG_STABLE_SRC})", ")", ENTRIES, "no source"),
    ("cmake", "CMakeLists.txt", "${IMG_SRC})", ")", ENTRIES, "no source"),
    # registrations
    ("setup", BINDINGS, '  m.impl("blur", TORCH_BOX(&blur));\n', "", REGISTRATION, "img::blur"),
    ("setup", BINDINGS, '  m.impl("sharpen", TORCH_BOX(&sharpen));\n', "", REGISTRATION, "img::sharpen"),
    ("setup", BINDINGS, '  m.def("blur(Tensor x, float by) -> Tensor");\n', "", REGISTRATION, "img::blur"),
    ("setup", BINDINGS, '  m.impl("blur"', '  m.impl("blurr"', REGISTRATION, "img::blur"),
    ("setup", BINDINGS, "_IMPL(img, CPU", "_IMPL(img, CUDA", REGISTRATION, "img::blur CPU"),
    ("setup", BINDINGS, "FRAGMENT(img, m)", "FRAGMENT(other, m)", REGISTRATION, "img::blur"),
    ("setup", BINDINGS, '  m.impl("blur", TORCH_BOX(&blur));\n', '  m.impl("blur", TORCH_BOX(&blur));\n' * 2,
     REGISTRATION, "img::blur 2 times"),
    ("setup", BINDINGS, '  m.def("sharpen(', '  m.def("blur(Tensor x, float by) -> Tensor");\n  m.def("sharpen(',
     REGISTRATION, "img::blur 2 times"),
    ("setup", LEGACY, '  m.impl("rows", torch::kCPU, &rows);\n', "", REGISTRATION, "img::rows"),
    ("setup", LEGACY, '  m.def("rows(Tensor x) -> int");\n', "", REGISTRATION, "img::rows"),
    ("setup", LEGACY, '  m.def("rows(', '  m.def("blur(Tensor x, float by) -> Tensor");\n  m.def("rows(',
     REGISTRATION, "img::blur 2 times"),
    ("pybind", BIND, '  m.def("count", &count);\n', "", REGISTRATION, "count"),
    ("pybind", BINDINGS, '  m.def("twice(Tensor x) -> Tensor");\n', "", REGISTRATION, "twice"),
    ("pybind", BINDINGS, '  m.impl("twice", TORCH_BOX(&twice));\n', "", REGISTRATION, "twice"),
    # definitions
    ("setup", BLUR, "torch::stable::Tensor blur(", "torch::stable::Tensor blurred(", LINK, "blur"),
    ("setup", BLUR, "torch::stable::Tensor blur(", "static torch::stable::Tensor blur(", LINK, "blur"),
    ("setup", SHARPEN, "torch::stable::Tensor sharpen(", "torch::stable::Tensor sharp(", LINK, "sharpen"),
    ("setup", SHARED, "int clamp(", "int clamped(", LINK, "img::clamp"),
    ("setup", SHARED, "int calls = 0;", "", LINK, "img::calls"),
    ("setup", SHARED, "int calls = 0;", "static int calls = 0;", LINK, "img::calls"),
    ("setup", SHARED, "void fill<float>(float*", "void fill<double>(double*", LINK, "img::fill<float>"),
    ("setup", SHARED, "Window::Window(int size) {}\n", "", LINK, "img::Window::Window"),
    ("setup", SHARED, "int Window::size() const", "int Window::sizes() const", LINK, "img::Window::size"),
    ("setup", SHARED, "namespace img {", "namespace other {", LINK, "img::clamp"),
    ("setup", "csrc/rows.cpp", "int64_t rows(", "int64_t row(", LINK, "rows"),
    ("pybind", TWICE, "torch::stable::Tensor twice(", "torch::stable::Tensor thrice(", LINK, "twice"),
    # includes and names
    ("setup", BLUR, '#include "shared.h"', '#include "../nowhere/shared.h"', INCLUDE, "shared.h"),
    ("setup", BLUR, "STD_TORCH_CHECK(", "TORCH_CHECK(", NAME, "TORCH_CHECK"),
    ("setup", SHARPEN, "torch::stable::empty_like(x)", "at::softmax(x, 0)", NAME, "at::softmax"),
    ("setup", HEADER, "namespace img {", "#include <ATen/ATen.h>\nnamespace img {", NAME, "ATen/ATen.h"),
    ("setup", BLUR, "  return out;\n}", "  return out;\n", UNREADABLE, "blur.cpp"),
    ("setup", BINDINGS, '  m.impl("sharpen", TORCH_BOX(&sharpen));\n}', '  m.impl("sharpen", TORCH_BOX(&sharpen));\n',
     UNREADABLE, "torch_bindings.cpp"),
    # Python
    ("setup", "img/__init__.py", "from . import _C_stable_libtorch  # noqa: F401\n", "", PYTHON, "_C_stable_libtorch"),
    ("setup", "img/__init__.py", "_C_stable_libtorch", "_C_stable", PYTHON, "_C_stable_libtorch"),
    ("cmake", "img/__init__.py", "from . import _C_stable_libtorch  # noqa: F401\n", "", PYTHON, "_C_stable_libtorch"),
    ("setup", "img/__init__.py", "def blur(x):", "def blur(x:", UNREADABLE, "__init__.py"),
    ("pybind", "num/ops.py", "from . import _num_ops  # noqa: F401\n", "", PYTHON, "_num_stable_libtorch"),
    ("pybind", "num/_num_ops.py", "from num import _num_stable_libtorch  # noqa: F401\n", "", PYTHON,
     "_num_stable_libtorch"),
    ("pybind", "num/_num_ops.py", "torch.ops.num.twice", "torch.ops.num.twicee", PYTHON, "num.twicee"),
    ("pybind", "num/ops.py", "torch.ops.num.twice(x)", "_num.twice(x)", PYTHON, "twice"),
    ("pybind", "num/ops.py", "torch.ops.num.twice(x)", "torch.ops.other.twice(x)", PYTHON, "other.twice"),
    ("pybind", "num/ops.py", "torch.ops.num.twice(x)", "torch.ops.num.twices(x)", PYTHON, "num.twices"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "old", "new", "code", "words"), MUTATIONS)
def test_what_is_broken_is_found_once(
    good: Callable[[str], Good], name: str, path: str, old: str, new: str, code: str, words: str
) -> None:
    made = good(name)
    found = _check(made, _changed(made.plan, made.snapshot, path, old, new))
    assert [one[0] for one in found] == [code], found
    assert all(word in found[0][2] for word in words.split()), found
    assert made.snapshot.exists(found[0][1])  # a place of the tree as it is
