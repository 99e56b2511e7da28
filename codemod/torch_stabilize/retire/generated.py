"""Headers that earlier runs wrote or extended: what in them is generated, and their text without some of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from torch_stabilize.migration.helper_files import helper_header
from torch_stabilize.model import Span
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import ANY_HEADER
from torch_stabilize.surface.aten import NAMESPACE, render_header, wrapper_text
from torch_stabilize.surface.snippet import ERROR_CODES, all_snippets
from torch_stabilize.surface.versions import headers_have

HELPERS_SPACE = "stable_helpers"
_OPS = re.compile(rb"^// aten::([\w.]*\w)", re.MULTILINE)
_BLANK = re.compile(rb"\s+")
_EMPTY_SPACE = re.compile(
    rb"\n?HIDDEN_NAMESPACE_BEGIN\((?P<name>\w+)\)\s*HIDDEN_NAMESPACE_END\((?P=name)\)\n?"
    rb"(?:using namespace (?P=name);\n?)?"
)
_EMPTY_CUDA = re.compile(rb"\n?#ifdef USE_CUDA\n(?:\s*#include[^\n]*\n)*\s*#endif[^\n]*\n?")
_NO_CODE = re.compile(rb"^[ \t]*(?:#[ \t]*(?:pragma|include)\b|//)[^\n]*|\s+", re.MULTILINE)


class Generated(NamedTuple):
    """A header with generated code: the ops of its wrappers ("view.dtype") and the names of its helpers."""

    path: str
    ops: tuple[str, ...]
    helpers: tuple[str, ...]
    defines_check: bool  # STABLE_TORCH_ERROR_CODE_CHECK, for headers that do not


def generated_headers(snapshot: Snapshot, paths: Iterable[str]) -> tuple[Generated, ...]:
    """Those of the headers `paths` that have generated code."""
    found = []
    for path in paths:
        if not path.endswith(ANY_HEADER):
            continue
        data = snapshot.read(path)
        is_aten = f"HIDDEN_NAMESPACE_BEGIN({NAMESPACE})".encode() in data
        # helpers that add to namespaces of others stand outside of the space of the helpers
        is_helpers = HELPERS_SPACE.encode() in data or b"// Helpers that the stable ABI does not provide" in data
        if not (is_aten or is_helpers or b"STABLE_TORCH_ERROR_CODE_CHECK" in data):
            continue
        bare, _ = _bare(data)
        ops = tuple(sorted({op.decode() for op in _OPS.findall(data)})) if is_aten else ()
        helpers = tuple(name for name, one in all_snippets().items() if _bare(one.code.encode())[0] in bare)
        checked = _bare(ERROR_CODES.encode())[0] in bare
        if ops or helpers or checked:
            found.append(Generated(path, ops, helpers, checked))
    return tuple(found)


def without(
    snapshot: Snapshot, one: Generated, ops: Collection[str], helpers: Collection[str], headers: str
) -> bytes | None:
    """The text of a header with `ops` and `helpers` of its generated code alone; None where nothing is left.

    A header that holds nothing else is written anew; of another, the pieces that go are cut out.
    """
    data = snapshot.read(one.path)
    bare, _ = _bare(data)
    keeps_check = one.defines_check and not headers_have("error_code_check", headers)
    if one.ops and not one.helpers and bare in _texts_of_wrappers(one.ops):
        return render_header(ops, headers) if ops else None
    if (
        one.helpers
        and not one.ops
        and bare == _bare(helper_header(sorted(one.helpers), defines_check=one.defines_check))[0]
    ):
        return helper_header(sorted(helpers), defines_check=keeps_check) if helpers else None
    gone = [all_snippets()[name].code for name in one.helpers if name not in helpers]
    gone += [wrapper_text(op) for op in one.ops if op not in ops]
    gone += [ERROR_CODES] if one.defines_check and not keeps_check else []
    for text in gone:
        data = _cut(data, text.encode())
    for empty in (_EMPTY_SPACE, _EMPTY_CUDA):
        data = empty.sub(b"", data)
    data = re.sub(rb"\n{3,}", b"\n\n", data)
    return data if _NO_CODE.sub(b"", data) else None


def _texts_of_wrappers(ops: Collection[str]) -> tuple[bytes, ...]:
    """The whole header of wrappers as it is written for headers with and without the check of status codes."""
    return tuple(_bare(render_header(ops, headers))[0] for headers in ("", "99.0"))


def _bare(data: bytes) -> tuple[bytes, tuple[int, ...]]:
    """`data` without blanks, as clang-format may have set them, and where each byte of it is."""
    blanks = [match.span() for match in _BLANK.finditer(data)]
    places: list[int] = []
    done = 0
    for start, end in (*blanks, (len(data), len(data))):
        places += range(done, start)
        done = end
    return _BLANK.sub(b"", data), tuple(places)


def _cut(data: bytes, text: bytes) -> bytes:
    """`data` without `text`, whatever the blanks in it, and without the blank lines that would be left."""
    bare, places = _bare(data)
    wanted, _ = _bare(text)
    start = bare.find(wanted)
    if start < 0 or not wanted:
        return data
    span = Span(places[start], places[start + len(wanted) - 1] + 1)
    after = data[span.end :]
    return data[: span.start] + after.lstrip(b"\n")
