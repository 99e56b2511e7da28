"""No site vanishes: what an independent search finds is rewritten, diagnosed or allowed, whatever state a file is in."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_stabilize.source.mask import mask

from tests.rules.rewriting import rewrite

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted(p for p in (ROOT / "csrc" / "csrc").rglob("*") if p.suffix in (".cu", ".cuh", ".cpp", ".h"))
NAME = re.compile(rb"(?<![\w:.>])(?:torch|at|c10)::(?!stable\b|headeronly\b)[A-Za-z_]\w*")
REGISTRATION = re.compile(r"\bTORCH_LIBRARY\w*\(|\.(?:def|impl)\(")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_the_counts_add_up(path: Path) -> None:
    _, found = rewrite(path.read_text(), path=str(path.relative_to(ROOT)))
    sites = found.sites
    assert sites.found == sites.rewritten + sites.diagnosed + sites.allowed


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_a_name_that_is_left_is_a_name_that_is_reported(path: Path) -> None:
    text = path.read_text()
    if REGISTRATION.search(text):
        pytest.skip("registrations belong to the bindings")
    after, found = rewrite(text, path=str(path.relative_to(ROOT)))
    left = NAME.findall(mask(after.encode()))
    reported = found.sites.diagnosed + found.sites.allowed
    assert len(left) <= reported, (left, found.diagnostics)


def test_a_second_run_finds_nothing_to_do() -> None:
    for path in SOURCES:
        once, _ = rewrite(path.read_text(), path=str(path))
        assert rewrite(once, path=str(path))[0] == once, path


BRACKETS = ("", "(", ")", "{", "}", "<", ">", ";", '"', "/*", "*/", "#if X\n", "#endif\n", "\\\n")


def broken(seed: int, how: str) -> str:
    """One of the sources with something done to it that no compiler would take."""
    choose = random.Random(seed)
    text = choose.choice(SOURCES).read_text()
    start = choose.randrange(len(text))
    length = choose.randrange(1, 200)
    if how == "cut":
        return text[:start]
    if how == "delete":
        return text[:start] + text[start + length :]
    if how == "repeat":
        return text[:start] + 2 * text[start : start + length] + text[start + length :]
    if how == "swap":
        middle = text[start : start + length], text[start + length : start + 2 * length]
        return text[:start] + middle[1] + middle[0] + text[start + 2 * length :]
    if how == "bracket":
        place = choose.choice([index for index, sign in enumerate(text) if sign in "(){}[]<>;,"])
        return text[:place] + choose.choice(BRACKETS) + text[place + 1 :]
    if how == "macro":
        line = text.rfind("\n", 0, start) + 1
        return text[:line] + "#define X(a, ...) \\\n" + text[line:].replace("\n", " \\\n", 3)
    if how == "line":
        lines = text.split("\n")
        del lines[choose.randrange(len(lines))]
        return "\n".join(lines)
    other = choose.choice(SOURCES).read_text()
    place = choose.randrange(len(other))
    return text[:start] + other[place : place + length] + text[start:]


WAYS = ["cut", "delete", "splice", "repeat", "swap", "bracket", "macro", "line"]


@settings(max_examples=80, deadline=20_000)
@given(st.integers(0, 10_000), st.sampled_from(WAYS))
def test_broken_files_are_no_reason_to_fail(seed: int, how: str) -> None:
    _, found = rewrite(broken(seed, how))
    assert found.sites.found == found.sites.rewritten + found.sites.diagnosed + found.sites.allowed


@pytest.mark.parametrize(
    "text",
    [
        "void f(at::Tensor x) { auto (*) = x.options(); }",
        "void f(at::Tensor x) { auto [] = x.options(); x.view({",
        "at::Tensor f(at::Tensor x) { auto = x.options(); return torch::empty({2}, ); }",
        "#define A(x) torch::empty(x, options\nvoid f() { A(A(A(1))); }",
        "void f(at::Tensor x) { auto o = o.dtype(at::kInt); auto y = torch::empty({2}, o); }",
    ],
)
def test_names_that_are_missing_end_nowhere(text: str) -> None:
    found = rewrite(text)[1].sites
    assert found.found == found.rewritten + found.diagnosed + found.allowed


@pytest.mark.parametrize(
    "text",
    [
        "void f(at::Tensor x) { auto y = torch::zeros({2}, x.options(; }",
        "void f(at::Tensor x) { auto y = x.to(at::kHalf, ]); }",
    ],
)
def test_a_call_that_cannot_be_read_is_not_taken_apart(text: str) -> None:
    after, found = rewrite(text)
    assert "torch::stable::new_zeros" not in after
    assert "torch::stable::to" not in after
    assert found.diagnostics


def test_what_is_written_at_another_place_keeps_its_helpers() -> None:
    """The tensor behind `.options()` moves to the front of the factory, with the call that makes it."""
    after, found = rewrite("at::Tensor f(at::Tensor x) { return at::zeros({2}, (x == x).options()); }")
    assert "stable_aten::eq(x, x)" in after
    assert "aten:eq.Tensor" in found.helpers


def test_what_is_copied_keeps_its_diagnostic() -> None:
    text = "at::Tensor f(at::Tensor x) { return at::empty_like(x, x.options().requires_grad(x.requires_grad())); }"
    found = rewrite(text)[1]
    assert [text[d.span.start : d.span.end] for d in found.diagnostics] == ["requires_grad"]
    assert found.diagnostics[0].span.start == text.rindex("requires_grad")


@pytest.mark.parametrize(
    "statement", ["AT_ERROR(x);", "TORCH_WARN(x.exp());", "std::cout << x.exp();", "TORCH_CHECK(n, x);"]
)
def test_a_tensor_that_is_printed_is_reported_whatever_is_rewritten_around_it(statement: str) -> None:
    _, found = rewrite(f"void f(at::Tensor x, bool n) {{ {statement} }}")
    assert [d.code for d in found.diagnostics] == ["TSA124"]
