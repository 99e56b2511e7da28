"""Include lines: which go, where the new ones are, and what a header that both builds include keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch_stabilize.rules.context import SiteKind
from torch_stabilize.rules.includes import IncludeWish, spell_relative, write_includes
from torch_stabilize.rules.sites import find_sites
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply
from torch_stabilize.surface.table import load_surface

TENSOR = "torch/csrc/stable/tensor.h"


def written(
    text: str,
    system: tuple[str, ...] = (TENSOR,),
    own: tuple[str, ...] = (),
    *,
    dual: tuple[str, ...] = (),
    respell: Callable[[str], str | None] = lambda name: None,
    shared: bool = False,
    path: str = "csrc/paint.cu",
) -> str:
    document = Document(path, text.encode())
    sites = [site for site in find_sites(document, load_surface()) if site.kind is SiteKind.INCLUDE]
    wish = IncludeWish(frozenset(system), frozenset(own), frozenset(dual))
    legacy_too: frozenset[str] | None = frozenset() if shared else None
    edits, _ = write_includes(document, sites, wish, lambda name, _: respell(name), lambda word: True, legacy_too)
    return apply(document.data, edits).decode()


NEW = f"#include <{TENSOR}>\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#include <torch/all.h>\n#include <vector>\nint n;\n", NEW + "#include <vector>\nint n;\n"),
        ("// Paints.\n\nint n;\n", f"// Paints.\n\n{NEW}int n;\n"),
        ("#pragma once\nint n;\n", f"#pragma once\n{NEW}int n;\n"),
        # an empty line keeps the repository's headers apart from those of the system
        ('#include "brush.h"\n', f'{NEW}\n#include "brush.h"\n'),
        ('#include <torch/all.h>\n\n#include "brush.h"\n', f'{NEW}\n#include "brush.h"\n'),
        # a condition that has nothing left goes
        (
            "#include <torch/all.h>\n#ifdef FAST\n#include <ATen/ATen.h>\n#endif\nint n;\n",
            NEW + "int n;\n",
        ),
        (
            "#include <torch/all.h>\n#ifdef FAST\n#include <ATen/ATen.h>\n#include <set>\n#endif\nint n;\n",
            NEW + "#ifdef FAST\n#include <set>\n#endif\nint n;\n",
        ),
        # of two empty lines around what goes one stays
        (
            "#include <torch/all.h>\n#include <set>\n\n#include <ATen/ATen.h>\n\nint n;\n",
            NEW + "#include <set>\n\nint n;\n",
        ),
        ("#include <torch/all.h>\r\nint n;\r\n", f"#include <{TENSOR}>\r\nint n;\r\n"),
        # one that is there already
        (NEW + "#include <torch/all.h>\nint n;\n", NEW + "int n;\n"),
        # pybind11 stays where it is used, in a unit
        (
            "#include <torch/all.h>\n#include <pybind11/pybind11.h>\nint n;\n",
            NEW + "int n;\n",
        ),
        (
            "#include <torch/all.h>\n#include <pybind11/pybind11.h>\npy::object n;\n",
            NEW + "#include <pybind11/pybind11.h>\npy::object n;\n",
        ),
    ],
)
def test_a_unit(before: str, after: str) -> None:
    assert written(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#include <torch/all.h>\nint n;\n", f'{NEW}\n#include "stable/ops.h"\nint n;\n'),
        (
            '#include "brush.h"\n#include <torch/all.h>\nint n;\n',
            f'#include "brush.h"\n#include "stable/ops.h"\n{NEW}int n;\n',
        ),
        (
            '#include <torch/all.h>\n\n#include "brush.h"\nint n;\n',
            f'{NEW}\n#include "stable/ops.h"\n#include "brush.h"\nint n;\n',
        ),
        (
            "#include <torch/all.h>\n#include <vector>\nint n;\n",
            f'{NEW}#include <vector>\n\n#include "stable/ops.h"\nint n;\n',
        ),
    ],
)
def test_headers_of_the_repository_are_together(before: str, after: str) -> None:
    assert written(before, own=("stable/ops.h",)) == after


def test_a_header_that_moved_has_another_name_or_none() -> None:
    names = {"brush.h": "../brush.h", "old.h": "", "same.h": None}
    before = '#include <torch/all.h>\n#include "brush.h"\n#include "old.h"\n#include "same.h"\n'
    assert written(before, respell=lambda name: names[name]) == f'{NEW}#include "../brush.h"\n#include "same.h"\n'


def test_two_that_become_one_are_written_once() -> None:
    before = '#include <torch/all.h>\n#include "a.h"\n#include "sub/a.h"\n'
    assert written(before, respell=lambda name: "a.h").count('"a.h"') == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "#pragma once\n#include <torch/all.h>\nint n;\n",
            f"#pragma once\n#ifdef TORCH_TARGET_VERSION\n  {NEW}#else\n  #include <torch/all.h>\n#endif\nint n;\n",
        ),
        (
            "#pragma once\n#include <torch/all.h>\n#include <set>\n#include <ATen/ATen.h>\nint n;\n",
            f"#pragma once\n#ifdef TORCH_TARGET_VERSION\n  {NEW}#else\n  #include <torch/all.h>\n#endif\n#include <set>\n"
            "#ifndef TORCH_TARGET_VERSION\n  #include <ATen/ATen.h>\n#endif\nint n;\n",
        ),
        ("#pragma once\nint n;\n", f"#pragma once\n#ifdef TORCH_TARGET_VERSION\n  {NEW}#endif\nint n;\n"),
    ],
)
def test_a_header_of_both_builds(before: str, after: str) -> None:
    assert written(before, shared=True, path="csrc/canvas.h") == after


def test_a_header_of_both_builds_that_wants_nothing_stays_as_it_is() -> None:
    assert written("#pragma once\nint n;\n", (), shared=True, path="csrc/canvas.h") == "#pragma once\nint n;\n"


def test_what_serves_both_builds_is_outside_of_the_condition() -> None:
    after = written("#include <torch/all.h>\nint n;\n", own=("checks.h",), dual=("checks.h",), shared=True)
    assert after.endswith('#endif\n\n#include "checks.h"\nint n;\n')


@pytest.mark.parametrize(
    ("start", "end", "spelled"),
    [("csrc/a.cu", "csrc/b.h", "b.h"), ("csrc/stable/a.cu", "csrc/b.h", "../b.h"), ("a.cu", "csrc/b.h", "csrc/b.h")],
)
def test_how_a_file_spells_another(start: str, end: str, spelled: str) -> None:
    assert spell_relative(start, end) == spelled


def test_a_header_of_another_library_in_the_folder_of_torch_stays_and_is_reported() -> None:
    text = "#include <sleef.h>\n#include <torch/all.h>\nint n;\n"
    document = Document("csrc/paint.cpp", text.encode())
    sites = [site for site in find_sites(document, load_surface()) if site.kind is SiteKind.INCLUDE]

    edits, found = write_includes(document, sites, IncludeWish(frozenset()), lambda *_: None, lambda word: False)

    assert apply(document.data, edits).decode() == "#include <sleef.h>\nint n;\n"
    assert [one.code for one in found] == ["TSA003"]
    assert "sleef.h" in found[0].message


def test_a_header_of_the_same_name_that_is_the_repositorys_own_is_no_site() -> None:
    document = Document("csrc/paint.cpp", b'#include "sleef.h"\nint n;\n')

    assert not [site for site in find_sites(document, load_surface()) if site.kind is SiteKind.INCLUDE]
