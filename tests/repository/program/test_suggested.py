"""What `scan` suggests can be migrated: in every small tree that a test of this project spells out, and in the samples."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Refusal
from torch_stabilize.program.groups import resolve_group, suggest, suggest_groups
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import UNIT_SUFFIXES
from torch_stabilize.source.parsable import refuse_unparsable

from tests.conftest import RELATIVE, ROOT, SAMPLE, tree

Files = Mapping[str, bytes]
_TESTS = ROOT / "tests"


def _holding_trees() -> list[str]:
    """The files of tests that name a unit."""
    found = sorted(path for path in _TESTS.rglob("*.py") if path != Path(__file__))
    marks = tuple(f'{suffix}":'.encode() for suffix in UNIT_SUFFIXES)
    return [
        path.relative_to(ROOT).as_posix() for path in found if any(mark in path.read_bytes() for mark in marks)
    ]  # fmt: skip


def _trees(path: str) -> Iterator[tuple[str, Files]]:
    """Every dictionary of files with a unit that the module at `path` spells out, with the place where it does."""
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for node in ast.walk(ast.parse((ROOT / path).read_bytes())):
        if isinstance(node, ast.Dict) and any(_is_unit(key) for key in node.keys):
            try:
                files = eval(compile(ast.Expression(node), path, "eval"), dict(vars(module)))
            except Exception:  # what a function or a parameter gives is not known here
                continue
            if all(isinstance(text, str | bytes) for text in files.values()):
                yield f"{path}:{node.lineno}", {name: _data(text) for name, text in files.items()}


def _is_unit(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and str(key.value).endswith(UNIT_SUFFIXES)


def _data(text: Any) -> bytes:
    return text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()


def _refused(files: Files) -> dict[str, str]:
    """The suggested groups of a tree that migrating refuses, with why."""
    snapshot = Snapshot(Path("."), tuple(sorted(files)), dict(files))
    found = {}
    try:
        config = load_config(snapshot)
        layout = detect_layout(snapshot, config)
    except Refusal:
        return {}  # scan refuses the tree itself, and suggests nothing
    for suggested in suggest_groups(snapshot, layout, config):
        try:
            group = resolve_group(snapshot, layout, config, (suggested.name,))
            assert group.units == suggested.units
            for path in (*group.files, *group.shared_headers):
                refuse_unparsable(snapshot.document(path))
            plan_migration(snapshot, layout, group, Options(), config)
        except Refusal as refusal:
            found[suggested.name] = str(refusal)
    return found


@pytest.mark.parametrize("path", _holding_trees())
def test_no_suggested_group_is_refused(path: str) -> None:
    refused = {place: found for place, files in _trees(path) if (found := _refused(files))}
    assert not refused


@pytest.mark.parametrize("folder", [SAMPLE, SAMPLE / RELATIVE], ids=["sample", RELATIVE])
def test_no_suggested_group_of_a_sample_is_refused(folder: Path) -> None:
    assert _refused({path: data for path, data in tree(folder).items() if not path.startswith("build/")}) == {}


def test_a_group_that_cannot_be_parsed_is_not_suggested() -> None:
    files = {
        "csrc/good.cpp": b"#include <torch/all.h>\nvoid good(at::Tensor x) { TORCH_CHECK(x.dim() == 1); }\n",
        "csrc/torn.cpp": b"#include <torch/all.h>\n  TORCH_CHECK(x.dim() == 1);\n}\n",
        "csrc/bind.cpp": b"""#include <torch/library.h>
void good(at::Tensor x);
TORCH_LIBRARY(jars, m) { m.def("good(Tensor x) -> ()", &good); }
""",
    }
    snapshot = Snapshot(Path("."), tuple(sorted(files)), files)
    config = load_config(snapshot)
    found = suggest(snapshot, detect_layout(snapshot, config), config)
    assert [group.name for group in found.groups] == ["good"]
    assert found.refused == (("torn", "csrc/torn.cpp:3: cannot be parsed: this `}` closes nothing"),)
    assert _refused(files) == {}
