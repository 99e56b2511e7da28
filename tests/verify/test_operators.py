"""Operators before and after, as the dispatcher says them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.announced import Announced
from torch_stabilize.verify.golden.inventory import Operator
from torch_stabilize.verify.operators import Offered, operators_step
from torch_stabilize.verify.result import Status

GATE = Operator("_C::gate", "_C::gate(Tensor($0! -> ) out, Tensor input) -> ()", ("CPU", "CUDA"))
NORM = Operator("_C::norm", "_C::norm(Tensor x, float eps=1e-06) -> Tensor", ("CPU",))


def test_two_libraries_together_may_register_what_one_did() -> None:
    step = operators_step([GATE, NORM], [NORM, GATE])
    assert step.status is Status.OK
    assert step.diagnostics == ()


def test_what_differs_is_named() -> None:
    swapped = replace(GATE, schema="_C::gate(Tensor input, Tensor($0! -> ) out) -> ()")
    rekeyed = replace(NORM, keys=("CompositeExplicitAutograd",))
    step = operators_step([GATE, NORM], [swapped, rekeyed])
    assert step.status is Status.FAILED
    assert [d.code for d in step.diagnostics] == [codes.SCHEMA_DIFFERS, codes.KEYS_DIFFER]
    assert swapped.schema in step.diagnostics[0].message
    assert "had for CPU" in step.diagnostics[1].message


@pytest.mark.parametrize(
    ("inferred", "written", "status"),
    [
        ("_C::f(int _0, int[][] _1) -> ()", "_C::f(int fa, int[][] handles=[]) -> ()", Status.OK),
        ("_C::f(int _0) -> (int[] _0, Tensor _1)", "_C::f(int fa) -> (int[], Tensor)", Status.OK),
        ("_C::f() -> int _0", "_C::f() -> int", Status.OK),
        ("_C::f(Tensor _0) -> ()", "_C::f(Tensor($0! -> ) out) -> ()", Status.OK),
        ("_C::f(int _0, float _1) -> ()", "_C::f(float a, int b) -> ()", Status.FAILED),
        ("_C::f(int _0) -> ()", "_C::f(int a, int b) -> ()", Status.FAILED),
        ("_C::f(int a) -> ()", "_C::f(int b) -> ()", Status.FAILED),
        ("_C::f(int a) -> int _0", "_C::f(int b) -> int", Status.FAILED),
        ("_C::f(Tensor? _0) -> ()", "_C::f(Tensor x) -> ()", Status.FAILED),
    ],
)
def test_a_schema_that_torch_inferred_may_be_written_out(inferred: str, written: str, status: Status) -> None:
    step = operators_step([Operator("_C::f", inferred, ("CPU",))], [Operator("_C::f", written, ("CPU",))])
    assert step.status is status
    assert [d.code for d in step.diagnostics] == [codes.SCHEMA_DIFFERS]


def test_an_operator_without_a_key_may_get_the_one_that_stands_for_none() -> None:
    keyless = replace(NORM, keys=("CompositeImplicitAutograd",))
    step = operators_step([keyless], [replace(NORM, keys=("CompositeExplicitAutograd",))])
    assert step.status is Status.OK
    assert "had for CompositeImplicitAutograd" in step.diagnostics[0].message


def test_an_operator_lost_or_new() -> None:
    lost, new = operators_step([GATE], [NORM]).diagnostics
    assert (lost.code, new.code) == (codes.OPERATOR_LOST, codes.OPERATOR_LOST)
    assert lost.message == "_C::gate is registered by no library any more"
    assert new.message == "_C::norm is new"


def test_a_function_of_a_python_module_may_become_an_operator() -> None:
    group = Announced((GATE.name,), functions={GATE.name: "_C.gate"}, always=frozenset({GATE.name}))
    step = operators_step([], [GATE], group=group)
    assert step.status is Status.OK
    (found,) = step.diagnostics
    assert found.code == codes.BECAME_OPERATOR
    assert found.message.startswith("_C::gate was the function _C.gate; its schema is _C::gate(")


def test_a_function_that_no_library_registers_is_lost() -> None:
    functions = {GATE.name: "_C.gate", NORM.name: "_C.norm"}
    group = Announced(tuple(functions), functions=functions, always=frozenset({GATE.name}))
    (found,) = operators_step([], [], group=group).diagnostics
    assert (found.code, found.message) == (
        codes.OPERATOR_LOST,
        "_C::gate, which was _C.gate, is registered by no library",
    )


def test_another_operator_is_new_where_functions_are_announced() -> None:
    group = Announced((GATE.name,), functions={GATE.name: "_C.gate"})
    new = [item for item in operators_step([], [GATE, NORM], group=group).diagnostics if item.code != "TSA851"]
    assert [item.message for item in new] == ["_C::norm is new"]


def test_what_an_earlier_group_registered_is_not_new() -> None:
    step = operators_step([GATE], [GATE, NORM], group=Announced((GATE.name,), earlier=frozenset({NORM.name})))
    assert (step.status, step.diagnostics) == (Status.OK, ())
    assert step.figures == {"before": 1, "after": 2, "earlier": 1}


def test_the_backward_of_an_autograd_function_is_announced() -> None:
    step = operators_step([GATE], [GATE, NORM], group=Announced((GATE.name,), added=frozenset({NORM.name})))
    assert step.status is Status.OK
    (found,) = step.diagnostics
    assert (found.code, found.message.partition(";")[0]) == (codes.BECAME_OPERATOR, "_C::norm is new, as announced")


def test_a_function_of_a_module_that_is_gone_is_lost() -> None:
    offered = Offered(frozenset({"f", "g", "inner.h", "Box"}), frozenset({"g"}))
    group = Announced(functions={"ns::f": "_C.f", "ns::h": "_C.inner.h"})
    after = [replace(NORM, name="ns::f"), replace(NORM, name="ns::h")]
    found = operators_step([], after, None, group, offered).diagnostics[-1]
    assert (found.code, found.message) == (
        codes.OPERATOR_LOST,
        "Box, of a Python module before, is in no module any more",
    )


def test_functions_that_stay_in_a_module_are_not_lost() -> None:
    offered = Offered(frozenset({"f"}), frozenset({"f", "new"}))
    assert operators_step([], [], None, None, offered).diagnostics == ()
