"""`check`: what makes CI fail, and what the allow-list may do."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from torch_stabilize.report.annotations import annotation
from torch_stabilize.report.as_json import schema
from torch_stabilize.report.places import Place

from tests.conftest import Run, commit_all, git, make_repository

LEGACY = """#include <torch/all.h>
void old(torch::Tensor& x) { x.zero_(); }
TORCH_LIBRARY(mine, m) { m.def("old(Tensor! x) -> ()", &old); }
"""
STABLE = """#include <torch/csrc/stable/tensor.h>
void scale(torch::stable::Tensor& x) {}
"""
SLIPPED = """#include <torch/csrc/stable/tensor.h>
void scale(at::Tensor& x) {}
"""
UNIT = "csrc/libtorch_stable/scale.cu"
CONFIG = "torch-stabilize.toml"


def repository(folder: Path, unit: str, config: str | None = None) -> Path:
    files = {"csrc/bindings.cpp": LEGACY, UNIT: unit, "setup.py": "# none\n"}
    return make_repository(folder, {**files, **({CONFIG: config} if config is not None else {})})


def test_stable_files_pass_whatever_the_legacy_ones_hold(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("check", cwd=repository(tmp_path, STABLE))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "check passed: 1 stable files, 0 unstable sites, 0 of them allowed\n"


def test_a_new_unstable_site_fails_at_its_place(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("check", cwd=repository(tmp_path, SLIPPED))
    assert ran.code == 1
    assert ran.out.startswith(f"{UNIT}:2:12 TSA101 unstable `at::Tensor`")


IN_PLACE = """from torch.utils.cpp_extension import CppExtension
CppExtension("mine._S", ["csrc/scale.cpp"], define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000ULL")])
CppExtension("mine._C", ["csrc/bindings.cpp"])
"""


def test_stable_files_are_looked_at_wherever_they_are(run_cli: Run, tmp_path: Path) -> None:
    files = {"csrc/bindings.cpp": LEGACY, "csrc/scale.cpp": '#include "scale.h"\n' + SLIPPED, "setup.py": IN_PLACE}
    header = "#pragma once\nvoid more(at::Tensor& x);\n"
    ran = run_cli("check", cwd=make_repository(tmp_path, {**files, "csrc/scale.h": header}))
    assert ran.code == 1
    assert [line.partition(" ")[0] for line in ran.out.splitlines() if " TSA101 " in line] == [
        "csrc/scale.cpp:3:12", "csrc/scale.h:2:11"
    ]  # fmt: skip


COMPILES = """#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Half.h>
#define CUDA_CHECK(call) (call)
struct Matrix { float item(int row) const; float* data(); };
namespace cute { struct Tensor { float* data(); }; }
void scale(torch::stable::Tensor& x, Matrix rows, cute::Tensor tile) {
  c10::Half one(1.0f);
  CUDA_CHECK(static_cast<int>(x.get_device() + x.element_size() + rows.item(2)));
  tile.data();
}
"""
SLIPPED_METHODS = """#include <torch/csrc/stable/tensor.h>
void scale(torch::stable::Tensor& x) {
  auto y = x.contiguous();
  c10::optional<int> n = x.item();
}
"""


@pytest.mark.parametrize(
    ("unit", "names"), [(COMPILES, []), (SLIPPED_METHODS, ["`contiguous`", "`c10::optional`", "`item`"])]
)
def test_what_the_stable_headers_have_is_no_site_where_nothing_else_is_built(
    run_cli: Run, tmp_path: Path, unit: str, names: list[str]
) -> None:
    files = {"csrc/bindings.cpp": LEGACY, "csrc/scale.cpp": unit, "setup.py": IN_PLACE}
    ran = run_cli("check", cwd=make_repository(tmp_path, files))
    assert ran.code == (1 if names else 0)
    assert [line.split()[3] for line in ran.out.splitlines() if " unstable `" in line] == names


def test_github_shows_a_finding_at_its_line(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("check", "--github", cwd=repository(tmp_path, SLIPPED))
    assert ran.code == 1
    assert ran.out.startswith(f"::error file={UNIT},line=2,col=12,title=TSA101::unstable `at::Tensor`")


def test_an_annotation_is_one_line_whatever_its_text_and_path() -> None:
    shown = annotation("error", "TSA101", Place("a,b:c.cu", 3, 1), "50% of\nit")
    assert shown == "::error file=a%2Cb%3Ac.cu,line=3,col=1,title=TSA101::50%25 of%0Ait"


def test_one_form_at_a_time(run_cli: Run, tmp_path: Path) -> None:
    assert run_cli("check", "--github", "--json", cwd=repository(tmp_path, STABLE)).code == 2


def test_the_allow_list_is_compared_with_where_the_branch_left(run_cli: Run, tmp_path: Path) -> None:
    folder = repository(tmp_path, SLIPPED, f'allow = ["{UNIT}:at::Tensor", "csrc/bindings.cpp"]\n')
    git(folder, "checkout", "-q", "-b", "topic")
    (folder / "csrc/new.h").write_text("#pragma once\n")
    commit_all(folder, "Something else")
    git(folder, "checkout", "-q", "-")
    (folder / CONFIG).write_text(f'allow = ["{UNIT}:at::Tensor"]\n')
    commit_all(folder, "Shrink the list")
    shrunk = git(folder, "rev-parse", "HEAD").strip()
    git(folder, "checkout", "-q", "topic")
    assert "TSA792" not in run_cli("check", "--base", shrunk, cwd=folder).out


def test_listed_files_have_to_be_stable_too(run_cli: Run, tmp_path: Path) -> None:
    folder = repository(tmp_path, STABLE)
    ran = run_cli("check", "bindings.cpp", cwd=folder / "csrc")
    assert ran.code == 1
    assert "csrc/bindings.cpp:2:10" in ran.out


def test_an_allowed_site_passes(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("check", cwd=repository(tmp_path, SLIPPED, f'allow = ["{UNIT}:at::Tensor"]\n'))
    assert ran.code == 0
    assert "1 of them allowed" in ran.out


def test_an_entry_that_allows_nothing_fails(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("check", cwd=repository(tmp_path, STABLE, f'# why\nallow = [\n  "{UNIT}",\n]\n'))
    assert ran.code == 1
    assert ran.out.startswith(f"{CONFIG}:3:1 TSA791 `{UNIT}` allows nothing")


def test_the_allow_list_may_not_grow(run_cli: Run, tmp_path: Path) -> None:
    folder = repository(tmp_path, SLIPPED, f'allow = ["{UNIT}:at::Tensor"]\n')
    entry = "csrc/bindings.cpp"
    (folder / CONFIG).write_text(f'allow = ["{UNIT}:at::Tensor", "{entry}"]\n')
    ran = run_cli("check", cwd=folder)
    assert ran.code == 1
    assert f"TSA792 `{entry}` is new" in ran.out
    commit_all(folder, "Grow")
    assert run_cli("check", cwd=folder).code == 0
    assert "TSA792" in run_cli("check", "--base", "HEAD~1", cwd=folder).out


def test_the_allow_list_may_shrink_and_may_start(run_cli: Run, tmp_path: Path) -> None:
    folder = repository(tmp_path, SLIPPED)
    (folder / CONFIG).write_text(f'allow = ["{UNIT}"]\n')
    assert run_cli("check", cwd=folder).code == 0
    commit_all(folder, "Start the list")
    (folder / UNIT).write_text(STABLE)
    (folder / CONFIG).write_text("allow = []\n")
    assert run_cli("check", cwd=folder).code == 0


@pytest.mark.parametrize("config", ["allow = []\n", None])
def test_an_unknown_revision_is_wrong_usage(config: str | None, run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("check", "--base", "nowhere", cwd=repository(tmp_path, STABLE, config))
    assert (ran.code, ran.out, ran.err) == (2, "", "torch-stabilize: no such revision: nowhere\n")


def test_a_clone_without_history_is_told_so(run_cli: Run, tmp_path: Path) -> None:
    whole = repository(tmp_path / "whole", STABLE)
    commit_all(whole, "Something else")
    git(tmp_path, "clone", "-q", "--depth", "1", whole.as_uri(), "shallow")
    ran = run_cli("check", "--base", "HEAD~1", cwd=tmp_path / "shallow")
    assert ran.code == 2
    assert ran.err.startswith("torch-stabilize: no such revision: HEAD~1 (this clone has no history: ")


def test_json_and_sarif(run_cli: Run, tmp_path: Path) -> None:
    folder = repository(tmp_path, SLIPPED)
    document = json.loads(run_cli("check", "--json", cwd=folder).out)
    jsonschema.Draft202012Validator.check_schema(schema("check"))
    jsonschema.validate(document, schema("check"))
    assert document["passed"] is False
    (result,) = json.loads(run_cli("check", "--sarif", cwd=folder).out)["runs"][0]["results"]
    assert result["ruleId"] == "TSA101"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 2, "startColumn": 12, "endLine": 2, "endColumn": 22}


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("void f(at::Tensor& x) {}  // torch-stabilize: allow at::Tensor: used by a tool", 0, ""),
        ("// torch-stabilize: allow at::Tensor: used by a tool\nvoid f(at::Tensor& x) {}", 0, ""),
        ("void f(at::Tensor& x) {}  /* torch-stabilize: allow: all of this line */", 0, ""),
        ("void f(at::Tensor& x) {}  // torch-stabilize: allow at::Tensor", 1, "gives no reason"),
        ("void f(at::Tensor& x) {}  // torch-stabilize: allow at::Half: not this one", 1, "allows nothing"),
        ("// torch-stabilize: allow at::Tensor: not the next line\n\nvoid f(at::Tensor& x) {}", 1, "allows nothing"),
        ("void f();  // torch-stabilize: allow at::Tensor: it was here once", 1, "allows nothing"),
        ("void f();  // how to use torch-stabilize: allow what is needed", 0, ""),
    ],
)
def test_a_comment_with_a_reason_allows_a_line(run_cli: Run, tmp_path: Path, line: str, code: int, said: str) -> None:
    ran = run_cli("check", cwd=repository(tmp_path, f"#include <torch/csrc/stable/tensor.h>\n{line}\n"))
    assert ran.code == code, ran.out
    assert said in ran.out
    assert ("TSA793" in ran.out) == bool(said)
