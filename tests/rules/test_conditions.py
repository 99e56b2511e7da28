"""Conditions of the preprocessor that ask for macros of torch: where stable code lacks them, another branch is compiled."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite

ASKED = {
    "a macro that torch's configuration defines": "#if AT_PARALLEL_OPENMP\nint n;\n#endif\n",
    "one that looks like a function": "#if AT_MKL_ENABLED()\nint n;\n#endif\n",
    "in the middle of a condition": "#if defined(__linux__) && !defined(C10_MOBILE_BUILD)\nint n;\n#endif\n",
    "in a later branch": "#ifdef FAST\nint n;\n#elif C10_IOS_BUILD\nint m;\n#endif\n",
}
OWN = {
    "the guard of a header": "#ifndef AT_SORT_H\n#define AT_SORT_H\nint n;\n#endif\n",
    "a macro of the file": "#define AT_FAST 1\n#if AT_FAST\nint n;\n#endif\n",
    "the version of torch": "#if TORCH_VERSION_MAJOR >= 2\nint n;\n#endif\n",
}


@pytest.mark.parametrize("kind", ASKED)
def test_a_macro_without_a_row_is_named(kind: str) -> None:
    text, found = rewrite(ASKED[kind])
    assert text == ASKED[kind]
    (said,) = found.diagnostics
    assert said.code == "TSA900"
    assert "not defined in stable code if a header of torch defined it" in said.message


@pytest.mark.parametrize("kind", OWN)
def test_other_macros_are_left_alone(kind: str) -> None:
    text, found = rewrite(OWN[kind])
    assert (text, found.diagnostics) == (OWN[kind], ())


def test_a_parameter_of_a_macro_is_no_name_of_torch() -> None:
    define = "#define IMPL(NAME, TORCH_FUNC_NAME) int NAME() { return TORCH_FUNC_NAME(); }\n"
    assert not rewrite(f"int one();\n{define}IMPL(two, one)\n")[1].diagnostics
    assert [one.code for one in rewrite(f"{define}int three() {{ return TORCH_FUNC_NAME(); }}\n")[1].diagnostics] == [
        "TSA900"
    ]
