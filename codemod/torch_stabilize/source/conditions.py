"""The `#if` structure of a file: which conditions a place is under, and where each branch begins and ends.

A condition is kept as the line that would open it: the `#else` of `#ifdef X` is `#ifndef X`. Include guards are not
conditions.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.source.document import Document, lines_matching, per_document

_DIRECTIVE = re.compile(rb"#[ \t]*(?P<kind>[a-z]+)\b(?P<rest>[^\n\r\\]*(?:\\(?:\r?\n)?[^\n\r\\]*)*)(?:\r?\n|\Z)")
_JOINED = re.compile(rb"\\\r?\n")
_OPENING = frozenset({"if", "ifdef", "ifndef"})
_MIDDLE = frozenset({"elif", "elifdef", "elifndef", "else"})
CONDITION_KINDS = (_OPENING | _MIDDLE) - {"else"}  # of the lines that ask for something


class Directive(NamedTuple):
    """One preprocessor line, its continuations and its line end included."""

    kind: str
    argument: str
    span: Span


class Branch(NamedTuple):
    """One arm of a conditional: the directive that opens it, what holds inside, and the lines between."""

    directive: Directive
    condition: str
    body: Span


class Conditional(NamedTuple):
    """`#if ... #endif`: its arms in order, and its span from the first line to the end of the last."""

    branches: tuple[Branch, ...]
    span: Span
    is_guard: bool = False


@per_document
def read_directives(document: Document) -> tuple[Directive, ...]:
    """Every preprocessor line of `document`, in file order. Text in comments and literals does not count."""
    found = []
    for start, match in lines_matching(_DIRECTIVE, document.code):
        raw = document.uncommented[match.start("rest") : match.end("rest")]
        if b"\\" in raw:
            raw = _JOINED.sub(b" ", raw)
        argument = " ".join(raw.decode("utf-8", "replace").split())
        found.append(Directive(match.group("kind").decode(), argument, Span(start, match.end())))
    return tuple(found)


@per_document
def read_conditionals(document: Document) -> tuple[Conditional, ...]:
    """Every `#if ... #endif` of `document`, outer ones before the ones inside; one without an end runs to the end."""
    done: list[Conditional] = []
    stack: list[list[Directive]] = []
    directives = read_directives(document)
    for place, directive in enumerate(directives):
        if directive.kind in _OPENING:
            stack.append([directive])
        elif directive.kind in _MIDDLE and stack:
            stack[-1].append(directive)
        elif directive.kind == "endif" and stack:
            arms = stack.pop()
            guard = not stack and _is_guard(document, arms, directive, directives, place)
            done.append(_conditional(arms, directive.span.start, directive.span.end, guard))
    end = len(document.data)
    done += [_conditional(arms, end, end, False) for arms in stack]
    return tuple(sorted(done, key=lambda conditional: (conditional.span.start, -conditional.span.end)))


def conditions_at(document: Document, offset: int) -> tuple[str, ...]:
    """The conditions `offset` is under, outermost first, each as the line that opens it: `#ifndef USE_ROCM`."""
    return tuple(
        branch.condition
        for conditional in read_conditionals(document)
        if not conditional.is_guard and conditional.span.start <= offset < conditional.span.end
        for branch in conditional.branches
        if branch.body.start <= offset < branch.body.end
    )


def are_alternatives(document: Document, first: int, second: int) -> bool:
    """Whether both offsets stand in different arms of one `#if`, so that never both are compiled."""
    for conditional in read_conditionals(document):
        arms = [
            next((i for i, b in enumerate(conditional.branches) if b.body.start <= offset < b.body.end), None)
            for offset in (first, second)
        ]
        if None not in arms and arms[0] != arms[1]:
            return True
    return False


def canonical(condition: str) -> str:
    """`condition` in one spelling: `#if defined(X)` is `#ifdef X`."""
    if match := re.fullmatch(r"#if\s+(!?)\s*defined\s*(?:\(\s*(\w+)\s*\)|(\w+))", condition):
        return f"#if{'n' if match[1] else ''}def {match[2] or match[3]}"
    return condition


def _conditional(arms: list[Directive], end_start: int, end: int, guard: bool) -> Conditional:
    branches = []
    before: list[str] = []
    for arm, following in zip(arms, [*arms[1:], None], strict=True):
        stop = following.span.start if following is not None else end_start
        branches.append(Branch(arm, _condition(arm, before), Span(arm.span.end, max(arm.span.end, stop))))
        before.append(_expression(arm))
    return Conditional(tuple(branches), Span(arms[0].span.start, end), guard)


def _expression(arm: Directive) -> str:
    if arm.kind in ("ifdef", "elifdef"):
        return f"defined({arm.argument})"
    if arm.kind in ("ifndef", "elifndef"):
        return f"!defined({arm.argument})"
    return arm.argument


def _condition(arm: Directive, before: list[str]) -> str:
    if arm.kind in _OPENING:
        return f"#{arm.kind} {arm.argument}"
    parts = [_negated(expression) for expression in before]
    if arm.kind != "else":
        own = _expression(arm)
        parts.append(own if re.fullmatch(r"!?\w+(\(\w+\))?", own) else f"({own})")
    return canonical("#if " + " && ".join(parts))


def _negated(expression: str) -> str:
    if re.fullmatch(r"!defined\(\w+\)", expression):
        return expression[1:]
    return f"!{expression}" if re.fullmatch(r"\w+(\(\w+\))?", expression) else f"!({expression})"


def _is_guard(
    document: Document, arms: list[Directive], end: Directive, directives: tuple[Directive, ...], place: int
) -> bool:
    """`#ifndef X` / `#define X` around all there is in the file."""
    if len(arms) > 1 or arms[0].kind != "ifndef":
        return False
    first = directives.index(arms[0])
    if first + 1 >= len(directives) or first >= place:
        return False
    follower = directives[first + 1]
    outside = document.code[: arms[0].span.start] + document.code[end.span.end :]
    return (
        follower.kind == "define"
        and follower.argument.split("(")[0].split()[:1] == [arms[0].argument]
        and not outside.replace(b"\xef\xbb\xbf", b"").replace(b"#pragma once", b"").strip()
    )
