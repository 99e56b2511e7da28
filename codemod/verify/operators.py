"""What the libraries register, before and after: names, schemas and dispatch keys as the dispatcher says them."""

from __future__ import annotations

from collections.abc import Iterable

from codemod.model import Severity
from codemod.verify import codes
from codemod.verify.golden.inventory import Operator
from codemod.verify.result import Finding, Step, finding

# A kernel without a key, as the dispatcher shows it before and after: the stable API registers under a key only.
_KEYLESS = (("CompositeImplicitAutograd",), ("CompositeExplicitAutograd",))


def operators_step(before: Iterable[Operator], after: Iterable[Operator]) -> Step:
    """The `operators` step: the libraries after the migration together register what the legacy one did."""
    old = {operator.name: operator for operator in before}
    new = {operator.name: operator for operator in after}
    diagnostics = tuple(item for name in sorted({*old, *new}) for item in _compare(name, old.get(name), new.get(name)))
    summary = f"{len(old)} operators before, {len(new)} after; schemas and dispatch keys compared"
    return Step.judged("operators", summary, diagnostics, {"before": len(old), "after": len(new)})


def _compare(name: str, old: Operator | None, new: Operator | None) -> list[Finding]:
    if old is None or new is None:
        what = "is new" if old is None else "is registered by no library any more"
        return [finding(codes.OPERATOR_LOST, f"{name} {what}")]
    found = []
    if old.schema != new.schema:
        found.append(finding(codes.SCHEMA_DIFFERS, f"{new.schema}, and was {old.schema}"))
    if old.keys != new.keys:
        text = (
            f"{name} has kernels for {', '.join(new.keys) or 'no key'}, and had for {', '.join(old.keys) or 'no key'}"
        )
        severity = Severity.NOTE if (old.keys, new.keys) == _KEYLESS else Severity.ERROR
        found.append(finding(codes.KEYS_DIFFER, text, severity=severity))
    return found
