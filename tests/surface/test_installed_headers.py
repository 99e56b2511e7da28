"""The tables against the torch that is installed: nothing promised is missing, nothing legacy is forgotten."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.headers import installed_version
from torch_stabilize.surface.probe import disagreements, missing, probed
from torch_stabilize.surface.published import published, unlisted
from torch_stabilize.surface.table import load_surface

pytestmark = pytest.mark.compile


@pytest.mark.parametrize("target", ["2.10", "2.11", ""])
def test_every_stable_name_is_there_from_its_floor_on(release_tree: Path, compiler: str, target: str) -> None:
    own = ".".join(installed_version(release_tree).split(".")[:2])
    if target > own:
        pytest.skip(f"headers of {own}")
    assert disagreements(release_tree, target or own) == ()


def test_every_name_that_the_headers_publish_has_a_row(release_tree: Path) -> None:
    found = published(release_tree)
    assert len(found) > 30
    assert "torch::stable::empty_like" in {one.stable for one in found}
    assert unlisted(release_tree) == ()


def test_a_published_name_without_a_row_is_listed(tmp_path: Path) -> None:
    texts = {
        "headeronly/version.h": "".join(
            f"#define TORCH_VERSION_{part}\n" for part in ("MAJOR 2", "MINOR 98", "PATCH 0")
        ),
        "headeronly/util/wave.h": "namespace c10 { // using torch::headeronly::gone;\nnamespace detail {\n"
        "using torch::headeronly::detail::crest;\n}\nusing torch::headeronly::wave;\nusing torch::headeronly::Half;\n}\n",
        "csrc/stable/ops.h": "inline torch::stable::Tensor ripple(\n    const torch::stable::Tensor& self) {\n}\n",
    }
    for name, text in texts.items():
        (tmp_path / "torch" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "torch" / name).write_text(text)
    found = [(one.legacy, one.stable, one.header) for one in unlisted(tmp_path)]
    assert found == [
        ("c10::detail::crest", "torch::headeronly::detail::crest", "torch/headeronly/util/wave.h"),
        ("c10::wave", "torch::headeronly::wave", "torch/headeronly/util/wave.h"),
        ("ripple", "torch::stable::ripple", "torch/csrc/stable/ops.h"),
    ]


def test_most_rows_can_be_probed() -> None:
    table = load_surface().table
    own = [entry for entry in table if not entry.helper]  # a snippet defines what the others are renamed to
    stable = [entry for entry in own if entry.form in ("rename", "free", "same") and entry.kind != "include"]
    assert len(probed(stable)) > 0.9 * len(stable)


def test_a_name_that_is_not_there_is_missed(torch_include: Path, compiler: str) -> None:
    entries = (
        Entry("good", "type", ("at::Tensor",), "rename", "torch::stable::Tensor", rule="TSA101"),
        Entry("bad.type", "type", ("at::X",), "rename", "torch::stable::Tensr", rule="TSA101"),
        Entry("bad.constant", "constant", ("at::kF",), "rename", "torch::headeronly::kFloat", rule="TSA102"),
        Entry("bad.macro", "macro", ("M",), "rename", "STD_NO", include="torch/headeronly/util/Exception.h"),
        Entry("bad.method", "method", ("options",), "same", "options", rule="TSA110"),
        Entry("bad.include", "include", ("c10/a.h",), "replace", "torch/headeronly/a.h", rule="TSA001"),
    )
    assert missing(torch_include, "2.10", entries) == {entry.id for entry in entries} - {"good"}


def test_a_folder_without_headers_is_refused(tmp_path: Path, compiler: str) -> None:
    with pytest.raises(Refusal, match="no torch headers"):
        disagreements(tmp_path, "2.10")


def defined_in(path: Path, pattern: str) -> set[str]:
    return {match[1] for match in re.finditer(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)}


def test_no_method_of_a_tensor_is_forgotten(torch_include: Path) -> None:
    header = torch_include / "ATen/core/TensorBase.h"
    text = header.read_text(encoding="utf-8")
    start = text.index("class TORCH_API TensorBase")
    body = text[start : text.index("\nprotected:", start)]
    declared = r"^  (?!return|static)[\w:<>&*, ]*[\w>&*] \**&?(\w+)\([^)]*\)[ \w]*[;{&]"
    methods = set(re.findall(declared, body, re.MULTILINE))
    internal = {"TensorBase"}
    surface = load_surface()
    assert len(methods) > 80
    assert {name for name in methods - internal if surface.method(name) is None} == set()


def test_no_dtype_constant_is_forgotten(torch_include: Path) -> None:
    names = defined_in(torch_include / "torch/csrc/api/include/torch/types.h", r"^constexpr auto (k\w+)")
    surface = load_surface()
    assert len(names) > 15
    assert {name for name in names if surface.name(f"torch::{name}") is None} == set()
    scalar_types = torch_include / "torch/headeronly/core/ScalarType.h"
    enumerators = defined_in(scalar_types, r"_\(.*, (\w+)\) /\* \d+ \*/")
    assert len(enumerators) > 40
    for name in enumerators:
        for spelling in (f"at::k{name}", f"torch::k{name}", f"c10::ScalarType::{name}"):
            assert (entry := surface.name(spelling)) is not None, spelling
            assert entry.stable == f"torch::headeronly::ScalarType::{name}"


@pytest.mark.parametrize(
    "header",
    ["c10/util/Exception.h", "ATen/Dispatch.h", "c10/cuda/CUDAException.h", "torch/headeronly/macros/Macros.h"],
)
def test_no_macro_is_forgotten(torch_include: Path, header: str) -> None:
    names = defined_in(torch_include / header, r"^ *# *define ((?:TORCH|AT|C10|CUDA)_[A-Z0-9_]+)")
    internal = re.compile(r".*(_IMPL|_H_?)$|C10_EXPAND_MSVC_WORKAROUND|C10_(ANDROID|IOS|MOBILE)")
    surface = load_surface()
    assert {name for name in names if not internal.fullmatch(name) and surface.macro(name) is None} == set()


def test_dispatch_families_cover_the_dtypes_torch_says(torch_include: Path, compiler: str, tmp_path: Path) -> None:
    """A family that gained or lost a dtype would widen or narrow what a migrated kernel accepts."""
    families = [
        (name, entry)
        for entry in load_surface().table
        if entry.kind == "dispatch" and entry.rule == "TSA302" and entry.form == "special"
        for name in entry.legacy
        if name.startswith("AT_DISPATCH_CASE_")
    ]
    lines = []
    for name, entry in families:
        assert entry.arity is not None
        extra = "".join(f"EXTRA{i}, " for i in range(entry.arity[0]))
        lines.append(f"@{name} {name}({extra}BODY)")
    unit = tmp_path / "families.cpp"
    unit.write_text("#include <ATen/Dispatch.h>\n" + "\n".join(lines) + "\n", encoding="utf-8")
    command = [compiler, "-std=c++17", "-E", "-P", f"-I{torch_include}", f"-I{torch_include}/torch/csrc/api/include"]
    done = subprocess.run([*command, str(unit)], capture_output=True, text=True, check=True)
    expanded = dict(re.findall(r"^@(\w+) (.*(?:\n(?!@).*)*)", done.stdout, re.MULTILINE))
    assert len(families) > 30
    for name, entry in families:
        assert entry.arity is not None
        cases = re.findall(r"case (?:at::ScalarType::|at::k)?(\w+):", expanded[name])
        dtypes = [case for case in cases if not case.startswith("EXTRA")]
        assert sorted(dtypes) == sorted(entry.stable.split()), name
        assert len(cases) - len(dtypes) == entry.arity[0], name
