"""What announces a difference: a finding for that function that is left to be done by hand, or one that names the difference.

Findings for review that are general ("operators become calls") stand in nine of ten functions and announce nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch_stabilize.report.view import Concern, Finding

# What findings name, by code: the kinds of differences that they announce, and no others.
NAMED: Mapping[str, frozenset[str]] = {
    "TSA202": frozenset({"text of an error"}),  # comparing checks, whose text is composed anew
    "TSA914": frozenset({"class of an own error"}),  # what was a TypeError or NotImplementedError
    "TSA174": frozenset({"text in a value", "text of an error", "value"}),
    "TSA208": frozenset({"text in a value", "text of an error", "value"}),  # code that reads the text of an exception
    "TSA209": frozenset({"text in a value"}),
    "TSA210": frozenset({"text of an error", "text in a value"}),  # code that a macro shows as text
    "TSA913": frozenset({"class of an error"}),  # errors of operators are RuntimeError
    "TSA915": frozenset({"dtype in a text"}),
}

_OF_ALL = frozenset({"TSA913", "TSA915"})  # what is said once, for every function


class Account(NamedTuple):
    """What was announced, by function: with the code that is to be done by hand, and the differences that are named."""

    manual: Mapping[str, str] = {}
    named: Mapping[str, frozenset[str]] = {}
    everywhere: frozenset[str] = frozenset()  # what a finding for the whole group names

    def __or__(self, other: object) -> Account:
        """Both together."""
        if not isinstance(other, Account):
            return NotImplemented
        named = {
            name: self.named.get(name, frozenset()) | other.named.get(name, frozenset())
            for name in (*self.named, *other.named)
        }
        return Account({**other.manual, **self.manual}, named, self.everywhere | other.everywhere)

    def announces(self, name: str, what: str) -> bool:
        """Whether a difference of the function `name` was announced; `what` is its kind."""
        return name in self.manual or what in self.everywhere or what in self.named.get(name, frozenset())


def account_of(findings: Iterable[Finding], path: str, owners: Mapping[int, str]) -> Account:
    """The account of a report; `owners` are the functions by line of the unit `path`."""
    manual: dict[str, str] = {}
    named: dict[str, frozenset[str]] = {}
    everywhere: frozenset[str] = frozenset()
    for finding in findings:
        owner = owners.get(finding.place.line, "") if finding.place.path == path else ""
        names = NAMED.get(finding.code, frozenset())
        if finding.concern is Concern.MANUAL and owner:
            manual.setdefault(owner, finding.code)
        elif owner:
            named[owner] = named.get(owner, frozenset()) | names
        if finding.code in _OF_ALL:
            everywhere |= names
    return Account(manual, named, everywhere)
