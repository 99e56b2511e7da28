"""No site vanishes: what an independent search finds is rewritten, diagnosed or allowed, whatever state a file is in."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codemod.source.mask import mask
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


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["cut", "delete", "splice"]))
def test_broken_files_are_no_reason_to_fail(seed: int, how: str) -> None:
    choose = random.Random(seed)
    text = choose.choice(SOURCES).read_text()
    start = choose.randrange(len(text))
    length = choose.randrange(1, 200)
    if how == "cut":
        broken = text[:start]
    elif how == "delete":
        broken = text[:start] + text[start + length :]
    else:
        other = choose.choice(SOURCES).read_text()
        place = choose.randrange(len(other))
        broken = text[:start] + other[place : place + length] + text[start:]
    _, found = rewrite(broken)
    assert found.sites.found == found.sites.rewritten + found.sites.diagnosed + found.sites.allowed
