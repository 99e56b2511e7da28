"""What the evaluator of setup files knows of a value, and under which conditions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from torch_stabilize.buildfiles.model import Gap, Origin, When
from torch_stabilize.model import Span
from torch_stabilize.source.brackets import is_one_group

ABOVE = "/where the repository may begin"  # setup.py may name what is above of its folder
ROOT = ABOVE + "/some/folders/above/the folder of setup.py"  # what absolute paths start with
_MOST_ALTERNATIVES = 16


class Place(NamedTuple):
    """Where something is written."""

    path: str
    span: Span


class Written(NamedTuple):
    """Where the name of a source is written: the expression for it, and the list that it is in.

    One that a glob finds has the call of the glob, and its pattern as a path of the repository.
    """

    place: Place
    holder: str = ""
    origin: Origin = Origin.LITERAL
    pattern: str = ""


class Text(NamedTuple):
    """A string or a path."""

    text: str
    is_path: bool = False
    written: Written | None = None  # once it is in a list


class Const(NamedTuple):
    """None, a boolean or a number."""

    value: object


class Unknown(NamedTuple):
    """What is not known until the file runs; `text` is how it is written."""

    text: str
    gap: Gap | None = None  # where it was not understood, rather than left to the machine that builds


class External(NamedTuple):
    """Something that is imported from outside of the repository, or built in: "os.path.join"."""

    name: str


class Kind(NamedTuple):
    """A class of extension modules: "CUDAExtension". `own` is the class where the repository defines it."""

    name: str
    own: ast.ClassDef | None = None


@dataclass(eq=False)
class Frame:
    """The variables of a module or of one call of a function."""

    path: str
    parent: Frame | None = None
    names: dict[str, Value] = field(default_factory=dict)
    shared: dict[str, Frame] = field(default_factory=dict)  # names that belong to a frame outside of this one

    def find(self, name: str) -> Value | None:
        """The value of a name that can be seen here."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.names:
                return frame.names[name]
            frame = frame.parent
        return None

    def chain(self) -> Iterator[Frame]:
        """This frame and those around it, inside out."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent


@dataclass(eq=False)
class Function:
    """A function of the repository, or a call of one that is given some of its arguments already."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame


@dataclass(eq=False)
class Partial:
    """`functools.partial(function, ...)`."""

    function: Value
    arguments: Arguments


@dataclass(eq=False)
class Method:
    """A method of a value that is known: `sources.append`."""

    held: Value
    name: str


@dataclass(eq=False)
class Module:
    """A module of the repository."""

    frame: Frame


class Item(NamedTuple):
    """What is in a list, and under which conditions."""

    value: Value
    when: When = ()


@dataclass(eq=False)
class Items:
    """A list, tuple or set. It was made under the conditions `made`; those of its items are as full."""

    items: list[Item] = field(default_factory=list)
    made: When = ()
    gaps: list[Gap] = field(default_factory=list)  # what else may be in it
    is_tuple: bool = False

    def copy(self, made: When) -> Items:
        """A list of its own with the same items."""
        return Items(list(self.items), made, list(self.gaps))


@dataclass(eq=False)
class Table:
    """A dictionary with keys that are strings or numbers."""

    values: dict[object, Value] = field(default_factory=dict)
    made: When = ()
    gaps: list[Gap] = field(default_factory=list)

    def copy(self, made: When) -> Table:
        """A dictionary of its own with the same values."""
        return Table(dict(self.values), made, list(self.gaps))


class Arguments(NamedTuple):
    """The arguments of a call. `gap` says that some are not known."""

    by_place: Sequence[Value] = ()
    by_name: Mapping[str, Value] = {}
    gap: Gap | None = None


@dataclass(eq=False)
class Made:
    """A call that makes an extension module. `kinds` are the classes that it may call."""

    kinds: Sequence[tuple[When, Kind]]
    names: Sequence[tuple[When, Value]]
    place: Place
    when: When
    round: str  # the values of the loops and functions around it
    sources: Sequence[Item] | None  # None where the call has no argument for them
    include_dirs: Sequence[Item]
    macros: Sequence[tuple[str, str, When]]
    limited_api: bool
    gaps: Sequence[Gap]


@dataclass(eq=False)
class Blueprint:
    """A class of the repository that makes no extension modules. `fields` are names that it declares with types."""

    names: dict[str, Value]
    bases: Sequence[Value] = ()
    decorators: Sequence[Value] = ()
    fields: Sequence[str] = ()


@dataclass(eq=False)
class Instance:
    """What a class of the repository makes."""

    kind: Blueprint
    attributes: Table


class Choice(NamedTuple):
    """One of several values. The conditions are those that tell them apart at this place."""

    alternatives: tuple[tuple[When, Value], ...]


Value = (
    Text | Const | Unknown | External | Kind | Function | Partial | Method | Module | Items | Table | Made | Blueprint
    | Instance | Choice
)  # fmt: skip
NONE = Const(None)


# -- conditions ------------------------------------------------------------------------------------------------------


@lru_cache(4096)
def negation(text: str) -> str:
    """The condition that holds where `text` does not."""
    if text.startswith("not (") and text.endswith(")") and is_one_group(text[4:]):
        return text[5:-1]
    return f"not ({text})"


def without(when: When) -> When:
    """The conditions that hold where not all of `when` do. `when` may not be empty."""
    if len(when) == 1:
        return (negation(when[0]),)
    return (f"not ({' and '.join(f'({c})' if ' or ' in c else c for c in when)})",)


def both(first: When, second: When) -> When:
    """All conditions of both, each once."""
    if not second or first == second:
        return first
    return tuple(dict.fromkeys((*first, *second)))


def beyond(when: When, known: When) -> When:
    """The conditions of `when` that do not hold already where `known` do."""
    return tuple(c for c in when if c not in known) if known else when


def is_possible(when: When) -> bool:
    """Whether no two of the conditions contradict each other word for word."""
    return len(when) < 2 or not any(negation(condition) in when for condition in when)


def joined(whens: Sequence[When]) -> list[When]:
    """Fewer sets of conditions of which one holds where one of `whens` did: A, and not A, are always."""
    found = list(dict.fromkeys(whens))
    if () in found:
        return [()]
    changed = True
    while changed and len(found) > 1:
        changed = False
        for first, second in product(found, found):
            left, right = beyond(first, second), beyond(second, first)
            if first is not second and (not left or (right and left == without(right))):
                both_hold = tuple(c for c in first if c in second)
                found = [both_hold if w is first else w for w in found if w is not second]
                changed = True
                break
    return found


def choice(alternatives: Iterable[tuple[When, Value]]) -> Value:
    """The value of several, of which one is there: those that cannot be are left out, equal ones are one."""
    found: list[tuple[When, Value]] = []
    for when, value in alternatives:
        inner = value.alternatives if isinstance(value, Choice) else (((), value),)
        found += [(both(when, more), one) for more, one in inner if is_possible(both(when, more))]
    merged: list[tuple[list[When], Value]] = []
    for when, value in found:
        for whens, known in merged:
            if known is value or (type(known) is type(value) and known == value):
                whens.append(when)
                break
        else:
            merged.append(([when], value))
    if len(merged) == 1:
        return merged[0][1]
    rows = [(when, value) for whens, value in merged for when in joined(whens)]
    if not rows or len(rows) > _MOST_ALTERNATIVES:
        return Unknown("one of several values")
    return Choice(tuple(rows))


def alternatives(value: Value, known: When = ()) -> list[tuple[When, Value]]:
    """What a value may be where the conditions `known` hold, each with the conditions that make it so."""
    if not isinstance(value, Choice):
        return [((), value)]
    possible = [(beyond(when, known), one) for when, one in value.alternatives if is_possible(both(known, when))]
    always = [one for when, one in possible if not when]
    return [((), always[0])] if len(always) == 1 and len(possible) == 1 else possible


def expanded(items: Sequence[Item]) -> list[Item]:
    """The items of a list, one of several values once for each of them."""
    if not any(isinstance(item.value, Choice) for item in items):
        return list(items)
    return [Item(one, both(item.when, when)) for item in items for when, one in alternatives(item.value, item.when)]


def combinations(values: Sequence[Value], known: When) -> Iterator[tuple[When, tuple[Value, ...]]]:
    """Every combination of what several values may be at the same time."""
    for row in product(*(alternatives(value, known) for value in values)):
        when: When = ()
        for more, _ in row:
            when = both(when, more)
        if is_possible(when):
            yield when, tuple(value for _, value in row)


def truth(value: Value) -> bool | None:
    """Whether a value counts as true; None where that is not known."""
    if isinstance(value, Text):
        return bool(value.text) or value.is_path
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Items):
        if any(not beyond(item.when, value.made) for item in value.items):
            return True
        return None if value.items or value.gaps else False
    if isinstance(value, Table):
        return None if value.gaps else bool(value.values)
    if isinstance(value, (Kind, Function, Partial, Method, Module, Made)):
        return True
    return None
