"""A function template as one of its instances: `&count<uint32_t>` takes what `count` takes with T = uint32_t."""

from __future__ import annotations

import re

from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import split_arguments

_PARAMETER = re.compile(
    r"(?:typename|class|bool|int|unsigned|size_t|u?int\d+_t|auto|(?:\w+::)+\w+)\s+(?P<name>\w+)\s*(?:=\s*(?P<default>.+))?$",
    re.DOTALL,
)


def instantiated(function: Function, arguments: str) -> Function:
    """`function` with its template parameters replaced by `arguments` ("<float, 4>"), or by their defaults."""
    if not function.template:
        return function
    _, _, inside = function.template.partition("<")
    given = split_arguments(arguments.strip()[1:-1]) if arguments.strip() else []
    values: dict[str, str] = {}
    for index, text in enumerate(split_arguments(inside.rpartition(">")[0])):
        parameter = _PARAMETER.match(text.strip())
        if parameter is None:
            break  # a pack, or a template of templates
        value = given[index] if index < len(given) else parameter["default"] or ""
        if value:
            values[parameter["name"]] = value.strip()
    if not values:
        return function
    names = re.compile(rf"(?<!::)\b(?:{'|'.join(map(re.escape, values))})\b(?!\s*::)")

    def filled(text: str) -> str:
        return names.sub(lambda match: values[match[0]], text)

    parameters = tuple(one._replace(type_text=filled(one.type_text)) for one in function.parameters)
    return function._replace(parameters=parameters, return_type=filled(function.return_type))
