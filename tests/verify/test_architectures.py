"""Which chip a unit is compiled for, by what its code asks of the macro that names the chip."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.verify.architectures import asked_arch, known_archs

KNOWN = frozenset({80, 90, 100, 103, 120})


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        (b"", "90a"),
        (b"#if __CUDA_ARCH__ >= 1000 && __CUDA_ARCH__ < 1100\n", "100a"),
        (b"#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 1030)\n", "103a"),
        (b"#ifdef __CUDA_ARCH_FEAT_SM100_ALL\n", "100a"),
        (b"#if __CUDA_ARCH__ >= 1200\n#elif __CUDA_ARCH__ >= 1000\n#elif __CUDA_ARCH__ >= 900\n", "100a"),
        (b"#if __CUDA_ARCH__ >= 800\n", "90a"),
        (b"#if __CUDA_ARCH__ < 1000  // for older ones\n", "90a"),
        (b"#if __CUDA_ARCH__ >= 1300\n", "90a"),  # this nvcc does not know it
    ],
)
def test_the_oldest_newer_chip_that_is_asked_for(text: bytes, arch: str) -> None:
    assert asked_arch([b"int f();\n", text], KNOWN) == arch


def test_the_compiler_says_which_chips_it_knows(tmp_path: Path) -> None:
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\n[ $1 = --list-gpu-arch ] && echo compute_90 && echo compute_100\n")
    nvcc.chmod(0o755)
    assert known_archs(str(nvcc)) == {90, 100}
    assert known_archs(str(tmp_path / "missing")) == frozenset()
