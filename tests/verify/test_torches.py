"""The stable library under other versions of torch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.verify import codes, torches
from torch_stabilize.verify.result import Status
from torch_stabilize.verify.side import BuiltSide, Side
from torch_stabilize.verify.torches import OtherTorch, parse_torches, torch_steps


def built(library: Path | None) -> dict[str, BuiltSide]:
    return {"stable": BuiltSide(Side("stable", Path("/"), "_C_stable", (), ()), (), library)}


def test_versions_and_interpreters() -> None:
    assert parse_torches("2.11, 2.13.1") == (OtherTorch("2.11"), OtherTorch("2.13.1"))
    assert parse_torches(sys.executable) == (OtherTorch(sys.executable, Path(sys.executable)),)
    assert parse_torches("") == ()
    with pytest.raises(Refusal, match="--torch new: neither a version"):
        parse_torches("2.11,new")


def test_without_a_library_each_torch_is_undone() -> None:
    steps = list(torch_steps(parse_torches("2.11,2.13"), built(None), (), "2.11"))
    assert [(one.name, one.undone) for one in steps] == [
        (f"torch {version}", (f"torch {version}, the stable library could not be built",))
        for version in ("2.11", "2.13")
    ]


@pytest.mark.torch
def test_what_cannot_be_checked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    def nowhere(version: str) -> Path:
        raise Refusal(f"no environment for torch {version}: no network")

    monkeypatch.setattr(torches, "environment", nowhere)
    real = next(Path(torch.__file__).parent.glob("lib/libshm*.so"))
    older, absent = torch_steps(parse_torches("2.10,2.99"), built(real), (), "2.11")
    assert older.undone == (f"{older.name}, older than the target 2.11",)
    assert absent.undone == ("torch 2.99, no environment for torch 2.99: no network",)


@pytest.mark.torch
def test_a_library_is_loaded_by_another_interpreter(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    real = next(Path(torch.__file__).parent.glob("lib/libshm*.so"))
    (same,) = torch_steps(parse_torches(sys.executable), built(real), (), "2.11")
    assert same.status is Status.OK
    assert same.figures["torch"] == torch.__version__
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no torch here >&2\nexit 1\n")
    python.chmod(0o755)
    (lacking,) = torch_steps((OtherTorch("other", python),), built(real), (), "2.11")
    (found,) = lacking.diagnostics
    assert found.code == codes.OTHER_TORCH
    assert "no torch here" in found.message
