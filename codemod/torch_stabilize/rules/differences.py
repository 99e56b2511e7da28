"""What cannot stay the same for whoever reads errors of moved code: said once for a plan."""

from __future__ import annotations

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Diagnostic, Plan, Severity
from torch_stabilize.rules.registry import page

ERRORS_DIFFER = page(
    "TSA177",
    "Errors of moved code read differently, and some are of another type.",
    "The text of a failed check begins with the function, the file and the line. Dtypes print by the names of\n"
    "ScalarType, `Float` where torch printed `float`. A dtype without a case in a dispatch macro raises RuntimeError, where\n"
    "it was NotImplementedError, which derives from it; so do TypeError and LinAlgError become RuntimeError. A plan says so\n"
    "once, at its first check.",
    (
        Example(
            'void f(const at::Tensor& x) { TORCH_CHECK(x.dim() == 2, "got ", x.dtype()); }',
            'void f(const torch::stable::Tensor& x) { STD_TORCH_CHECK(x.dim() == 2, "got ", x.scalar_type()); }',
        ),
        untouched(
            '#include <stdexcept>\nvoid f(int n) { if (n < 0) throw std::runtime_error("negative"); }',
            "an error that is no check of torch's",
        ),
    ),
)
_CHECKS = frozenset({"TSA201", "TSA202", "TSA203"})
_DISPATCH = frozenset({"TSA301", "TSA302", "TSA303", "TSA304"})
_DTYPES = "dtypes print as Float, not float"


def differences(plan: Plan) -> tuple[Diagnostic, ...]:
    """A note on the errors of moved code, at the first check or dispatch of the plan; empty where there is none."""
    edits = [
        (change.old_path, edit)
        for change in plan.files
        for edit in sorted(change.edits)
        if change.old_path is not None and edit.rule in _CHECKS | _DISPATCH
    ]
    if not edits:
        return ()
    rules = {edit.rule for _, edit in edits}
    said = []
    if rules & _CHECKS:
        said += ["errors of checks begin with the function, the file and the line", _DTYPES]
    if rules & _DISPATCH:
        said.append("a dtype that is not dispatched raises RuntimeError instead of NotImplementedError")
    path, first = edits[0]
    message = "; ".join(said)
    return (Diagnostic(ERRORS_DIFFER, Severity.NOTE, path, first.span, message, "compare no texts of errors"),)
