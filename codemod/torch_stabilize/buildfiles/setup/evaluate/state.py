"""Where an evaluation is: the file, the variables, the conditions that hold, and what was found so far."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from torch_stabilize.buildfiles.model import Gap, GapKind, When
from torch_stabilize.buildfiles.setup.evaluate.values import (
    ROOT,
    Const,
    Frame,
    Made,
    Place,
    Table,
    Text,
    Value,
    Written,
    both,
    choice,
    is_possible,
    without,
)  # fmt: skip
from torch_stabilize.buildfiles.setup.tree import read_setup_tree
from torch_stabilize.model import Span
from torch_stabilize.repository.snapshot import Snapshot

MOST_STEPS = 100_000  # statements and expressions of one evaluation: loops over long lists multiply
MOST_ROUNDS = 2048
DEEPEST = 16  # calls within calls


class Exit(NamedTuple):
    """A statement that leaves the block that it is in, under the conditions `when`."""

    kind: Literal["return", "break", "continue", "raise"]
    when: When = ()


class Source(NamedTuple):
    """A Python file: its tree and where its lines start."""

    path: str
    data: bytes
    tree: ast.Module
    starts: tuple[int, ...]

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """The bytes of `node`."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        return Span(start, self.starts[node.end_lineno - 1] + node.end_col_offset)


def source_of(snapshot: Snapshot, path: str) -> Source | None:
    """The tree of a file; None where this Python cannot read it. Raises Refusal as reading a file does."""
    data, tree = snapshot.read(path), read_setup_tree(snapshot, path)
    if tree is None:
        return None
    lines = data.split(b"\n")
    shift = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    starts = (shift, *(shift + end for end in itertools.accumulate(len(line) + 1 for line in lines)))
    return Source(path, data, tree.module, starts)


Answer = TypeVar("Answer")


@dataclass
class State:
    """One evaluation. `setups` are the arguments of the calls of setup(), `made` every extension module."""

    snapshot: Snapshot
    folder: str  # of setup.py
    sources: dict[str, Source] = field(default_factory=dict)
    modules: dict[str, Frame | None] = field(default_factory=dict)
    frame: Frame = field(default_factory=lambda: Frame(""))
    when: When = ()
    made: list[Made] = field(default_factory=list)
    setups: list[SetupCall] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    steps: int = 0
    depth: int = 0
    rounds: list[Mapping[str, Value]] = field(default_factory=list)  # of loops and functions around
    holder: str = ""  # the list that is being written
    undecided: set[int] = field(default_factory=set)  # functions that say yes or no, which the build decides
    called: set[int] = field(default_factory=set)  # functions that were run
    returned: list[tuple[When, Value]] = field(default_factory=list)  # by the function that runs
    left: list[tuple[When, list[tuple[Frame, dict[str, Value]]]]] = field(default_factory=list)  # of rounds cut short
    asked: list[tuple[Callable[[Snapshot], object], object]] = field(default_factory=list)  # of the tree, with answers

    def ask(self, question: Callable[[Snapshot], Answer]) -> Answer:
        """What `question` says of the files of the tree; kept, so that another tree may be asked the same."""
        answer = question(self.snapshot)
        self.asked.append((question, answer))
        return answer

    def is_late(self) -> bool:
        """Whether the evaluation has taken as many steps as it may."""
        return self.steps > MOST_STEPS

    # -- places ------------------------------------------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """The file that is being read."""
        return self.sources[self.frame.path]

    def place(self, node: ast.expr | ast.stmt) -> Place:
        """Where `node` is."""
        return Place(self.frame.path, self.source.span(node))

    def written(self, node: ast.expr | ast.stmt) -> str:
        """The text of `node` on one line."""
        span = self.source.span(node)
        return " ".join(self.source.data[span.start : span.end].decode("utf-8", "replace").split())

    def gap(self, node: ast.expr | ast.stmt, why: str, kind: GapKind = GapKind.SOURCES) -> Gap:
        """That `node` was not understood."""
        path, span = self.place(node)
        return Gap(kind, path, span, why)

    # -- conditions --------------------------------------------------------------------------------------------------

    @contextmanager
    def under(self, when: When) -> Iterator[None]:
        """Within, the conditions `when` hold too."""
        before = self.when
        self.when = both(before, when)
        try:
            yield
        finally:
            self.when = before

    def is_dead(self, when: When) -> bool:
        """Whether `when` contradicts the conditions that hold here."""
        return not is_possible(both(self.when, when))

    # -- variables ---------------------------------------------------------------------------------------------------

    def assign(self, name: str, value: Value) -> None:
        """Give a name its value, in the frame that it belongs to."""
        self.frame.shared.get(name, self.frame).names[name] = value

    def saved(self) -> list[tuple[Frame, dict[str, Value]]]:
        """The variables of this frame and those around it, as they are now."""
        return [(frame, dict(frame.names)) for frame in self.frame.chain()]

    def restore(self, saved: list[tuple[Frame, dict[str, Value]]]) -> None:
        """Give the variables the values that were saved."""
        for frame, names in saved:
            frame.names = dict(names)

    def merge(self, when: When, other: list[tuple[Frame, dict[str, Value]]]) -> None:
        """What the variables are where the values of `other` hold under `when`, and those of now elsewhere."""
        unless = without(when)
        for frame, names in other:
            for name in {**frame.names, **names}:
                here, there = frame.names.get(name), names.get(name)
                if here is there or (type(here) is type(there) and here == there):
                    continue
                if here is None or there is None:
                    frame.names[name] = here if here is not None else there  # type: ignore[assignment]
                else:
                    frame.names[name] = choice([(when, there), (unless, here)])

    # -- loops and functions -----------------------------------------------------------------------------------------

    @contextmanager
    def round(self, given: Mapping[str, Value]) -> Iterator[None]:
        """Within, `given` are the values of a loop's variables or of a function's parameters."""
        self.rounds.append(given)
        try:
            yield
        finally:
            self.rounds.pop()

    def round_text(self) -> str:
        """The values of the loops and functions around, as text; "" outside of them."""
        shown = {name: shown_value(value) for given in self.rounds for name, value in given.items()}
        return ", ".join(f"{name}={text}" for name, text in shown.items() if text)

    def given(self, name: str) -> Value | None:
        """The value of a name that differs from round to round or from call to call."""
        for given in reversed(self.rounds):
            if name in given:
                return self.frame.find(name)
        return None


@dataclass(eq=False)
class SetupCall:
    """A call of setup(): its arguments by name."""

    arguments: Table
    place: Place
    when: When


def shown_value(value: Value) -> str:
    """A string or a number as it would be written; "" for anything else."""
    if isinstance(value, Text):
        return repr(value.text.removeprefix(ROOT + "/"))
    return repr(value.value) if isinstance(value, Const) else ""


def marked(value: Value, written: Written) -> Value:
    """A text that is put into a list, with the place where it is written."""
    if isinstance(value, Text) and value.written is None:
        return value._replace(written=written)
    return value
