"""What `scan` shows: the sites of a tree by file, by op and by the torch they wait for, and the groups to migrate."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch_stabilize.bindings.reading.model import Operator
from torch_stabilize.codes import Code
from torch_stabilize.program.groups import Suggestions
from torch_stabilize.program.scan import NO_TARGET, FoundSite, Scan
from torch_stabilize.repository.layout import Group

FORMAT = "torch-stabilize-scan/1"
IN_NO_OP = ""  # macros, helpers and includes, which many ops may use


@dataclass(frozen=True)
class Tally:
    """How many sites something has, by code, the most frequent first."""

    name: str
    sites: int
    codes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Blocker:
    """Names that not every supported torch has a stable form of.

    `target` is the oldest that has it, as a runtime or with its headers, "none" where none has.
    """

    target: str
    sites: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class GroupRow:
    """A suggested group, how many sites its files have, and how many of them have no stable form in any torch.

    `has_cases` says that golden cases of its name were kept.
    """

    group: Group
    sites: int
    by_hand: int = 0
    has_cases: bool = False


@dataclass(frozen=True)
class ScanReport:
    """Everything `scan` shows. `ops` is empty where the tree registers none."""

    root: str
    within: str  # the file or folder that was asked for, "" for everything
    sites: tuple[FoundSite, ...]
    codes: tuple[tuple[str, int], ...]
    files: tuple[Tally, ...]
    ops: tuple[Tally, ...]
    blockers: tuple[Blocker, ...]
    headers: tuple[Blocker, ...]  # by the headers that have what older ones leave to generated code or to the user
    groups: tuple[GroupRow, ...]
    refused: tuple[tuple[str, str], ...] = ()  # groups that cannot be migrated as their files are, with the reason


def build_scan_report(
    scan: Scan,
    suggested: Suggestions,
    functions: Mapping[str, Iterable[str]],
    *,
    root: str,
    within: str = "",
    with_cases: Container[str] = (),
) -> ScanReport:
    """The report of the sites in and below `within`; `functions` maps a function to the ops it implements.

    `with_cases` are the groups that have golden cases.
    """
    sites = tuple(site for site in scan.sites if _inside(site.path, within))
    by_file = Counter(site.path for site in scan.sites)
    by_hand = Counter(site.path for site in scan.sites if site.target == NO_TARGET)
    files = {group: (*group.files, *group.shared_headers) for group in suggested.groups}
    rows = (
        GroupRow(g, sum(by_file[p] for p in own), sum(by_hand[p] for p in own), g.name in with_cases)
        for g, own in files.items()
    )
    return ScanReport(
        root=root,
        within=within,
        sites=sites,
        codes=_by_frequency(Counter(site.code for site in sites)),
        files=_tallies((site.path, site.code) for site in sites),
        ops=_tallies((op, site.code) for site in sites for op in functions.get(site.function, (IN_NO_OP,))),
        blockers=_blockers((site.target, site.name) for site in sites),
        headers=_blockers((site.headers, site.name) for site in sites),
        groups=tuple(row for row in rows if any(_inside(unit, within) for unit in row.group.units)),
        refused=suggested.refused,
    )


def ops_by_function(operators: Iterable[Operator]) -> Mapping[str, tuple[str, ...]]:
    """The simple names of functions, each with the ops it implements; a lambda counts for what it calls."""
    found: dict[str, dict[str, None]] = {}
    for operator in operators:
        for statement in operator.implementations:
            function = statement.function
            if function is None:
                continue
            for name in (function.name, *function.calls):
                found.setdefault(name.rpartition("::")[2], {})[operator.full_name] = None
    return {name: tuple(ops) for name, ops in found.items() if name}


def _inside(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")


def _by_frequency(counted: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _tallies(named: Iterable[tuple[str, str]]) -> tuple[Tally, ...]:
    by_name: dict[str, Counter[str]] = {}
    for name, code in named:
        by_name.setdefault(name, Counter())[code] += 1
    return tuple(Tally(name, codes.total(), _by_frequency(codes)) for name, codes in sorted(by_name.items()))


def _blockers(named: Iterable[tuple[str, str]]) -> tuple[Blocker, ...]:
    """The names by the version that they wait for, those that wait for none left out."""
    by_target: dict[str, Counter[str]] = {}
    for version, name in named:
        if version:
            by_target.setdefault(version, Counter())[name] += 1

    def order(target: str) -> tuple[bool, tuple[int, ...]]:
        return (target == NO_TARGET, () if target == NO_TARGET else tuple(map(int, target.split("."))))

    return tuple(
        Blocker(target, names.total(), tuple(name for name, _ in names.most_common()))
        for target, names in sorted(by_target.items(), key=lambda item: order(item[0]))
    )


def scan_json(report: ScanReport, codes: Mapping[str, Code]) -> str:
    """`report` as JSON, with a line end; `scan.schema.json` describes it."""
    document = {
        "format": FORMAT,
        "root": report.root,
        "within": report.within,
        "sites": [asdict(site) for site in report.sites],
        "files": [_tally(tally) for tally in report.files],
        "ops": [_tally(tally) for tally in report.ops],
        "blockers": [asdict(blocker) for blocker in report.blockers],
        "headers": [{"headers": one.target, "sites": one.sites, "names": list(one.names)} for one in report.headers],
        "groups": [_group(row) for row in report.groups],
        "refused": [{"name": name, "reason": reason} for name, reason in report.refused],
        "codes": {code: codes[code].title for code, _ in report.codes if code in codes},
    }
    return json.dumps(document, indent=2) + "\n"


def _tally(tally: Tally) -> dict[str, Any]:
    return {"name": tally.name, "sites": tally.sites, "codes": dict(tally.codes)}


def _group(row: GroupRow) -> dict[str, Any]:
    group = row.group
    return {
        "name": group.name,
        "units": list(group.units),
        "moving_headers": list(group.moving_headers),
        "shared_headers": list(group.shared_headers),
        "sites": row.sites,
        "by_hand": row.by_hand,
    }
