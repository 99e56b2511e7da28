"""`scan`: every site, by file and op, with its code, and the groups."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import jsonschema
from torch_stabilize.report.as_json import schema

from tests.cli.test_main import HEAVY, imported_by
from tests.cli.tree_state import tree_state
from tests.conftest import Run, commit_all, make_repository

KERNEL = """#include <torch/all.h>

void scale(torch::Tensor& x) {
  TORCH_CHECK(x.is_contiguous());
  float* data = x.data_ptr<float>();
}
"""
BINDINGS = """#include <torch/library.h>
void scale(torch::Tensor& x);
TORCH_LIBRARY(mine, m) {
  m.def("scale(Tensor! x) -> ()");
  m.impl("scale", torch::kCUDA, &scale);
}
"""


def small_repository(folder: Path) -> Path:
    return make_repository(folder, {"csrc/scale.cu": KERNEL, "csrc/bindings.cpp": BINDINGS, "setup.py": "# none\n"})


def test_scan_of_the_sample_names_files_ops_codes_and_groups(run_cli: Run, sample: Path) -> None:
    before = tree_state(sample)
    ran = run_cli("scan", cwd=sample)
    assert ran.code == 1
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert any("csrc/activation_kernels.cu  TSA101 " in line for line in lines)
    assert any("  silu_and_mul_with_clamp  TSA" in line for line in lines)
    groups = lines[next(i for i, line in enumerate(lines) if line.startswith("Groups (")) :]
    assert any("  activation  " in line and "csrc/activation_kernels.cu" in line for line in groups)
    assert any("  layernorm  " in line for line in groups)
    assert tree_state(sample) == before


def test_what_comes_next_begins_with_a_capture_unless_there_is_one(run_cli: Run, tmp_path: Path) -> None:
    folder = small_repository(tmp_path)
    capture, migrate = "  torch-stabilize golden capture scale -- python -m pytest", "  torch-stabilize migrate scale"
    assert run_cli("scan", cwd=folder).out.splitlines()[-3:] == ["Next", capture, migrate]
    (folder / "golden/scale").mkdir(parents=True)
    (folder / "golden/scale/captured.safetensors").write_bytes(b"kept")
    commit_all(folder, "Calls of the tests")
    assert run_cli("scan", cwd=folder).out.splitlines()[-2:] == ["Next", migrate]


def test_scan_json_follows_its_schema_and_its_figures_add_up(run_cli: Run, sample: Path) -> None:
    ran = run_cli("scan", "--json", cwd=sample)
    document = json.loads(ran.out)
    jsonschema.Draft202012Validator.check_schema(schema("scan"))
    jsonschema.validate(document, schema("scan"))
    assert sum(row["sites"] for row in document["files"]) == len(document["sites"])
    blocked = [site["target"] for site in document["sites"] if site["target"]]
    assert {row["target"]: row["sites"] for row in document["blockers"]} == Counter(blocked)
    assert {site["code"] for site in document["sites"]} == set(document["codes"])


def test_a_group_says_how_many_of_its_sites_no_torch_has_a_form_of(run_cli: Run, tmp_path: Path) -> None:
    kernel = KERNEL + "\nvoid seed() { at::globalContext().alertNotDeterministic(__func__); }\n"
    files = {"csrc/scale.cu": kernel, "csrc/bindings.cpp": BINDINGS, "setup.py": "# none\n"}
    folder = make_repository(tmp_path, files)
    (group,) = json.loads(run_cli("scan", "--json", cwd=folder).out)["groups"]
    assert (group["by_hand"], group["sites"] > 1) == (1, True)
    assert "  scale  (1 by hand)  csrc/scale.cu" in run_cli("scan", cwd=folder).out


def test_a_target_is_named_where_not_every_torch_has_the_stable_form(run_cli: Run, tmp_path: Path) -> None:
    source = "#include <torch/all.h>\nvoid f(torch::Tensor x) {\n  auto y = torch::empty({2});\n  at::vec::Vectorized<float> v;\n}\n"
    document = json.loads(run_cli("scan", "--json", cwd=make_repository(tmp_path, {"csrc/f.cpp": source})).out)
    targets = {site["name"]: site["target"] for site in document["sites"]}
    assert targets["torch::Tensor"] == ""
    assert targets["torch::empty"] == "2.10"
    assert targets["at::vec::Vectorized"] == "none"


def test_sites_are_listed_at_their_place(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("scan", "csrc/scale.cu", "--sites", cwd=small_repository(tmp_path))
    assert [line.split(" ")[0] for line in ran.out.splitlines()[:4]] == [
        "csrc/scale.cu:1:10",
        "csrc/scale.cu:3:12",
        "csrc/scale.cu:4:3",
        "csrc/scale.cu:5:19",
    ]
    assert ran.out.splitlines()[3].endswith("data_ptr  [in scale]")


def test_a_path_limits_the_sites_but_not_the_repository(run_cli: Run, tmp_path: Path) -> None:
    folder = small_repository(tmp_path)
    everything = json.loads(run_cli("scan", "--json", cwd=folder).out)
    bindings = json.loads(run_cli("scan", "bindings.cpp", "--json", cwd=folder / "csrc").out)
    assert bindings["within"] == "csrc/bindings.cpp"
    assert bindings["sites"] == [site for site in everything["sites"] if site["path"] == "csrc/bindings.cpp"]
    assert 0 < len(bindings["sites"]) < len(everything["sites"])


def test_ops_lists_the_operators(run_cli: Run, tmp_path: Path) -> None:
    folder = small_repository(tmp_path)
    ran = run_cli("scan", "--ops", cwd=folder)
    assert ran.code == 0
    first, second, _count = ran.out.splitlines()
    assert first.split() == ["legacy", "mine::scale", "CUDA=scale", "csrc/bindings.cpp"]
    assert second.strip().startswith("scale(")
    (operator,) = json.loads(run_cli("scan", "--ops", "--json", cwd=folder).out)["operators"]
    assert operator["implementations"] == [{"key": "CUDA", "function": "scale"}]


def test_nothing_unstable_is_exit_code_0(run_cli: Run, tmp_path: Path) -> None:
    folder = make_repository(tmp_path, {"csrc/a.cpp": "int f() { return 1; }\n"})
    ran = run_cli("scan", cwd=folder)
    assert (ran.code, ran.err) == (0, "")
    assert "no unstable site" in ran.out


def test_scan_does_not_import_torch(sample: Path) -> None:
    loaded = imported_by("from torch_stabilize.cli.main import program; program(['scan'])", sample)
    assert "tree_sitter" in loaded
    assert loaded.isdisjoint({"torch", "libcst", "jinja2", "numpy"})
    assert {"torch", "libcst", "jinja2", "numpy"} <= set(HEAVY)


def test_the_headers_that_close_a_site_are_named(tmp_path: Path, run_cli: Run) -> None:
    unit = (
        "#include <torch/all.h>\n#include <c10/util/irange.h>\n\nat::Tensor turn(const at::Tensor& x) {\n"
        "  for (const auto i : c10::irange(3)) {\n    (void)i;\n  }\n  return x.permute({1, 0}).cumsum(0);\n}\n"
    )
    root = make_repository(tmp_path / "turning", {"csrc/turn.cpp": unit})
    document = json.loads(run_cli("scan", "--json", cwd=root).out)
    by_name = {site["name"]: site["headers"] for site in document["sites"]}
    assert (by_name["c10::irange"], by_name["permute"], by_name["cumsum"]) == ("2.15", "2.14", "")
    assert [(row["headers"], row["sites"]) for row in document["headers"]] == [("2.14", 1), ("2.15", 1)]
    text = run_cli("scan", cwd=root).out
    assert "Oldest headers with a form of their own\n     1  2.14  permute\n     1  2.15  c10::irange\n" in text


def test_a_group_of_which_nothing_can_move_is_not_suggested(tmp_path: Path, run_cli: Run) -> None:
    """It binds a class: once the others have moved it is all that is left, and the reason is listed."""
    files = {
        "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension\n"
        'setup(name="p", ext_modules=[CppExtension("p_ext", ["csrc/keep.cpp", "csrc/move.cpp", "csrc/bind.cpp"])])\n',
        "csrc/move.cpp": "#include <torch/extension.h>\nat::Tensor twice(at::Tensor x) { return x + x; }\n",
        "csrc/keep.cpp": "#include <torch/extension.h>\n#include <pybind11/pybind11.h>\n"
        "int64_t count(const pybind11::list& names, at::Tensor x) { return names.size() * x.numel(); }\n",
        "csrc/bind.cpp": "#include <torch/extension.h>\nat::Tensor twice(at::Tensor x);\n"
        "int64_t count(const pybind11::list& names, at::Tensor x);\n"
        'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("twice", &twice); m.def("count", &count); }\n',
    }
    root = make_repository(tmp_path, files)
    assert run_cli("migrate", "csrc/move.cpp", "--write", cwd=root).code in (0, 1)
    report = json.loads(run_cli("scan", "--json", cwd=root).out)
    assert "csrc/keep.cpp" not in {path for group in report["groups"] for path in group["files"]}
    assert any("const pybind11::list&` has no schema type" in one["reason"] for one in report["refused"])


def test_sites_of_every_project_of_the_repository_are_counted(tmp_path: Path, run_cli: Run) -> None:
    """The group of a second project, with a setup.py of its own, is no group without sites."""
    layer = BINDINGS.replace("TORCH_LIBRARY(mine", "TORCH_LIBRARY(layer").replace("scale", "shift")
    files = {
        "csrc/scale.cu": KERNEL,
        "csrc/bindings.cpp": BINDINGS,
        "setup.py": "# none\n",
        "extra/layer/setup.py": "# none\n",
        "extra/layer/csrc/shift.cu": KERNEL.replace("scale", "shift"),
        "extra/layer/csrc/bindings.cpp": layer,
    }
    tree = make_repository(tmp_path / "two", files)

    report = json.loads(run_cli("scan", "--json", cwd=tree).out)

    sites = Counter(site["path"].partition("/")[0] for site in report["sites"])
    assert sites["extra"] == sites["csrc"]
    of_groups = {group["name"]: group["sites"] for group in report["groups"]}
    assert len(of_groups) == 2
    assert len(set(of_groups.values())) == 1
