"""The build systems that are read: one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.entries import read_cmake_entries
from torch_stabilize.buildfiles.jit.read import jit_files, read_jit_entries
from torch_stabilize.buildfiles.kernels.read import SYSTEM, read_kernel_entries
from torch_stabilize.buildfiles.model import BuildEntry, Gap
from torch_stabilize.buildfiles.modules import BuildFiles
from torch_stabilize.buildfiles.setup.entries import read_setup_entries
from torch_stabilize.repository.snapshot import Snapshot

Read = tuple[tuple[BuildEntry, ...], tuple[Gap, ...]]


class BuildSystem(NamedTuple):
    """How one build system is recognised and read.

    `detect` gives its files in a project, none where the project does not use it; `read` gives what they build, and
    what could not be read. Both are pure, and neither raises.
    """

    name: str
    detect: Callable[[BuildFiles], Sequence[str]]
    read: Callable[[Snapshot, Sequence[str]], Read]


SYSTEMS = (
    BuildSystem("cmake", lambda files: sorted(files.cmake), read_cmake_entries),
    BuildSystem("setuptools", lambda files: sorted(files.setup), read_setup_entries),
    BuildSystem(SYSTEM, lambda files: sorted(files.kernels), read_kernel_entries),
    BuildSystem("jit", jit_files, read_jit_entries),
)
