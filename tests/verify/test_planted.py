"""Planted defects in launches, guards and definitions are caught by name; without defects nothing is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codemod.model import Severity
from codemod.source.document import Document
from codemod.verify import codes
from codemod.verify.golden.inventory import Operator
from codemod.verify.host_code import launches_step
from codemod.verify.operators import operators_step

from .planted.device import DEVICE, LEGACY, STABLE

COMPILED = {codes.DEVICE_CODE_DIFFERS, codes.KERNEL_LOST}  # seen in the PTX; the others in the source


@pytest.mark.parametrize("defect", [name for name, row in DEVICE.items() if row[2] not in COMPILED])
def test_a_defect_of_a_launch_is_caught(defect: str) -> None:
    old, new, code, words = DEVICE[defect]
    assert STABLE.count(old) == 1
    step = launches_step([(Document("a.cu", LEGACY.encode()), Document("b.cu", STABLE.replace(old, new).encode()))])
    caught = [one.message for one in step.diagnostics if one.code == code and one.severity is Severity.ERROR]
    assert any(message.startswith(words) for message in caught), caught


def test_without_a_defect_nothing_is_said_of_launches() -> None:
    step = launches_step([(Document("a.cu", LEGACY.encode()), Document("b.cu", STABLE.encode()))])
    assert step.diagnostics == ()


OPERATOR = Operator("ns::f", "ns::f(Tensor x) -> Tensor", ("CPU",), ("needs_fixed_stride_order",), "pkg.fakes")


@pytest.mark.parametrize(
    ("after", "code", "words"),
    [
        (replace(OPERATOR, tags=()), codes.TAGS_DIFFER, "ns::f has the tags none, and had needs_fixed_stride_order"),
        (
            replace(OPERATOR, module=""),
            codes.MODULE_DIFFERS,
            "ns::f has its fakes in no Python module, and had them in",
        ),
    ],
)
def test_what_a_definition_promises_is_caught(after: Operator, code: str, words: str) -> None:
    assert operators_step([OPERATOR], [OPERATOR]).diagnostics == ()
    (found,) = operators_step([OPERATOR], [after]).diagnostics
    assert (found.code, found.severity) == (code, Severity.ERROR)
    assert found.message.startswith(words)
