"""Which chips CUDA units are compiled for: one for all, and a newer one for units whose kernels are for newer chips."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

DEFAULT_ARCH = "90a"
_ASKED = re.compile(rb"__CUDA_ARCH__\s*(?:>=|==)\s*(\d{3,4})\b|__CUDA_ARCH_FEAT_SM(\d{2,3})_ALL\b")
_NUMBER = re.compile(r"\d+")


def asked_arch(sources: Iterable[bytes], known: frozenset[int], default: str = DEFAULT_ARCH) -> str:
    """The oldest of the `known` chips newer than `default` that `sources`, a unit with its headers, ask for; else it.

    Code under `#if __CUDA_ARCH__ >= 1000` is not in the PTX of an older chip, where nothing could differ.
    """
    usual = _number(default)
    asked = {int(match[1]) // 10 if match[1] else int(match[2]) for text in sources for match in _ASKED.finditer(text)}
    newer = sorted(arch for arch in asked & known if arch > usual)
    return f"{newer[0]}a" if newer else default


def known_archs(nvcc: str) -> frozenset[int]:
    """The chips that `nvcc` compiles for; none where it does not say."""
    try:
        said = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return frozenset()
    return frozenset(map(_number, said.split()))


def _number(arch: str) -> int:
    found = _NUMBER.search(arch)
    return int(found[0]) if found else 0
