"""What came in through the header of the legacy declarations is included by those who use it."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, make_repository

FILES = {
    "csrc/graph.h": "#pragma once\nstruct Graph { int nodes; };\n",
    "csrc/idle.h": "#pragma once\nstruct Idle { int n; };\n",
    "csrc/add.h": '#pragma once\n#include <torch/all.h>\n#include "graph.h"\n#include "idle.h"\n'
    "void add(torch::Tensor& x);\nvoid add_to(torch::Tensor& x, Graph* graph);\n",
    "csrc/add.cpp": '#include "add.h"\nvoid add(torch::Tensor& x) { add_to(x, nullptr); }\n'
    "void add_to(torch::Tensor& x, Graph* graph) { if (graph) graph->nodes++; }\n",
    "csrc/sub.cpp": '#include "add.h"\nvoid sub(torch::Tensor& x) { x.sub_(1); }\n',
    "csrc/bindings.cpp": '#include "add.h"\n#include <torch/library.h>\nvoid sub(torch::Tensor& x);\n'
    'TORCH_LIBRARY(made_up, m) { m.def("add(Tensor! x) -> ()", &add); m.def("sub(Tensor! x) -> ()", &sub); }\n',
    "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension\n\nsetup(name='made_up', "
    "ext_modules=[CppExtension('made_up._C', ['csrc/add.cpp', 'csrc/sub.cpp', 'csrc/bindings.cpp'])])\n",
}


def test_a_type_beside_the_declarations_is_still_seen(run_cli: Run, tmp_path: Path) -> None:
    folder = make_repository(tmp_path, FILES)
    run_cli("migrate", "csrc/add.cpp", "csrc/sub.cpp", "--write", cwd=folder)
    migrated = (folder / "csrc/libtorch_stable/add.cpp").read_text()
    assert '#include "../graph.h"\n' in migrated
    assert "idle.h" not in migrated
    assert "graph.h" not in (folder / "csrc/libtorch_stable/sub.cpp").read_text()
    declarations = (folder / "csrc/libtorch_stable/ops.h").read_text()
    assert '#include "../graph.h"\n' in declarations
    assert "void add_to(torch::stable::Tensor& x, Graph* graph);" in declarations


CONSTANTS = {
    **FILES,
    "csrc/add.h": "#pragma once\n#include <torch/all.h>\n#define STEP 2\nvoid add(torch::Tensor& x);\n",
    "csrc/add.cpp": '#include "add.h"\nvoid add(torch::Tensor& x) { x.add_(STEP); }\n',
    "csrc/sub.cpp": "#include <torch/all.h>\nvoid sub(torch::Tensor& x) {}\n",
}


def test_a_header_with_constants_beside_its_declarations_moves_where_only_the_bindings_stay(
    run_cli: Run, tmp_path: Path
) -> None:
    folder = make_repository(tmp_path, CONSTANTS)
    run_cli("migrate", "csrc/add.cpp", "--write", cwd=folder)
    header = (folder / "csrc/libtorch_stable/add.h").read_text()
    assert "#define STEP 2\nvoid add(torch::stable::Tensor& x);\n" in header
    assert '#include "add.h"\n' in (folder / "csrc/libtorch_stable/add.cpp").read_text()
    assert "add.h" not in (folder / "csrc/bindings.cpp").read_text()
    assert not (folder / "csrc/add.h").exists()


def test_a_header_with_constants_beside_its_declarations_serves_both_sides(run_cli: Run, tmp_path: Path) -> None:
    user = '#include "add.h"\nvoid sub(torch::Tensor& x) { x.sub_(STEP); }\n'
    folder = make_repository(tmp_path, {**CONSTANTS, "csrc/sub.cpp": user})
    run_cli("migrate", "csrc/add.cpp", "--write", cwd=folder)
    header = (folder / "csrc/add.h").read_text()
    assert "#define STEP 2\n" in header
    assert "void add(torch::stable::Tensor& x);\n#else\nvoid add(torch::Tensor& x);\n#endif\n" in header
    assert '#include "../add.h"\n' in (folder / "csrc/libtorch_stable/add.cpp").read_text()
