"""Both sides of a set of functions compared."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.twins.building import Compiler, Failed, Pair, build_pair, outcomes
from tests.twins.program import Function


class Difference(NamedTuple):
    """A function that does something else after its migration, or does not compile."""

    function: Function
    what: str  # "does not compile", "value", "class of an error", ...
    before: str
    after: str

    @property
    def kind(self) -> str:
        """What makes differences of one kind alike: numbers and names left out."""
        said = self.after if "compile" in self.what or "migrate" in self.what else ""
        return f"{self.what}: " + re.sub(r"\d+|[‘'\"].*?[’'\"]|tw\w+|sw\w+", "#", said)[:100]


class Tally(NamedTuple):
    """What a set of functions came to."""

    functions: int = 0
    invalid: int = 0
    announced: int = 0  # functions with a difference, or with code to be done by hand, that a finding announces
    calls: int = 0
    differences: tuple[Difference, ...] = ()
    codes: Mapping[str, int] = {}  # the findings by which code was left to be done by hand

    def __add__(self, other: object) -> Tally:
        """Both together."""
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(
            self.functions + other.functions, self.invalid + other.invalid, self.announced + other.announced,
            self.calls + other.calls, self.differences + other.differences, Counter(self.codes) + Counter(other.codes),
        )  # fmt: skip


def compared(functions: Sequence[Function], folder: Path, compiler: Compiler) -> Tally:
    """Build both sides of `functions`, call them, and compare. What nobody can be blamed for is found by halves."""
    try:
        pair = build_pair(functions, folder, compiler)
    except Failed as error:
        if len(functions) == 1 and error.is_announced:
            return Tally(1, announced=1, codes=Counter({"refused": 1}))
        if len(functions) == 1:
            return Tally(1, differences=(Difference(functions[0], error.what, "", str(error)),))
        half = len(functions) // 2
        return compared(functions[:half], folder, compiler) + compared(functions[half:], folder, compiler)
    found = list(_differences(pair, compiler.quiet))
    silent = [d for d in found if not pair.account.announces(d.function.name, d.what)]
    calls = 6 * sum(f.name not in pair.broken and f.name not in pair.account.manual for f in pair.functions)
    announced = len(pair.account.manual) + len(found) - len(silent)
    codes = Counter(pair.account.manual.values())
    return Tally(len(functions), len(pair.invalid), announced, calls, tuple(silent), codes)


def _differences(pair: Pair, quiet: Path) -> Iterator[Difference]:
    by_name = {function.name: function for function in pair.functions}
    for name, error in pair.broken.items():
        yield Difference(by_name[name], "does not compile", "", error)
    if pair.stable is None:
        return
    names = [name for name in by_name if name not in pair.broken and name not in pair.account.manual]
    old, new = outcomes((pair.legacy, pair.stable), names, quiet)
    seen: set[tuple[str, str]] = set()
    for (name, given), before in old.items():
        after = new.get((name, given), "missing")
        what = "" if before == after or before == "crash" else difference(before, after)
        if what and (name, what) not in seen:
            seen.add((name, what))
            yield Difference(by_name[name], what, f"input {given}: {before}", after)


# What TypeMeta called dtypes, and what ScalarType calls them.
_NAMES = {
    "float": "Float", "double": "Double", "long int": "Long", "int": "Int", "bool": "Bool", "unsigned char": "Byte",
    "signed char": "Char", "short int": "Short", "c10::Half": "Half",
}  # fmt: skip
_DTYPES = re.compile(r"\b(?:" + "|".join(_NAMES) + r")\b")


def _renamed(match: re.Match[str]) -> str:
    return _NAMES[match[0]]


def difference(before: str, after: str) -> str:
    """The kind of difference between two outcomes, which are lists of the result and of both arguments, as JSON."""
    if after in ("crash", "missing"):
        return "crash"
    old, new = json.loads(before), json.loads(after)
    raised, raises = (str(one[0]).partition("raises ") if one[0] else ("", "", "") for one in (old, new))
    if bool(raised[1]) != bool(raises[1]):
        return "raises no more" if raised[1] else "raises now"
    if old[1:] != new[1:]:
        return "changed argument"
    if not raised[1]:
        return "text in a value" if str(old[0]).startswith("text ") else "value"
    before_class, _, before_text = raised[2].partition(": ")
    after_class, _, after_text = raises[2].partition(": ")
    if before_class == after_class:
        return "dtype in a text" if _DTYPES.sub(_renamed, before_text) == after_text else "text of an error"
    # An error of the function itself has a text and keeps its class; that of an operator has none here.
    return "class of an error" if not before_text and after_class == "RuntimeError" else "class of an own error"
