"""The tables as they are, and what the loader refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch_stabilize.surface.entry import Entry, TableError
from torch_stabilize.surface.loading import check, parse_table
from torch_stabilize.surface.table import Surface, build_surface, load_surface


@pytest.fixture(scope="module")
def surface() -> Surface:
    return load_surface()


@pytest.mark.parametrize(
    ("legacy", "stable"),
    [
        ("torch::Tensor", "torch::stable::Tensor"),
        ("::at::Tensor", "torch::stable::Tensor"),
        ("c10::optional", "std::optional"),
        ("torch::nullopt", "std::nullopt"),
        ("at::IntArrayRef", "torch::headeronly::IntHeaderOnlyArrayRef"),
        ("torch::Dtype", "torch::headeronly::ScalarType"),
        ("torch::kFloat32", "torch::headeronly::ScalarType::Float"),
        ("torch::kF32", "torch::headeronly::ScalarType::Float"),
        ("c10::kHalf", "torch::headeronly::ScalarType::Half"),
        ("at::ScalarType::Float8_e4m3fn", "torch::headeronly::ScalarType::Float8_e4m3fn"),
        ("torch::kCUDA", "torch::headeronly::kCUDA"),
        ("c10::DeviceType::CPU", "torch::headeronly::DeviceType::CPU"),
        ("at::MemoryFormat::Contiguous", "torch::headeronly::MemoryFormat::Contiguous"),
        ("c10::cuda::current_device", "torch::stable::accelerator::getCurrentDeviceIndex"),
        ("at::sum_out", "torch::stable::sum_out"),
    ],
)
def test_names_are_renamed(surface: Surface, legacy: str, stable: str) -> None:
    entry = surface.name(legacy)
    assert entry is not None
    assert (entry.form, entry.stable) == ("rename", stable)


@pytest.mark.parametrize(
    ("method", "form", "stable", "returns"),
    [
        ("numel", "same", "numel", "int64_t"),
        ("get_device", "rename", "get_device_index", "int64_t"),
        ("view", "free", "torch::stable::view", "Tensor"),
        ("expand", "dispatcher", "expand", "Tensor"),
        ("slice", "dispatcher", "slice.Tensor", "Tensor"),
        ("unbind", "dispatcher", "unbind.int", "vector<Tensor>"),
        ("topk", "dispatcher", "topk", "tuple<Tensor,Tensor>"),
        ("options", "special", "", "TensorOptions"),
        ("record_stream", "none", "", ""),
    ],
)
def test_methods(surface: Surface, method: str, form: str, stable: str, returns: str) -> None:
    entry = surface.method(method)
    assert entry is not None
    assert (entry.form, entry.stable, entry.returns) == (form, stable, returns)


@pytest.mark.parametrize(
    ("path", "form", "stable"),
    [
        ("torch/all.h", "drop", ""),
        ("ATen/ops/empty.h", "drop", ""),
        ("c10/util/Half.h", "replace", "torch/headeronly/util/Half.h"),
        ("c10/util/a_header_of_tomorrow.h", "drop", ""),
        ("ATen/cpu/vec/functional.h", "none", ""),  # longer patterns win over "ATen/*"
        ("torch/headeronly/core/ScalarType.h", "same", "torch/headeronly/*"),
    ],
)
def test_includes(surface: Surface, path: str, form: str, stable: str) -> None:
    entry = surface.include(path)
    assert entry is not None
    assert (entry.form, entry.stable) == (form, stable)


def test_headers_of_others_are_unknown(surface: Surface) -> None:
    assert surface.include("cub/cub.cuh") is None
    assert surface.include("torch_utils.h") is None


def test_macros(surface: Surface) -> None:
    check = surface.macro("TORCH_CHECK")
    launch = surface.macro("C10_CUDA_KERNEL_LAUNCH_CHECK")
    host = surface.macro("C10_HOST_DEVICE")
    assert check is not None
    assert launch is not None
    assert host is not None
    assert check.stable == "STD_TORCH_CHECK"
    assert (launch.stable, launch.target) == ("STD_CUDA_KERNEL_LAUNCH_CHECK", "2.10")
    assert host.form == "same"
    assert surface.macro("A_MACRO_OF_THE_PROJECT") is None


def test_namespaces_are_looked_up_last(surface: Surface) -> None:
    assert (entry := surface.name("at::vec::Vectorized")) is not None
    assert entry.id == "space.vec"
    assert (entry := surface.name("at::cuda::warp_size")) is not None
    assert entry.form == "template"
    assert surface.name("torch::a_name_of_nowhere") is None


def test_versions_are_numbers(surface: Surface) -> None:
    generator = surface.name("at::Generator")
    assert generator is not None
    assert not surface.available(generator, "2.9")  # 2.9 is older than 2.13, though "9" sorts behind "13"
    assert surface.available(generator, "2.13")
    permute = surface.method("permute")
    assert permute is not None
    assert surface.available(permute, "2.10", headers="2.14.1")
    assert not surface.available(permute, "2.10", headers="2.11.0")


def test_a_row_has_another_in_its_place_where_the_headers_are_newer() -> None:
    surface = load_surface()
    plain, native = surface.name("c10::irange"), surface.at("2.10", "2.15").name("c10::irange")
    assert plain is not None
    assert native is not None
    assert (plain.stable, plain.helper) == ("irange", "irange")
    assert (native.stable, native.helper) == ("torch::headeronly::irange", "")
    assert surface.at("2.10", "2.14").name("c10::irange") == plain
    assert surface.at("2.10") is surface.at("2.10", "2.10")
    assert surface.at("2.10", "2.97").name("at::irange") is not None


@pytest.mark.parametrize(
    ("native", "message"),
    [
        ('{ headers = "2.9", form = "rename", stable = "X" }', "needs newer headers"),
        ('{ headers = "2.14", form = "rename", stable = "X", helper = "irange" }', "neither a helper"),
        ('{ headers = "2.14", form = "rename" }', "without a stable form"),
    ],
)
def test_rows_for_newer_headers_that_are_not_sound(native: str, message: str) -> None:
    row = f'{{ names = ["f"], spaces = ["c10"], stable = "f", helper = "irange", native = {native} }}'
    text = f'[[family]]\nkind = "function"\nform = "rename"\nrule = "TSA104"\nrows = [{row}]'
    with pytest.raises(TableError, match=message):
        check(parse_table(text))


def test_older_headers_fall_back_to_the_dispatcher(surface: Surface) -> None:
    permute = surface.method("permute")
    assert permute is not None
    fallback = surface.fallback(permute)
    assert fallback is not None
    assert (fallback.form, fallback.stable) == ("dispatcher", "permute")
    assert surface.fallback(fallback) is None


def test_every_id_is_unique_and_every_entry_is_found_by_its_spellings(surface: Surface) -> None:
    ids = [entry.id for entry in surface.entries]
    assert len(ids) == len(set(ids))
    look_up = {"macro": surface.macro, "dispatch": surface.macro, "method": surface.method, "include": surface.include}
    for entry in surface.table:
        for spelling in entry.legacy:
            if "*" not in spelling:
                assert look_up.get(entry.kind, surface.name)(spelling) == entry


ROW = '[[family]]\nkind = "type"\nform = "rename"\nrule = "TSA101"\nrows = [{}]\n'


def load(*rows: str) -> Surface:
    entries = parse_table(ROW.replace("{}", ", ".join(rows)))
    check(entries)
    return build_surface(entries)


def test_spaces_spell_every_name_out() -> None:
    small = load('{ names = ["A", "B"], spaces = ["c10", "at"], legacy = ["torch::C"], stable = "x::A" }')
    assert {s for entry in small.table for s in entry.legacy} == {"c10::A", "at::A", "c10::B", "at::B", "torch::C"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['{ id = "a", legacy = ["A"], stable = "x" }', '{ id = "a", legacy = ["B"], stable = "y" }'], "the id 'a'"),
        (
            ['{ id = "a", legacy = ["A"], stable = "x" }', '{ id = "b", legacy = ["A"], stable = "y" }'],
            "both claim 'A'",
        ),
        (['{ legacy = ["A"], stable = "B" }', '{ legacy = ["B"], stable = "C" }'], "legacy name of type.B"),
        (['{ legacy = ["A"], stable = "A" }'], "legacy name of type.A"),
        (['{ legacy = ["A", "A"], stable = "x" }'], "twice"),
        (['{ legacy = ["A"], stable = "x", colour = "red" }'], "unknown key 'colour'"),
        (['{ legacy = ["A"], stable = "x", kind = "verb" }'], "unknown kind 'verb'"),
        (['{ legacy = ["A"], stable = "x", form = "guess" }'], "unknown form 'guess'"),
        (['{ legacy = ["A"], stable = "x", form = "drop" }'], "unknown form 'drop'"),
        (['{ legacy = ["A"], stable = "x", target = "soon" }'], "not a torch version: 'soon'"),
        (['{ legacy = ["A"], stable = "x", headers = "2" }'], "not a torch version: '2'"),
        (['{ legacy = ["A"], stable = "x", confidence = "sure" }'], "unknown confidence 'sure'"),
        (['{ legacy = ["A"], stable = "x", rule = "T1" }'], "not a rule code: 'T1'"),
        (['{ legacy = ["A"], stable = "x", arity = "some" }'], "arity"),
        (['{ legacy = ["A"] }'], "without a stable form"),
        (['{ legacy = ["A"], form = "none" }'], "no note"),
        (['{ stable = "x" }'], "without names"),
        (['{ legacy = "A", stable = "x" }'], "legacy is not a list"),
    ],
)
def test_unsound_tables_are_refused(rows: list[str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        load(*rows)


def test_bad_toml_and_stray_keys_are_refused() -> None:
    with pytest.raises(TableError, match=r"table\.toml"):
        parse_table("[[family]", "table.toml")
    with pytest.raises(TableError, match="unknown key 'famly'"):
        parse_table("[[famly]]\n")


def test_a_name_may_be_stable_in_one_kind_and_legacy_in_another() -> None:
    entries = (
        Entry("type.A", "type", ("A",), "rename", "B", rule="TSA101"),
        Entry("macro.B", "macro", ("B",), "rename", "C", rule="TSA201"),
    )
    check(entries)


def test_loading_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'jinja2', 'libcst'}"
    code = f"import torch_stabilize.surface.table as t, sys; t.load_surface(); print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
