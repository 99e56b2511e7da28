"""Read `tables/*.toml` into entries, and refuse what is not sound.

A file is a list of `[[family]]`: keys every row of the family shares, and `rows`. A row is an inline table. Two keys
exist in the file only: `spaces` and `names` spell `legacy` (every name in every namespace), because `at` sees all of
`c10`, and `torch` all of `at`. `native` of a row is an inline table: what the row is where target and headers are those
that it names, with a form of its own, and without the helper and the note of the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch_stabilize import toml
from torch_stabilize.surface.entry import KINDS, Entry, TableError
from torch_stabilize.surface.snippet import all_snippets
from torch_stabilize.surface.versions import parse_version

TABLES = Path(__file__).with_name("tables")
FORMS = ("rename", "same", "free", "dispatcher", "template", "special", "none")
INCLUDE_FORMS = ("replace", "drop", "same", "special", "none")
CONFIDENCES = ("safe", "review", "manual")

_ENTRY_KEYS = frozenset(Entry._fields)
_ROW_KEYS = _ENTRY_KEYS | {"names", "spaces"}
_OF_STAND_IN = ("helper", "note", "confidence", "include", "stable", "form", "legacy")  # keys that `native` sets anew
_CODE = re.compile(r"TSA\d{3}")
_LISTS = ("legacy", "names", "spaces", "of")


def read_tables(folder: Path = TABLES) -> tuple[Entry, ...]:
    """Every row of every table in `folder`, checked. Raises TableError."""
    entries: list[Entry] = []
    for path in sorted(folder.glob("*.toml")):
        entries += parse_table(path.read_text(encoding="utf-8"), path.name)
    check(entries)
    return tuple(entries)


def parse_table(text: str, source: str = "table") -> tuple[Entry, ...]:
    """The rows of one table. Raises TableError for bad TOML, unknown keys and values of the wrong kind."""
    try:
        document = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise TableError(f"{source}: {error}") from error
    if unknown := document.keys() - {"family"}:
        raise TableError(f"{source}: unknown key {min(unknown)!r}")
    return tuple(_rows(document.get("family", ()), source))


def _rows(families: Iterable[Mapping[str, Any]], source: str) -> Iterator[Entry]:
    for family in families:
        shared = {key: value for key, value in family.items() if key != "rows"}
        for row in family.get("rows", ()):
            yield _entry({**shared, **row}, source)


def _entry(row: dict[str, Any], source: str) -> Entry:
    if unknown := row.keys() - _ROW_KEYS:
        raise TableError(f"{source}: unknown key {min(unknown)!r} in {row.get('id', row.get('names'))!r}")
    for key in _LISTS:
        if not isinstance(row.get(key, []), list):
            raise TableError(f"{source}: {key} is not a list in {row.get('id', row)!r}")
    names, spaces = row.pop("names", []), row.pop("spaces", [])
    spelled = [f"{space}::{name}" for name in names for space in spaces] if spaces else names
    legacy = (*spelled, *row.pop("legacy", []))
    if not legacy:
        raise TableError(f"{source}: a row without names: {row}")
    row["legacy"] = legacy
    row.setdefault("id", f"{row.get('kind')}.{legacy[0].rpartition('::')[2]}")
    if row.get("form") == "same":
        row.setdefault("stable", legacy[0])
    native = row.pop("native", None)
    if native is not None:
        plain = {key: value for key, value in row.items() if key not in _OF_STAND_IN}
        row["native"] = _entry({**plain, "legacy": list(legacy), **native, "id": f"{row['id']}.native"}, source)
    row["of"] = tuple(row.get("of", ()))
    if "arity" in row:
        row["arity"] = _arity(str(row["arity"]), f"{source}: {row['id']}")
    if "newer" in row:
        row["newer"] = tuple(sorted(row["newer"].items()))
    try:
        return Entry(**row)
    except TypeError as error:
        raise TableError(f"{source}: {row['id']}: {error}") from error


def _arity(text: str, where: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not low.isdigit() or not (high or low).isdigit():
        raise TableError(f'{where}: arity is "1" or "0-2", not {text!r}')
    return int(low), int(high or low)


def check(entries: Iterable[Entry]) -> None:
    """Raise TableError for the first row that breaks the rules all rows keep together."""
    ids: set[str] = set()
    owners: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        _check_values(entry)
        if entry.native is not None:
            _check_native(entry, entry.native)
        if entry.id in ids:
            raise TableError(f"two rows have the id {entry.id!r}")
        ids.add(entry.id)
        for spelling in entry.legacy:
            other = owners.setdefault((entry.kind, spelling), entry)
            if other is not entry:
                raise TableError(f"{entry.id} and {other.id} both claim {spelling!r}")
    for entry in {id(entry): entry for entry in owners.values()}.values():
        _check_chain(entry, owners)


def _check_values(entry: Entry) -> None:
    def refuse(what: str) -> None:
        raise TableError(f"{entry.id}: {what}")

    if entry.kind not in KINDS:
        refuse(f"unknown kind {entry.kind!r}")
    if entry.form not in (INCLUDE_FORMS if entry.kind == "include" else FORMS):
        refuse(f"unknown form {entry.form!r}")
    if entry.confidence not in CONFIDENCES:
        refuse(f"unknown confidence {entry.confidence!r}")
    if not _CODE.fullmatch(entry.rule):
        refuse(f"not a rule code: {entry.rule!r}")
    if len(set(entry.legacy)) < len(entry.legacy):
        refuse("names one spelling twice")
    for version in (entry.target, entry.headers, *(since for _, since in entry.newer)):
        try:
            parse_version(version)
        except ValueError as error:
            raise TableError(f"{entry.id}: {error}") from error
    if entry.helper and entry.helper not in all_snippets():
        refuse(f"no C++ helper {entry.helper!r}")
    if entry.form in ("rename", "free", "dispatcher", "template", "replace") and not entry.stable:
        refuse(f"{entry.form} without a stable form")
    if entry.form == "none" and not entry.note:
        refuse("no stable form, and no note that says what to do")


def _check_native(entry: Entry, native: Entry) -> None:
    _check_values(native)
    if native.native is not None or native.helper:
        raise TableError(f"{entry.id}: what is native has neither a helper nor another row")
    if parse_version(native.headers) <= parse_version(entry.headers) and native.target == entry.target:
        raise TableError(f"{entry.id}: what is native needs newer headers or a newer target than the row")


def _check_chain(entry: Entry, owners: Mapping[tuple[str, str], Entry]) -> None:
    """A stable form that is itself a legacy spelling would be rewritten again by the next run."""
    if entry.form == "same":
        return
    for stable in entry.stable.split(",") if entry.form == "replace" else [entry.stable]:
        other = owners.get((entry.kind, stable.strip()))
        if other is not None and other.form != "same":
            raise TableError(f"{entry.id}: its stable form {stable.strip()!r} is a legacy name of {other.id}")
