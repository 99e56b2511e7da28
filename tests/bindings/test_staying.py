"""Units that stay in the legacy library, and what is said of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.staying import staying_units
from torch_stabilize.repository.layout import Group, Library

from tests.bindings.trees import LAYOUT, STABLE_BINDINGS, tree

MODULE = "csrc/module.cpp"
SUMS = "csrc/sums.cpp"
BAGS = "csrc/bags.cpp"
SUM = "at::Tensor total(const at::Tensor& x) { return x.sum(); }\n"
WEIGH = "int64_t weigh(const std::map<std::string, int64_t>& bag) { return bag.size(); }\n"
BAG = "struct Bag { int64_t count = 0; };\n"
BIND_BAG = 'py::class_<Bag>(m, "Bag").def(py::init<>());'


def module(*statements: str, before: str = "") -> str:
    """A file with a Python module."""
    lines = "".join(f"  {one}\n" for one in statements)
    return f"#include <torch/extension.h>\n{before}PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{\n{lines}}}\n"


def staying(files: dict[str, str], *units: str, migrated: tuple[str, ...] = ()) -> dict[str, str]:
    """The units of a group that stay, with their messages."""
    layout = replace(LAYOUT, legacy_bindings=(MODULE,), libraries=(Library("_C", tuple(files)),))
    found = staying_units(Registry(tree(files), layout), Group("group", units, migrated=migrated), "2.11")
    assert all(one.code == "TSA530" and one.severity.name == "ERROR" for one in found.values())
    return {path: one.message for path, one in found.items()}


def test_a_class_keeps_its_unit_and_the_others_move() -> None:
    files = {MODULE: module('m.def("total", &total);', BIND_BAG, before=BAG), SUMS: SUM}
    assert staying(files, MODULE, SUMS) == {MODULE: f"{MODULE} stays in the legacy module _C: it binds a class"}


def test_functions_alone_keep_nothing() -> None:
    assert staying({MODULE: module('m.def("total", &total);'), SUMS: SUM}, MODULE, SUMS) == {}


def test_an_overload_that_the_schema_does_not_mean_keeps_nothing() -> None:
    fill = (
        "void fill(at::Tensor& x, const float* from, int64_t n) {}\n"
        "void fill(at::Tensor& x, int64_t n) { fill(x, nullptr, n); }\n"
    )
    register = (
        'TORCH_LIBRARY(my, m) { m.def("fill(Tensor(a!) x, int n) -> ()"); m.impl("fill", torch::kCPU, &fill); }\n'
    )
    assert staying({MODULE: fill + register, SUMS: SUM}, MODULE, SUMS) == {}


def test_a_unit_alone_is_not_left_out() -> None:
    """Nothing would move: the plan has a message of its own for the class."""
    files = {MODULE: module('m.def("total", &total);', BIND_BAG, before=SUM + BAG)}
    assert staying(files, MODULE) == {}


def test_units_of_which_none_would_move_are_not_left_out() -> None:
    files = {MODULE: module('m.def("weigh", &weigh);', BIND_BAG, before=BAG), BAGS: WEIGH}
    assert staying(files, MODULE, BAGS) == {}


@pytest.mark.parametrize("has_file", [False, True])
def test_a_unit_alone_stays_where_others_have_moved_before(has_file: bool) -> None:
    files = {MODULE: module(BIND_BAG, before=BAG), SUMS: SUM} | ({STABLE_BINDINGS: ""} if has_file else {})
    found = staying(files, MODULE, migrated=() if has_file else (SUMS,))
    assert found == {MODULE: f"{MODULE} stays in the legacy module _C: it binds a class"}


def test_a_type_without_a_schema_keeps_the_binding_and_the_definition() -> None:
    """The unit that defines such a function stays with the one that binds it."""
    files = {MODULE: module('m.def("total", &total);', 'm.def("weigh", &weigh);'), SUMS: SUM, BAGS: WEIGH}
    found = staying(files, MODULE, SUMS, BAGS)
    assert found.keys() == {MODULE, BAGS}
    for path, message in found.items():
        assert message.startswith(f"{path} stays in the legacy module _C: weigh: ")
        assert "std::map" in message


def test_every_reason_is_named_once() -> None:
    second = 'py::class_<Bag>(m, "Sack").def(py::init<>());'
    files = {
        MODULE: module('m.def("total", &total);', 'm.def("weigh", &weigh);', BIND_BAG, second, before=BAG),
        SUMS: SUM, BAGS: WEIGH,
    }  # fmt: skip
    message = staying(files, MODULE, SUMS, BAGS)[MODULE]
    assert message.count("it binds a class") == 1
    assert "; weigh: " in message


OPERATORS = """
    #include <torch/library.h>
    at::Tensor shaken(const at::Tensor& x, std::optional<at::Generator> source) { return x; }
    TORCH_LIBRARY(shop, m) {
      m.def("total(Tensor x) -> Tensor");
      m.def("shaken(Tensor x, Generator? source) -> Tensor");
    }
    TORCH_LIBRARY_IMPL(shop, CPU, m) {
      m.impl("total", &total);
      m.impl("shaken", &shaken);
    }
"""


def test_an_operator_that_cannot_be_boxed_stays_in_its_library() -> None:
    found = staying({MODULE: OPERATORS, SUMS: SUM}, MODULE, SUMS)
    assert found.keys() == {MODULE}
    assert found[MODULE].startswith(f"{MODULE} stays in the legacy library _C: ")
    assert "parameter `source`" in found[MODULE]


def test_what_registers_a_function_of_a_unit_that_stays_stays_with_it() -> None:
    """The other file only registers what the first one defines."""
    shared = "at::Tensor shared(const at::Tensor& x) { return x; }\n"
    files = {
        MODULE: module(BIND_BAG, before=BAG + shared),
        BAGS: """
            #include <torch/library.h>
            at::Tensor shared(const at::Tensor& x);
            TORCH_LIBRARY(shop, m) { m.def("shared(Tensor x) -> Tensor", &shared); }
        """,
        SUMS: SUM + 'TORCH_LIBRARY_FRAGMENT(shop, m) { m.def("total(Tensor x) -> Tensor", &total); }\n',
    }
    found = staying(files, MODULE, BAGS, SUMS)
    assert found == {
        MODULE: f"{MODULE} stays in the legacy module _C: it binds a class",
        BAGS: f"{BAGS} stays in the legacy library _C: it registers shared, which stays",
    }
