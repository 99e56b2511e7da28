"""Which conditions a place is under, each written as the line that would open it."""

from __future__ import annotations

import pytest
from torch_stabilize.source.conditions import are_alternatives, canonical, conditions_at, read_conditionals
from torch_stabilize.source.document import Document

# The conditions of `HERE`, outermost first.
CASES = {
    "#ifdef A\nHERE\n#endif\n": ["#ifdef A"],
    "#ifdef A\n#else\nHERE\n#endif\n": ["#ifndef A"],
    "#ifndef A\n#else\nHERE\n#endif\n": ["#ifdef A"],
    "#if A > 2\n#else\nHERE\n#endif\n": ["#if !(A > 2)"],
    "#if A\n#else\nHERE\n#endif\n": ["#if !A"],
    "#ifdef A\n#elif B\nHERE\n#endif\n": ["#if !defined(A) && B"],
    "#ifdef A\n#elif B > 2\nHERE\n#endif\n": ["#if !defined(A) && (B > 2)"],
    "#ifdef A\n#elifdef B\nHERE\n#endif\n": ["#if !defined(A) && defined(B)"],
    "#ifdef A\n#elifndef B\nHERE\n#endif\n": ["#if !defined(A) && !defined(B)"],
    "#if A\n#elif B\n#else\nHERE\n#endif\n": ["#if !A && !B"],
    "#if A\n#if B\nHERE\n#endif\n#endif\n": ["#if A", "#if B"],
    "#if A\n#endif\nHERE\n": [],
    "#if A && \\\n    B  // both\nHERE\n#endif\n": ["#if A && B"],
    "#endif\nHERE\n": [],
    "#if A\nHERE\n": ["#if A"],  # never closed: to the end of the file
    # an include guard is no condition
    "#ifndef A_H\n#define A_H\nHERE\n#endif\n": [],
    "#pragma once\n#ifndef A_H\n#define A_H\nHERE\n#endif  // A_H\n": [],
    # and what only begins as one is a condition
    "#ifndef A_H\n#define B_H\nHERE\n#endif\n": ["#ifndef A_H"],
    "#ifndef A_H\n#define A_H\nHERE\n#endif\nint f();\n": ["#ifndef A_H"],
    "#ifndef A_H\nHERE\n#endif\n": ["#ifndef A_H"],
}


@pytest.mark.parametrize("text", CASES)
def test_the_conditions_of_a_place(text: str) -> None:
    document = Document("a.h", text.encode())
    assert list(conditions_at(document, text.index("HERE"))) == CASES[text]


@pytest.mark.parametrize(
    ("condition", "short"),
    [
        ("#if defined(USE_ROCM)", "#ifdef USE_ROCM"),
        ("#if !defined(USE_ROCM)", "#ifndef USE_ROCM"),
        ("#if ! defined USE_ROCM", "#ifndef USE_ROCM"),
        ("#if defined(A) && defined(B)", "#if defined(A) && defined(B)"),
    ],
)
def test_one_spelling_of_a_condition(condition: str, short: str) -> None:
    assert canonical(condition) == short


def test_places_of_which_never_both_are_compiled() -> None:
    text = "#ifdef A\nint first;\n#if B\nint inner;\n#endif\n#else\nint second;\n#endif\n#ifdef A\nint third;\n#endif\n"
    document = Document("a.cpp", text.encode())
    first, inner, second, third = (text.index(name) for name in ("first", "inner", "second", "third"))
    assert are_alternatives(document, first, second)
    assert are_alternatives(document, second, inner)
    assert not are_alternatives(document, first, inner)
    assert not are_alternatives(document, second, third), "of another `#if`, which is not compared"
    assert not are_alternatives(document, first, len(text))


def test_outer_conditionals_come_before_those_inside() -> None:
    document = Document("a.cpp", b"#if A\n#if B\n#endif\n#endif\n#if C\n#endif\n")
    found = read_conditionals(document)
    assert [one.branches[0].condition for one in found] == ["#if A", "#if B", "#if C"]
    assert document.text(found[1].span) == b"#if B\n#endif\n"
