"""Other files that name what moved, and scripts that write kernels."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Confidence

from tests.buildfiles.trees import Planned, plan

SETUP = 'ext_modules = [CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cpp"])]\n'


def with_file(path: str, text: str, **more: object) -> Planned:
    return plan({"setup.py": SETUP, path: text}, ["csrc/norm.cpp"], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("MANIFEST.in", "include csrc/norm.cpp\n"),
        (".github/CODEOWNERS", "/csrc/norm.cpp @someone\n"),
        (".github/workflows/ci.yml", "paths:\n  - 'csrc/norm.cpp'\n"),
        ("typos.toml", 'extend-exclude = ["csrc/norm.cpp"]\n'),
        ("docs/kernels.md", "See [the kernel](./csrc/norm.cpp), `csrc/norm.cpp`.\n"),
        ("tools/list.py", 'FILES = ("csrc/norm.cpp",)\n'),
    ],
)
def test_a_plain_path_is_edited(path: str, text: str) -> None:
    assert with_file(path, text).text(path) == text.replace("csrc/norm.cpp", "csrc/stable/norm.cpp")


@pytest.mark.parametrize("name", ["csrc/norm.cpp.in", "mycsrc/norm.cpp", "other/csrc/norm.cpp", "csrc/norm.cppx"])
def test_a_longer_path_is_another_path(name: str) -> None:
    assert with_file("docs/a.md", f"{name}\n").text("docs/a.md") == f"{name}\n"


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        (".pre-commit-config.yaml", r"exclude: ^csrc/norm\.cpp$", r"csrc/norm\.cpp"),
        (".github/workflows/ci.yml", "paths: ['csrc/*.cpp']\n", "csrc/*.cpp"),
        ("csrc/other.h", "// see csrc/norm.cpp for the kernel\n", "csrc/norm.cpp"),
        (".pre-commit-config.yaml", r"exclude: '^csrc/(norm|other)\.cpp$'", r"^csrc/(norm|other)\.cpp$"),
    ],
)
def test_what_an_edit_would_guess_is_listed(path: str, text: str, place: str) -> None:
    done = with_file(path, text)
    assert done.text(path) == text
    assert [done.place(d) for d in done.diagnostics("TSA651")] == [place]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("csrc/build.py", 'module = load(name="norm", sources=[os.path.join(HERE, "norm.cpp")])\n'),
        ("pkg.py", "from torch.utils.cpp_extension import load\nmodule = load('norm', ['csrc/norm.cpp'])\n"),
    ],
)
def test_what_is_compiled_at_import_has_to_leave_its_list(path: str, text: str) -> None:
    assert [d.message for d in with_file(path, text).diagnostics("TSA652")] == [
        "this compiles norm.cpp: moved to csrc/stable/norm.cpp"
    ]


@pytest.mark.parametrize("path", ["tests/build.py", "csrc/sub/build.py"])
def test_a_source_of_that_name_elsewhere_is_another(path: str) -> None:
    assert not with_file(path, 'module = load(name="norm", sources=["norm.cpp"])\n').diagnostics("TSA652")


def test_a_pattern_that_still_catches_the_file_is_fine() -> None:
    assert not with_file(".github/workflows/ci.yml", "paths: ['csrc/**']\n").diagnostics("TSA651")


def test_a_link_from_the_folder_of_a_document() -> None:
    text = "See [the kernel](../csrc/norm.cpp), not ../csrc/norm.cpp.orig or ../../csrc/norm.cpp.\n"
    done = with_file("docs/kernels.md", text).text("docs/kernels.md")
    assert done == text.replace("(../csrc/norm.cpp)", "(../csrc/stable/norm.cpp)")


def test_folders_of_a_source_distribution() -> None:
    setup = 'ext_modules = [CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/quant/norm.cpp"])]\n'
    manifest = "graft csrc/quant\nrecursive-include csrc/quant *.h\nrecursive-include csrc *.cpp\n"
    found = plan({"setup.py": setup, "MANIFEST.in": manifest}, ["csrc/quant/norm.cpp"]).diagnostics("TSA651")
    assert [d.message.partition('" caught')[0] for d in found] == ['"graft csrc/quant']


def test_owners_of_a_folder_that_the_file_left() -> None:
    setup = 'ext_modules = [CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/quant/norm.cpp"])]\n'
    files = {"setup.py": setup, "CODEOWNERS": "/csrc/quant/ @someone\n/csrc/ @all\n"}
    (found,) = plan(files, ["csrc/quant/norm.cpp"]).diagnostics("TSA651")
    assert "/csrc/quant/" in found.message


def test_nothing_moves_in_place() -> None:
    assert with_file("MANIFEST.in", "include csrc/norm.cpp\n", in_place=True).edited == ["setup.py"]


# Generators

GENERATOR = '''\
"""Writes one unit for each type."""
HEADER = """
#include <torch/all.h>
"""
BODY = """
void check(const torch::Tensor& x) {
  TORCH_CHECK(x.dim() == 2, "two dimensions");
}
"""
'''


def test_a_plain_template_is_migrated_by_the_rules() -> None:
    done = with_file("csrc/generate.py", GENERATOR)
    text = done.text("csrc/generate.py")
    assert "torch::stable::Tensor& x" in text
    assert 'STD_TORCH_CHECK(x.dim() == 2, "two dimensions")' in text
    edits = [e.edit for e in done.change.edits if e.path == "csrc/generate.py"]
    assert {edit.confidence for edit in edits} == {Confidence.REVIEW}


def test_escapes_that_mean_the_same_in_the_migrated_text_stay() -> None:
    text = 'BODY = """\n#define CHECK(x) \\\\\n  TORCH_CHECK(x, "no\\\\n")\nvoid f(const torch::Tensor& x);\n"""\n'
    after = with_file("csrc/generate.py", text).text("csrc/generate.py")
    assert after == text.replace("TORCH_CHECK", "STD_TORCH_CHECK").replace("torch::Tensor", "torch::stable::Tensor")


@pytest.mark.parametrize(
    "line",
    [
        'f"void f{n}(torch::Tensor x);"',
        '"void f(at::" + kind + " x);"',
        '"{% for t in types %} void f(torch::Tensor x) {"',
    ],
)
def test_text_in_pieces_is_listed(line: str) -> None:
    text = f"write({line})\n"
    done = with_file("csrc/generate.py", text)
    assert done.text("csrc/generate.py") == text
    assert done.diagnostics("TSA661")


def test_a_script_elsewhere_is_nobodys_business() -> None:
    assert not with_file("csrc/other/generate.py", GENERATOR).diagnostics("TSA661")
