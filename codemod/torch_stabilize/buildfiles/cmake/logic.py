"""What follows from what: CMake conditions as propositions over their comparisons.

`VAR STREQUAL "a"` and `VAR STREQUAL "b"` exclude each other; where a file only ever gives VAR the values a and b (its
domain), one of them holds. Everything else is an independent proposition.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Domains = Mapping[str, tuple[str, ...]]
_MOST_ATOMS = 12  # 4096 assignments; beyond it two conditions are compared as text
_BINARY = frozenset(
    ("STREQUAL", "EQUAL", "LESS", "GREATER", "LESS_EQUAL", "GREATER_EQUAL", "MATCHES", "IN_LIST", "STRLESS")
)
_UNARY = frozenset(("DEFINED", "TARGET", "EXISTS", "COMMAND", "POLICY", "TEST", "IS_DIRECTORY", "IS_ABSOLUTE"))


class _Expression(NamedTuple):
    operator: str  # "and", "or", "not", "atom"
    parts: tuple[_Expression, ...] = ()
    atom: str = ""

    def atoms(self) -> frozenset[str]:
        if self.operator == "atom":
            return frozenset((self.atom,))
        return frozenset().union(*(part.atoms() for part in self.parts))

    def holds(self, true: frozenset[str]) -> bool:
        if self.operator == "atom":
            return self.atom in true
        values = [part.holds(true) for part in self.parts]
        if self.operator == "not":
            return not values[0]
        return all(values) if self.operator == "and" else any(values)


def implies(given: Sequence[str], wanted: Sequence[str], domains: Domains) -> bool:
    """Whether every condition of `wanted` holds wherever all of `given` do."""
    if set(wanted) <= set(given):
        return True
    left = [_parse(condition) for condition in given]
    right = [_parse(condition) for condition in wanted]
    asked = frozenset().union(*(expression.atoms() for expression in right))
    left = _relevant(left, asked)
    atoms = frozenset().union(asked, *(expression.atoms() for expression in left))
    atoms |= {_equality(name, value) for name in _compared(atoms) for value in domains.get(name, ())}
    if len(atoms) > _MOST_ATOMS:
        return False
    for true in _assignments(sorted(atoms), domains):
        if all(e.holds(true) for e in left) and not all(e.holds(true) for e in right):
            return False
    return True


def equal(first: Sequence[str], second: Sequence[str], domains: Domains) -> bool:
    """Whether two lists of conditions hold in the same cases."""
    return implies(first, second, domains) and implies(second, first, domains)


def residual(conditions: Sequence[str], known: Sequence[str], domains: Domains) -> tuple[str, ...]:
    """The conditions that do not already follow from `known`, in their order, each once."""
    left: list[str] = []
    for condition in conditions:
        if not implies([*known, *left], [condition], domains):
            left.append(condition)
    for condition in [c for c in left if c.startswith("NOT ")]:  # of an elseif whose own condition says more
        others = [other for other in left if other is not condition]
        if others and implies([*known, *others], [condition], domains):
            left = others
    return tuple(left)


def is_equality(condition: str) -> tuple[str, str] | None:
    """("VAR", "value") where the condition is `VAR STREQUAL "value"` and nothing else."""
    words = _split(condition)
    if len(words) == 3 and words[1] == "STREQUAL":
        return _name(words[0]), words[2].strip('"')
    return None


def _relevant(given: list[_Expression], asked: frozenset[str]) -> list[_Expression]:
    """Those of `given` that share a comparison or its variable with what is asked, directly or through others."""
    linked = set(asked) | {f"={name}" for name in _compared(asked)}
    chosen: list[_Expression] = []
    rest = list(given)
    grown = True
    while grown:
        grown = False
        for expression in list(rest):
            atoms = expression.atoms()
            keys = set(atoms) | {f"={name}" for name in _compared(atoms)}
            if keys & linked:
                linked |= keys
                chosen.append(expression)
                rest.remove(expression)
                grown = True
    return chosen


def _assignments(atoms: list[str], domains: Domains) -> list[frozenset[str]]:
    found = []
    for values in itertools.product((False, True), repeat=len(atoms)):
        true = frozenset(atom for atom, value in zip(atoms, values, strict=True) if value)
        if _consistent(true, atoms, domains):
            found.append(true)
    return found


def _consistent(true: frozenset[str], atoms: list[str], domains: Domains) -> bool:
    for name in _compared(frozenset(atoms)):
        holding = [atom for atom in true if atom.startswith(f"{name} STREQUAL ")]
        if len(holding) > 1 or (not holding and name in domains):
            return False
    return True


def _compared(atoms: frozenset[str]) -> frozenset[str]:
    return frozenset(atom.split(" STREQUAL ")[0] for atom in atoms if " STREQUAL " in atom)


def _equality(name: str, value: str) -> str:
    return f"{name} STREQUAL {value}"


def _name(word: str) -> str:
    word = word.strip('"')
    return word[2:-1] if word.startswith("${") and word.endswith("}") else word


def _split(condition: str) -> list[str]:
    """Words; a quoted argument is one word even where it holds spaces."""
    words: list[str] = []
    quoted = False
    for part in condition.split(" "):
        if quoted:
            words[-1] += " " + part
        else:
            words.append(part)
        quoted = words[-1].count('"') % 2 == 1
    return [word for word in words if word]


def _parse(condition: str) -> _Expression:
    words = _split(condition)
    expression, rest = _parse_or(words)
    if rest:  # not a form we know: one opaque proposition
        return _Expression("atom", atom=condition)
    return expression


def _parse_or(words: list[str]) -> tuple[_Expression, list[str]]:
    return _parse_joined(words, "OR", _parse_and)


def _parse_and(words: list[str]) -> tuple[_Expression, list[str]]:
    return _parse_joined(words, "AND", _parse_not)


def _parse_joined(
    words: list[str], joint: str, parse: Callable[[list[str]], tuple[_Expression, list[str]]]
) -> tuple[_Expression, list[str]]:
    """What `parse` reads, as often as the word `joint` is between."""
    first, rest = parse(words)
    parts = [first]
    while rest and rest[0] == joint:
        part, rest = parse(rest[1:])
        parts.append(part)
    return (parts[0] if len(parts) == 1 else _Expression(joint.lower(), tuple(parts))), rest


def _parse_not(words: list[str]) -> tuple[_Expression, list[str]]:
    if words and words[0] == "NOT":
        part, rest = _parse_not(words[1:])
        return _Expression("not", (part,)), rest
    if words and words[0] == "(":
        inner, rest = _parse_or(words[1:])
        return inner, rest[1:] if rest[:1] == [")"] else ["?"]
    return _parse_atom(words)


def _parse_atom(words: list[str]) -> tuple[_Expression, list[str]]:
    if not words:
        return _Expression("atom", atom=""), []
    if words[0] in _UNARY and len(words) > 1:
        return _Expression("atom", atom=f"{words[0]} {words[1]}"), words[2:]
    if len(words) > 2 and (words[1] in _BINARY or words[1].startswith("VERSION_")):
        if words[1] == "STREQUAL":
            return _Expression("atom", atom=_equality(_name(words[0]), words[2].strip('"'))), words[3:]
        return _Expression("atom", atom=" ".join(words[:3])), words[3:]
    return _Expression("atom", atom=_name(words[0])), words[1:]
