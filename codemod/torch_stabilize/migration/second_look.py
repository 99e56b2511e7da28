"""Plans of code that cannot be followed everywhere: what a second migration would still find in it.

Where an argument list is broken or a name is not declared, a rewrite may bring to light what nobody could see before:
the next run would change the files again. Such a plan is made once more, on the tree that it leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tree_sitter import Node

from torch_stabilize.bindings.codes import UNREAD
from torch_stabilize.migration.composed import compose, of_what_was_read
from torch_stabilize.model import Diagnostic, FileChange, Plan, Refusal, Severity, Span
from torch_stabilize.repository.codes import NOT_PARSED
from torch_stabilize.repository.layout import Group
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document
from torch_stabilize.source.spans import line_end, line_start

_HIDDEN = re.compile(rb"\bHIDDEN_NAMESPACE_(?:BEGIN|END)\s*\([\w\s,]*\)")
_NEXT_CASE = re.compile(rb"\)(?=\s*(?:THO|AT)_(?:PRIVATE|DISPATCH)_CASE\w*\s*\()")
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include\b.*$", re.MULTILINE)


def is_worth_a_look(plan: Plan, snapshot: Snapshot) -> bool:
    """Whether a second migration may find more: some site was left as it is, or an edit is on a line that is broken."""
    if any(one.code == UNREAD.code for one in plan.diagnostics) or any(c.diagnosed for c in plan.sites.values()):
        return True
    return any(_is_edited_where_broken(snapshot, file) for file in plan.files)


def _is_edited_where_broken(snapshot: Snapshot, file: FileChange) -> bool:
    path = file.old_path
    if path is None or not file.edits or not path.endswith(SOURCE_SUFFIXES):
        return False
    document = snapshot.document(path)
    for node in _errors(document.whole.tree.root_node):
        if node.is_missing and node.type == ";":  # behind a macro
            continue
        start = line_start(document.data, node.start_byte)
        end = line_end(document.data, node.end_byte)
        if any(edit.span.start <= end and start <= edit.span.end for edit in file.edits):
            return True
    return False


def _errors(node: Node) -> Iterator[Node]:
    """What the grammar could not follow."""
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _errors(child)


def not_parsed(plan: Plan, snapshot: Snapshot) -> tuple[Diagnostic, ...]:
    """A finding for each source that the grammar could follow before, and cannot any more.

    Raises Refusal where a source would have more opening brackets of a kind than closing ones, or fewer, than before,
    and where a new one would: what it declares is taken from code.
    """
    found = []
    for file in plan.files:
        path, after = file.old_path, file.after
        new = file.new_path or ""
        if path is None and new.endswith(SOURCE_SUFFIXES) and any(_brackets(Document(new, after or b""))):
            raise Refusal(f"{new}: cannot be written: a declaration in it would have a bracket too many")
        if path is None or after is None or after == file.before or not path.endswith(SOURCE_SUFFIXES):
            continue
        if _brackets(snapshot.document(path)) != _brackets(Document(file.new_path or path, after)):
            raise Refusal(f"{path}: cannot be parsed: an edit would leave a bracket open or close one too many")
        if snapshot.document(path).whole.tree.root_node.has_error:
            continue
        errors = list(_errors(Document(file.new_path or path, as_grammar_reads(after)).whole.tree.root_node))
        if errors:
            line = after.count(b"\n", 0, errors[0].start_byte) + 1
            message = f"{file.new_path}:{line} would be no code that can be parsed, and could be so far"
            advice = "mend the code that it comes from, or this line"
            found.append(Diagnostic(NOT_PARSED, Severity.ERROR, path, Span(0, 0), message, advice))
    return tuple(found)


def as_grammar_reads(code: bytes) -> bytes:
    """`code` without torch's macros around a namespace of helpers, and with commas between its cases of a dispatch."""
    return _NEXT_CASE.sub(b"),", _HIDDEN.sub(lambda found: b" " * len(found[0]), code))


def _brackets(document: Document) -> tuple[int, ...]:
    """How many more opening than closing brackets of each kind the code has."""
    code = _INCLUDE.sub(b"", document.code)  # what is behind a name there is nothing to a compiler
    return tuple(code.count(pair[:1]) - code.count(pair[1:]) for pair in (b"()", b"[]", b"{}"))


def landed(plan: Plan, group: Group, tree: Snapshot) -> tuple[str, ...]:
    """Where the units of `group` are in `tree`, which `plan` leaves."""
    now = {file.old_path: file.new_path for file in plan.files if file.old_path is not None}
    places = (now.get(path, path) for path in (*group.units, *group.migrated))
    return tuple(path for path in places if path is not None and tree.exists(path))


def origins(plan: Plan) -> Mapping[str, str]:
    """Where the files of the tree that `plan` leaves came from, by their paths there."""
    return {file.new_path: file.old_path for file in plan.files if file.new_path and file.old_path}


def is_more_of(second: Plan, first: Plan) -> bool:
    """Whether `second` continues in the files of `first` where they are, with new ones: not a migration of its own."""
    known = {file.new_path for file in first.files}
    return all(f.old_path is None or (f.old_path in known and f.old_path == f.new_path) for f in second.files)


def both(first: Plan, second: Plan) -> Plan:
    """`first` and then `second` as one plan: sites are told as `first` does, and what `second` alone has found."""
    first = of_what_was_read(first)
    joined = compose(first, second)
    told = {(one.code, one.path) for one in first.diagnostics}
    more = tuple(one for one in joined.diagnostics[len(first.diagnostics) :] if (one.code, one.path) not in told)
    return replace(joined, diagnostics=(*first.diagnostics, *more), sites=first.sites)
