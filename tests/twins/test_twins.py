"""A small run of the twins, and what they are made of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from torch_stabilize.report.places import Place
from torch_stabilize.report.view import Concern, Finding
from torch_stabilize.rules import arithmetic

from tests.twins import forms
from tests.twins.account import Account, account_of
from tests.twins.api import callable_ops
from tests.twins.building import Compiler
from tests.twins.difference import Difference, Tally, compared, difference
from tests.twins.grammar import random_function, random_functions
from tests.twins.program import BLOCK, Function, Node
from tests.twins.record import Record
from tests.twins.shrinking import shrunk
from tests.twins.sources import sources_and_uses
from tests.twins.sweeps import SETTINGS, overloads_in_settings

SEED = 12


def test_a_seed_gives_the_same_functions_and_another_gives_others() -> None:
    assert random_functions("tw", 1, 5) == random_functions("tw", 1, 5)
    assert random_functions("tw", 1, 5) != random_functions("tw", 2, 5)


def test_the_sweep_calls_every_overload_in_every_setting() -> None:
    functions = overloads_in_settings("sw", 1)
    assert len(functions) == len(callable_ops()) * len(SETTINGS) > 4000
    for function, op in zip(functions, callable_ops() * len(SETTINGS), strict=True):
        assert f"{op.cpp_name}(" in function.written()


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_defines_no_name_that_functions_define_already(setting: str) -> None:
    defined = re.compile(r"\b(?:namespace|struct|define|Tensor)\s+(\w+_NAME)\b(?=\s*[({])")
    names = [name for text in (*forms.OWN.values(), SETTINGS[setting][0]) for name in defined.findall(text)]
    assert len(names) == len(set(names)), names


def test_the_sweep_of_sources_has_a_function_for_each_use() -> None:
    functions = sources_and_uses("so")
    assert len(functions) > 4500
    assert len({function.name for function in functions}) == len(functions)


def test_what_is_smaller_has_less_and_keeps_its_return() -> None:
    function = random_function("tw", 7)
    for smaller in function.smaller():
        assert "return" in smaller.written()


def _statement(text: str, *parts: Node) -> Node:
    return Node("statement", f"  {text}", parts)


def _function(name: str, *statements: Node, definitions: tuple[str, ...] = ()) -> Function:
    return Function(name, "at::Tensor", Node(BLOCK, "", statements), definitions)


def _returning(name: str, expression: str) -> Function:
    return _function(name, _statement(f"return {expression};"))


def test_a_statement_goes_and_an_expression_becomes_a_part_of_itself() -> None:
    function = _function(
        "f", _statement("x.zero_();"), _statement("return @;", Node("tensor", "@.exp()", (Node("tensor", "y"),)))
    )
    bodies = {smaller.body.written() for smaller in function.smaller()}
    assert {"  return y.exp();", "  x.zero_();\n  return y;", "  x.zero_();\n  return x;"} <= bodies


def test_a_definition_goes_with_its_last_use() -> None:
    definitions = ("struct In_NAME { int k; };", "static int get_NAME(In_NAME i) { return i.k; }")
    function = _function("f", _statement("int k = get_NAME({1});"), _statement("return x;"), definitions=definitions)
    assert "struct In_f { int k; };\nstatic int get_f(In_f i)" in function.written()
    assert "In_f" not in next(s for s in function.smaller() if "int k" not in s.body.written()).written()


def _outcome(result: str, x: str = "x") -> str:
    return json.dumps([result, x, "y"])


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("torch.float32 (2,)", "torch.float64 (2,)", "value"),
        ("text tw: 1", "text RuntimeError: tw: 1", "text in a value"),
        ("raises ValueError: 1", "1", "raises no more"),
        ("1", "raises RuntimeError: ", "raises now"),
        ("raises RuntimeError: 1 and 2", "raises RuntimeError: 1", "text of an error"),
        ("raises RuntimeError: long int of 1", "raises RuntimeError: Long of 1", "dtype in a text"),
        ("raises RuntimeError: long int of 1", "raises RuntimeError: Long of 2", "text of an error"),
        ("raises IndexError: ", "raises RuntimeError: ", "class of an error"),
        ("raises ValueError: 1", "raises RuntimeError: 1", "class of an own error"),
        ("raises RuntimeError: ", "raises IndexError: ", "class of an own error"),
    ],
)  # fmt: skip
def test_outcomes_differ_in_one_way(before: str, after: str, what: str) -> None:
    assert difference(_outcome(before), _outcome(after)) == what


def test_a_changed_argument_and_a_crash_differ_whatever_the_result() -> None:
    assert difference(_outcome("1"), _outcome("1", "other")) == "changed argument"
    assert difference(_outcome("1"), "crash") == "crash"


def _finding(code: str, concern: Concern, line: int) -> Finding:
    return Finding(concern, code, "", Place("unit.cpp", line, 1), None, "")


def test_only_what_is_left_by_hand_or_names_the_difference_announces_it() -> None:
    owners = {1: "manual", 2: "named", 3: "general"}
    findings = [
        _finding("TSA901", Concern.MANUAL, 1),
        _finding("TSA202", Concern.REVIEW, 2),
        _finding("TSA120", Concern.REVIEW, 3),
    ]
    account = account_of(findings, "unit.cpp", owners)
    assert account.announces("manual", "value")
    assert account.announces("named", "text of an error")
    assert not account.announces("named", "value")
    assert not account.announces("general", "value")
    assert not account_of(findings, "other.cpp", owners).announces("manual", "value")
    assert (account | Account({"other": "TSA1"})).announces("other", "value")


def test_the_record_counts_what_ran_since_the_last_new_kind(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.tsv")
    found = Difference(_returning("f", "x"), "value", "1", "2")
    record.add("random", 1, 0, Tally(100, differences=(found,)), [found], 5)
    record.add("random", 1, 100, Tally(50), [], 5)
    record.add("random", 2, 0, Tally(30), [], 5)
    assert Record(record.path).table().splitlines()[-1] == "| random | 1, 2 | 180 | 0 | 0 | 0 | 1 | 80 |"


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("twins"))


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("twins")
def test_random_functions_do_what_they_did(tmp_path: Path, compiler: Compiler) -> None:
    """A difference here is one that no finding announces. What cannot migrate is announced, and is not built."""
    functions = [*random_functions("tw", SEED, 40), _returning("manual", "at::empty_like(x).normal_()")]
    tally = compared(functions, tmp_path, compiler)
    assert not tally.differences, "\n".join(f"{d.what}: {d.after}\n{d.function.written()}" for d in tally.differences)
    assert tally.calls > 100
    assert tally.invalid < 12
    assert sum(tally.codes.values()) >= 1


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.xdist_group("twins")
def test_a_wrong_rewrite_is_found_and_made_small(
    tmp_path: Path, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule for `-t` is made wrong here: it gives what compiles and computes something else."""
    monkeypatch.setitem(arithmetic._UNARY, "-", "abs")
    y = Node("tensor", "y")
    hidden = Node("tensor", "@.add(@)", (Node("tensor", "(-@)", (Node("tensor", "@.exp()", (y,)),)), Node("int", "n")))
    loop = _statement("if (@) {\n@\n  }", Node("bool", "x.defined()"), Node(BLOCK, "", (_statement("x = @;", hidden),)))
    function = _function(
        "planted", _statement("auto t1 = @;", Node("tensor", "at::zeros_like(x)")), loop,
        _statement('TORCH_CHECK(@, "tw: ", n);', Node("bool", "x.defined()")),
        _statement("return @;", Node("tensor", "twice_NAME(@)", (Node("tensor", "x.abs()"),))),
        definitions=("static at::Tensor twice_NAME(at::Tensor t) { return t * 2; }",),
    )  # fmt: skip
    found = compared([function, _returning("right", "x.abs()")], tmp_path, compiler).differences
    assert [(d.function.name, d.what) for d in found] == [("planted", "value")]
    (small,) = shrunk(found, lambda batch: compared(batch, tmp_path, compiler).differences, rounds=2)
    assert small.what == "value"
    assert "(-" in small.function.written()
    assert len(small.function.body.written().splitlines()) <= 4
    assert not any(word in small.function.written() for word in ("TORCH_CHECK", "zeros_like", "twice"))
