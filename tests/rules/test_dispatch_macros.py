"""Dispatch macros of a project: which stable macro is the same, and what is written where there is none."""

from __future__ import annotations

import pytest
from torch_stabilize.rules.dispatch_macros import (
    Translation,
    dtypes_of,
    is_macro_header,
    read_definitions,
    render_definitions,
    stable_name,
    switches,
    translate,
)
from torch_stabilize.rules.engine import rewrite_document
from torch_stabilize.source.document import Document
from torch_stabilize.surface.table import load_surface

from tests.rules.rewriting import context_of, rewrite

LEGACY = """\
#define OWN_DISPATCH_CASE_FLOATING(...) \\
  AT_DISPATCH_CASE(at::ScalarType::Float, __VA_ARGS__) \\
  AT_DISPATCH_CASE(at::ScalarType::Half, __VA_ARGS__)
#define OWN_DISPATCH_FLOATING(TYPE, NAME, ...) \\
  AT_DISPATCH_SWITCH(TYPE, NAME, OWN_DISPATCH_CASE_FLOATING(__VA_ARGS__))
"""
STABLE = """\
#define OWN_STABLE_DISPATCH_CASE_FLOATING(...) \\
  THO_DISPATCH_CASE(torch::headeronly::ScalarType::Float, __VA_ARGS__) \\
  THO_DISPATCH_CASE(torch::headeronly::ScalarType::Half, __VA_ARGS__)
#define OWN_STABLE_DISPATCH_FLOATING(TYPE, NAME, ...) \\
  THO_DISPATCH_SWITCH(TYPE, NAME, OWN_STABLE_DISPATCH_CASE_FLOATING(__VA_ARGS__))
"""


def translated(legacy: str, stable: str = "") -> Translation:
    headers = [Document("stable/dispatch.h", stable.encode())] if stable else []

    def rewrite(document: Document) -> object:
        return rewrite_document(context_of(document.data.decode(), document.path)).edits

    return translate([Document("dispatch.h", legacy.encode())], headers, load_surface(), "stable/dispatch.h", rewrite)  # type: ignore[arg-type]


def added(made: Translation, *names: str) -> str:
    """What is written into the stable header where `names` are used."""
    return render_definitions(one for name in made.needed(names) for one in made.missing[name])


def test_what_is_missing_is_written_in_the_order_of_use() -> None:
    made = translated(LEGACY)
    assert added(made, "OWN_DISPATCH_FLOATING").split() == STABLE.split()
    assert made.macros["OWN_DISPATCH_FLOATING"].dtypes == {"Float", "Half"}
    assert added(made, "OWN_DISPATCH_CASE_FLOATING").count("#define") == 1


def test_the_same_macro_is_not_written_again() -> None:
    made = translated(LEGACY, STABLE)
    assert not made.missing
    assert made.macros["OWN_DISPATCH_FLOATING"].stable == "OWN_STABLE_DISPATCH_FLOATING"


def test_the_same_under_a_name_of_another_kind_is_found_by_its_text() -> None:
    made = translated(LEGACY, STABLE.replace("OWN_STABLE_DISPATCH", "TYPES"))
    assert made.macros["OWN_DISPATCH_CASE_FLOATING"].stable == "TYPES_CASE_FLOATING"


def test_a_namesake_with_the_same_dtypes_is_used_however_it_is_written() -> None:
    other = (
        "#define OWN_STABLE_DISPATCH_FLOATING(TYPE, NAME, ...) \\\n  THO_DISPATCH_SWITCH(TYPE, NAME, \\\n"
        "    THO_DISPATCH_CASE(torch::headeronly::ScalarType::Half, __VA_ARGS__) \\\n"
        "    THO_DISPATCH_CASE(torch::headeronly::ScalarType::Float, __VA_ARGS__))\n"
    )
    made = translated(LEGACY, other)
    assert made.macros["OWN_DISPATCH_FLOATING"].stable == "OWN_STABLE_DISPATCH_FLOATING"
    assert not made.clashes


def test_a_namesake_with_other_dtypes_is_not_used() -> None:
    made = translated(LEGACY, STABLE.replace("::Half", "::BFloat16"))
    assert made.macros["OWN_DISPATCH_FLOATING"].stable == "OWN_STABLE_DISPATCH_FLOATING_EXACT"
    assert "OWN_DISPATCH_FLOATING" in made.clashes
    assert "OWN_STABLE_DISPATCH_CASE_FLOATING_EXACT(__VA_ARGS__)" in added(made, "OWN_DISPATCH_FLOATING")


def test_conditions_are_kept() -> None:
    one = "#define OWN_DISPATCH_SMALL(T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE(at::kByte, __VA_ARGS__))\n"
    made = translated(f"#ifdef WITH_SMALL\n{one}#else\n{one.replace('kByte', 'kChar')}#endif\n")
    assert made.macros["OWN_DISPATCH_SMALL"].dtypes == {"Byte [#ifdef WITH_SMALL]", "Char [#ifndef WITH_SMALL]"}
    text = added(made, "OWN_DISPATCH_SMALL")
    assert text.startswith("#ifdef WITH_SMALL\n#define OWN_STABLE_DISPATCH_SMALL")
    assert "#ifndef WITH_SMALL\n#define OWN_STABLE_DISPATCH_SMALL" in text
    assert text.count("#endif") == 2


def test_families_of_torch_count_with_their_dtypes() -> None:
    text = "#define OWN_DISPATCH_ANY(T, N, ...) AT_DISPATCH_FLOATING_TYPES_AND_HALF(T, N, __VA_ARGS__)\n"
    document = Document("dispatch.h", text.encode())
    assert dtypes_of("OWN_DISPATCH_ANY", {"OWN_DISPATCH_ANY": read_definitions(document)}, load_surface()) == {
        "Double",
        "Float",
        "Half",
    }


def test_macros_that_use_each_other_end() -> None:
    text = "#define A(...) B(__VA_ARGS__) C_(at::kHalf)\n#define B(...) A(__VA_ARGS__)\n"
    found = read_definitions(Document("dispatch.h", text.encode()))
    assert dtypes_of("A", {one.name: [one] for one in found}, load_surface()) == {"Half"}


@pytest.mark.parametrize(
    ("legacy", "stable"),
    [
        ("OWN_DISPATCH_X", "OWN_STABLE_DISPATCH_X"),
        ("AT_DISPATCH_MINE", "STABLE_DISPATCH_MINE"),
        ("OWN_STABLE_X", "OWN_STABLE_X"),
        ("FOR_ALL", "STABLE_FOR_ALL"),
    ],
)
def test_names(legacy: str, stable: str) -> None:
    assert stable_name(legacy) == stable


def test_switches_over_scalar_t_that_a_repository_has() -> None:
    hinted = "#define INDICES(T, N, ...) THO_DISPATCH_SWITCH(T, N, \\\n  CASE_OF_INDEX(__VA_ARGS__))\n"
    hinted += "#define CASE_OF_INDEX(...) \\\n  THO_PRIVATE_CASE_TYPE_USING_HINT(torch::headeronly::ScalarType::Int, idx_t, __VA_ARGS__)\n"
    more = "#define PAIR(T, U, N, ...) THO_DISPATCH_SWITCH(T, N, THO_DISPATCH_CASE(torch::headeronly::kInt, __VA_ARGS__))\n"
    more += "#ifdef FEW\n#define FEW_TYPES(T, N, ...) THO_DISPATCH_SWITCH(T, N, THO_DISPATCH_CASE(torch::headeronly::kInt, __VA_ARGS__))\n#endif\n"
    found = switches([Document("stable/dispatch.h", (STABLE + hinted + more).encode())], load_surface())
    assert {name.stable for name in found.values()} == {"OWN_STABLE_DISPATCH_FLOATING"}
    assert set(found) == {frozenset({"Float", "Half"})}


@pytest.mark.parametrize(
    ("text", "is_any", "is_dispatch"),
    [
        (LEGACY, True, True),
        ("#define TWICE(x) (2 * (x))\n", True, False),
        (LEGACY + "inline int f() { return 1; }\n", False, False),
        ("#pragma once\n#include <vector>\n", False, False),
    ],
)
def test_headers_of_macros(text: str, is_any: bool, is_dispatch: bool) -> None:
    document = Document("dispatch.h", text.encode())
    assert is_macro_header(document) is is_any
    assert is_macro_header(document, surface=load_surface()) is is_dispatch


@pytest.mark.parametrize(
    ("text", "is_added"),
    [
        ('AT_DISPATCH_COMPLEX_TYPES(x.scalar_type(), "f", [&] { g(std::conj(scalar_t(1, 2))); });', True),
        ('AT_DISPATCH_ALL_TYPES_AND_COMPLEX(x.scalar_type(), "f", [&] { g(std::sqrt(scalar_t(2))); });', True),
        ('AT_DISPATCH_V2(x.scalar_type(), "f", AT_WRAP([&] { g(std::exp(scalar_t(2))); }), AT_EXPAND(AT_COMPLEX_TYPES));',
         True),
        ('AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "f", [&] { g(std::exp(scalar_t(2))); });', False),
        ('AT_DISPATCH_COMPLEX_TYPES(x.scalar_type(), "f", [&] { g(scalar_t(1, 2) * scalar_t(3)); });', False),
    ],
)  # fmt: skip
def test_functions_of_complex_numbers_come_with_a_dispatch_over_them(text: str, is_added: bool) -> None:
    """c10 has std::conj and its kin for its complex numbers, torch::headeronly has not."""
    assert ("complex_functions" in rewrite(f"void f(const at::Tensor& x) {{ {text} }}")[1].helpers) is is_added
