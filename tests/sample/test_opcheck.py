"""Every operator of the sample is one that torch accepts: its schema, its autograd, its fakes, and traced by AOTAutograd.

A migration keeps schemas and keys, which `verify` compares; what it writes for functions of a Python module is checked in
test_segments.py and tests/buildfiles/test_python_side.py.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_stabilize.verify.golden.cases import Case, find_case_files, load_cases  # noqa: E402
from torch_stabilize.verify.golden.inputs import make_arguments  # noqa: E402
from torch_stabilize.verify.golden.run import find_op  # noqa: E402

from tests.sample.building import ROOT  # noqa: E402

pytestmark = [
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.xdist_group("sample"),
    pytest.mark.usefixtures("samplex"),
]

CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def _first_cases() -> dict[str, Case]:
    """A case for each operator that runs on the CPU."""
    found: dict[str, Case] = {}
    for path in find_case_files(ROOT / "golden"):
        for case in load_cases(path).on("cpu"):
            if case.mode == "eager" and case.raises is None:
                found.setdefault(f"{case.namespace}::{case.op}", case)
    return found


CASES = _first_cases()


def _is_float8(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype in (torch.float8_e4m3fn, torch.float8_e5m2)


@pytest.mark.parametrize("name", CASES)
def test_operator_is_accepted(name: str) -> None:
    case = CASES[name]
    args, kwargs = make_arguments(case, torch)
    # test_schema compares arguments before and after, which torch cannot do with these on the CPU.
    checks = CHECKS[1:] if any(map(_is_float8, [*args, *kwargs.values()])) else CHECKS
    found = torch.library.opcheck(find_op(case, torch), tuple(args), kwargs, test_utils=checks, raise_exception=False)
    assert found == dict.fromkeys(checks, "SUCCESS")
