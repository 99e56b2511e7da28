"""What the symbols of the libraries say, as the audit counts them."""

from __future__ import annotations

from dataclasses import replace

from torch_stabilize.model import Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.result import Status
from torch_stabilize.verify.symbols import NAMED_AT_MOST, Audit, symbols_step, without_own

STABLE = Audit("_C_stable", (), 39, "2.10.0", ("torch_new_shim",))
LEGACY = Audit("_C", tuple(f"at::f{number}" for number in range(99)), 0, None)


def test_unstable_symbols_are_counted_before_and_after() -> None:
    step = symbols_step("2.11", STABLE, LEGACY, replace(LEGACY, unstable=LEGACY.unstable[1:]))
    assert step.status is Status.OK
    assert step.summary == (
        "_C_stable is STABLE: 0 unstable, 39 shim symbols; needs torch 2.10.0, target 2.11; _C unstable 99 -> 98"
    )
    assert step.figures["remainder"]["unstable"] == 98


def test_one_unstable_symbol_fails() -> None:
    (found,) = symbols_step("2.11", replace(STABLE, unstable=("at::f0",))).diagnostics
    assert (found.code, found.severity, found.message) == (
        codes.UNSTABLE_SYMBOL,
        Severity.ERROR,
        "_C_stable needs at::f0",
    )
    many = symbols_step("2.11", replace(STABLE, unstable=LEGACY.unstable))
    assert many.status is Status.FAILED
    assert many.diagnostics[-1].message == f"{99 - NAMED_AT_MOST} more unstable symbols"


def test_a_need_for_more_than_the_target_fails() -> None:
    step = symbols_step("2.9", STABLE)
    assert step.status is Status.FAILED
    (found,) = step.diagnostics
    assert (found.code, found.message) == (
        codes.NEWER_THAN_TARGET,
        "_C_stable needs torch 2.10.0 for torch_new_shim; target 2.9",
    )


def test_a_symbol_the_audit_does_not_know_is_a_warning() -> None:
    step = symbols_step("2.11", replace(STABLE, unknown=("torch_future",)))
    assert (step.status, step.diagnostics[0].code) == (Status.OK, codes.UNKNOWN_SYMBOL)


def test_functions_of_units_that_were_not_compiled_are_no_symbols_of_torch() -> None:
    own = ("unpack(torch::stable::Tensor, std::optional<c10::ScalarType> const&)", "void ns::pack<int>(c10::Half*)")
    theirs = ("at::unpack(at::Tensor const&)", "THPVariable_Wrap(at::TensorBase)", "c10::pack()")
    found = Audit("_C_stable", (*own, *theirs), 3, "2.11")
    units = (
        b"torch::stable::Tensor unpack(torch::stable::Tensor x);",
        b"namespace ns { template <class T> void pack(T*); }",
    )
    assert without_own(found, units).unstable == theirs
    assert without_own(found, ()).unstable == (*own, *theirs)
