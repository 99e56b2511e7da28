"""Every place that a tensor can come from against everything that is done with one: rewritten or reported, never silent."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from torch_stabilize.surface.aten import render_header
from torch_stabilize.surface.headers import target_macro
from torch_stabilize.surface.snippet import all_snippets

from tests.rules.rewriting import rewrite
from tests.rules.tensor_sources import LOOK_ALIKES, REPORTED, SOURCES, USES, program

# What the grammar cannot read, `at::Tensor{x} += 1`, is reported whatever its type is.
UNREADABLE = frozenset({("a braced constructor", "an operator in place")})


@pytest.mark.parametrize("name", SOURCES)
def test_no_use_of_a_tensor_passes_in_silence(name: str) -> None:
    source = SOURCES[name]
    silent, reported = [], []
    for use_name, use in USES.items():
        after, found = rewrite(program(source, use))
        if found.diagnostics:
            reported.append(use_name)
        elif use.gone in after or source.gone in after:
            silent.append(use_name)
    assert not silent
    # a stable tensor does not print
    typed = [one for one in reported if one != "streamed" and (name, one) not in UNREADABLE]
    assert bool(typed) == (name in REPORTED), reported


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_only_looks_like_a_tensor_is_left_alone(name: str) -> None:
    text = LOOK_ALIKES[name]
    after, found = rewrite(f"void take(at::Tensor x);\n{text}")
    assert after == f"void take(torch::stable::Tensor x);\n{text}"
    assert not found.diagnostics


# What each source is compiled with, and what cannot be said of some sources in C++.
COMPILED = ("a method", "a view", "two operators", "an index in front of a method", "an element written")
STANDARD = (
    "algorithm", "any", "array", "deque", "functional", "initializer_list", "list", "map", "memory", "optional", "stack",
    "string", "unordered_map", "utility", "variant", "vector",
)  # fmt: skip


@pytest.mark.compile
def test_what_is_written_for_each_source_compiles(
    stable_tree: Path, compiler: str, target: str, tmp_path: Path
) -> None:
    includes = {*STANDARD, "torch/csrc/stable/tensor.h", "torch/csrc/stable/ops.h"}
    helpers: set[str] = set()
    bodies = []
    for name, source in SOURCES.items():
        for use_name in COMPILED if "::own" not in source.expression[:6] else ():  # each has a namespace around it
            after, found = rewrite(program(source, USES[use_name]), target=target)
            if not found.diagnostics:
                includes |= found.includes
                helpers |= found.helpers
                bodies.append((name, after))
    snippets = [all_snippets()[name] for name in sorted(helpers & all_snippets().keys())]
    includes |= {name for snippet in snippets for name in snippet.includes}
    lines = [f"#include <{name}>" for name in sorted(includes)]
    lines += [render_header(name.partition(":")[2] for name in helpers if name.startswith("aten:")).decode()]
    lines += [*(snippet.code for snippet in snippets), "template <class T = torch::stable::Tensor> T any();"]
    for number, (name, body) in enumerate(bodies):
        lines += [f"namespace n{number} {{  // {name}", body, "}"]
        lines += [f"#undef {word}" for word in re.findall(r"#define (\w+)", body)]
    unit = tmp_path / "sources.cpp"
    unit.write_text("\n".join(lines) + "\n")
    version = f"-DTORCH_TARGET_VERSION={target_macro(target)}"
    command = [compiler, "-std=c++20", "-fsyntax-only", "-w", f"-I{stable_tree}", version, str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    assert len(bodies) > 900
