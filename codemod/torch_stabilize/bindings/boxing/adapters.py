"""What TORCH_BOX takes, and the thin adapters for what it gets wrong without a word: int, float, const char*, ...

The stable boxing copies every argument out of a 64-bit slot by the C++ type of the parameter. For a type it does not
know it copies the wrong bytes, so such a function is registered through an adapter whose parameters it does know.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch_stabilize.bindings.schemas.infer import read_type, unaliased
from torch_stabilize.bindings.writing.translate import stable_declaration
from torch_stabilize.source.parameters import Parameter
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import CppType, parse_type, split_arguments
from torch_stabilize.surface.versions import known_versions, parse_version

_NARROW_INT_LIST = (
    "int long short unsigned size_t ssize_t int32_t uint32_t uint64_t int16_t uint16_t int8_t uint8_t ptrdiff_t "
    "uintptr_t Py_ssize_t uint ushort ulong"
)
_NARROW_INT = frozenset(_NARROW_INT_LIST.split()) | {
    "unsigned int",
    "long long",
    "unsigned long",
    "unsigned long long",
    "long int",
    "unsigned short",
}
# The bits of a std::vector<bool> have no addresses; the boxing copies the array before the thread comes back here.
_BOOLS = "torch::headeronly::HeaderOnlyArrayRef<bool>"
_BOOLS__KEPT = (
    "static thread_local std::unique_ptr<bool[]> values;",
    "values = std::make_unique<bool[]>(result.size());",
    "std::copy(result.begin(), result.end(), values.get());",
)
_CONST_INSIDE = re.compile(r"(?<=<)\s*const\s+(?=[\w:]+\s*>)|(?<=\w)\s+const\s*(?=>)")
_VARIABLE = re.compile(r"\A(?!\s*const\b)[^&]*(?<!const)\s*&\s*\Z")  # a reference through which one may write
_KEPT = ("",)  # the result is needed more than once
_NO_FORM = {
    "Scalar": "a Scalar cannot pass the stable boxing; give the schema an int or a float",
    "Storage": "a Storage cannot pass the stable boxing",
    "Stream": "a Stream cannot pass the stable boxing; pass its id",
    "Dict": "a Dict cannot pass the stable boxing",
    "complex": "a complex number cannot pass the stable boxing; pass its parts",
    "Half": "a Half cannot pass the stable boxing; pass a float",
    "BFloat16": "a BFloat16 cannot pass the stable boxing; pass a float",
    "DeviceType": "a DeviceType cannot pass the stable boxing; pass a Device",
    "intrusive_ptr": "custom classes cannot pass the stable boxing",
}


class Passed(NamedTuple):
    """How one parameter of an adapter reaches the function: its type, statements before the call, the argument."""

    type_text: str
    argument: str
    before: tuple[str, ...] = ()


class Adapter(NamedTuple):
    """A function with parameters that TORCH_BOX takes, which calls the one that has others.

    `conditions` are those of its registration: without them it would call what is not there.
    """

    name: str
    text: str
    conditions: tuple[str, ...] = ()


def adapters_text(adapters: Sequence[Adapter]) -> str:
    """The adapters as they stand in a file, those of one condition inside one `#if`."""
    runs = [
        (key, [one.text for one in run]) for key, run in itertools.groupby(adapters, key=lambda one: one.conditions)
    ]
    return "\n\n".join(
        "\n".join([*conditions, "\n\n".join(texts), *["#endif"] * len(conditions)]) for conditions, texts in runs
    )


class Boxing(NamedTuple):
    """What registering a function takes: nothing, an adapter, or more than a tool can do (`problems`)."""

    adapter: Adapter | None = None
    problems: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def boxing_for(
    function: Function,
    aliases: Mapping[str, str],
    *,
    target: str,
    adapter_name: str,
    call: str,
    needs_name: bool = False,
    gives: bool = True,
) -> Boxing:
    """Whether `function` can be boxed as it is; `needs_name` asks for an adapter in any case (one of an overload set).

    Without `gives` there is an adapter that keeps the result to itself.
    `target` is the oldest torch that has to run it, `call` is how the function is named in the adapter.
    """
    passed: list[Passed] = []
    problems: list[str] = []
    reasons: list[str] = []
    function = function._replace(parameters=tuple(
        parameter._replace(name=parameter.name or f"arg{index}") for index, parameter in enumerate(function.parameters)
    ))  # fmt: skip
    for parameter in function.parameters:
        how = _parameter(parameter, aliases, function.name)
        if isinstance(how, str):
            problems.append(f"parameter `{parameter.name}`: {how}")
            continue
        if how.type_text != parameter.type_text:
            reasons.append(f"`{parameter.type_text} {parameter.name}`")
        if floor := _floor(how.type_text, aliases, target):
            problems.append(f"parameter `{parameter.name}`: `{how.type_text}` can be passed from torch {floor} on")
        passed.append(how)
    if not gives:
        function = function._replace(return_type="void")
    returned = _returned(function.return_type, aliases)
    if isinstance(returned, str):
        problems.append(f"return value: {returned}")
        return Boxing(None, tuple(problems))
    if returned.type_text != function.return_type:
        reasons.append(f"the return type `{function.return_type}`")
    if problems or not (reasons or needs_name or not gives):
        return Boxing(None, tuple(problems))
    adapter = _adapter(function, passed, returned, adapter_name, call)
    why = _why(reasons) if gives else _KEPT_BACK
    return Boxing(Adapter(adapter.name, f"{why}\n{adapter.text}"), (), tuple(reasons))


_KEPT_BACK = "// What it gives back is an argument, which no compiler takes from an operator: Python returns it."


def _why(reasons: list[str]) -> str:
    if not reasons:
        return "// Picks one overload: TORCH_BOX takes no overload set."
    return f"// TORCH_BOX cannot pass {listed(reasons).replace('`', '')}."


def listed(parts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _adapter(function: Function, passed: list[Passed], returned: Passed, name: str, call: str) -> Adapter:
    parameters = ", ".join(
        f"{how.type_text} {parameter.name}" for how, parameter in zip(passed, function.parameters, strict=True)
    )
    head = stable_declaration(f"static {returned.type_text} {name}({parameters});").rstrip().rstrip(";")
    before = [line for how in passed for line in how.before]
    arguments = ", ".join(how.argument for how in passed)
    called = f"{call}({arguments})"
    if function.return_type == "void":
        body = [*before, f"{called};"]
    elif returned.before:
        body = [*before, f"auto result = {called};", *filter(None, returned.before), f"return {returned.argument};"]
    else:
        body = [*before, f"return {returned.argument.replace('result', called)};"]
    lines = "\n".join(f"  {line}" for line in body)
    return Adapter(name, stable_text(f"{head} {{\n{lines}\n}}"))


def stable_text(text: str) -> str:
    """Code with `std::` spellings of what c10 used to alias."""
    return re.sub(r"\b(?:c10|at|torch)::(optional|nullopt)\b", r"std::\1", text)


def _parameter(parameter: Parameter, aliases: Mapping[str, str], function: str) -> Passed | str:
    """How a parameter passes, or why it cannot."""
    written = unaliased(parameter.type_text, aliases)
    kind = parse_type(written)
    name = parameter.name
    if written.rstrip().endswith("&&"):  # the boxing has names, and a name does not bind to it
        taken = parameter.type_text.rstrip().removesuffix("&&")
        how = _parameter(parameter._replace(type_text=taken), aliases, function)
        is_named = isinstance(how, Passed) and how.argument.isidentifier()
        return how._replace(argument=f"std::move({how.argument})") if isinstance(how, Passed) and is_named else how
    if kind.name == "char" and kind.pointers == 1:
        return Passed("const std::string&", f"{name}.c_str()")
    if kind.pointers:
        return f"a pointer (`{parameter.type_text}`) cannot pass the stable boxing"
    if kind.name in _NO_FORM:
        return _NO_FORM[kind.name]
    if _is_narrow(kind):
        return Passed(_wide(kind), f"static_cast<{_bare(written)}>({name})")
    if kind.name == "optional" and kind.arguments:
        return _optional(parameter, written, kind.arguments[0], function)
    if kind.name == "vector" and kind.arguments and _is_narrow(kind.arguments[0]):
        wide = _wide(kind.arguments[0])
        return Passed(f"const std::vector<{wide}>&", f"{_bare(written)}({name}.begin(), {name}.end())")
    if kind.name == "array" and kind.arguments:
        return _array(parameter, written)
    if kind.name == "tuple":
        return _tuple(parameter, written, kind, function)
    return Passed(parameter.type_text, name)


def _floor(text: str, aliases: Mapping[str, str], target: str) -> str:
    """The oldest torch whose boxing takes a parameter type, "" where the target has it."""
    words = set(re.findall(r"\w+", unaliased(text, aliases)))
    floor = next((floor for floor, names in known_versions().boxed.items() if words & names), "")
    return floor if floor and parse_version(target) < parse_version(floor) else ""


def _is_narrow(kind: CppType) -> bool:
    return not kind.pointers and (kind.name in _NARROW_INT or kind.name == "float")


def _wide(kind: CppType) -> str:
    return "double" if kind.name == "float" else "int64_t"


def _bare(text: str) -> str:
    """A type without const and reference."""
    return re.sub(r"^const\s+|\s+const$|[&\s]+$", "", re.sub(r"[&\s]+$", "", text)).strip()


def _optional(parameter: Parameter, written: str, inner: CppType, function: str) -> Passed | str:
    name = parameter.name
    if inner.name in _NO_FORM:
        return _NO_FORM[inner.name]
    if _is_narrow(inner):
        bare = _bare(written)
        cast = re.sub(r"^(?:std|c10|at|torch)::optional\s*<\s*(.*?)\s*>$", r"\1", bare)
        value = f"{name}.has_value() ? {bare}(static_cast<{cast}>(*{name})) : std::nullopt"
        return Passed(f"std::optional<{_wide(inner)}>", value)
    if re.search(r"\bstring_view\s*>", written):
        value = f"{name}.has_value() ? {_bare(written)}(*{name}) : std::nullopt"
        return Passed("const std::optional<std::string>&", value)
    if inner.name == "tuple":
        element = _tuple_element(inner)
        if element is None:
            return f"a tuple of different types (`{parameter.type_text}`) cannot pass the stable boxing"
        size = len(inner.arguments)
        inside = _bare(written).partition("<")[2].rpartition(">")[0]
        values = _tuple_parts(inner, inside, f"(*{name})")
        local = f"{name}_values"
        before = (
            f"{_bare(written)} {local};",
            f"if ({name}.has_value()) {{",
            f'  STD_TORCH_CHECK({name}->size() == {size}, "{function}: {name} takes {size} values");',
            f"  {local} = std::make_tuple({values});",
            "}",
        )
        return Passed(f"const std::optional<std::vector<{element}>>&", local, before)
    if _CONST_INSIDE.search(written):  # the boxing reads values into what it makes
        taken = _CONST_INSIDE.sub("", written)
        if not _VARIABLE.search(written):
            return Passed(taken, name)
        local = f"{name}_value"  # another type: a reference that is not const cannot be bound to the result
        made = stable_declaration(f"{_bare(written)} {local};").rstrip()
        return Passed(taken, local, (made, f"if ({name}.has_value()) {local}.emplace(*{name});"))
    return Passed(parameter.type_text, name)


def _array(parameter: Parameter, written: str) -> Passed | str:
    match = re.search(r"\barray\s*<\s*(?P<of>.+?)\s*,\s*(?P<size>[\w:]+)\s*>", written)
    if match is None:
        return f"`{parameter.type_text}` cannot pass the stable boxing"
    name, size = parameter.name, match["size"]
    wide = _wide(parse_type(match["of"])) if _is_narrow(parse_type(match["of"])) else match["of"]
    local = f"{name}_values"
    before = (
        f'STD_TORCH_CHECK({name}.size() == {size}, "{name} takes {size} values");',
        f"{_bare(written)} {local};",
        f"std::copy({name}.begin(), {name}.end(), {local}.begin());",
    )
    return Passed(f"const std::vector<{wide}>&", local, before)


def _tuple_element(kind: CppType) -> str | None:
    """What a list has to hold for all parts of a tuple to come from it."""
    kinds = {_wide(argument) if _is_narrow(argument) else argument.name for argument in kind.arguments}
    return kinds.pop() if len(kinds) == 1 and kinds <= {"int64_t", "double", "bool"} else None


def _tuple_parts(kind: CppType, written: str, values: str) -> str:
    """The parts of a tuple out of the list `values`, narrowed where they are narrow."""
    inside = split_arguments(_bare(written).partition("<")[2].rpartition(">")[0])
    return ", ".join(
        f"static_cast<{text}>({values}[{index}])" if _is_narrow(argument) else f"{values}[{index}]"
        for index, (argument, text) in enumerate(zip(kind.arguments, inside, strict=True))
    )


def _tuple(parameter: Parameter, written: str, kind: CppType, function: str) -> Passed | str:
    element = _tuple_element(kind)
    if element is None:
        return f"a tuple of different types (`{parameter.type_text}`) cannot pass the stable boxing"
    name, size = parameter.name, len(kind.arguments)
    before = (f'STD_TORCH_CHECK({name}.size() == {size}, "{function}: {name} takes {size} values");',)
    return Passed(f"const std::vector<{element}>&", f"{_bare(written)}({_tuple_parts(kind, written, name)})", before)


def _returned(text: str, aliases: Mapping[str, str]) -> Passed | str:
    """How the result leaves the adapter: `result` represents the call."""
    if text == "void":
        return Passed("void", "result")
    written = unaliased(text, aliases)
    kind = parse_type(written)
    if kind.name == "char" and kind.pointers == 1:
        return Passed("std::string", "std::string(result)")
    if kind.name == "vector" and kind.arguments and kind.arguments[0].name == "bool":
        return Passed(_BOOLS, f"{_BOOLS}(values.get(), result.size())", _BOOLS__KEPT)
    if kind.pointers or kind.name in _NO_FORM:
        return f"`{text}` cannot be returned through the stable boxing"
    if kind.is_tensor and (kind.reference or kind.const):
        return Passed(_bare(written), "result")
    if _is_narrow(kind):
        return Passed(_wide(kind), f"static_cast<{_wide(kind)}>(result)")
    if re.search(r"\bstring_view\b", written) and kind.name == "string":
        return Passed("std::string", "std::string(result)")
    if kind.name == "array" and kind.arguments:
        element = re.sub(r".*array\s*<\s*(.+?)\s*,.*", r"\1", written)
        made = "std::vector" if kind.arguments[0].is_tensor else f"std::vector<{element}>"  # of the stable type
        return Passed(f"std::vector<{element}>", f"{made}(result.begin(), result.end())", _KEPT)
    if kind.name == "tuple" and (returned := _returned_tuple(written, kind)) is not None:
        return returned
    if kind.name == "vector" and kind.arguments and _is_narrow(kind.arguments[0]):
        wide = f"std::vector<{_wide(kind.arguments[0])}>"
        return Passed(wide, f"{wide}(result.begin(), result.end())", _KEPT)
    if kind.name == "optional" and kind.arguments and _is_narrow(kind.arguments[0]):
        wide = f"std::optional<{_wide(kind.arguments[0])}>"
        return Passed(wide, f"result.has_value() ? {wide}(*result) : std::nullopt", _KEPT)
    if read_type(text, aliases) is None and kind.name not in ("tuple", "vector", "optional"):
        return f"`{text}` cannot be returned through the stable boxing"
    return Passed(text, "result")


def _returned_tuple(written: str, kind: CppType) -> Passed | None:
    """A pair, or a tuple with a part that the boxing gets wrong, as a tuple that it takes; None for other tuples."""
    is_pair = re.match(r"(?:const\s+)?std::pair\b", written) is not None
    if not is_pair and not any(map(_is_narrow, kind.arguments)):
        return None
    if is_pair and len(kind.arguments) != 2:
        return None
    parts = [f"std::get<{index}>(result)" for index in range(len(kind.arguments))]
    if is_pair:
        parts = ["result.first", "result.second"]
    parts = [
        f"static_cast<{_wide(argument)}>({part})" if _is_narrow(argument) else part
        for part, argument in zip(parts, kind.arguments, strict=True)
    ]
    inside = _bare(written).partition("<")[2].rpartition(">")[0]
    types = [
        _wide(argument) if _is_narrow(argument) else text
        for text, argument in zip(split_arguments(inside), kind.arguments, strict=True)
    ]
    return Passed(f"std::tuple<{', '.join(types)}>", f"std::make_tuple({', '.join(parts)})", _KEPT)
