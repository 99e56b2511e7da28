"""Operators leave a chain of `torch::RegisterOperators`: what stays is one statement that ends in one `;`."""

from __future__ import annotations

import textwrap

import pytest

from tests.bindings.trees import BINDINGS, OPS, STABLE_BINDINGS, migrate

DECLARATIONS = """
    #pragma once
    #include <torch/all.h>

    int64_t count(const torch::Tensor& x);
    torch::Tensor scale(const torch::Tensor& x);
    torch::Tensor turn(const torch::Tensor& x);
"""
COUNT = '#include "ops.h"\nint64_t count(const torch::Tensor& x) { return x.numel(); }\n'
SCALE = '#include "ops.h"\ntorch::Tensor scale(const torch::Tensor& x) { return x * 2; }\n'
TURN = '#include "ops.h"\ntorch::Tensor turn(const torch::Tensor& x) { return x.t(); }\n'

CHAIN = """
    #include "ops.h"

    // All that Python sees.
    static auto registry =
        torch::RegisterOperators()
            .op("mine::count", &count)
            // Twice as much.
            .op("mine::scale", &scale)
            .op("mine::turn", &turn);
"""


def left_of(bindings: str, *units: str) -> str:
    """What is left of a file of registrations once `units` have migrated, without its includes."""
    tree = {OPS: DECLARATIONS, BINDINGS: bindings, "count.cu": COUNT, "scale.cu": SCALE, "turn.cu": TURN}
    files = {path if "/" in path else f"csrc/{path}": text for path, text in tree.items()}
    made = migrate(files, [f"csrc/{unit}.cu" for unit in units])
    assert made.lost == ()
    stable = made.text(STABLE_BINDINGS)
    assert all(f'm.impl("{unit}", TORCH_BOX(&{unit}));' in stable for unit in units)
    return made.text(BINDINGS).partition('#include "ops.h"\n')[2].strip()


@pytest.mark.parametrize(
    ("units", "left"),
    [
        (
            ("count",),
            """
            // All that Python sees.
            static auto registry =
                torch::RegisterOperators()
                    // Twice as much.
                    .op("mine::scale", &scale)
                    .op("mine::turn", &turn);
            """,
        ),
        (
            ("scale", "turn"),
            """
            // All that Python sees.
            static auto registry =
                torch::RegisterOperators()
                    .op("mine::count", &count);
            """,
        ),
        (("count", "scale", "turn"), ""),
    ],
    ids=["the first", "the last two", "all"],
)
def test_operators_leave_a_chain(units: tuple[str, ...], left: str) -> None:
    assert left_of(CHAIN, *units) == textwrap.dedent(left).strip()


def test_the_first_operator_may_stand_in_the_constructor() -> None:
    bindings = """
        #include "ops.h"
        static auto registry = torch::RegisterOperators("mine::count", &count)
            .op("mine::scale", &scale);
    """
    expected = 'static auto registry = torch::RegisterOperators()\n    .op("mine::scale", &scale);'
    assert left_of(bindings, "count") == expected


def test_the_end_stays_where_the_last_operator_is_conditional() -> None:
    bindings = """
        #include "ops.h"
        static auto registry = torch::RegisterOperators()
            .op("mine::count", &count)
        #ifdef USE_CUDA
            .op("mine::scale", &scale)
        #endif
            .op("mine::turn", &turn);
    """
    assert (
        left_of(bindings, "turn")
        == """\
static auto registry = torch::RegisterOperators()
    .op("mine::count", &count)
#ifdef USE_CUDA
    .op("mine::scale", &scale)
#endif
    ;"""
    )


def test_operators_on_one_line() -> None:
    bindings = """
        #include "ops.h"
        static auto r = torch::RegisterOperators().op("mine::count", &count).op("mine::turn", &turn);
    """
    assert left_of(bindings, "turn") == 'static auto r = torch::RegisterOperators().op("mine::count", &count);'
    assert left_of(bindings, "count") == 'static auto r = torch::RegisterOperators().op("mine::turn", &turn);'
