"""A small run of the twins, and how programs are made and made smaller."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.twins.building import Compiler
from tests.twins.grammar import callable_ops, random_function, random_functions, sweep
from tests.twins.program import BLOCK, Function, Node
from tests.twins.twins import compared


def test_a_seed_gives_the_same_functions_and_another_gives_others() -> None:
    assert random_functions("tw", 1, 5) == random_functions("tw", 1, 5)
    assert random_functions("tw", 1, 5) != random_functions("tw", 2, 5)


def test_the_sweep_calls_every_overload() -> None:
    functions = sweep("sw", 1)
    assert len(functions) == len(callable_ops()) > 500
    for function, op in zip(functions, callable_ops(), strict=True):
        assert f"{op.cpp_name}(" in function.written()


def test_what_is_smaller_has_less_and_keeps_its_return() -> None:
    function = random_function("tw", 7)
    for smaller in function.smaller():
        assert "return" in smaller.written()


def test_a_statement_goes_and_an_expression_becomes_a_part_of_itself() -> None:
    result = Node("statement", "  return @;", (Node("tensor", "@.exp()", (Node("tensor", "y"),)),))
    function = Function("f", "at::Tensor", Node(BLOCK, "", (Node("statement", "  x.zero_();"), result)))
    bodies = {smaller.body.written() for smaller in function.smaller()}
    assert {"  return y.exp();", "  x.zero_();\n  return y;", "  x.zero_();\n  return x;"} <= bodies


def _returning(name: str, expression: str) -> Function:
    return Function(name, "at::Tensor", Node(BLOCK, "", (Node("statement", f"  return {expression};"),)))


@pytest.mark.compile
@pytest.mark.torch
def test_random_functions_do_what_they_did(tmp_path: Path) -> None:
    """A difference here is one that no finding announces. What cannot migrate is announced, and is not built."""
    functions = [*random_functions("tw", SEED, 24), _returning("manual", "at::empty_like(x).normal_()")]
    tally = compared(functions, tmp_path, Compiler(None))
    assert not tally.differences, "\n".join(f"{d.what}: {d.after}\n{d.function.written()}" for d in tally.differences)
    assert tally.calls > 80
    assert tally.invalid < 6


SEED = 11
