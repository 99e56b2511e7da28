"""What CMake's own commands do to variables and to the settings of targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from torch_stabilize.buildfiles.cmake.evaluate.conditions import is_for_another_gpu
from torch_stabilize.buildfiles.cmake.evaluate.run import Interpreter, Settings, scoped

Run = Callable[[Interpreter, list[str]], None]


def _set(on: Interpreter, words: list[str]) -> None:
    if not words:
        return
    name, *values = words
    if "CACHE" in values:
        on.set_cached(name, ";".join(values[: values.index("CACHE")]))
        return
    for_parent = bool(values) and values[-1] == "PARENT_SCOPE"
    values = values[:-1] if for_parent else values
    on.set(name, ";".join(values) if values else None, for_parent=for_parent)


def _unset(on: Interpreter, words: list[str]) -> None:
    on.set(words[0], None, for_parent="PARENT_SCOPE" in words)


def _option(on: Interpreter, words: list[str]) -> None:
    on.set_cached(words[0], words[2] if len(words) > 2 else "OFF")


def _find_package(on: Interpreter, words: list[str]) -> None:
    name = words[0]
    is_cuda = "CUDA" in name.upper()
    if is_for_another_gpu(name) or (is_cuda and not on.with_cuda):
        return
    for found in (f"{name}_FOUND", f"{name.upper()}_FOUND"):
        on.set(found, "TRUE")


def _list(on: Interpreter, words: list[str]) -> None:
    if len(words) < 2:
        return
    what, name, *values = words
    held = [value for value in (on.value(name) or "").split(";") if value]
    what = what.upper()
    if what == "APPEND":
        held += values
    elif what == "PREPEND":
        held = [*values, *held]
    elif what == "REMOVE_ITEM":
        held = [value for value in held if value not in values]
    elif what == "REMOVE_DUPLICATES":
        held = list(dict.fromkeys(held))
    elif what == "FILTER" and len(values) == 3:
        held = _filtered(held, values[0] == "INCLUDE", values[2])
    elif what == "SORT":
        natural = "NATURAL" in values
        held.sort(key=lambda value: _natural(value) if natural else [(0, value)])
        if "DESCENDING" in values:
            held.reverse()
    elif what == "REVERSE":
        held.reverse()
    elif what == "TRANSFORM" and values[:1] in (["PREPEND"], ["APPEND"]) and len(values) == 2:
        held = [values[1] + one if values[0] == "PREPEND" else one + values[1] for one in held]
    else:
        _read_list(on, what, held, values)
        return
    on.set(name, ";".join(held))


def _read_list(on: Interpreter, what: str, held: Sequence[str], values: Sequence[str]) -> None:
    """The forms of `list` that leave the list as it is and answer in another variable."""
    if what == "LENGTH" and values:
        on.set(values[0], str(len(held)))
    elif what == "GET" and len(values) >= 2:
        places = [int(place) for place in values[:-1] if re.fullmatch(r"-?\d+", place)]
        on.set(values[-1], ";".join(held[place] for place in places if -len(held) <= place < len(held)))
    elif what == "FIND" and len(values) == 2:
        on.set(values[1], str(held.index(values[0])) if values[0] in held else "-1")
    elif what == "JOIN" and len(values) == 2:
        on.set(values[1], values[0].join(held))


def _filtered(held: Sequence[str], keep: bool, pattern: str) -> list[str]:
    try:
        return [value for value in held if (re.search(pattern, value) is not None) == keep]
    except re.error:
        return list(held)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _string(on: Interpreter, words: list[str]) -> None:
    what, *rest = words or [""]
    what = what.upper()
    if what in ("APPEND", "PREPEND") and rest:
        text = "".join(rest[1:])
        was = on.value(rest[0]) or ""
        on.set(rest[0], was + text if what == "APPEND" else text + was)
    elif what == "CONCAT" and rest:
        on.set(rest[0], "".join(rest[1:]))
    elif what == "JOIN" and len(rest) > 1:
        on.set(rest[1], rest[0].join(rest[2:]))
    elif what in ("TOUPPER", "TOLOWER", "STRIP", "LENGTH") and len(rest) == 2:
        change: dict[str, Callable[[str], str]] = {
            "TOUPPER": str.upper, "TOLOWER": str.lower, "STRIP": str.strip, "LENGTH": lambda text: str(len(text)),
        }  # fmt: skip
        on.set(rest[1], change[what](rest[0]))
    elif what == "REPLACE" and len(rest) >= 4:
        on.set(rest[2], "".join(rest[3:]).replace(rest[0], rest[1]))
    elif what == "FIND" and len(rest) >= 3:
        on.set(rest[2], str(rest[0].rfind(rest[1]) if "REVERSE" in rest[3:] else rest[0].find(rest[1])))
    elif what == "SUBSTRING" and len(rest) == 4:
        _substring(on, rest)
    elif what == "REGEX":
        _regex(on, rest)


def _substring(on: Interpreter, rest: Sequence[str]) -> None:
    text, begin, length, name = rest
    if re.fullmatch(r"\d+", begin) and re.fullmatch(r"-?\d+", length):
        end = len(text) if int(length) < 0 else int(begin) + int(length)
        on.set(name, text[int(begin) : end])


def _regex(on: Interpreter, rest: Sequence[str]) -> None:
    if len(rest) < 3:
        return
    what, pattern, *more = rest
    try:
        expression = re.compile(pattern)
    except re.error:
        return
    if what == "REPLACE" and len(more) >= 2:
        by, name, *texts = more
        replacement = re.sub(r"\\(\d)", r"\\g<\1>", by)
        try:
            on.set(name, expression.sub(replacement, "".join(texts)))
        except (re.error, IndexError):
            on.set(name, "".join(texts))
    elif what in ("MATCH", "MATCHALL") and more:
        name, *texts = more
        found = list(expression.finditer("".join(texts)))
        on.set(name, ";".join(match[0] for match in (found if what == "MATCHALL" else found[:1])))
        if found and what == "MATCH":
            for index, group in enumerate((found[0][0], *found[0].groups())):
                on.set(f"CMAKE_MATCH_{index}", group or "")


def _parse_arguments(on: Interpreter, words: list[str]) -> None:
    """`cmake_parse_arguments`: options, keywords with one value, keywords with several."""
    if words[:1] == ["PARSE_ARGV"]:
        skipped = int(words[1]) if words[1].isdigit() else 0
        given = (on.value("ARGV") or "").split(";")[skipped:]
        prefix, *kinds = words[2:6]
    else:
        prefix, *kinds = words[:4]
        given = words[4:]
    if len(kinds) < 3:
        return
    options, singles, multiples = (kind.split(";") for kind in kinds)
    found: dict[str, list[str]] = {}
    current = ""
    rest: list[str] = []
    for word in given:
        if word in options and word:
            found[word], current = ["TRUE"], ""
        elif word in (*singles, *multiples) and word:
            current = word
            found.setdefault(word, [])
        elif current:
            found[current].append(word)
            current = "" if current in singles else current
        else:
            rest.append(word)
    for name in (*options, *singles, *multiples):
        held = ";".join(found[name]) if name in found else None
        on.set(f"{prefix}_{name}", held if held is not None or name not in options else "FALSE")
    on.set(f"{prefix}_UNPARSED_ARGUMENTS", ";".join(rest) or None)


def _file(on: Interpreter, words: list[str]) -> None:
    """`file(READ|STRINGS FILE VARIABLE ...)` of a file of the project: a version, a number, a list."""
    what, *rest = words or [""]
    if what.upper() not in ("READ", "STRINGS") or len(rest) < 2:
        return
    path, name, *options = on.path(rest[0]), *rest[1:]
    if not on.snapshot.exists(path):
        return
    text = on.snapshot.read(path).decode("utf-8", "replace")
    if what.upper() == "READ":
        on.set(name, text if not options else None)
        return
    lines = [line for line in text.splitlines() if line]
    if "REGEX" in options:
        try:
            wanted = re.compile(options[options.index("REGEX") + 1])
        except (re.error, IndexError):
            return
        lines = [line for line in lines if wanted.search(line)]
    if "LIMIT_COUNT" in options:
        lines = lines[: int(options[options.index("LIMIT_COUNT") + 1])]
    on.set(name, ";".join(lines))


def _include(on: Interpreter, words: list[str]) -> None:
    on.include(words[0])


def _subdirectory(on: Interpreter, words: list[str]) -> None:
    on.subdirectory(words[0])


def _definition(word: str) -> str:
    return word if word.startswith(("-D", "/D", "$<")) else f"-D{word}"


def _target_definitions(on: Interpreter, words: list[str]) -> None:
    _given(on.settings(words[0]), [(scope, _definition(word)) for scope, word in scoped(words[1:])])


def _target_options(on: Interpreter, words: list[str]) -> None:
    _given(on.settings(words[0]), list(scoped(words[1:])))


def _given(target: Settings, given: Sequence[tuple[str, str]]) -> None:
    for scope, word in given:
        if scope != "INTERFACE":
            target.options.append(word)
        if scope != "PRIVATE":
            target.handed_on.append(word)


def _target_links(on: Interpreter, words: list[str]) -> None:
    on.settings(words[0]).links += [word for _, word in scoped(words[1:])]


def _target_sources(on: Interpreter, words: list[str]) -> None:
    on.settings(words[0]).sources += [on.path(word) for _, word in scoped(words[1:])]


def _directory_definitions(on: Interpreter, words: list[str]) -> None:
    _to_directory(on, [_definition(word) for word in words])


def _directory_options(on: Interpreter, words: list[str]) -> None:
    _to_directory(on, words)


def _to_directory(on: Interpreter, words: Sequence[str]) -> None:
    """For the targets of this folder, those defined before too."""
    on.directory.options += words


def _target_properties(on: Interpreter, words: list[str]) -> None:
    names, values = _around(words, "PROPERTIES")
    for name in names:
        for key, value in zip(values[::2], values[1::2], strict=False):
            _property(on.settings(name), key, [value])


def _source_properties(on: Interpreter, words: list[str]) -> None:
    names, values = _around(words, "PROPERTIES")
    for name in names:
        for key, value in zip(values[::2], values[1::2], strict=False):
            _property(on.sources.setdefault(on.path(name), Settings()), key, [value])


def _set_property(on: Interpreter, words: list[str]) -> None:
    names, values = _around(words, "PROPERTY")
    if not names or not values:
        return
    kind, *names = names
    for name in (name for name in names if name not in ("APPEND", "APPEND_STRING")):
        if kind == "TARGET":
            _property(on.settings(name), values[0], values[1:])
        elif kind == "SOURCE":
            _property(on.sources.setdefault(on.path(name), Settings()), values[0], values[1:])


def _around(words: Sequence[str], keyword: str) -> tuple[list[str], list[str]]:
    if keyword not in words:
        return [], []
    place = list(words).index(keyword)
    return list(words[:place]), list(words[place + 1 :])


def _property(of: Settings, key: str, values: Sequence[str]) -> None:
    joined = ";".join(values)
    if key == "COMPILE_DEFINITIONS":
        of.options += [_definition(word) for word in joined.split(";") if word]
    elif key == "COMPILE_OPTIONS":
        of.options.append(joined)
    elif key == "COMPILE_FLAGS":
        of.options += joined.split()
    elif key in ("INTERFACE_COMPILE_DEFINITIONS", "INTERFACE_COMPILE_OPTIONS"):
        words = [word for word in joined.split(";") if word]
        of.handed_on += map(_definition, words) if key.endswith("DEFINITIONS") else words


def _math(on: Interpreter, words: list[str]) -> None:
    match = re.fullmatch(r"\s*(-?\d+)\s*([-+*/%])\s*(-?\d+)\s*", words[2]) if len(words) > 2 else None
    if match is None:
        return
    one, other = int(match[1]), int(match[3])
    results = {"+": one + other, "-": one - other, "*": one * other}
    results |= {"/": one // other, "%": one % other} if other else {}
    if match[2] in results:
        on.set(words[1], str(results[match[2]]))


def _project(on: Interpreter, words: list[str]) -> None:
    on.set("PROJECT_NAME", words[0])
    on.set("PROJECT_SOURCE_DIR", f"/{on.folder}")


COMMANDS: dict[str, Run] = {
    "set": _set,
    "unset": _unset,
    "option": _option,
    "find_package": _find_package,
    "list": _list,
    "string": _string,
    "math": _math,
    "project": _project,
    "cmake_parse_arguments": _parse_arguments,
    "file": _file,
    "include": _include,
    "add_subdirectory": _subdirectory,
    "target_compile_definitions": _target_definitions,
    "target_compile_options": _target_options,
    "target_link_libraries": _target_links,
    "target_sources": _target_sources,
    "add_compile_definitions": _directory_definitions,
    "add_definitions": _directory_definitions,
    "add_compile_options": _directory_options,
    "set_target_properties": _target_properties,
    "set_source_files_properties": _source_properties,
    "set_property": _set_property,
}
