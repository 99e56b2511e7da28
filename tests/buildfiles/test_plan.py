"""The whole of `plan_build`: refusals, and that it only sees what it was given."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch_stabilize.buildfiles.cmake.logic import equal, implies, residual
from torch_stabilize.model import Refusal
from torch_stabilize.verify.targets import read_targets

from tests.buildfiles.trees import layout_of, plan, snapshot_of

CMAKE = "add_library(_C MODULE csrc/bindings.cpp csrc/norm.cpp)\n"


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("CMakeLists.txt", "project(x)\nif(A\n", 2),
        ("CMakeLists.txt", "set(A b\n", 1),
        ("setup.py", "x = 1\nsetup(ext_modules=[\n", 2),
    ],
)
def test_a_build_file_that_cannot_be_parsed_is_refused(path: str, text: str, line: int) -> None:
    with pytest.raises(Refusal, match=f"cannot parse {path}"):
        plan({path: text}, ["csrc/norm.cpp"])


def test_no_build_file_no_edit() -> None:
    done = plan({"README.md": "text\n"}, ["csrc/norm.cpp"])
    assert done.change.edits == ()
    assert done.change.diagnostics == ()


def test_targets_are_read_with_their_conditions() -> None:
    text = """
    set(EXT_SRC csrc/bindings.cpp)
    if(WITH_CUDA)
      list(APPEND EXT_SRC csrc/norm.cu)
    endif()
    add_library(_C MODULE ${EXT_SRC})
    target_compile_definitions(_C PRIVATE FAST=1)
    """
    snapshot = snapshot_of({"CMakeLists.txt": text, "csrc/bindings.cpp": "", "csrc/norm.cu": ""})
    (target,) = read_targets(snapshot, layout_of(snapshot))
    assert (target.name, target.kind, target.variables, target.is_stable) == ("_C", "cmake", ("EXT_SRC",), False)
    assert {source.path: source.conditions for source in target.sources} == {
        "csrc/bindings.cpp": (),
        "csrc/norm.cu": ("WITH_CUDA",),
    }
    assert target.definitions == ("FAST",)


def test_targets_of_setup_py() -> None:
    setup = """
    sources = ["csrc/bindings.cpp"]
    if WITH_CUDA:
        sources += ["csrc/norm.cu"]
    ext_modules = [CUDAExtension("pkg._C", sources)]
    """
    snapshot = snapshot_of({"setup.py": setup, "csrc/bindings.cpp": "", "csrc/norm.cu": ""})
    (target,) = read_targets(snapshot, layout_of(snapshot))
    assert (target.name, target.kind, target.is_stable, target.is_computed) == ("pkg._C", "setuptools", False, False)
    assert {source.path: source.conditions for source in target.sources} == {
        "csrc/bindings.cpp": (),
        "csrc/norm.cu": ("WITH_CUDA",),
    }


# Conditions

DOMAINS = {"LANG": ("CUDA", "HIP")}


@pytest.mark.parametrize(
    ("given_", "wanted", "holds"),
    [
        (["A", "B"], ["A"], True),
        (["A AND B"], ["B"], True),
        (["A"], ["A OR B"], True),
        (["A OR B"], ["A"], False),
        (["NOT ( A )"], ["NOT A"], True),
        ([], ['LANG STREQUAL "CUDA" OR LANG STREQUAL "HIP"'], True),
        ([], ['LANG STREQUAL "CUDA"'], False),
        (['NOT ( LANG STREQUAL "CUDA" )'], ['${LANG} STREQUAL "HIP"'], True),
        (['LANG STREQUAL "CUDA"'], ['NOT ( LANG STREQUAL "HIP" )'], True),
        (['OTHER STREQUAL "x"'], ['OTHER STREQUAL "y"'], False),
        (["V VERSION_GREATER_EQUAL 12.0 AND X"], ["X"], True),
    ],
)
def test_what_follows_from_what(given_: list[str], wanted: list[str], holds: bool) -> None:
    assert implies(given_, wanted, DOMAINS) is holds


def test_residual_conditions_are_what_is_not_known_yet() -> None:
    conditions = ['LANG STREQUAL "CUDA"', "FAST", "FAST OR SLOW"]
    assert residual(conditions, ['LANG STREQUAL "CUDA"'], DOMAINS) == ("FAST",)


EXPRESSIONS = st.recursive(
    st.sampled_from(["A", "B", "C"]),
    lambda inner: st.one_of(
        inner.map(lambda x: f"NOT ( {x} )"),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"( {t[0]} ) {t[1]} ( {t[2]} )"),
    ),
    max_leaves=5,
)


@given(EXPRESSIONS, EXPRESSIONS)
def test_implication_agrees_with_python(first: str, second: str) -> None:
    def value(text: str, a: bool, b: bool, c: bool) -> bool:
        words = {"AND": "and", "OR": "or", "NOT": "not"}
        code = " ".join(words.get(word, word) for word in text.split())
        return bool(eval(code, {"A": a, "B": b, "C": c}))

    cases = [(a, b, c) for a in (True, False) for b in (True, False) for c in (True, False)]
    assume(any(value(first, *x) for x in cases))  # nothing is built in no case
    assert implies([first], [second], {}) == all(value(second, *x) for x in cases if value(first, *x))
    if any(value(second, *x) for x in cases):
        assert equal([first], [second], {}) == all(value(first, *x) == value(second, *x) for x in cases)
