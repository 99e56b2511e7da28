"""Every rule's examples: what its page shows is what it does, and what it writes compiles."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from torch_stabilize.codes import Example
from torch_stabilize.rules import RULES
from torch_stabilize.surface.aten import render_header
from torch_stabilize.surface.headers import target_macro
from torch_stabilize.surface.snippet import all_snippets

from tests.rules.rewriting import rewrite, rewritten

EXAMPLES = [
    (code, number, example) for code, rule in sorted(RULES.items()) for number, example in enumerate(rule.examples)
]
NAMES = [f"{code}-{number}" for code, number, _ in EXAMPLES]

# What the examples take for granted: kernels' callees that the snippets of the pages do not spell out.
_STAGE = "template <typename T> void g();\n"
_CUDA_ONLY = ("TSA205", "TSA206", "TSA401", "TSA402", "TSA403", "TSA404", "TSA405")


@pytest.mark.parametrize(("code", "number", "example"), EXAMPLES, ids=NAMES)
def test_before_becomes_after(code: str, number: int, example: object) -> None:
    assert rewritten(example.before) == example.after  # type: ignore[attr-defined]


_OF_CUDA = ("<<<", "__global__", "__device__")
_IN_CPP = [row for row in EXAMPLES if not any(word in row[2].before for word in _OF_CUDA)]


@pytest.mark.parametrize(("code", "number", "example"), _IN_CPP, ids=[f"{row[0]}-{row[1]}" for row in _IN_CPP])
def test_a_cpp_file_is_rewritten_alike(code: str, number: int, example: Example) -> None:
    """The grammar of C++ reads some declarations otherwise than that of CUDA."""
    assert rewritten(example.before, path="kernel.cpp") == example.after


@pytest.mark.parametrize(("code", "number", "example"), EXAMPLES, ids=NAMES)
def test_a_second_run_changes_nothing(code: str, number: int, example: object) -> None:
    assert rewritten(example.after) == example.after  # type: ignore[attr-defined]


def test_every_rule_with_a_handler_shows_an_example() -> None:
    without = {code for code, rule in RULES.items() if not rule.examples and code in _needs_example()}
    assert not without


def test_every_rule_leaves_look_alikes_alone() -> None:
    shown = {code for code, rule in RULES.items() if rule.examples} | _needs_example()
    without = {code for code in shown if not any(map(_is_left_alone, RULES[code].examples))}
    assert not without


def _is_left_alone(example: Example) -> bool:
    """Whether an example is not rewritten, and nothing is reported of it."""
    return example.before == example.after and not rewrite(example.before)[1].diagnostics


def _needs_example() -> set[str]:
    from torch_stabilize.rules.registry import HANDLERS

    return set(HANDLERS) - {
        "TSA303",
        "TSA113",
        "TSA405",
    }  # shown by tests of their own, with a project around


def translation_unit(cuda: bool, target: str) -> str:
    """All examples after their rule in one file, each in a namespace of its own, with what they asked to include.

    What a target is too old for is left out: it is a diagnostic there.
    """
    includes: set[str] = {"cstdint", "torch/csrc/stable/tensor.h", "torch/csrc/stable/ops.h"}
    helpers: set[str] = set()
    bodies = []
    for code, number, example in EXAMPLES:
        if (code in _CUDA_ONLY) and not cuda:
            continue
        after, found = rewrite(example.before, target=target)
        if found.diagnostics:
            continue
        includes |= found.includes
        helpers |= found.helpers
        bodies.append((f"{code.lower()}_{number}", after))
    snippets = [all_snippets()[name] for name in sorted(helpers & all_snippets().keys())]
    snippets = [snippet for snippet in snippets if cuda or not snippet.needs_cuda]
    includes |= {name for snippet in snippets for name in snippet.includes}
    lines = [f"#include <{name}>" for name in sorted(includes)]
    wrappers = render_header(name.partition(":")[2] for name in helpers if name.startswith("aten:")).decode()
    lines += [*wrappers.splitlines(), *(snippet.code for snippet in snippets), _STAGE]
    for name, body in bodies:
        own = [line for line in body.splitlines() if line.startswith("#include")]
        rest = [line for line in body.splitlines() if not line.startswith("#include")]
        lines += [*own, f"namespace {name} {{", *rest, "}"]
        lines += [f"#undef {line.split()[1].split('(')[0]}" for line in rest if line.startswith("#define")]
    return "\n".join(lines) + "\n"


def test_what_the_rules_write_compiles(stable_tree: Path, target: str, compiler: str, tmp_path: Path) -> None:
    unit = tmp_path / "examples.cpp"
    unit.write_text(translation_unit(cuda=False, target=target))
    command = [
        compiler,
        "-std=c++17",
        "-fsyntax-only",
        "-w",
        f"-I{stable_tree}",
        f"-DTORCH_TARGET_VERSION={target_macro(target)}",
        str(unit),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_what_the_rules_write_for_cuda_compiles(stable_tree: Path, target: str, tmp_path: Path) -> None:
    unit = tmp_path / "examples.cu"
    text = translation_unit(cuda=True, target=target)
    unit.write_text(text.replace("#include <cublas_v2.h>", "typedef struct cublasContext* cublasHandle_t;"))
    command = [
        "nvcc",
        "-std=c++17",
        "-c",
        "-o",
        str(tmp_path / "examples.o"),
        "-w",
        f"-I{stable_tree}",
        "-DUSE_CUDA",
        f"-DTORCH_TARGET_VERSION={target_macro(target)}",
        "--fdevice-syntax-only",
        str(unit),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
