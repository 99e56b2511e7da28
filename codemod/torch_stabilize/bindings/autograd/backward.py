"""The body of `backward` as an operator's: what it asks its context for becomes parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch_stabilize.bindings.autograd.body import NO_CHANGERS, Changers, assignments, is_bare, returns_of
from torch_stabilize.bindings.autograd.model import (
    Backward,
    Forward,
    Needed,
    Reason,
    Saved,
    is_optional,
    is_tensor,
)
from torch_stabilize.bindings.autograd.text import GUARD, UNDEFINED, found_in, substituted
from torch_stabilize.bindings.autograd.text import names as says
from torch_stabilize.bindings.fakes.expressions import python_name
from torch_stabilize.source.brackets import closing_bracket, split_spans
from torch_stabilize.source.document import words_of
from torch_stabilize.source.mask import mask_comments

_END = rb"\s*;[ \t]*\n?"
_LOCAL = rb"[ \t]*(?:const\s+)?[\w:]+(?:\s*<[\w:\s]*>)?\s*&{0,2}\s*\b(?P<name>\w+)\s*=\s*"
_TO = {
    "toDouble": "double", "toInt": "int64_t", "toBool": "bool", "toIntVector": "std::vector<int64_t>",
    "toIntList": "std::vector<int64_t>", "toDimVector": "std::vector<int64_t>", "toDoubleVector": "std::vector<double>",
    "toDoubleList": "std::vector<double>", "toStringRef": "std::string", "toScalarType": "at::ScalarType",
    "to<int64_t>": "int64_t", "to<double>": "double", "to<bool>": "bool", "to<std::string>": "std::string",
    "to<std::vector<int64_t>>": "std::vector<int64_t>",
} | {
    f"{method}<{wrapped}>": f"std::optional<{kind}>"
    for kind in ("int64_t", "double", "bool", "std::string")
    for method, wrapped in (("toOptional", kind), ("to", f"std::optional<{kind}>"), ("to", f"c10::optional<{kind}>"))
}  # fmt: skip
_READ = (
    rb"\b%s\s*->\s*saved_data\s*\[\s*\"(?P<key>\w+)\"\s*\]\s*\.\s*(?P<to>to\w*\s*(?:<[\w:<>\s]*>)?)\s*\(\)"
    rb"(?:\s*\.\s*vec\(\))?"
)
_TENSOR = (
    rb"\b%s\s*->\s*saved_data\s*\[\s*\"(?P<key>\w+)\"\s*\]\s*\.\s*"
    rb"(?:toTensor|to\s*<\s*(?:at|torch)\s*::\s*Tensor\s*>)\s*\(\)"
)
# `{ TORCH_CHECK(false, "no second derivative"); }`
_RAISES = re.compile(
    rb"\{\s*TORCH_CHECK\s*\(\s*(?:0|false)\s*,\s*(?P<text>(?:\"(?:[^\"\\]|\\.)*\"\s*)+)\)\s*;"
    rb"\s*(?:return\s*\{\s*\}\s*;\s*)?\}"
)
_GRADIENTS = re.compile(
    rb"(?:torch\s*::\s*)?(?:autograd\s*::\s*)?any_variable_requires_grad\s*\(\s*\{(?P<names>[\w\s,]*)\}\s*\)"
)
_LIST = re.compile(rb"(?:[\w:]*\bvariable_list|[\w:]*\btensor_list|(?:std\s*::\s*)?vector\s*<[^;{}]*>)\s*(?=\{)")


def read_backward(
    body: bytes, context: str, gradients: str, parameters: Sequence[tuple[str, str]], forward: Forward,
    converters: frozenset[str], lists: frozenset[str] = frozenset(), changers: Changers = NO_CHANGERS,
) -> Backward:  # fmt: skip
    """The operator that `backward` becomes. `converters` are functions that make a vector of a c10::List.

    `lists` are the arguments whose tensors each get a gradient. Raises Reason.
    """
    return _Reader(body, context, gradients, parameters, forward, converters, lists, changers).read()


def tensors_kept(body: bytes, context: str) -> frozenset[str]:
    """The keys of saved_data that the body of `backward` reads tensors of."""
    return frozenset(match["key"].decode() for match in found_in(_TENSOR % re.escape(context.encode()), body))


class _Reader:
    def __init__(
        self, body: bytes, context: str, gradients: str, parameters: Sequence[tuple[str, str]], forward: Forward,
        converters: frozenset[str], lists: frozenset[str], changers: Changers,
    ) -> None:  # fmt: skip
        self.changers = changers
        self.lists = lists
        self.body = _one_by_one(body)
        self.context, self.gradients = re.escape(context.encode()), re.escape(gradients.encode())
        self.arguments = parameters
        self.forward, self.converters = forward, converters
        self.types = {name: kind for kind, name in parameters}
        self.values: dict[str, Needed] = {}  # by the name of the parameter
        self.needs: dict[str, Needed] = {}

    def read(self) -> Backward:
        if raised := _RAISES.fullmatch(self.body.strip()):
            text = b"".join(re.findall(rb'"((?:[^"\\]|\\.)*)"', raised["text"])).decode("utf-8", "replace")
            names = tuple(f"grad_output_{i}" for i in range(self.forward.results)) or ("grad_output",)
            return Backward(self.body, (), (), (), names, raises=f'"{text}"')
        self._guards()
        names = self._saved()
        self._values()
        self._needed(names)
        taken = self._gradients()
        if says(self.body, self.context):
            raise Reason("its backward does more with its context than to read what was saved")
        gives_list = self._gives_list()
        gives = () if gives_list else self._returned()
        used = words_of(mask_comments(self.body))
        parameters = [self._gradient(name) for i, name in enumerate(taken) if not i or name.encode() in used]
        tensors = zip(names, self.forward.saved, strict=True)
        parameters += [self._tensor(name, one) for name, one in tensors if name.encode() in used]
        parameters += [one for one in self.values.values() if one.name.encode() in used]
        parameters += [self.needs[name] for _, name in self.arguments if name in self.needs]
        self._missing([name if name.encode() in used else "" for name in names])
        if twice := {p.name for p in parameters if [q.name for q in parameters].count(p.name) > 1}:
            raise Reason(f"its backward has several meanings of {', '.join(sorted(twice))}")
        return Backward(self.body, tuple(parameters), gives, names, taken, gives_list)

    def _guards(self) -> None:
        self.body = substituted(GUARD, b"", self.body)

    # what was saved

    def _saved(self) -> tuple[str, ...]:
        """Saved tensors by name, in the body and as they are called."""
        saved = self.forward.saved
        names = [f"saved_{_word(one, place)}" for place, one in enumerate(saved)]
        count = sum(not one.key for one in saved)  # those of saved_data are behind
        everything = rb"\b" + self.context + rb"\s*->\s*get_saved_variables\(\)"
        if saved and saved[0].source == "list":
            return self._whole_list(names, everything)
        listed = next(iter(found_in(_LOCAL + everything + _END, self.body)), None)
        whole = everything
        if listed:
            self.body = self.body[: listed.start()] + self.body[listed.end() :]
            whole = rb"(?:" + everything + rb"|(?<![\w.>])" + listed["name"] + rb")"
        element = whole + rb"\s*\[\s*(?P<index>\d+)\s*\]"

        def index_of(match: re.Match[bytes]) -> int:
            index = int(match["index"])
            if index >= count:
                raise Reason("its backward asks for a tensor that was not saved")
            return index

        for match in found_in(_LOCAL + element + _END, self.body):
            names[index_of(match)] = match["name"].decode()
        self.body = substituted(_LOCAL + element + _END, b"", self.body)
        self.body = substituted(element, lambda match: names[index_of(match)].encode(), self.body)
        if listed and found_in(rb"(?<![\w.>])" + listed["name"] + rb"\b", self.body):
            self._insert(b"std::vector<at::Tensor> %s = {%s};" % (listed["name"], ", ".join(names[:count]).encode()))
        self._keyed(names)
        return tuple(names)

    def _whole_list(self, names: list[str], everything: bytes) -> tuple[str, ...]:
        """The saved list as one parameter, under the name that the body gives it."""
        local = next(iter(found_in(_LOCAL + everything + _END, self.body)), None)
        if local:
            names[0] = local["name"].decode()
            self.body = self.body[: local.start()] + self.body[local.end() :]
        self.body = substituted(everything, names[0].encode(), self.body)
        self._keyed(names)
        return tuple(names)

    def _keyed(self, names: list[str]) -> None:
        """Tensors of saved_data, under the names that the body gives them."""
        places = {one.key: place for place, one in enumerate(self.forward.saved) if one.key}
        pattern = _TENSOR % self.context

        def named(match: re.Match[bytes]) -> bytes:
            if match["key"].decode() not in places:
                raise Reason(f"its backward reads {match['key'].decode()}, which is not kept")
            return names[places[match["key"].decode()]].encode()

        for match in found_in(_LOCAL + pattern + _END, self.body):
            if match["key"].decode() in places:
                names[places[match["key"].decode()]] = match["name"].decode()
        self.body = substituted(
            _LOCAL + pattern + _END, lambda match: b"" if named(match) == match["name"] else match.group(), self.body
        )
        self.body = substituted(pattern, named, self.body)

    def _insert(self, line: bytes) -> None:
        """Add a statement at the beginning of the body."""
        match = re.compile(rb"\{[ \t]*\n?(?P<indent>[ \t]*)").match(self.body)
        at = self.body.index(b"{") + 1
        indent = match["indent"] if match else b"  "
        self.body = self.body[:at] + b"\n" + indent + line + self.body[at:]

    def _missing(self, names: Sequence[str]) -> None:
        """A tensor that may be missing is passed as an optional, and is an undefined one in the body."""
        for name, one in zip(names, self.forward.saved, strict=True):
            if name and one.may_be_missing:
                self._insert(f"at::Tensor {name} = maybe_{name}.value_or(at::Tensor());".encode())

    def _tensor(self, name: str, one: Saved) -> Needed:
        if one.source == "list":
            return Needed("std::vector<at::Tensor>", name, python_name(name))
        if one.may_be_missing:
            return Needed("const std::optional<at::Tensor>&", f"maybe_{name}", python_name(name))
        kind = "at::Tensor" if assignments(self.body, name, self.changers) else "const at::Tensor&"
        return Needed(kind, name, python_name(name))

    # values

    def _values(self) -> None:
        kept = {value.key: value for value in self.forward.values}
        wrapped = b"|".join(re.escape(name.encode()) for name in sorted(self.converters)) or rb"(?!)"
        read = _READ % self.context

        def known(match: re.Match[bytes]) -> tuple[str, str]:
            key = match["key"].decode()
            kind = _TO.get(re.sub(r"\s", "", match["to"].decode()))
            if key not in kept or kind is None:
                raise Reason(f"its backward reads {key} in a way that is not known")
            return key, kind

        def named(match: re.Match[bytes]) -> bytes:
            key, kind = known(match)
            known_as = (p.name for p in self.values.values() if p.python == f"ctx.{kept[key].attribute}")
            declared = found_in(rb"[\w>&*]\s+[&*]?" + key.encode() + rb"\s*[={(;]", self.body)
            name = next(known_as, f"saved_{key}" if declared else key)
            self.values[name] = Needed(kind, name, f"ctx.{kept[key].attribute}")
            return name.encode()

        def local(match: re.Match[bytes]) -> bytes:
            key, kind = known(match)
            name = match["name"].decode()
            self.values[name] = Needed(kind, name, f"ctx.{kept[key].attribute}")
            return b""

        self.body = substituted(rb"\b(?:" + wrapped + rb")\s*\(\s*(" + read + rb")\s*\)", rb"\1", self.body)
        self.body = substituted(_LOCAL + read + _END, local, self.body)
        self.body = substituted(read, named, self.body)

    # gradients

    def _needed(self, names: Sequence[str]) -> None:
        """What asks whether the gradient of an argument is wanted."""
        tensors = [name for name, kind in self.types.items() if is_tensor(kind)]
        of = {name: one.text for name, one in zip(names, self.forward.saved, strict=True) if one.source == "input"}

        def need(argument: str) -> bytes:
            place = [name for _, name in self.arguments].index(argument)
            self.needs[argument] = Needed("bool", f"needs_{argument}", f"ctx.needs_input_grad[{place}]")
            return f"needs_{argument}".encode()

        def by_place(match: re.Match[bytes]) -> bytes:
            index = int(match["index"])
            if self.lists or index >= len(tensors) or any(is_optional(self.types[name]) for name in tensors[:index]):
                raise Reason("its backward asks for the gradient of an argument that cannot be told")
            return need(tensors[index])

        def by_name(match: re.Match[bytes]) -> bytes:
            asked = [part.strip().decode() for part in match["names"].split(b",") if part.strip()]
            if not asked or any(name not in of for name in asked):
                raise Reason("its backward asks whether what was no argument requires a gradient")
            texts = b" || ".join(need(of[name]) for name in asked)
            return texts if len(asked) == 1 else b"(" + texts + b")"

        pattern = rb"\b" + self.context + rb"\s*->\s*needs_input_grad\s*\(\s*(?P<index>\d+)\s*\)"
        self.body = substituted(pattern, by_place, self.body)
        self.body = substituted(_GRADIENTS, by_name, self.body)
        alone = rb"(?<![\w.>])(?P<names>" + (b"|".join(map(re.escape, map(str.encode, names))) or rb"(?!)")
        self.body = substituted(alone + rb")\s*\.\s*requires_grad\(\)", by_name, self.body)

    def _gradients(self) -> tuple[str, ...]:
        """The gradients of the results by name."""
        if self.forward.gives_list:
            if not self.forward.materializes:
                raise Reason("it gives a list of tensors, of which some may have no gradient")
            return (self.gradients.decode(),)
        count = self.forward.results
        is_alone = count == 1 and self.gradients != b"grad_output"
        names = ["grad_output"] if is_alone else [f"grad_output_{i}" for i in range(count)]
        element = rb"\b" + self.gradients + rb"\s*\[\s*(?P<index>\d+)\s*\]"

        def index_of(match: re.Match[bytes]) -> int:
            if int(match["index"]) >= count:
                raise Reason("its backward asks for a gradient of more results than forward has")
            return int(match["index"])

        for match in found_in(_LOCAL + element + _END, self.body):
            if is_bare(self.body, match.start() + len(match.group()) - len(match.group().lstrip())):
                names[index_of(match)] = match["name"].decode()

        def local(match: re.Match[bytes]) -> bytes:
            return b"" if names[index_of(match)] == match["name"].decode() else match.group()

        self.body = substituted(_LOCAL + element + _END, local, self.body)
        self.body = substituted(element, lambda match: names[index_of(match)].encode(), self.body)
        if says(self.body, self.gradients):
            self._insert(b"std::vector<at::Tensor> %s = {%s};" % (self.gradients, ", ".join(names).encode()))
        return tuple(names)

    def _gradient(self, name: str) -> Needed:
        if self.forward.gives_list:
            return Needed("std::vector<at::Tensor>", name, python_name(name))
        if not self.forward.materializes:
            self._insert(f"at::Tensor {name} = maybe_{name}.value_or(at::Tensor());".encode())
            return Needed("const std::optional<at::Tensor>&", f"maybe_{name}", python_name(name))
        kind = "at::Tensor" if assignments(self.body, name, self.changers) else "const at::Tensor&"
        return Needed(kind, name, python_name(name))

    # what it gives

    def _gives_list(self) -> bool:
        """Whether one list has the gradients: those of a list of tensors have no place of their own.

        Every `return` gives such a list then.
        """
        body = mask_comments(self.body)
        returns = returns_of(self.body)
        starts = []
        for one in returns:
            opening = _LIST.match(body, one.value_start)
            starts.append(opening.end() if opening else one.value_start)
        are_braces = [body[start : start + 1] == b"{" for start in starts]
        if not returns or (all(are_braces) and not self.lists):
            return False
        for one, start, is_brace in reversed(list(zip(returns, starts, are_braces, strict=True))):
            if is_brace:
                closing = closing_bracket(body, start)
                parts = [self.body[slice(*part)] for part in split_spans(body, start + 1, closing)]
                parts = [UNDEFINED.sub(b"at::Tensor()", p) if UNDEFINED.fullmatch(p.strip()) else p for p in parts]
                text = b"std::vector<at::Tensor>{" + b",".join(parts) + b"}"
                self.body = self.body[: one.value_start] + text + self.body[closing + 1 :]
        return True

    def _returned(self) -> tuple[int | None, ...]:
        """Make every `return` give the gradients that there are; their places."""
        count = len(self.arguments)
        found: list[tuple[int, int, list[bytes]]] = []
        body = mask_comments(self.body)
        for one in returns_of(self.body):
            opening = _LIST.match(body, one.value_start)
            start = opening.end() if opening else one.value_start
            if body[start : start + 1] != b"{":
                raise Reason("its backward has a `return` that is no list in braces")
            closing = closing_bracket(body, start)
            parts = [body[slice(*part)].strip() for part in split_spans(body, start + 1, closing)]
            parts = [part for part in parts if part]
            while len(parts) > count and UNDEFINED.fullmatch(parts[-1]):
                parts.pop()
            if len(parts) != count:
                raise Reason(f"its backward gives {len(parts)} gradients for {count} arguments")
            found.append((one.value_start, closing + 1, parts))
        if not found:
            raise Reason("its backward has no `return`")
        kept = [i for i in range(count) if any(not UNDEFINED.fullmatch(parts[i]) for _, _, parts in found)]
        if not kept:
            raise Reason("its backward gives no gradient")
        for start, end, parts in reversed(found):
            values = [
                UNDEFINED.sub(b"at::Tensor()", parts[i]) if UNDEFINED.fullmatch(parts[i]) else parts[i] for i in kept
            ]
            text = values[0] if len(values) == 1 else b"std::make_tuple(" + b", ".join(values) + b")"
            self.body = self.body[:start] + text + self.body[end:]
        places: Mapping[int, int] = {argument: place for place, argument in enumerate(kept)}
        return tuple(places.get(i) for i in range(count))


def _word(one: Saved, place: int) -> str:
    return one.key or (one.text if one.source in ("input", "list") else str(place))


def _one_by_one(body: bytes) -> bytes:
    """`auto a = saved[0], b = saved[1];` as two statements."""
    several = re.compile(
        rb"(?P<indent>[ \t]*)(?P<type>(?:const\s+)?auto)\s+(?P<all>\w+\s*=\s*\w+\s*\[\s*\d+\s*\]"
        rb"(?:\s*,\s*\w+\s*=\s*\w+\s*\[\s*\d+\s*\])+)\s*;"
    )

    def apart(match: re.Match[bytes]) -> bytes:
        parts = [part.strip() for part in match["all"].split(b",")]
        return b"\n".join(match["indent"] + match["type"] + b" " + part + b";" for part in parts)

    return substituted(several, apart, body)
