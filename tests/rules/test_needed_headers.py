"""What the table of headers takes for granted is so: a header that is left out comes in through another one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch_stabilize import toml
from torch_stabilize.rules import needed_headers
from torch_stabilize.rules.needed_headers import with_implied

TABLE = toml.loads(Path(needed_headers.__file__).with_name("transitive.toml").read_text(encoding="utf-8"))
OF_TORCH = sorted(header for header in TABLE["implied"] if header.startswith("torch/"))
_INCLUDE = re.compile(r"^\s*#\s*include\s*<([^>]+)>", re.MULTILINE)


def brought_along(tree: Path, header: str) -> frozenset[str]:
    seen: set[str] = set()
    left = [header]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            path = tree / name
            left += _INCLUDE.findall(path.read_text(encoding="utf-8")) if path.is_file() else []
    return frozenset(seen)


@pytest.mark.parametrize("header", OF_TORCH)
def test_a_header_of_torch_brings_along_what_the_table_says(stable_tree: Path, header: str) -> None:
    assert (
        set(TABLE["implied"][header])
        - with_implied(name for name in brought_along(stable_tree, header) if not name.startswith("torch/"))
        - brought_along(stable_tree, header)
        == set()
    )


def test_the_methods_of_a_tensor_are_defined_by_its_own_header_alone(stable_tree: Path) -> None:
    # Without it scalar_type() and device() are declared and never defined: the library links and does not load.
    for header in ("torch/csrc/stable/ops.h", "torch/csrc/stable/library.h"):
        assert "torch/csrc/stable/tensor.h" not in with_implied([header])
        assert "torch/csrc/stable/tensor_inl.h" not in brought_along(stable_tree, header)
