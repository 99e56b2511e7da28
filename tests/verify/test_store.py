"""Golden files: what is written comes back, and what was damaged does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.outcome import ErrorOutcome, Outcome, TensorOutcome
from torch_stabilize.verify.golden.store import GoldenFile, Recorded, from_bytes, read_golden, to_bytes, write_golden

TENSOR = TensorOutcome("bfloat16", (2, 1), (1, 1), b"\x00\x80\xc0\x7f")
EMPTY = TensorOutcome("float32", (0, 3), (3, 1), b"", alias="0")
FILE = GoldenFile(
    "g",
    "cpu",
    "2.13.0",
    {
        "f[cpu]": Recorded("12ab", Outcome((TENSOR, "0x1.8p+0", EMPTY), (("1", TENSOR),), inputs="77")),
        "f[cpu-n=1]": Recorded("34cd", Outcome(error=ErrorOutcome("ValueError", ("ValueError", "Exception"), "no"))),
    },
)


def test_what_is_written_comes_back() -> None:
    assert from_bytes(to_bytes(FILE), "f") == FILE


def test_the_same_outcomes_give_the_same_bytes() -> None:
    turned = GoldenFile("g", "cpu", "2.13.0", dict(reversed(list(FILE.cases.items()))))
    assert to_bytes(turned) == to_bytes(FILE)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject) -> None:
    content = bytearray(to_bytes(FILE))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = from_bytes(bytes(content), "f")
    except Refusal:
        return
    assert read == FILE  # the file format pads its header with spaces


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(to_bytes(FILE)) - 1))
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(Refusal, match=r"part of one|corrupted"):
        from_bytes(to_bytes(FILE)[:length], "f")


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "g" / "cpu.safetensors"
    write_golden(path, FILE)
    before = path.read_bytes()
    other = GoldenFile("g", "cpu", "2.14.0", {})
    with pytest.raises(Refusal, match="--force") as refusal:
        write_golden(path, other)
    assert refusal.value.exit_code == 2
    assert path.read_bytes() == before
    write_golden(path, other, force=True)
    assert read_golden(path) == other
    assert [entry.name for entry in path.parent.iterdir()] == ["cpu.safetensors"]


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cpu.safetensors"
    path.write_text("version https://example.org/lfs\n")
    with pytest.raises(Refusal, match="not a golden file"):
        read_golden(path)
    with pytest.raises(Refusal, match="cannot read"):
        read_golden(tmp_path / "absent.safetensors")
