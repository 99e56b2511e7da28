"""Schemas as the dispatcher prints them, and the overload that arguments mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch_stabilize.surface.entry import TableError
from torch_stabilize.surface.headers import installed_version
from torch_stabilize.surface.schemas import TABLE, Argument, choose, find_op, op_names, overloads, parse_signature


def test_arguments_keep_name_type_default_and_place() -> None:
    arguments, returns = parse_signature(
        "(Tensor(a!) self, SymInt[2] stride=[1, 1], str? mode=None, *, Generator? generator=None) -> Tensor(a!)"
    )
    assert arguments == (
        Argument("self", "Tensor", None, is_written=True),
        Argument("stride", "int[]", "[1, 1]", length=2),
        Argument("mode", "str?", "None"),
        Argument("generator", "Generator?", "None", keyword_only=True),
    )
    assert returns == ("Tensor",)


@pytest.mark.parametrize(
    ("signature", "returns"),
    [
        ("(Tensor self) -> ()", ()),
        ("(Tensor self) -> (Tensor values, Tensor indices)", ("Tensor", "Tensor")),
        ("(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]", ("Tensor[]",)),
        ("(Tensor self) -> SymInt", ("int",)),
        ("() -> bool", ("bool",)),
    ],
)
def test_results(signature: str, returns: tuple[str, ...]) -> None:
    assert parse_signature(signature)[1] == returns


def test_commas_and_brackets_in_strings_do_not_count() -> None:
    arguments, _ = parse_signature(r'(str a="x, (", str b="\"\'\\") -> Tensor')
    assert [argument.name for argument in arguments] == ["a", "b"]


@pytest.mark.parametrize(
    "signature", ["", "Tensor self", "(Tensor self)", "(Tensor self -> Tensor", "(Tensor) -> Tensor"]
)
def test_what_is_no_schema_is_refused(signature: str) -> None:
    with pytest.raises(TableError):
        parse_signature(signature)


def test_every_schema_of_the_table_parses() -> None:
    count = sum(len(overloads(name)) for name in op_names())
    assert count > 1500


@pytest.mark.parametrize(
    ("name", "given", "method", "qualified"),
    [
        ("expand", ["Tensor", "list"], True, "expand"),
        ("max", ["Tensor"], True, "max"),
        ("clamp_", ["Tensor"], True, "clamp_.Tensor"),  # that of numbers has no default for `min` in C++
        ("clamp", ["Tensor", "nullopt", "int64_t"], True, "clamp"),
        ("conv2d", ["Tensor", "Tensor"], False, "conv2d"),
        ("var", ["Tensor", "int64_t"], True, "var.dim"),  # ATen has var(int dim) besides the schemas
        ("var", ["Tensor", "list", "bool"], True, "var.dim"),
        ("sum", ["Tensor", "int64_t", "int64_t"], True, "sum.dim_IntList"),
        ("max", ["Tensor", "int64_t"], True, "max.dim"),
        ("max", ["Tensor", "Tensor"], True, "max.other"),
        ("split", ["Tensor", "int64_t"], True, "split.Tensor"),
        ("split", ["Tensor", "IntArrayRef", "int64_t"], True, "split.sizes"),
        ("mean", ["Tensor", "list"], True, "mean.dim"),
        ("mean", ["Tensor", "int64_t"], True, "mean.dim"),  # int[1] takes one int
        ("mul", ["Tensor", "Tensor"], True, "mul.Tensor"),
        ("mul", ["Tensor", "double"], True, "mul.Scalar"),
        ("clamp", ["Tensor", "int64_t", "double"], False, "clamp"),
        ("where", ["Tensor", "Tensor", "Tensor"], False, "where.self"),
        ("cumsum_out", ["Tensor", "Tensor", "int64_t"], False, "cumsum.out"),
        ("zeros", ["list", "ScalarType"], False, "zeros"),
        ("rand", ["int64_t", "ScalarType"], False, "rand"),  # sizes made of one number
        ("randint", ["int64_t", "int64_t"], False, "randint"),
        ("repeat", ["Tensor", "int64_t"], True, "repeat"),
        ("topk", ["Tensor", ""], True, "topk"),  # an unknown type fits
        ("expand_symint", ["Tensor", "list"], True, "expand"),
        ("repeat_interleave", ["Tensor", "int64_t"], False, "repeat_interleave.self_int"),  # a number, no optional one
        ("polygamma", ["Tensor", "int64_t"], True, "polygamma"),  # the receiver is the second argument
        ("polygamma", ["int64_t", "Tensor"], False, "polygamma"),
    ],
)
def test_the_overload_that_arguments_mean(name: str, given: list[str], method: bool, qualified: str) -> None:
    op = choose(name, given, method=method)
    assert op is not None
    assert op.qualified == qualified


def test_arguments_that_fit_nothing_choose_nothing() -> None:
    assert choose("expand", ["Tensor"]) is None  # the sizes are missing
    assert choose("expand", ["Tensor", "string"]) is None
    assert choose("no_such_op", ["Tensor"]) is None


def test_obstacles_name_what_the_dispatcher_cannot_take() -> None:
    assert find_op("expand").obstacles == ()
    assert find_op("uniform_").obstacles == ()  # its generator is optional
    assert find_op("mul", "Scalar").obstacles == ()  # handed over as a tensor
    assert find_op("addmm").obstacles == ("Scalar beta", "Scalar alpha")
    assert find_op("record_stream").obstacles == ("Stream s",)
    assert find_op("quantized_lstm", "input").obstacles != ()


@pytest.mark.torch
def test_the_table_is_what_this_torch_says(torch_include: Path) -> None:
    """Where this fails, run `python -m torch_stabilize.surface.generate_aten` and read the diff."""
    from torch_stabilize.surface.generate_aten import read_schemas

    table = json.loads(TABLE.read_text(encoding="utf-8"))
    if not installed_version(torch_include).startswith(table["torch"]):
        pytest.skip(f"the table is of torch {table['torch']}")
    ours: dict[str, dict[str, str]] = {}
    for op, overload, _, signature in table["ops"]:
        ours.setdefault(op, {})[overload] = signature
    assert ours == read_schemas()
