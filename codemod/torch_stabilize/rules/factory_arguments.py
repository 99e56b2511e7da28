"""The arguments of a factory: its options taken apart, and the tensor that it resembles."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context
from torch_stabilize.rules.options import Options, read_options, read_separate
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment

Made = tuple[tuple[Part, ...], tuple[str, ...]]


def without_format(given: list[Node], fragment: Fragment, context: Context) -> tuple[list[Node], bool | None]:
    """The arguments less a memory format at their end, and whether that asks for contiguous memory; None: another one.

    To preserve the format, and for new sizes to be contiguous, is what the stable factories do by themselves.
    """
    space, _, last = text_of(given[-1]).rpartition("::") if given else ("", "", "")
    if not space.endswith("MemoryFormat") and last != "LEGACY_CONTIGUOUS_MEMORY_FORMAT":
        return given, False
    if last == "Preserve":
        return given[:-1], False
    return given[:-1], True if last in ("Contiguous", "LEGACY_CONTIGUOUS_MEMORY_FORMAT") else None


def options_at(given: list[Node], place: int, fragment: Fragment, context: Context, node: Node) -> Options | None:
    """The options from the argument `place` on, together or one by one; None where they cannot be told."""
    if len(given) <= place:
        return Options()
    if len(given) == place + 5 and text_of(given[place]).endswith("nullopt"):
        return read_separate(given[place + 1 :], fragment, context)  # no names of dimensions
    if len(given) == place + 4:
        return read_separate(given[place:], fragment, context)
    return read_options(given[place], fragment, context) if len(given) == place + 1 else None


def tail_of(options: Options, *, always_dtype: bytes = b"") -> tuple[Part, ...]:
    """`, dtype, layout, device` with trailing defaults left out."""
    dtype = (
        options.dtype_parts()
        if (options.dtype or options.like)
        else ((always_dtype,) if always_dtype else (b"std::nullopt",))
    )
    parts: list[tuple[Part, ...]] = [dtype, options.layout_parts(), options.device_parts()]
    if options.pinned:
        parts.append(options.pinned)
    while parts and parts[-1] == (b"std::nullopt",):
        parts.pop()
    return tuple(piece for group in parts for piece in (b", ", *group))


def tensor_beside(
    options: Options, node: Node, fragment: Fragment, context: Context
) -> tuple[tuple[Part, ...], tuple[Part, ...]] | None:
    """The tensor on whose device the options put the new one, and their dtype where it is not that tensor's own."""
    if options.layout or options.pinned:
        return None
    if options.like and not options.device:
        return options.like, options.dtype
    named = _owner(options.device, "device", context)
    if not named or not options.dtype:
        return None
    if not context.project.finder.type_of_name(named, node, fragment, context.document).is_tensor:
        return None
    own = _owner(options.dtype, "(?:dtype|scalar_type)", context) == named
    return (named.encode(),), () if own else options.dtype


def _owner(parts: tuple[Part, ...], question: str, context: Context) -> str:
    """`a`, if the parts are `a.question()` as it is in the source."""
    text = (
        context.text(parts[0].span).decode("utf-8", "replace") if len(parts) == 1 and isinstance(parts[0], Copy) else ""
    )
    found = re.fullmatch(rf"([A-Za-z_]\w*)\.{question}\(\)", text)
    return found.group(1) if found else ""


def is_of(tensor: Span, options: Options, context: Context) -> bool:
    """Whether the options start from those of the tensor itself."""
    like = options.like[0] if len(options.like) == 1 else None
    return isinstance(like, Copy) and context.text(like.span) == context.text(tensor)
