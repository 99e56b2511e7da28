"""One tree, migrated twice in memory, and what must hold of the plans whatever the tree is."""

from __future__ import annotations

import contextlib
import functools
import gc
import re
import signal
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NamedTuple
from unittest import mock

from torch_stabilize.bindings.codes import AUTOGRAD_LEFT
from torch_stabilize.cli.report_files import rendered
from torch_stabilize.config import load_config
from torch_stabilize.diff import render_diff
from torch_stabilize.explain import all_codes
from torch_stabilize.formatting import clang_format
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.migration.second_look import as_grammar_reads
from torch_stabilize.model import FileChange, Plan, Refusal
from torch_stabilize.program.groups import resolve_group, suggest_groups
from torch_stabilize.program.planned import planned_tree
from torch_stabilize.program.scan import scan_tree
from torch_stabilize.report.view import Stage, build_report
from torch_stabilize.repository.codes import NOT_PARSED
from torch_stabilize.repository.layout import Group
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document
from torch_stabilize.source.parsable import refuse_unparsable

from tests.fuzz.trees import Tree

SECONDS = 20  # of CPU, for both plans of a small tree: a run that takes longer hangs
_PAIRS = (b"()", b"[]", b"{}")
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include\b.*$", re.MULTILINE)
_FORMATTED = functools.lru_cache(maxsize=4096)(clang_format._run)  # the bindings of most trees are the same
_REPORTS = tuple(Path(f"report{suffix}") for suffix in (".md", ".html", ".json", ".sarif"))


class Fault(NamedTuple):
    """Something that must not be: its kind, what makes two of them one, and the details."""

    kind: str
    where: str
    details: str


class Outcome(NamedTuple):
    """What became of a tree: full plans that were made, and the faults."""

    plans: int
    faults: tuple[Fault, ...]
    refusal: str = ""


class _Hangs(BaseException):
    """The time is over."""


def run(tree: Tree, *, reports: bool = False) -> Outcome:
    """Migrate `tree` and what comes out of it; `reports` writes every form of report too, and scans."""
    plans = 0
    try:
        with _limited(SECONDS), mock.patch.object(clang_format, "_run", _FORMATTED):
            before = Snapshot(Path("/nowhere"), tuple(sorted(tree.files)), overlay=dict(tree.files))
            if reports:
                _scan(before)
            try:
                plan, group = _plan(before, tree.units)
            except Refusal as refusal:
                return Outcome(0, (), str(refusal))
            plans += 1
            if reports:
                _render(plan, before)
            faults = [*_accounts(plan), *_texts(plan)]
            after = planned_tree(before, plan)
            names = tuple(name for name in _afterwards(plan, group) if after.exists(name))
            if names:
                again, _ = _plan(after, names, readable=False)
                plans += 1
                faults += _nothing_left(again)
    except Refusal as refusal:
        return Outcome(
            plans, (Fault("refused the second time", re.sub(r"\S*[/:]\S*|\d+", "", str(refusal)), str(refusal)),)
        )
    except _Hangs:
        return Outcome(plans, (Fault("hangs", _innermost(), traceback.format_exc()),))
    except Exception as error:
        kind = f"{type(error).__name__}"
        return Outcome(plans, (Fault(kind, _innermost(), traceback.format_exc()),))
    return Outcome(plans, tuple(faults))


def _innermost() -> str:
    """The last two functions of the code that an exception came through."""
    frames = [line for line in traceback.format_exc().splitlines() if "torch_stabilize/" in line]
    return " < ".join(
        re.sub(r'.*torch_stabilize/(\S+)", line (\d+), in (\w+).*', r"\1:\3", line) for line in frames[:-3:-1]
    )


def _plan(snapshot: Snapshot, names: tuple[str, ...], *, readable: bool = True) -> tuple[Plan, Group]:
    """What `migrate` plans for `names`."""
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    group = resolve_group(snapshot, layout, config, names)
    if readable:
        for path in (*group.files, *group.shared_headers):
            refuse_unparsable(snapshot.document(path))
    return plan_migration(snapshot, layout, group, Options(format=False), config), group


def _scan(snapshot: Snapshot) -> None:
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    scan_tree(snapshot, layout, config)
    suggest_groups(snapshot, layout, config)


def _render(plan: Plan, before: Snapshot) -> None:
    codes = all_codes()
    report = build_report(plan, before.read, codes, stage=Stage.SHOWN, request="unit")
    for path in _REPORTS:
        rendered(report, path, codes)
    render_diff(plan)


def _afterwards(plan: Plan, group: Group) -> Iterator[str]:
    landed = {file.old_path: file.new_path for file in plan.files if file.old_path is not None}
    for path in (*group.units, *group.migrated):
        new = landed.get(path, path)
        if new is not None:
            yield new


def _accounts(plan: Plan) -> Iterator[Fault]:
    for path, count in plan.sites.items():
        if count.found != count.rewritten + count.diagnosed + count.allowed:
            yield Fault("accounts", "sum", f"{path}: {count}")
    errors = sum(count.diagnosed for count in plan.sites.values())
    told = [d for d in plan.diagnostics if d.path in plan.sites]
    is_class_left = any(d.code == AUTOGRAD_LEFT.code for d in told)  # one message for all that is in the class
    if errors > len(told) and not is_class_left:
        yield Fault("accounts", "diagnosed without a diagnostic", f"{errors} diagnosed, {len(told)} told")
    for diagnostic in plan.diagnostics:
        if not diagnostic.message:
            yield Fault("accounts", "no message", repr(diagnostic))


def _texts(plan: Plan) -> Iterator[Fault]:
    for file in plan.files:
        path = file.new_path
        if path is None or file.after is None or not path.endswith(SOURCE_SUFFIXES):
            continue
        after = Document(path, file.after)
        before = Document(file.old_path or path, file.before or b"")
        changed = [(pair, _excess(before, pair), _excess(after, pair)) for pair in _PAIRS]
        for pair, was, now in changed:
            if was != now:
                yield Fault("brackets", f"{pair.decode()} {_rules(file)}", f"{path}: {was} -> {now}\n{_shown(file)}")
        told = any(one.code == NOT_PARSED for one in plan.diagnostics)
        parsed = Document(path, as_grammar_reads(file.after)).whole.tree.root_node
        if before.data and not before.whole.tree.root_node.has_error and parsed.has_error and not told:
            yield Fault("parse error", _rules(file), f"{path}\n{_shown(file)}")


def _excess(document: Document, pair: bytes) -> int:
    code = _INCLUDE.sub(b"", document.code)  # what stands behind the name is nothing to a compiler
    return code.count(pair[:1]) - code.count(pair[1:])


def _nothing_left(again: Plan) -> Iterator[Fault]:
    for file in again.files:
        kind = "new" if file.before is None else "gone" if file.after is None else ""
        where = f"{kind}{(file.new_path or '').rpartition('/')[2]}" if kind else _rules(file)
        yield Fault("second run", where, f"{file.old_path} -> {file.new_path}\n{_shown(file)}")


def _rules(file: FileChange) -> str:
    return " ".join(sorted({edit.rule for edit in file.edits})) or (file.new_path or "").rpartition("/")[2]


def _shown(file: FileChange) -> str:
    return render_diff(Plan("", "", (replace(file, edits=()),)))


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise _Hangs in the block once it has taken so many seconds of CPU."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Hangs

    gc.disable()  # a plan makes many objects and no cycles to speak of
    old = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)
        gc.enable()
