"""What every report shows, worked out once from a plan: terminal, Markdown, HTML, JSON and SARIF only lay it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.codes import Code
from torch_stabilize.diff import changed_ranges
from torch_stabilize.model import Confidence, Diagnostic, FileChange, Plan, Severity, SiteCount, Span
from torch_stabilize.report.places import Place, Places, Read

if TYPE_CHECKING:
    from torch_stabilize.verify.result import Verification


class Concern(str, Enum):
    """What a finding asks of the reader, in the order reports show them."""

    REVIEW = "review"  # it was done; somebody should look at it
    MANUAL = "manual"  # it was not done; somebody has to
    NOTE = "note"  # worth knowing


LINES_SHOWN = 6  # of findings that say the same of one file
CONCERNS = {Severity.WARNING: Concern.REVIEW, Severity.ERROR: Concern.MANUAL, Severity.NOTE: Concern.NOTE}


class Stage(str, Enum):
    """How far the run went."""

    SHOWN = "shown"
    WRITTEN = "written"
    COMMITTED = "committed"


@dataclass(frozen=True)
class Finding:
    """A diagnostic with its place, before and after the migration, and the title of its code.

    `place_after` is None for what was taken out there, as registrations are that move to another file. `end` is where
    what it is about ends behind `place`, None where that is not known.
    """

    concern: Concern
    code: str
    title: str
    place: Place
    place_after: Place | None
    message: str
    help: str = ""
    end: Place | None = field(default=None, compare=False)


class FileRow(NamedTuple):
    """One file of the plan: `old` is "" for a new one, `new` for a removed one."""

    old: str
    new: str
    edits: int
    added: int
    removed: int
    sites: SiteCount

    @property
    def action(self) -> str:
        """created, removed, moved or edited."""
        if not self.old:
            return "created"
        if not self.new:
            return "removed"
        return "moved" if self.old != self.new else "edited"


class RuleRow(NamedTuple):
    """How often one rule edited."""

    code: str
    title: str
    confidence: Confidence
    edits: int


@dataclass(frozen=True)
class Report:
    """Everything a report shows."""

    group: str
    target: str
    stage: Stage
    files: tuple[FileRow, ...]
    rules: tuple[RuleRow, ...]
    sites: SiteCount
    findings: tuple[Finding, ...]
    next_steps: tuple[str, ...] = ()
    verification: Verification | None = None
    plan: Plan = field(default_factory=lambda: Plan("", ""), repr=False)

    def of(self, concern: Concern) -> tuple[Finding, ...]:
        """The findings of one concern, in file order."""
        return tuple(finding for finding in self.findings if finding.concern is concern)

    def place(self, finding: Finding) -> Place:
        """Where to look at `finding`: in the migrated tree once it is written, in the legacy one before."""
        return finding.place if self.stage is Stage.SHOWN else finding.place_after or finding.place

    def alike(self, concern: Concern) -> tuple[tuple[Finding, ...], ...]:
        """The findings of one concern; those that say the same of one file are together, where the first one is."""
        found: dict[tuple[str, ...], list[Finding]] = {}
        for finding in self.of(concern):
            gone = "gone" if finding.place_after is None else ""
            key = (self.place(finding).path, finding.code, finding.message, finding.help, gone)
            found.setdefault(key, []).append(finding)
        return tuple(map(tuple, found.values()))

    def where(self, findings: tuple[Finding, ...]) -> str:
        """The places of findings that are alike, for people, who are told where lines are gone."""
        first, places = findings[0], [self.place(finding) for finding in findings]
        text = str(places[0])
        if len(places) > 1:
            lines = [str(line) for line in dict.fromkeys(place.line for place in places)]
            more = f" and {len(lines) - LINES_SHOWN} more lines" if len(lines) > LINES_SHOWN else ""
            text = f"{places[0].path}:{', '.join(lines[:LINES_SHOWN])}{more}"
        gone = self.stage is not Stage.SHOWN and first.place_after is None
        return f"{text} (before)" if gone else text

    @property
    def actions(self) -> Mapping[str, int]:
        """How many files are moved, edited, created and removed."""
        counted = Counter(row.action for row in self.files)
        return {action: counted[action] for action in ("moved", "edited", "created", "removed") if counted[action]}


def build_report(
    plan: Plan,
    read: Read,
    codes: Mapping[str, Code],
    *,
    stage: Stage = Stage.SHOWN,
    request: str = "",
    verb: str = "migrate",
    verification: Verification | None = None,
) -> Report:
    """The report of `plan`. `read` gives the bytes of a file as it was read, `request` is what `verb` was asked for."""
    places = Places(plan, read)
    findings = [_finding(diagnostic, places, codes) for diagnostic in plan.diagnostics]
    findings += _silent_reviews(plan, places, codes)
    order = list(Concern)
    findings.sort(key=lambda f: (order.index(f.concern), f.place, f.code, f.message))
    unique = tuple(dict.fromkeys(findings))
    return Report(
        group=plan.group,
        target=plan.target,
        stage=stage,
        files=tuple(_file_row(change, plan) for change in plan.files),
        rules=_rule_rows(plan, codes),
        sites=total(plan.sites.values()),
        findings=unique,
        next_steps=_next_steps(plan, unique, stage, request, verb, verified=verification is not None),
        verification=verification,
        plan=plan,
    )


def total(counts: Iterable[SiteCount]) -> SiteCount:
    """The sum of site counts."""
    found = rewritten = diagnosed = allowed = 0
    for count in counts:
        found += count.found
        rewritten += count.rewritten
        diagnosed += count.diagnosed
        allowed += count.allowed
    return SiteCount(found, rewritten, diagnosed, allowed)


def changed_lines(before: bytes, after: bytes) -> tuple[int, int]:
    """How many lines were added and removed between two texts."""
    ranges = [row for row in changed_ranges(before, after) if row[0] != "equal"]
    return sum(row[4] - row[3] for row in ranges), sum(row[2] - row[1] for row in ranges)


def _finding(diagnostic: Diagnostic, places: Places, codes: Mapping[str, Code]) -> Finding:
    code = codes.get(diagnostic.code)
    return Finding(
        CONCERNS[diagnostic.severity],
        diagnostic.code,
        code.title if code is not None else "",
        places.before(diagnostic.path, diagnostic.span.start),
        places.after(diagnostic.path, diagnostic.span.start),
        diagnostic.message,
        diagnostic.help,
        places.before(diagnostic.path, diagnostic.span.end),
    )


def _silent_reviews(plan: Plan, places: Places, codes: Mapping[str, Code]) -> list[Finding]:
    """Edits of confidence `review` that no diagnostic speaks of, once a line: the code's title has to do."""
    spoken = [(d.path, d.code, d.span) for d in plan.diagnostics]
    silent = (
        (change.old_path, edit)
        for change in plan.files
        for edit in sorted(change.edits)
        if change.old_path is not None and edit.confidence is Confidence.REVIEW
    )
    by_line: dict[tuple[str, str, int], Finding] = {}
    for path, edit in silent:
        if any(where == path and rule == edit.rule and _touch(span, edit.span) for where, rule, span in spoken):
            continue
        title = codes[edit.rule].title if edit.rule in codes else "Changed; look at it."
        place, after = places.before(path, edit.span.start), places.after(path, edit.span.start)
        finding = Finding(Concern.REVIEW, edit.rule, title, place, after, title)
        by_line.setdefault((path, edit.rule, place.line), finding)
    return list(by_line.values())


def _touch(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end


def _file_row(change: FileChange, plan: Plan) -> FileRow:
    added, removed = changed_lines(change.before or b"", change.after or b"")
    sites = plan.sites.get(change.old_path or "", SiteCount())
    return FileRow(change.old_path or "", change.new_path or "", len(change.edits), added, removed, sites)


def _rule_rows(plan: Plan, codes: Mapping[str, Code]) -> tuple[RuleRow, ...]:
    counted = Counter(edit.rule for change in plan.files for edit in change.edits)
    reviewed = {e.rule for change in plan.files for e in change.edits if e.confidence is Confidence.REVIEW}
    rows = []
    for rule, edits in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        code = codes.get(rule)
        confidence = Confidence.REVIEW if rule in reviewed else Confidence.SAFE
        rows.append(RuleRow(rule, code.title if code is not None else "", confidence, edits))
    return tuple(rows)


def _next_steps(
    plan: Plan, findings: tuple[Finding, ...], stage: Stage, request: str, verb: str, *, verified: bool
) -> tuple[str, ...]:
    if not plan.files:
        return ()
    if verb == "migrate":
        request = request or plan.group
    if stage is Stage.SHOWN:
        return (" ".join(filter(None, ("torch-stabilize", verb, request, "--write"))),)
    manual = sum(finding.concern is Concern.MANUAL for finding in findings)
    by_hand = (f"do what is listed by hand ({manual})",) if manual else ()
    return by_hand if verified or verb != "migrate" else (*by_hand, f"torch-stabilize verify {request}")
