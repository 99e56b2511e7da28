"""The body of `forward` without its context: what it keeps, marks and gives back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from torch_stabilize.bindings.autograd.body import NO_CHANGERS, Changers, Return, assignments, is_bare, returns_of
from torch_stabilize.bindings.autograd.model import (
    Forward,
    Reason,
    Saved,
    Value,
    is_optional,
    is_tensor,
    is_tensor_list,
)
from torch_stabilize.bindings.autograd.text import (
    GUARD,
    UNDEFINED,
    Call,
    calls_of,
    found_in,
    is_name,
    listed,
    of_optional,
    substituted,
)
from torch_stabilize.bindings.autograd.text import (
    names as says,
)
from torch_stabilize.bindings.autograd.values import ValuesOf
from torch_stabilize.source.brackets import closing_bracket, split_spans
from torch_stabilize.source.mask import mask_comments

_VALUE = rb"[ \t]*\b%s\s*->\s*saved_data\s*\[\s*\"(?P<key>\w+)\"\s*\]\s*=\s*(?P<value>[^;]*?)\s*;[ \t]*\n?"
_TUPLE = re.compile(rb"(?:std\s*::\s*)?(?:make_tuple|tuple\s*(?:<[^;]*>)?|make_pair)\s*(?=[({])")
_LIST = re.compile(rb"(?:[\w:]*\bvariable_list|[\w:]*\btensor_list|(?:std\s*::\s*)?vector\s*<[^;{}]*>)\s*(?=\{)")
_MADE_OF_PARTS = re.compile(rb"\bmake_(?:tuple|pair)\b|\btuple\s*<")
# `if (out.has_value()) ctx->mark_dirty({out.value()});`
_ASKED = re.compile(rb"[ \t]*\bif\s*\(\s*(?P<name>\w+)(?:\s*\.\s*(?:has_value|defined)\(\))?\s*\)\s*(?P<brace>\{)?\s*$")
_KNOWN = frozenset({"save_for_backward", "mark_non_differentiable", "mark_dirty", "set_materialize_grads"})


class _Kept(NamedTuple):
    """Where saved_data keeps a tensor."""

    start: int
    end: int
    text: bytes


class _Cut(NamedTuple):
    """A stretch of the body that is removed."""

    start: int
    end: int
    text: bytes = b""


def read_forward(
    body: bytes, context: str, parameters: Sequence[tuple[str, str]], several: bool, kept: Set[str] = frozenset(),
    *, gives_list: bool = False, changers: Changers = NO_CHANGERS,
) -> Forward:  # fmt: skip
    """What the body of `forward` does. `several` says that it gives a list or a tuple. Raises Reason.

    `kept` are the keys of saved_data that backward reads tensors of, `gives_list` says that it gives a list.
    """
    types = {name: kind for kind, name in parameters}
    return _Reader(body, re.escape(context.encode()), types, several, kept, gives_list, changers).read()


class _Reader(NamedTuple):
    body: bytes
    context: bytes
    types: Mapping[str, str]  # of the parameters, by name
    several: bool
    kept: Set[str] = frozenset()  # keys of saved_data that are tensors
    gives_list: bool = False
    changers: Changers = NO_CHANGERS

    def _assignments(self, name: str) -> list[int]:
        return assignments(self.body, name, self.changers)

    def read(self) -> Forward:
        returned = self._returned()
        calls = list(calls_of(self.body, self.context))
        results = {
            text.decode(): f"output[{i}]" for i, text in enumerate(returned[0][1]) if is_name(text)
        }  # fmt: skip
        values, tensors, cuts = self._values(results)
        saves = [call for call in calls if call.method == "save_for_backward"]
        saved = [*self._saved(saves, returned), *(self._keyed(key, cut, returned) for key, cut in tensors.items())]
        marks = [self._marked(call, results) for call in calls if call.method == "mark_non_differentiable"]
        dirty = [self._dirty(call) for call in calls if call.method == "mark_dirty"]
        switches = [call for call in calls if call.method == "set_materialize_grads"]
        cuts += [_Cut(call.start, call.end) for call in calls if call.method in _KNOWN and call.method != "mark_dirty"]
        cuts += [cut for _, cut in dirty]
        self._check(cuts)
        made = [one for one in saved if one.source == "made"]
        if made and len(returned) > 1:
            raise Reason(f"it keeps {', '.join(one.text for one in made)}, and its forward returns in several places")
        back = frozenset(name for names, _ in dirty for name in names)
        if not returned[0][1] and (made or dirty):
            raise Reason(
                "it keeps or writes to tensors, and its forward returns a list whose tensors cannot be counted"
            )
        places = {one: tensors[one.key] if one.key else saves[0] for one in saved}
        text, kept = self._without(cuts, returned, saved, made, places, back)
        return Forward(
            text, len(returned[0][1]), tuple(kept), tuple(values), tuple(i for found in marks for i in found),
            tuple(name for names, _ in dirty for name in names),
            materializes=not any(call.inside.strip() == b"false" for call in switches),
            returned=tuple(one.decode() if is_name(one) else "" for one in returned[0][1]),
            gives_list=not returned[0][1],
        )  # fmt: skip

    # results

    def _returned(self) -> list[tuple[Return, list[bytes]]]:
        found = [(one, self._results(one.value)) for one in returns_of(self.body)]
        if not found or len({len(values) for _, values in found}) != 1:
            raise Reason("its forward does not return the same number of tensors everywhere")
        if len(found) > 1 and len({tuple(values) for _, values in found}) > 1:
            return [(one, [b"" if is_name(v) else v for v in values]) for one, values in found]
        return found

    def _results(self, text: bytes) -> list[bytes]:
        if not self.several:
            if text.startswith(b"{"):
                raise Reason("its forward returns a list in braces as one tensor")
            return [text]
        text = mask_comments(text).strip()
        opening = _TUPLE.match(text) or _LIST.match(text)
        start = opening.end() if opening else 0
        if self.gives_list and not opening and text[:1] != b"{" and not _MADE_OF_PARTS.search(text):
            return []
        if text[start : start + 1] not in (b"{", b"("):
            raise Reason(f"its forward returns `{text.decode('utf-8', 'replace')}`, whose tensors cannot be counted")
        end = closing_bracket(text, start)
        parts = [text[slice(*part)].strip() for part in split_spans(text, start + 1, end)]
        parts = [part for part in parts if part]
        if text[start : start + 1] == b"{" and len(parts) == 1 and listed(parts[0]) is not None:
            parts = listed(parts[0]) or []
        if not parts:
            raise Reason("its forward returns nothing")
        return parts

    # what it keeps

    def _values(self, results: Mapping[str, str]) -> tuple[list[Value], dict[str, _Kept], list[_Cut]]:
        """The values of `saved_data`, the tensors of it by key, and where both are kept."""
        values: list[Value] = []
        tensors: dict[str, _Kept] = {}
        cuts: list[_Cut] = []
        of = ValuesOf(self.body, tuple(self.types), results, self.changers)
        for match in found_in(_VALUE % self.context, self.body):
            key, text = match["key"].decode(), match["value"]
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            if key in tensors or key in (one.key for one in values) or not is_bare(self.body, start):
                raise Reason(f"it keeps {key} in one of several ways")
            cuts.append(_Cut(match.start(), match.end()))
            name = text.decode("utf-8", "replace")
            if key in self.kept or (name in self.types and is_tensor(self.types[name])):
                tensors[key] = _Kept(match.start(), match.end(), text)
            elif name in self.types and not self._assignments(name):
                values.append(Value(key, name, (), is_argument=True))
            else:
                values.append(Value(key, *of.python(*match.span("value"))))
        return values, tensors, cuts

    def _saved(self, saves: Sequence[Call], returned: Sequence[tuple[Return, list[bytes]]]) -> list[Saved]:
        if not saves:
            return []
        if len(saves) > 1 or not is_bare(self.body, saves[0].start + _blanks(self.body, saves[0].start)):
            raise Reason("it saves tensors in one of several ways")
        name = saves[0].inside.strip().removesuffix(b".vec()").decode("utf-8", "replace")
        if is_tensor_list(self.types.get(name, "")) and not self._assignments(name):
            return [Saved("list", name)]
        elements = listed(saves[0].inside)
        if elements is None:
            raise Reason(f"it saves `{saves[0].inside.decode('utf-8', 'replace')}`, whose tensors cannot be counted")
        results = returned[0][1]
        return [self._one(element, results, saves[0].start) for element in elements]

    def _keyed(self, key: str, kept: _Kept, returned: Sequence[tuple[Return, list[bytes]]]) -> Saved:
        found = self._one(kept.text, returned[0][1], kept.start)
        if found.may_be_missing:
            raise Reason(f"it keeps {key} in saved_data, which may be no tensor")
        return found._replace(key=key)

    def _one(self, text: bytes, results: Sequence[bytes], place: int) -> Saved:
        name = of_optional(text) or (text.decode("utf-8", "replace") if is_name(text) else "")
        kind = self.types.get(name, "")
        if kind and not self._assignments(name):
            if not is_tensor(kind):
                raise Reason(f"it saves {name}, which is no tensor")
            return Saved("input", name, is_optional(kind))
        if is_name(text) and text in results and not any(p > place for p in self._assignments(name)):
            return Saved("output", str(results.index(text)))
        return Saved("made", text.decode("utf-8", "replace"), b"value_or" in text)

    # what it marks

    def _marked(self, call: Call, results: Mapping[str, str]) -> list[int]:
        names = listed(call.inside) or []
        if not names or not is_bare(self.body, call.start + _blanks(self.body, call.start)):
            raise Reason("it marks as not differentiable what cannot be told")
        found = []
        for name in names:
            if name.decode("utf-8", "replace") not in results:
                raise Reason(f"it marks {name.decode('utf-8', 'replace')}, which is none of its results")
            found.append(int(results[name.decode()][len("output[") : -1]))
        return found

    def _dirty(self, call: Call) -> tuple[list[str], _Cut]:
        names = []
        for element in listed(call.inside) or []:
            name = of_optional(element) or element.decode("utf-8", "replace")
            if name not in self.types or self._assignments(name):
                raise Reason(f"it marks {name} as written, which is no argument")
            names.append(name)
        if not names:
            raise Reason("it marks as written what cannot be told")
        before = self.body[: call.start]
        asked = _ASKED.search(before)
        if asked is None:
            if not is_bare(self.body, call.start + _blanks(self.body, call.start)):
                raise Reason(f"it marks {', '.join(names)} as written in a branch")
            return names, _Cut(call.start, call.end)
        if names != [asked["name"].decode()]:
            raise Reason(f"it marks {', '.join(names)} as written in a branch")
        end = call.end
        if asked["brace"]:
            closing = re.compile(rb"\s*\}[ \t]*\n?").match(self.body, end)
            if closing is None:
                raise Reason(f"it marks {', '.join(names)} as written in a branch with more in it")
            end = closing.end()
        if re.compile(rb"\s*else\b").match(self.body, end):
            raise Reason(f"it marks {', '.join(names)} as written in a branch")
        return names, _Cut(asked.start(), end)

    # the body

    def _check(self, cuts: Sequence[_Cut]) -> None:
        left = self.body
        for cut in sorted(cuts, reverse=True):
            left = left[: cut.start] + left[cut.end :]
        if says(left, self.context):
            raise Reason("its forward does more with its context than to save and to mark")

    def _without(
        self, cuts: Sequence[_Cut], returned: Sequence[tuple[Return, list[bytes]]], saved: Sequence[Saved],
        made: Sequence[Saved], places: Mapping[Saved, Call | _Kept], dirty: frozenset[str],
    ) -> tuple[bytes, list[Saved]]:  # fmt: skip
        """The body of the operator, and what is saved, with the names that what is made has in it.

        `places` are the statements that save. `dirty` are the arguments that it writes to and does not give back.
        """
        changes = list(cuts)
        renamed: dict[Saved, Saved] = {}
        lines: dict[tuple[int, int], list[bytes]] = {}
        for place, one in enumerate(made):
            text, at = one.text.encode(), places[one]
            if is_name(text) and not any(p > at.start for p in self._assignments(one.text)):
                continue
            renamed[one] = one._replace(text=f"saved_{place}")
            lines.setdefault((at.start, at.end), []).append(b"at::Tensor saved_%d = %s;\n" % (place, text))
        for (start, end), added in lines.items():
            indent = re.compile(rb"[ \t]*").match(self.body, start)
            changes = [cut for cut in changes if cut.start != start]
            changes.append(_Cut(start, end, b"".join((indent.group() if indent else b"") + line for line in added)))
        kept = [renamed.get(one, one) for one in saved]
        changes += list(self._returns(returned, [one for one in kept if one.source == "made"], dirty))
        body = self.body
        for cut in sorted(changes, reverse=True):
            body = body[: cut.start] + cut.text + body[cut.end :]
        return substituted(GUARD, b"", body), kept

    def _returns(
        self, returned: Sequence[tuple[Return, list[bytes]]], made: Sequence[Saved], dirty: frozenset[str]
    ) -> Iterator[_Cut]:
        back = {place for place, text in enumerate(returned[0][1]) if text.decode("utf-8", "replace") in dirty}
        if (not made and not self.several and not back) or not returned[0][1]:
            return
        for one, _ in returned:
            results = self._results(one.value)
            values = [UNDEFINED.sub(b"at::Tensor()", value) for place, value in enumerate(results) if place not in back]
            values += [tensor.text.encode() for tensor in made]
            text = values[0] if len(values) == 1 else b"std::make_tuple(" + b", ".join(values) + b")"
            yield (
                _Cut(one.value_start, one.value_end, text)
                if values
                else _Cut(one.start + len(b"return"), one.value_end)
            )


def _blanks(body: bytes, place: int) -> int:
    match = re.compile(rb"\s*").match(body, place)
    return len(match.group()) if match else 0
