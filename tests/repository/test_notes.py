"""Notes about a group: units that migrated before, and headers of both worlds that it is the last legacy user of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from torch_stabilize.bindings.notes import notes_on
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.repository.codes import CODES
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES

from tests.conftest import make_repository

SWITCH = "#ifdef TORCH_TARGET_VERSION\n#define CHECK STD_TORCH_CHECK\n#else\n#define CHECK TORCH_CHECK\n#endif\n"
UNIT = '#include <torch/all.h>\n#include "{}check.h"\nvoid run(at::Tensor x) {{ CHECK(x.dim()); }}\n'
FILES = {
    "setup.py": "CUDAExtension(name='pkg._C', sources=['csrc/bindings.cpp', 'csrc/one.cu', 'csrc/two.cu'])\n",
    "csrc/bindings.cpp": "#include <torch/library.h>\nTORCH_LIBRARY(_C, m) {}\n",
    "csrc/check.h": f"#pragma once\n{SWITCH}",
    "csrc/one.cu": UNIT.format(""),
    "csrc/libtorch_stable/old.cu": '#include "../check.h"\nvoid old() {}\n',
}


def notes(folder: Path, files: Mapping[str, str], *units: str) -> tuple[Diagnostic, ...]:
    snapshot = open_snapshot(make_repository(folder / "repository", files))
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    graph = IncludeGraph(snapshot, snapshot.below("csrc", SOURCE_SUFFIXES), ("csrc",))
    found = notes_on(snapshot, layout, graph, resolve_group(snapshot, layout, config, units))
    assert {note.code for note in found} <= {code.code for code in CODES}
    assert all(note.severity is Severity.NOTE for note in found)
    return found


def test_what_has_migrated_already_is_noted(tmp_path: Path) -> None:
    assert [note.path for note in notes(tmp_path, FILES, "csrc/libtorch_stable/old.cu")] == [
        "csrc/libtorch_stable/old.cu"
    ]


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ({}, ["csrc/check.h"]),
        ({"csrc/two.cu": UNIT.format("")}, []),  # another unit still needs the other branch
        (
            {"csrc/check.h": "#pragma once\n#ifndef TORCH_TARGET_VERSION\n#include <c10/util/Half.h>\n#endif\n"},
            ["csrc/check.h"],
        ),
        ({"csrc/check.h": "#pragma once\n#if TORCH_TARGET_VERSION >= 3\n#endif\n"}, []),  # no branch for legacy units
    ],
)
def test_the_last_legacy_user_of_a_header_is_noted(tmp_path: Path, more: dict[str, str], noted: list[str]) -> None:
    assert [note.path for note in notes(tmp_path, {**FILES, **more}, "csrc/one.cu")] == noted
