"""The words of the project as types: spans, edits, changes, diagnostics and the plan that is made of them.

Everything here is frozen and knows nothing of files on disk. Paths are POSIX and relative to the repository's root;
offsets count bytes of the file as it was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

DEFAULT_TARGET = "2.11"  # the oldest torch that has to run a migrated library, where nobody names one


class Confidence(str, Enum):
    """How sure a rule is that the meaning stayed the same."""

    SAFE = "safe"  # the same behaviour by construction
    REVIEW = "review"  # applied, and listed first in the report
    MANUAL = "manual"  # not applied: a diagnostic says what to do


class Severity(str, Enum):
    """What a diagnostic asks of its reader."""

    ERROR = "error"  # the migrated tree will not build or not mean the same until somebody acts
    WARNING = "warning"  # it builds; somebody should look
    NOTE = "note"  # worth knowing, nothing to do


class Refusal(Exception):
    """A run that cannot be done: one line for the user, an exit code, and an untouched tree.

    `exit_code` is 2 for a wrong request (unknown group, not a repository) and 3 for what could not be done.
    """

    def __init__(self, message: str, *, exit_code: int = 3) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, order=True, init=False, slots=True)
class Span:
    """Bytes `start` up to, not including, `end`. Empty spans are places to insert at."""

    start: int
    end: int

    def __init__(
        self, start: int, end: int
    ) -> None:  # a run makes ten thousands: half the time of what would be written
        if not 0 <= start <= end:
            raise ValueError(f"not a span: {start}..{end}")
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)

    def __len__(self) -> int:
        return self.end - self.start

    def contains(self, other: Span) -> bool:
        """Whether `other` lies within this span, borders included."""
        return self.start <= other.start and other.end <= self.end

    def shifted(self, by: int) -> Span:
        """The same span `by` bytes further on."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the bytes of `span` by `replacement`; `rule` is the code (`TSA###`) of what made it."""

    span: Span
    replacement: bytes
    rule: str
    confidence: Confidence = Confidence.SAFE


@dataclass(frozen=True)
class Diagnostic:
    """Something a person should know, at a place, with what to do about it.

    `subject` is the name that it is about, for those who ask whether a name was reported.
    """

    code: str
    severity: Severity
    path: str
    span: Span
    message: str
    help: str = ""
    subject: str = ""


class FileEdit(NamedTuple):
    """One edit of one file."""

    path: str
    edit: Edit


class Move(NamedTuple):
    """A file that gets a new place; edits name it by its old path."""

    old: str
    new: str


class NewFile(NamedTuple):
    """A file that is written whole. `template` is where its text comes from."""

    path: str
    content: bytes
    template: str = ""


@dataclass(frozen=True)
class Change:
    """Edits, moves and new files that land together or not at all: what every room hands to the plan."""

    title: str
    edits: tuple[FileEdit, ...] = ()
    moves: tuple[Move, ...] = ()
    created: tuple[NewFile, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class FileChange:
    """One file before and after. `before` is None for a new file, `after` is None for a removed one.

    `edited` is what `edits` and diagnostics are places of, where that is not `before`: None where it is.
    """

    old_path: str | None
    new_path: str | None
    before: bytes | None
    after: bytes | None
    edits: tuple[Edit, ...] = ()
    edited: bytes | None = None


class NamedCallable(NamedTuple):
    """What Python could call before ("package._C:f" or "ns::f"), the operator it is then, its schema or ""."""

    legacy: str
    stable: str
    schema: str = ""


@dataclass(frozen=True)
class SiteCount:
    """How the sites of a file ended: the three add up to `found` (promise 1)."""

    found: int = 0
    rewritten: int = 0
    diagnosed: int = 0
    allowed: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything one run would do. Reports, diffs and writes are views of it."""

    group: str
    target: str
    files: tuple[FileChange, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    sites: dict[str, SiteCount] = field(default_factory=dict)
    callables: tuple[NamedCallable, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True where nothing would change."""
        return not self.files
