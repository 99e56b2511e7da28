"""What a group has that can be called: operators, and functions of Python modules with what they become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch_stabilize.model import Refusal


class Target(NamedTuple):
    """One of them: what the legacy library is called for, and the operator that represents it in the stable one."""

    called: str  # "ns::op.overload" or "module:function", with the last part of the module's name
    stable: str

    @property
    def is_operator(self) -> bool:
        """Whether it was an operator before the migration."""
        return "::" in self.called

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it has, that of the legacy library first."""
        return tuple(dict.fromkeys(filter(None, (self.called, self.stable))))


def named_targets(names: Iterable[str]) -> tuple[Target, ...]:
    """Targets that a user names: "ns::op", "module:function" or "module:function=ns::op". Raises Refusal (exit 2)."""
    found = []
    for name in names:
        called, _, stable = name.partition("=")
        is_operator = "::" in called
        if not is_operator and ":" not in called:
            raise Refusal(f"a callable is ns::op, module:function or module:function=ns::op, not {name!r}", exit_code=2)
        if not is_operator:
            module, _, function = called.partition(":")
            called = f"{module.rpartition('.')[2]}:{function}"
        found.append(Target(called, stable or (called if is_operator else "")))
    return tuple(found)
