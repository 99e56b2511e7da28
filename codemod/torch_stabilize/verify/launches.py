"""The launches of the host code, site by site: kernel, grid, block, shared memory and stream, before and after.

Source is compared, not binaries: a launch that lost its stream computes the same on an idle device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from torch_stabilize.model import Severity, Span
from torch_stabilize.source.brackets import closing_angle, closing_bracket, split_spans
from torch_stabilize.source.document import Document
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Finding, finding
from torch_stabilize.verify.spelling import device_text, plain_text

PARAMETERS = ("grid", "block", "shared memory", "stream")
DEFAULT_STREAM = "the default stream"
CURRENT_STREAM = "the current stream"

_LAUNCH = re.compile(rb"<<<")
_CALL = re.compile(rb"\b(cudaLaunch(?:Cooperative)?Kernel\w*|cuLaunchKernel\w*)\s*\(")
_CONFIGURED = re.compile(rb"\b(\w+)\s*(?:\.|->)\s*(stream|hStream|gridDim|blockDim|dynamicSmemBytes)\s*=(?!=)")
_NAME_BEFORE = re.compile(rb"(?:[A-Za-z_]\w*(?:\s*::\s*))*[A-Za-z_]\w*\s*$")
_CURRENT = re.compile(r"current\w*stream", re.I)
_NO_STREAM = re.compile(
    r"^(?:0|nullptr|NULL|\{\}|cudaStream_t(?:\((?:0|nullptr)?\)|\{(?:0|nullptr)?\})|cudaStreamDefault|cudaStreamLegacy"
    r"|getDefault(?:CUDA|HIP)Stream(?:MasqueradingAsCUDA)?\(.*\))?$"
)
_AS_STREAM = re.compile(r"^(?:\(cudaStream_t\)|static_cast<cudaStream_t>)|\.stream\(\)$")
_POOL = re.compile(r"^(?:getStreamFromPool(?:MasqueradingAsCUDA)?|get_cuda_stream_from_pool)\((.*)\)$")
_EXTERNAL = re.compile(r"^getStreamFromExternal(?:MasqueradingAsCUDA)?\((\w+),.*\)$")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_MACRO = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(?P<name>\w+)\((?P<arguments>[^)]*)\)", re.MULTILINE)
_IN_DEFINE = re.compile(rb"^[ \t]*#[ \t]*(?:define|undef)[ \t]*$")  # what is before the name that it defines
_DEEPEST = 3
_OF_TORCH = re.compile(r"(?:\bat|\bc10|\btorch)::|[Pp]rop|->|\.(?:sizes?|numel|element_size|itemsize)\b")


@dataclass(frozen=True)
class Launch:
    """One launch: grid, block, shared memory and stream as written, and in `meaning` where variables come from."""

    kernel: str
    parameters: tuple[str, str, str, str]
    meaning: tuple[str, str, str, str]
    span: Span
    line: int = 0


def read_launches(document: Document) -> tuple[Launch, ...]:
    """The launches in a file, in file order: `<<<>>>`, the launch functions of CUDA, and uses of macros that launch.

    The body of a macro is one, and each use of it is one more, with the macro's arguments in place.
    """
    found = [*_chevrons(document), *_calls(document), *_configured(document)]
    return tuple(sorted([*found, *_expanded(document, found)], key=lambda launch: launch.span))


def compare_launches(before: tuple[Launch, ...], after: tuple[Launch, ...], path: str) -> Iterator[Finding]:
    """What differs between two sequences of launches."""
    matcher = SequenceMatcher(None, [x.kernel for x in before], [x.kernel for x in after], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            for old, new in zip(before[i:j], after[k:m], strict=True):
                yield from _compare(old, new, path)
            continue
        for old in before[i:j]:
            near = after[min(k, len(after) - 1)] if after else None
            text = f"the launch of {old.kernel} is gone; it was in line {old.line}"
            yield finding(codes.LAUNCH_DIFFERS, text, path=path, **_place(near))
        for new in after[k:m]:
            yield finding(codes.LAUNCH_DIFFERS, f"the launch of {new.kernel} is new", path=path, **_place(new))


def _compare(old: Launch, new: Launch, path: str) -> Iterator[Finding]:
    for index, name in enumerate(PARAMETERS[:3]):
        text = f"{new.kernel}: {name} is {new.parameters[index]!r} instead of {old.parameters[index]!r}"
        if old.parameters[index] != new.parameters[index]:
            yield finding(codes.LAUNCH_DIFFERS, text, path=path, **_place(new))
        elif old.meaning[index] != new.meaning[index]:
            # What a variable is computed from may be spelled anew by the migration; then a person has to look.
            api = _OF_TORCH.search(old.meaning[index]) or _OF_TORCH.search(new.meaning[index])
            text = f"{new.kernel}: {name} comes from {new.meaning[index]!r} instead of {old.meaning[index]!r}"
            severity = Severity.WARNING if api else Severity.ERROR
            yield finding(codes.LAUNCH_DIFFERS, text, severity=severity, path=path, **_place(new))
    was, now = old.meaning[3], new.meaning[3]
    if was != now:
        code = codes.STREAM_DROPPED if now == DEFAULT_STREAM else codes.LAUNCH_DIFFERS
        yield finding(code, f"{new.kernel}: runs on {now} instead of {was}", path=path, **_place(new))


def _place(launch: Launch | None) -> dict[str, Any]:
    return {"span": launch.span, "line": launch.line} if launch is not None else {}


def _chevrons(document: Document) -> Iterator[Launch]:
    code = document.code
    for match in _LAUNCH.finditer(code):
        end = code.find(b">>>", match.end())
        if end < 0:
            continue
        spans = split_spans(code, match.end(), end)
        texts = [plain_text(code[start:stop]) for start, stop in spans]
        kernel, start = _kernel_before(code, match.start())
        yield _launch(document, kernel, texts, Span(start, end + 3))


def _calls(document: Document) -> Iterator[Launch]:
    code = document.code
    for match in _CALL.finditer(code):
        end = closing_bracket(code, match.end() - 1)
        if end < 0:
            continue
        texts = [plain_text(code[start:stop]) for start, stop in split_spans(code, match.end(), end)]
        function = match.group(1).decode()
        if re.fullmatch(r"cudaLaunch(?:Cooperative)?Kernel", function) and len(texts) >= 6:
            order = [texts[1], texts[2], texts[4], texts[5]]
            yield _launch(document, f"{function}({texts[0]})", order, Span(match.start(), end + 1))
        else:  # configured elsewhere: the assignments are launches' parameters of their own
            yield _launch(
                document,
                f"{function}({', '.join(texts[:2])})",
                ["", "", "", CURRENT_STREAM],
                Span(match.start(), end + 1),
            )


def _configured(document: Document) -> Iterator[Launch]:
    """`config.stream = s;`: a parameter of a later cudaLaunchKernelEx."""
    code = document.code
    for match in _CONFIGURED.finditer(code):
        end = code.find(b";", match.end())
        value = plain_text(code[match.end() : end if end >= 0 else match.end()])
        name = f"{match.group(1).decode()}.{match.group(2).decode()}"
        slot = {"gridDim": 0, "blockDim": 1, "dynamicSmemBytes": 2}.get(match.group(2).decode(), 3)
        texts = ["", "", "", CURRENT_STREAM]
        texts[slot] = value
        yield _launch(document, name, texts, Span(match.start(), max(end, match.end())))


class _Macro(NamedTuple):
    """A macro with arguments: its body, and the launches in it, as (kernel, texts of the parameters)."""

    arguments: tuple[str, ...]
    body: Span
    launches: tuple[tuple[str, tuple[str, ...]], ...] = ()


def _expanded(document: Document, launches: Sequence[Launch]) -> Iterator[Launch]:
    """What the uses of macros launch, outside of other macros."""
    macros: dict[str, _Macro] = {}
    for match in _MACRO.finditer(document.code):
        names = tuple(part.strip().decode() for part in match["arguments"].split(b","))
        macros[match["name"].decode()] = _Macro(names, Span(match.end(), _line_end(document, match.end())))
    bodies = [macro.body for macro in macros.values()]
    for name, macro in macros.items():
        inside = [(x.kernel, x.parameters) for x in launches if macro.body.contains(x.span)]
        macros[name] = macro._replace(launches=tuple(inside))
    for _ in range(_DEEPEST):  # macros that use macros
        for name, macro in macros.items():
            more = [one for _, one in _uses(document, macros, macro.body)]
            macros[name] = macro._replace(launches=tuple(dict.fromkeys((*macro.launches, *more))))
    for span, (kernel, texts) in _uses(document, macros, Span(0, len(document.code))):
        if not any(body.contains(span) for body in bodies):
            yield _launch(document, kernel, list(texts), span)


def _uses(
    document: Document, macros: Mapping[str, _Macro], within: Span
) -> Iterator[tuple[Span, tuple[str, tuple[str, ...]]]]:
    """The launches of each use of a macro in a stretch of code, with the arguments of the use."""
    names = [name for name, macro in macros.items() if macro.launches]
    if not names:
        return
    used = re.compile(rb"(?<![\w#])(" + b"|".join(re.escape(name.encode()) for name in names) + rb")\s*\(")
    code = document.code
    for match in used.finditer(code, within.start, within.end):
        end = closing_bracket(code, match.end() - 1)
        macro = macros[match[1].decode()]
        if end < 0 or _IN_DEFINE.search(code[code.rfind(b"\n", 0, match.start()) + 1 : match.start()]):
            continue
        given = [plain_text(code[start:stop]) for start, stop in split_spans(code, match.end(), end)]
        named = dict(zip(macro.arguments, given, strict=False))
        if macro.arguments[-1:] == ("...",):
            named["__VA_ARGS__"] = ",".join(given[len(macro.arguments) - 1 :])

        def placed(text: str, named: dict[str, str] = named) -> str:
            text = _IDENTIFIER.sub(lambda name: named.get(name[0], name[0]), text)
            return plain_text(text.replace("##", "").encode())

        for kernel, texts in macro.launches:
            yield Span(match.start(), end + 1), (placed(kernel), tuple(map(placed, texts)))


def _line_end(document: Document, place: int) -> int:
    """The end of a macro's body: of the line that no backslash continues."""
    code = document.code
    while (end := code.find(b"\n", place)) >= 0 and code[:end].rstrip(b"\r").endswith(b"\\"):
        place = end + 1
    return end if end >= 0 else len(code)


def _launch(document: Document, kernel: str, texts: list[str], span: Span) -> Launch:
    grid, block, shared, stream = (*texts, *[""] * 4)[:4]
    values = (grid, block, shared or "0", stream)
    meaning = tuple(_meaning(document, value, span.start) for value in values[:3])
    line = document.code.count(b"\n", 0, span.start) + 1
    found = (*meaning, _stream(document, stream, span.start))
    return Launch(kernel, values, found, span, line)  # type: ignore[arg-type]


def _stream(document: Document, text: str, place: int) -> str:
    if text == CURRENT_STREAM:
        return text
    for _ in range(4):  # a variable, made from a variable, made from a call
        text = _EXTERNAL.sub(r"\1", _AS_STREAM.sub("", text))
        if pool := _POOL.match(text):
            return f"a stream of the pool ({', '.join(map(device_text, pool[1].encode().split(b',')))})"
        if _NO_STREAM.match(text):
            return DEFAULT_STREAM
        if _CURRENT.search(text):
            return CURRENT_STREAM
        if not _IDENTIFIER.fullmatch(text):
            break
        source = _initialiser(document, text, place)
        if source is None:
            break
        text = source
    return f"the stream {text!r}"


def _meaning(document: Document, text: str, place: int) -> str:
    """`text` with a variable replaced by what it is made from, where that is above in the same file."""
    if not _IDENTIFIER.fullmatch(text):
        return text
    source = _initialiser(document, text, place)
    return text if source is None else source


def _initialiser(document: Document, name: str, place: int) -> str | None:
    """What the nearest declaration of `name` above `place` makes it from; None where there is none."""
    code = document.code
    declared = re.compile(
        rb"\b(?:dim3|int\w*|size_t|unsigned|uint\w*|auto|long|cudaStream_t|\w*[Ss]tream\w*)\b[&*\s]*\b"
        + re.escape(name.encode())
        + rb"\s*(?P<open>[({=])"
    )
    last = None
    for match in declared.finditer(code, 0, place):
        last = match
    if last is None:
        return None
    if last.group("open") == b"=":
        end = code.find(b";", last.end())
        return plain_text(code[last.end() : end]) if end >= 0 else None
    closing = closing_bracket(code, last.start("open"))
    return plain_text(code[last.end() : closing]) if closing >= 0 else None


def _kernel_before(code: bytes, place: int) -> tuple[str, int]:
    """The kernel named before `<<<`, its template arguments included, and where that starts."""
    end = place
    while end > 0 and code[end - 1 : end] in (b" ", b"\t", b"\r", b"\n", b"\\"):
        end -= 1
    start = end
    if code[end - 1 : end] == b">":
        opening = _opening_angle(code, end - 1)
        start = opening if opening is not None else end
    elif code[end - 1 : end] == b")":
        start = max(code.rfind(b"(", 0, end), 0)
        return plain_text(code[start:end]), start
    match = _NAME_BEFORE.search(code, max(0, start - 200), start)
    begin = match.start() if match else start
    return plain_text(code[begin:end]), begin


def _opening_angle(code: bytes, closing: int) -> int | None:
    """Where the template argument list that ends at `closing` starts."""
    place = closing
    while (place := code.rfind(b"<", max(0, closing - 2000), place)) >= 0:
        if closing_angle(code, place) in (closing, closing + 1):
            return place
    return None
