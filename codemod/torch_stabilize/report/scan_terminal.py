"""What `scan` prints for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch_stabilize.codes import Code
from torch_stabilize.program.scan import NO_TARGET
from torch_stabilize.report.lines import Lines
from torch_stabilize.report.scan_view import Blocker, GroupRow, ScanReport, Tally

MOST_NAMES = 6
MOST_FILES = 3
NO_STABLE_FORM = "no stable form"
OUTSIDE_OPS = "(macros, helpers, includes)"


def print_scan(report: ScanReport, codes: Mapping[str, Code], out: Lines, *, every_site: bool = False) -> None:
    """The sites by file and op, what they wait for, and the groups; every site first where that is asked for."""
    place = report.within or report.root
    if not report.sites:
        out.print(f"{place}: no unstable site")
        return
    if every_site:
        for site in report.sites:
            where = f"  [in {site.function}]" if site.function else ""
            out.print(f"{site.path}:{site.line}:{site.column} {site.code} {site.name}{where}")
        out.print()
    out.print(f"{place}: {len(report.sites)} unstable sites in {len(report.files)} files", style="bold")
    _print_tallies("Files", report.files, out)
    _print_tallies("Ops", report.ops, out)
    _print_codes(report, codes, out)
    _print_blockers("Oldest torch that runs the stable form", report.blockers, out)
    _print_blockers("Oldest headers with a form of their own", report.headers, out)
    _print_groups(report.groups, out)
    _print_refused(report.refused, out)


def _print_tallies(heading: str, tallies: Iterable[Tally], out: Lines) -> None:
    out.print(f"\n{heading}", style="bold")
    for tally in tallies:
        codes = ", ".join(f"{code} {count}" for code, count in tally.codes)
        out.print(f"{tally.sites:6}  {tally.name or OUTSIDE_OPS}  {codes}")


def _print_codes(report: ScanReport, codes: Mapping[str, Code], out: Lines) -> None:
    out.print("\nCodes", style="bold")
    for code, count in report.codes:
        title = codes[code].title if code in codes else ""
        out.print(f"{count:6}  {code}  {title}")


def _print_blockers(heading: str, blockers: Iterable[Blocker], out: Lines) -> None:
    rows = list(blockers)
    if not rows:
        return
    out.print(f"\n{heading}", style="bold")
    for blocker in rows:
        names = _listed(blocker.names, MOST_NAMES)
        out.print(f"{blocker.sites:6}  {NO_STABLE_FORM if blocker.target == NO_TARGET else blocker.target}  {names}")


def _print_groups(groups: Iterable[GroupRow], out: Lines) -> None:
    rows = list(groups)
    if not rows:
        return
    out.print("\nGroups (unstable sites; by hand: those without a stable form)", style="bold")
    for row in rows:
        group = row.group
        by_hand = f"  ({row.by_hand} by hand)" if row.by_hand else ""
        files = _listed((*group.units, *group.moving_headers), MOST_FILES)
        out.print(f"{row.sites:6}  {group.name}{by_hand}  {files}")
    first = min(rows, key=lambda row: (row.sites, row.group.name))
    out.print("\nNext", style="bold")
    if not first.has_cases:  # what verify compares with is made by the build before the migration
        out.print(f"  torch-stabilize golden capture {first.group.name} -- python -m pytest")
    out.print(f"  torch-stabilize migrate {first.group.name}")


def _print_refused(refused: Sequence[tuple[str, str]], out: Lines) -> None:
    if refused:
        out.print("\nGroups that cannot be migrated as they are", style="bold")
    for name, reason in refused:
        out.print(f"  {name}: {reason}")


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
