"""Whether libraries would compile code of their own ABI, and whether includes would find their headers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import basename

from torch_stabilize.buildfiles.model import Abi, Library
from torch_stabilize.layout.read import is_seen, macros_of
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.program import codes
from torch_stabilize.program.abi import abi_of_file
from torch_stabilize.program.codes import finding
from torch_stabilize.program.own_names import OwnNames, line_of
from torch_stabilize.program.planned import Planned
from torch_stabilize.program.scan import METHODS_OF_BOTH, FoundSite, scan_document
from torch_stabilize.repository.includes import Include
from torch_stabilize.repository.sources import matches
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.source.conditions import conditions_at, read_directives
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document
from torch_stabilize.source.spans import line_end, line_start
from torch_stabilize.surface.table import load_surface


def check_code(planned: Planned) -> Iterator[Diagnostic]:
    """Code of the wrong ABI, names that no rule handles, and includes that would find nothing."""
    reported: set[str] = set()
    for library in planned.after.libraries:
        units = [unit for unit in sorted(library.units) if planned.after.snapshot.exists(unit)]
        if library.abi is Abi.LEGACY:
            yield from _stable_in_legacy(planned, library, units)
        elif library.abi is Abi.STABLE and not planned.said("two libraries", library.module or library.name):
            for unit in units:
                if _is_new_in(planned, library, unit) and not planned.said(planned.then(unit) or unit):
                    yield from _names_left(planned, unit, macros_of(library), reported)
    yield from _lost_includes(planned)


def _stable_in_legacy(planned: Planned, library: Library, units: Sequence[str]) -> Iterator[Diagnostic]:
    """Units that become stable code and that a legacy library would go on to compile."""
    name = library.module or library.name
    found = [unit for unit in units if _becomes_stable(planned, unit) and not planned.said(planned.then(unit) or unit)]
    if not found or planned.said(name):
        return
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    message = f"{name}, which is built for the unstable API, would compile {found[0]}{more}, which becomes stable code"
    advice = f"Define TORCH_TARGET_VERSION for {name} and migrate its other sources, or take this out of it."
    yield finding(codes.WRONG_ABI, planned.place(found[0]), message, advice)


def _becomes_stable(planned: Planned, unit: str) -> bool:
    """Whether the plan makes stable code of a unit that was none."""
    if unit not in planned.origin:
        return False
    old = planned.then(unit)
    was = abi_of_file(planned.snapshot.document(old)) if old is not None else Abi.NEUTRAL
    now = abi_of_file(planned.after.snapshot.document(unit))
    return now is Abi.STABLE and was not in (Abi.STABLE, Abi.MIXED)


def _is_new_in(planned: Planned, library: Library, unit: str) -> bool:
    """Whether this plan makes `unit` a part of a stable library, or edits it there."""
    old = planned.then(unit)
    if old is None or unit in planned.origin:
        return True
    return not any(owner.abi is Abi.STABLE for owner, _ in planned.before.by_unit.get(old, ()))


# -- names of the unstable API ---------------------------------------------------------------------------------------


def _names_left(planned: Planned, unit: str, macros: frozenset[str], reported: set[str]) -> Iterator[Diagnostic]:
    """One finding for each file that a stable unit would compile with a name in it that the plan says nothing of."""
    snapshot = planned.after.snapshot
    closure = planned.after.closure(unit, Abi.STABLE, macros)
    waiting = [path for path in closure if path not in reported]
    reported.update(waiting)
    held = [path for path in waiting if holds_unstable_names(snapshot.document(path))]
    if not held:
        return
    known = frozenset(macro.name for path in closure for macro in snapshot.document(path).macros)
    own = OwnNames([snapshot.document(one) for one in closure if one.endswith(SOURCE_SUFFIXES)])
    for path in held:
        document = snapshot.document(path)
        sites = [
            site
            for site in scan_document(document, known)
            if _is_unstable(site) and not _is_spoken_of(planned, path, site) and not own.have(site, document)
        ]
        seen = [site for site in sites if _is_compiled(document, site, macros)]
        if len(seen) < len(sites):
            reported.discard(path)  # another library may define other macros
        sites = [site for site in seen if not _is_of_unused_macro(planned, document, site, closure)]
        if not sites:
            continue
        reported.add(path)
        first = sites[0]
        more = f" and {len(sites) - 1} more" if len(sites) > 1 else ""
        message = f"{first.name}{more} is left in {path}:{first.line}, which {unit} compiles, and no rule handles it"
        advice = "Write it with the stable API, or include another file."
        line = line_of(document.data, first.line)
        place = planned.place(path, line) if planned.then(path) is not None else (path, line)  # a file that is new
        yield finding(codes.NAME_LEFT, place, message, advice)


def _is_compiled(document: Document, site: FoundSite, macros: frozenset[str]) -> bool:
    """Whether a site is compiled where `macros` are defined, as far as they decide that."""
    return is_seen(conditions_at(document, line_of(document.data, site.line).start), Abi.STABLE, macros)


def _is_of_unused_macro(planned: Planned, document: Document, site: FoundSite, closure: Sequence[str]) -> bool:
    """Whether a site is in the body of a macro that nothing in the planned tree uses: nobody compiles it.

    One that another file of the `closure` takes back and defines anew is not used there either.
    """
    line = line_of(document.data, site.line)
    macro = next((m for m in document.macros if m.body.start < line.end and line.start < m.body.end), None)
    if macro is None:
        return False
    name = macro.name.encode()
    if any(_defines_anew(planned, path, name) for path in closure if path != document.path):
        return True
    if len(re.findall(rb"\b" + re.escape(name) + rb"\b", document.code)) > 1:
        return False
    after = planned.after
    others = (path for path in after.files if path != document.path and name in after.snapshot.read(path))
    return not any(name in after.snapshot.document(path).words for path in others)


def _defines_anew(planned: Planned, path: str, name: bytes) -> bool:
    document = planned.after.snapshot.document(path)
    if b"undef" not in document.data or name not in document.data:
        return False
    taken = any(one.kind == "undef" and one.argument == name.decode() for one in read_directives(document))
    return taken and any(macro.name.encode() == name for macro in document.macros)


def _is_unstable(site: FoundSite) -> bool:
    """Whether the stable headers lack the name: what torch::headeronly has of c10 is there under both names."""
    if site.kind == "method" and site.name in METHODS_OF_BOTH:
        return False
    space, _, name = site.name.partition("::")
    entry = load_surface().name(site.name) if space == "c10" else None
    return entry is None or entry.stable != f"torch::headeronly::{name}"


def _is_spoken_of(planned: Planned, path: str, site: FoundSite) -> bool:
    """Whether a diagnostic of the plan, or the allow-list, is about a site of the planned tree."""
    bare = site.name.rpartition("::")[2].strip('<>"')
    if any(matches(path, entry.path) and entry.name in ("", site.name) for entry in planned.config.allow):
        return True
    old = planned.then(path)
    for diagnostic in planned.plan.diagnostics:
        if diagnostic.path not in (old, path) or diagnostic.severity is Severity.NOTE:
            continue
        if bare in diagnostic.message or bare in diagnostic.help:
            return True
        before = planned.snapshot.read(diagnostic.path) if planned.snapshot.exists(diagnostic.path) else b""
        start = line_start(before, diagnostic.span.start)
        if bare.encode() in before[start : line_end(before, max(start, diagnostic.span.end - 1))]:
            return True
    return False


# -- includes --------------------------------------------------------------------------------------------------------


def _lost_includes(planned: Planned) -> Iterator[Diagnostic]:
    """Includes of the repository's own headers that changed or moved files would not find any more."""
    for path, old in planned.origin.items():
        if not path.endswith(SOURCE_SUFFIXES) or path not in planned.changes:
            continue
        included = planned.before.graph.includes(old) if old is not None else ()
        missing = {include.name for include in included if include.target is None}
        known = {basename(include.name): include for include in included}
        same = {(include.name, include.quoted): include for include in included}
        for include in planned.after.graph.includes(path):
            was = same.get((include.name, include.quoted), known.get(basename(include.name)))
            was = was if was is not None and (include.quoted or was.name == include.name) else None
            if include.name in missing:
                continue  # of another project, before as afterwards
            if include.target is None and was is not None and was.target is not None:
                message = f'{path} includes "{include.name}", which it would not find'
            elif include.target is not None and not _is_searched(planned, include):
                root = planned.after.graph.root_of(include)
                message = (
                    f'{path} includes "{include.name}", which is found in {root or "."}, where the build does not look'
                )
            else:
                continue
            if not planned.said(include.name):
                place = (old, was.span) if old is not None and was is not None else planned.place(path)
                yield finding(codes.INCLUDE_LOST, place, message, "Write the include relative to the file's new place.")


def _is_searched(planned: Planned, include: Include) -> bool:
    """Whether the build looks where `include` is found: next to the file, or in a folder that it searches."""
    graph = planned.after.graph
    if include.quoted and graph.is_beside(include.path, include.name):
        return True
    root = graph.root_of(include)
    return root in _searched(planned)


def _searched(planned: Planned) -> frozenset[str]:
    """The folders that build files name, and those through which files of the tree as it was are included."""

    def read() -> frozenset[str]:
        named = {folder for entry in planned.after.entries for folder in entry.include_dirs}
        return frozenset({*named, *planned.before.graph.searched})

    return planned.after.snapshot.once(_searched, read)
