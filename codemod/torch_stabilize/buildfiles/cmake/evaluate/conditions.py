"""The conditions of `if`, `elseif` and `while`, with the values that variables have at that moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[()]|[^\s()"]+')
_TRUE = frozenset(("1", "ON", "YES", "TRUE", "Y"))
_FALSE = frozenset(("0", "OFF", "NO", "FALSE", "N", "IGNORE", "NOTFOUND", ""))
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")
_OTHER_GPU = frozenset(("HIP", "ROCM", "MUSA", "XPU", "SYCL", "METAL", "MPS", "NPU"))


class Scope(Protocol):
    """What conditions ask of the interpreter."""

    def value(self, name: str) -> str | None:
        """The value of a variable; None where it has none."""

    def expand(self, text: str) -> str:
        """`text` with its variables replaced."""

    def is_target(self, name: str) -> bool:
        """Whether a target of that name was defined."""

    def is_command(self, name: str) -> bool:
        """Whether a function or macro of that name was defined."""

    def is_path(self, text: str) -> bool:
        """Whether that file or folder is one of the repository."""


def holds(condition: str, scope: Scope) -> bool:
    """Whether `condition`, as `Branch.condition` has it, holds."""
    return _Reader(_TOKEN.findall(condition), scope).whole()


def is_true(text: str) -> bool:
    """Whether a value is one that CMake takes for true."""
    upper = text.upper()
    if upper in _FALSE or upper.endswith("-NOTFOUND"):
        return False
    return upper in _TRUE or not _NUMBER.match(text) or float(text) != 0


def is_for_another_gpu(name: str) -> bool:
    """Whether a variable is about a GPU that is not NVIDIA's."""
    return bool(_OTHER_GPU.intersection(name.upper().split("_")))


def compare_versions(first: str, second: str) -> int:
    """-1, 0 or 1, as version `first` is older, the same or newer."""
    one, other = (_parts(text) for text in (first, second))
    length = max(len(one), len(other))
    one += [0] * (length - len(one))
    other += [0] * (length - len(other))
    return (one > other) - (one < other)


def _parts(text: str) -> list[int]:
    numbers = (re.match(r"\d+", part) for part in text.split("."))
    return [int(match[0]) if match else 0 for match in numbers]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def run(first: str, second: str) -> bool:
        one, other = _number(first), _number(second)
        return one is not None and other is not None and compare(one, other)

    return run


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "STREQUAL": lambda a, b: a == b,
    "STRLESS": lambda a, b: a < b,
    "STRGREATER": lambda a, b: a > b,
    "STRLESS_EQUAL": lambda a, b: a <= b,
    "STRGREATER_EQUAL": lambda a, b: a >= b,
    "PATH_EQUAL": lambda a, b: a == b,
    "EQUAL": _numbers(lambda a, b: a == b),
    "LESS": _numbers(lambda a, b: a < b),
    "GREATER": _numbers(lambda a, b: a > b),
    "LESS_EQUAL": _numbers(lambda a, b: a <= b),
    "GREATER_EQUAL": _numbers(lambda a, b: a >= b),
    "VERSION_EQUAL": lambda a, b: compare_versions(a, b) == 0,
    "VERSION_LESS": lambda a, b: compare_versions(a, b) < 0,
    "VERSION_GREATER": lambda a, b: compare_versions(a, b) > 0,
    "VERSION_LESS_EQUAL": lambda a, b: compare_versions(a, b) <= 0,
    "VERSION_GREATER_EQUAL": lambda a, b: compare_versions(a, b) >= 0,
}
_UNARY = frozenset(
    ("DEFINED", "TARGET", "COMMAND", "EXISTS", "IS_DIRECTORY", "IS_ABSOLUTE", "IS_SYMLINK", "POLICY", "TEST")
)


class _Reader:
    """Reads tokens from left to right: NOT binds tighter than AND, and that tighter than OR."""

    def __init__(self, tokens: Sequence[str], scope: Scope) -> None:
        self._tokens = tokens
        self._scope = scope
        self._at = 0

    def whole(self) -> bool:
        return self._either() if self._tokens else False

    def _peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._peek(-1)

    def _either(self) -> bool:
        found = self._both()
        while self._peek() == "OR":
            self._next()
            found = self._both() or found
        return found

    def _both(self) -> bool:
        found = self._one()
        while self._peek() == "AND":
            self._next()
            found = self._one() and found
        return found

    def _one(self) -> bool:
        token = self._next()
        if token == "NOT":
            return not self._one()
        if token == "(":
            found = self._either()
            self._next()
            return found
        if token in _UNARY and self._peek() not in ("", ")", "AND", "OR"):
            return self._asked(token, self._scope.expand(_unquoted(self._next())))
        operator = self._peek()
        if operator in _COMPARE or operator in ("MATCHES", "IN_LIST"):
            self._next()
            return self._compared(token, operator, self._next())
        return self._truth(token)

    def _asked(self, operator: str, name: str) -> bool:
        if operator == "DEFINED":
            return self._scope.value(name) is not None
        if operator == "TARGET":
            return self._scope.is_target(name)
        if operator == "COMMAND":
            return self._scope.is_command(name)
        if operator == "IS_ABSOLUTE":
            return name.startswith("/")
        return operator == "POLICY" or (operator in ("EXISTS", "IS_DIRECTORY") and self._scope.is_path(name))

    def _compared(self, left: str, operator: str, right: str) -> bool:
        first = self._operand(left)
        if operator == "IN_LIST":
            held = self._scope.value(self._scope.expand(_unquoted(right))) or ""
            return first in held.split(";")
        second = self._operand(right) if operator != "MATCHES" else self._scope.expand(_unquoted(right))
        if operator == "MATCHES":
            try:
                return re.search(second.replace("\\\\", "\\"), first) is not None
            except re.error:
                return False
        return _COMPARE[operator](first, second)

    def _operand(self, token: str) -> str:
        """What is next to a comparison: the value of a variable that is named without quotes, or the text."""
        text = self._scope.expand(_unquoted(token))
        if token.startswith('"'):
            return text
        value = self._scope.value(text)
        return text if value is None else value

    def _truth(self, token: str) -> bool:
        text = self._scope.expand(_unquoted(token))
        if text.upper() in _TRUE or text.upper() in _FALSE or _NUMBER.match(text):
            return is_true(text)
        if token.startswith('"'):
            return False
        return is_true(self._scope.value(text) or "")


def _unquoted(token: str) -> str:
    return token[1:-1] if token.startswith('"') else token
