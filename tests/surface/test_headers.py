"""Versions, targets and where the headers are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.surface.headers import check_target, checked_target, installed_version, target_macro
from torch_stabilize.surface.versions import parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.9", (2, 9)),
        ("2.10", (2, 10)),
        ("2.13.0+cpu", (2, 13)),
        ("2.15.0a0+git1234567", (2, 15)),
        ("2.12.0rc3", (2, 12)),
    ],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "2", "two", "2.x", "v2.10", "2.10,2.11"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a torch version"):
        parse_version(text)


def test_minor_versions_compare_as_numbers() -> None:
    assert parse_version("2.9") < parse_version("2.10")


@pytest.mark.parametrize(("target", "macro"), [("2.10", "0x020a000000000000ULL"), ("2.11", "0x020b000000000000ULL")])
def test_target_macro(target: str, macro: str) -> None:
    assert target_macro(target) == macro


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("latest", "not a torch version"),
        ("2.9", "too old"),
    ],
)
def test_targets_that_are_refused(target: str, message: str) -> None:
    with pytest.raises(Refusal, match=message) as caught:
        checked_target(target)
    assert caught.value.exit_code == 2


def test_a_target_newer_than_the_headers_is_refused() -> None:
    check_target("2.11", "2.13.0")
    check_target("2.13", "2.13.0")
    with pytest.raises(Refusal, match=r"newer than the headers of torch 2\.13\.0"):
        check_target("2.14", "2.13.0")


def test_the_version_is_read_from_the_headers(tmp_path: Path) -> None:
    header = tmp_path / "torch/headeronly/version.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 12\n#define TORCH_VERSION_PATCH 1\n")
    assert installed_version(tmp_path) == "2.12.1"


def test_no_headers_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no torch headers in"):
        installed_version(tmp_path)


def test_looking_for_torch_does_not_import_it(torch_include: Path) -> None:
    code = (
        "import sys; from torch_stabilize.surface.headers import *; print(find_torch_include(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{torch_include} False\n"
