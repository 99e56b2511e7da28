"""Generator expressions: `$<$<COMPILE_LANGUAGE:CUDA>:-DX>`, evaluated for one language of a release build."""

from __future__ import annotations

from torch_stabilize.buildfiles.cmake.evaluate.conditions import is_true

_CONFIGURATION = "RELEASE"


def evaluated(text: str, language: str) -> str:
    """`text` without generator expressions; one that is not known becomes nothing."""
    out: list[str] = []
    place = 0
    while (begin := text.find("$<", place)) >= 0:
        end = _closing(text, begin + 2)
        if end < 0:
            break
        out += [text[place:begin], _expression(text[begin + 2 : end], language)]
        place = end + 1
    return "".join([*out, text[place:]])


def _closing(text: str, place: int) -> int:
    depth = 1
    while place < len(text):
        if text.startswith("$<", place):
            depth += 1
            place += 1
        elif text[place] == ">":
            depth -= 1
            if not depth:
                return place
        place += 1
    return -1


def _expression(inner: str, language: str) -> str:
    name, *rests = split_outside(inner, ":", 1)
    rest = "".join(rests)
    name = evaluated(name, language)
    if name == "1":
        return evaluated(rest, language)
    if name in ("0", "INSTALL_INTERFACE"):
        return ""
    value = evaluated(rest, language)
    if name == "BUILD_INTERFACE":
        return value
    words = value.split(",")
    if name in ("COMPILE_LANGUAGE", "COMPILE_LANG_AND_ID"):
        known = words if name == "COMPILE_LANGUAGE" else words[:1]
        return _bit(language in known)
    if name == "CONFIG":
        return _bit(_CONFIGURATION in [word.upper() for word in words])
    if name == "BOOL":
        return _bit(is_true(value))
    if name == "NOT":
        return _bit(value != "1")
    if name == "AND":
        return _bit(all(word == "1" for word in words))
    if name == "OR":
        return _bit(any(word == "1" for word in words))
    if name == "STREQUAL" and len(words) == 2:
        return _bit(words[0] == words[1])
    if name == "IF" and len(words) == 3:
        return words[1] if words[0] == "1" else words[2]
    return {"SEMICOLON": ";", "COMMA": ",", "ANGLE-R": ">"}.get(name, "")


def split_outside(text: str, separator: str, at_most: int = -1) -> list[str]:
    """`text` split at a separator that is in no generator expression, `at_most` times where that is not negative."""
    found: list[str] = []
    depth = start = 0
    for index, character in enumerate(text):
        if text.startswith("$<", index):
            depth += 1
        elif character == ">" and depth:
            depth -= 1
        elif character == separator and not depth and len(found) != at_most:
            found.append(text[start:index])
            start = index + 1
    return [*found, text[start:]]


def _bit(value: bool) -> str:
    return "1" if value else "0"
