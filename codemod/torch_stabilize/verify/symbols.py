"""What the libraries need of torch: torch-abi-audit on the legacy library before and after, and on the stable one."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from torch_stabilize.model import Refusal, Severity
from torch_stabilize.surface.versions import parse_version
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Finding, Step, finding

NAMED_AT_MOST = 10
_WORD = re.compile(rb"[A-Za-z_]\w*")
_TORCH_SCOPES = frozenset(("at", "c10", "caffe2", "torch"))


class AuditMissing(Exception):
    """torch-abi-audit is not installed."""


@dataclass(frozen=True)
class Audit:
    """The torch side of a library's undefined symbols. `minimum` is None where it uses no shim."""

    name: str
    unstable: tuple[str, ...]
    shims: int
    minimum: str | None
    defining: tuple[str, ...] = ()  # the shims that make it `minimum`
    unknown: tuple[str, ...] = ()  # shims newer than the audit's tables

    @property
    def verdict(self) -> str:
        """STABLE, UNSTABLE or NO-TORCH, in the words of torch-abi-audit."""
        if self.unstable:
            return "UNSTABLE"
        return "STABLE" if self.shims else "NO-TORCH"


def audit(library: Path, name: str = "") -> Audit:
    """Look at the symbols of `library`, called `name` in reports.

    Raises AuditMissing where torch-abi-audit is not installed, and Refusal where it cannot read the file.
    """
    try:
        from torch_abi_audit import inspect_extension
    except ImportError as error:
        lacks = "" if error.name in ("torch_abi_audit", None) else f", for it lacks {error.name}"
        raise AuditMissing(
            f"torch-abi-audit is not installed{lacks} (it needs Python 3.11): pip install torch-abi-audit"
        ) from error
    report = inspect_extension(library)
    if report.error:
        raise Refusal(f"torch-abi-audit cannot read {library}: {report.error}")
    torch = report.torch
    return Audit(
        name or library.name,
        tuple(torch.unstable_symbols),
        torch.stable_shim_count,
        torch.min_torch_version,
        tuple(torch.version_defining_symbols),
        tuple(torch.unknown_shim_symbols),
    )


def without_own(found: Audit, others: Iterable[bytes]) -> Audit:
    """`found` without the project's own functions, which look unstable where a parameter has a type of torch.

    `others` are the texts of units of the library that were not compiled, and so did not give theirs.
    """
    words = {word for text in others for word in _WORD.findall(text)}
    return replace(found, unstable=tuple(one for one in found.unstable if not _is_own(one, words)))


def _is_own(symbol: str, words: Container[bytes]) -> bool:
    scope, _, name = symbol.partition("(")[0].partition("<")[0].rpartition(" ")[2].rpartition("::")
    return scope.partition("::")[0] not in _TORCH_SCOPES and name.encode() in words


def symbols_step(
    target: str, stable: Audit, before: Audit | None = None, remainder: Audit | None = None, counted: str = ""
) -> Step:
    """The `symbols` step: fails on one unstable symbol in the stable library, or a need for more than `target`.

    `before` and `remainder` are the legacy library before and after the migration; their counts are reported, with a
    remark on what is `counted`.
    """
    diagnostics = list(_judge(stable, target))
    parts = [f"{stable.name} is {stable.verdict}: {len(stable.unstable)} unstable, {stable.shims} shim symbols"]
    parts.append(f"needs torch {stable.minimum or 'of any version'}, target {target}")
    if before is not None:
        after = "" if remainder is None else f" -> {len(remainder.unstable)}"
        parts.append(f"{before.name} unstable {len(before.unstable)}{after}{counted}")
    figures = {
        name: _figures(report)
        for name, report in (("stable", stable), ("legacy", before), ("remainder", remainder))
        if report is not None
    }
    return Step.judged("symbols", "; ".join(parts), tuple(diagnostics), figures)


def _judge(stable: Audit, target: str) -> list[Finding]:
    found = [
        finding(codes.UNSTABLE_SYMBOL, f"{stable.name} needs {symbol}") for symbol in stable.unstable[:NAMED_AT_MOST]
    ]
    rest = len(stable.unstable) - NAMED_AT_MOST
    if rest > 0:
        found.append(finding(codes.UNSTABLE_SYMBOL, f"{rest} more unstable symbols", severity=Severity.NOTE))
    if stable.minimum is not None and parse_version(stable.minimum) > parse_version(target):
        needed = ", ".join(stable.defining[:NAMED_AT_MOST])
        found.append(
            finding(
                codes.NEWER_THAN_TARGET,
                f"{stable.name} needs torch {stable.minimum} for {needed}; target {target}",
            )
        )
    if stable.unknown:
        unknown = ", ".join(stable.unknown[:NAMED_AT_MOST])
        found.append(
            finding(codes.UNKNOWN_SYMBOL, f"not in the tables of torch-abi-audit: {unknown}", severity=Severity.WARNING)
        )
    return found


def _figures(report: Audit) -> dict[str, object]:
    return {
        "verdict": report.verdict,
        "unstable": len(report.unstable),
        "shims": report.shims,
        "minimum_torch": report.minimum,
    }
