"""What a plan must not leave: code that could be parsed before."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.migration.second_look import not_parsed
from torch_stabilize.model import FileChange, Plan, Refusal
from torch_stabilize.repository.snapshot import Snapshot

BEFORE = b"#pragma once\ninline int one() { return 1; }\n"
HELPER = b"HIDDEN_NAMESPACE_BEGIN(stable_helpers)\n\ninline int two() { return 2; }\n\nHIDDEN_NAMESPACE_END(stable_helpers)\n"


@pytest.mark.parametrize(
    ("after", "count"),
    [
        (BEFORE + HELPER, 0),  # torch's macros are no code for the grammar
        (
            BEFORE + b"void two(int t) {\n  THO_DISPATCH_SWITCH(t, THO_DISPATCH_CASE(1, [&] { one(); })\n"
            b"    THO_DISPATCH_CASE(2, [&] { one(); }));\n}\n",
            0,
        ),
        (BEFORE + b"inline int two( = { return 2; })\n", 1),
    ],
)
def test_code_that_cannot_be_parsed_any_more_is_a_finding(after: bytes, count: int) -> None:
    plan = Plan("g", "2.11", files=(FileChange("a.h", "a.h", BEFORE, after),))
    found = not_parsed(plan, Snapshot(Path(), ("a.h",), {"a.h": BEFORE}))
    assert [one.code for one in found] == ["TSA040"] * count


@pytest.mark.parametrize("after", [b"inline int two() { return 2;\n", b"inline int two() { return 2; } }\n"])
def test_a_plan_that_leaves_a_bracket_open_is_refused(after: bytes) -> None:
    plan = Plan("g", "2.11", files=(FileChange("a.h", "a.h", BEFORE, BEFORE + after),))
    with pytest.raises(Refusal, match=r"a\.h: cannot be parsed"):
        not_parsed(plan, Snapshot(Path(), ("a.h",), {"a.h": BEFORE}))


def test_a_new_header_that_leaves_a_bracket_open_is_refused() -> None:
    plan = Plan("g", "2.11", files=(FileChange(None, "ops.h", None, b"#pragma once\nvoid f(at{Tensor x);\n"),))
    with pytest.raises(Refusal, match=r"ops\.h: cannot be written"):
        not_parsed(plan, Snapshot(Path(), (), {}))
