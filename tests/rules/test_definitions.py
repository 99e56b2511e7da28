"""Dispatch macros as they are written into the stable header."""

from __future__ import annotations

import inspect

from torch_stabilize.rules.dispatch_macros import Definition, render_definitions


def written(text: str) -> str:
    fields = dict.fromkeys(inspect.signature(Definition).parameters, "")
    return render_definitions([Definition(**{**fields, "text": text, "conditions": ()})])  # type: ignore[arg-type]


def test_backslashes_that_stood_in_one_column_do_so_again() -> None:
    text = "#define STABLE_RANK(n) \\\n  switch (n) {  \\\n    case 2:     \\\n      break;    \\\n  }\n"
    after = "#define STABLE_RANK(n) \\\n  switch (n) {         \\\n    case 2:            \\\n      break;           \\\n  }\n"
    assert written(text) == after


def test_backslashes_at_the_right_border_stay_there() -> None:
    rows = ["  one();", "  two();", "  three();"]
    text = "#define " + "N" * 75 + " \\\n" + "".join(row.ljust(79) + "\\\n" for row in rows) + "  four();\n"
    assert written(text) == text


def test_a_ragged_macro_stays_as_it_is() -> None:
    text = "#define F(n) \\\n  one(); \\\n  three(); \\\n  four()\n"
    assert written(text) == text
