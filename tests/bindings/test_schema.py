"""The schema parser against its printer, and against what torch itself reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_stabilize.surface.schema import Argument, Schema, SchemaError, Type, normalised, parse_schema

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(lambda name: name not in ("inf", "nan"))
ALIASES = st.sampled_from(["", "", "", "!", "a!", "a", "a -> *", "a! -> a|b"])
BASES = st.builds(
    lambda name, alias: Type("base", name, alias=alias if name == "Tensor" else ""),
    st.sampled_from(
        ["Tensor", "int", "float", "bool", "str", "SymInt", "ScalarType", "Device", "__torch__.torch.classes.ns.C"]
    ),
    ALIASES,
)
TYPES = st.recursive(
    BASES,
    lambda inner: st.one_of(
        st.builds(lambda kind: Type("optional", inner=(kind,)), inner),
        st.builds(lambda kind, size: Type("list", inner=(kind,), size=size), inner, st.sampled_from(["", "2"])),
        st.builds(lambda kinds: Type("tuple", inner=tuple(kinds)), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=4,
)
DEFAULTS = st.sampled_from(
    ["", "", "None", "True", "3", "-1", "1e-05", "2.5", '"a b"', "[]", "[1, 2]", "contiguous_format"]
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    arguments = [Argument(draw(TYPES), draw(NAMES), draw(DEFAULTS)) for _ in range(draw(st.integers(0, 4)))]
    first_keyword = draw(st.integers(0, len(arguments)))
    marked = [Argument(a.type, a.name, a.default, place >= first_keyword) for place, a in enumerate(arguments)]
    returns = tuple(Argument(draw(TYPES), draw(st.one_of(st.just(""), NAMES))) for _ in range(draw(st.integers(0, 3))))
    return Schema(draw(NAMES), draw(st.one_of(st.just(""), NAMES)), tuple(marked), returns)


@given(schemas())
def test_printing_and_reading_are_inverse(schema: Schema) -> None:
    assert parse_schema(str(schema)) == schema


@given(schemas(), st.integers(0, 3))
def test_blanks_do_not_matter(schema: Schema, count: int) -> None:
    text = str(schema).replace(", ", "," + "\n" * count + " ").replace("(", "( ", 1)
    assert parse_schema(text) == schema


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("f(Tensor! x) -> ()", [("Tensor!", True)]),
        ("f(Tensor!? x, Tensor(a!)[] y, Tensor[](b!) z) -> Tensor(a!)", [("Tensor!?", True), ("Tensor(a!)[]", True), ("Tensor[](b!)", True)]),
        ("f(int[2] k, (int, int)? p=None, *, ScalarType? dtype=None) -> (Tensor out, int)", [("int[2]", False), ("(int, int)?", False), ("ScalarType?", False)]),
    ],
)  # fmt: skip
def test_types_and_what_they_say_about_writing(text: str, parts: list[tuple[str, bool]]) -> None:
    schema = parse_schema(text)
    assert [(str(a.type), a.type.is_written) for a in schema.arguments] == parts
    assert str(schema) == text


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("f(Tensor x", 10),
        ("f(Tensor x)", 11),
        ("f(Tensor) -> ()", 8),
        ("f(Tensor x,, int y) -> ()", 11),
        ("f(Tensor x) -> () trailing", 18),
        ("no schema", 0),
    ],
)
def test_errors_have_a_place(text: str, offset: int) -> None:
    with pytest.raises(SchemaError) as error:
        parse_schema(text)
    assert abs(error.value.offset - offset) <= 1


def test_one_spelling() -> None:
    assert normalised("f( Tensor!  a,\n  int b=1 )->()") == "f(Tensor! a, int b=1) -> ()"
    assert normalised("not  a\nschema") == "not a schema"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("f(Dict(str, Tensor) d) -> Dict(int, Tensor[])", "dict"),
        ("f(Future(Tensor) x) -> Tensor", "dict"),
        ("f(int[] a=[1, -2], (int, int) b=(1, 2)) -> ()", "list"),
        ("f(Tensor(a! -> *) x) -> Tensor(a|b)", "base"),
        ("ns::f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", "base"),
        ("f(Tensor x, ...) -> (Tensor, ...)", "base"),
        ("f(...) -> ...", ""),
        ("f() -> ((int, int))", ""),  # one value, which is a tuple
    ],
)
def test_rarer_forms(text: str, form: str) -> None:
    """They are printed as they were read."""
    schema = parse_schema(text)
    assert str(schema) == text
    assert "".join(argument.type.form for argument in schema.arguments[:1]) == form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f(Tensor 3x) -> ()", "expected the name of an argument, found '3'"),
        ("f(3 x) -> ()", "expected a type, found '3'"),
        ("f(Tensor x) -> ;", "unexpected ';'"),
        ("f(Tensor x] -> ()", "expected ',', found ']'"),
        ("f(Tensor x) Tensor", "expected '->', found 'Tensor'"),
        ("f(int[] a=[1 2]) -> ()", "expected ',', found '2'"),
        ("f(..., int x) -> ()", "expected ')', found ','"),
    ],
)
def test_errors_name_what_was_found(text: str, message: str) -> None:
    with pytest.raises(SchemaError) as error:
        parse_schema(text)
    assert str(error.value).startswith(message)


@pytest.mark.torch
def test_torch_reads_the_same() -> None:
    torch = pytest.importorskip("torch")
    known = [str(schema) for schema in torch._C._jit_get_all_schemas()]
    assert len(known) > 2000
    for text in known:
        assert str(parse_schema(text)) == text.rstrip()
