"""What `scan` takes for a very large tree: time, and memory at its peak.

    python -m tests.bench.volume [--files N] [--megabytes M] [--legacy SHARE] [--folder F]

Makes a tree of N files and M MB in F (a temporary folder, gone afterwards, where there is none): one extension whose
units and headers include each other in folders of a hundred, `SHARE` of them with code of torch's C++ API, one in
twenty a Python module. The same arguments always make the same tree. Then `scan` runs as a process of its own. Exits
with 1 where it takes more than 2 minutes or 1 GB.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench import COMMAND, cost

SECONDS, MEGABYTES = 120, 1000
_PER_FOLDER = 100
_CALM = """\
// Rows of table #, kept at the place they were read from; see the note at the end.
static int rows_#(const std::vector<int>& table, int first, int last) {
  int total = 0;
  for (int at = first; at < last; ++at) {
    if (table.at(at) > LIMIT_#) { total += table[at] * # - helper_#(at); }
  }
  return table.size() > 3u ? total : -total;
}
struct Entry# { int id; const char* name; Entry#* next; double weight() const { return id * 0.5; } };
#define LIMIT_# (1 << (# % 13))
inline int helper_#(int value) { return value % (# + 1) ? value + '\\'' : "at // no comment"[0]; }
"""
_NAMED = "// What at::Tensor is called here: at::Tensor# in comments alone.\n"
_LEGACY_PARTS = 8  # one in so many functions of a file that uses torch does
_LEGACY = """\
// Scales the rows of a matrix by # and adds what stands at the place of each.
static at::Tensor scale_#(const at::Tensor& x, int64_t rows, std::optional<at::Tensor> bias) {
  TORCH_CHECK(x.dim() == 2, "scale_#: expected a matrix, got ", x.sizes());
  auto y = torch::empty({rows, x.size(1)}, x.options().dtype(at::kFloat));
  const float* from = x.data_ptr<float>();
  float* to = y.data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row) { to[row * y.stride(0)] = from[row * x.stride(0)] * #; }
  return bias.has_value() ? y.add_(*bias) : y;
}
"""
_PYTHON = 'def table_#(rows):\n    """The rows of table #."""\n    return [row * # for row in rows]\n\n\n'
_SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import CppExtension
setup(name="large", packages=["large"], ext_modules=[CppExtension("large._C", ["csrc/bindings.cpp", "csrc/p0/f0.cpp"])])
"""
_BINDINGS = """\
#include <torch/library.h>
at::Tensor f(const at::Tensor& x);
TORCH_LIBRARY(large, ops) { ops.def("f(Tensor x) -> Tensor", &f); }
"""


def make_tree(folder: Path, files: int, size: int, legacy: float) -> None:
    """Write the tree to `folder`, an empty one, as a git repository whose files were never added."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    pick = random.Random(f"{files} {size} {legacy}")
    (folder / "large").mkdir()
    (folder / "csrc").mkdir()
    (folder / "setup.py").write_text(_SETUP)
    (folder / "large" / "__init__.py").write_text("from large import _C\n")
    (folder / "csrc" / "bindings.cpp").write_text(_BINDINGS)
    for number in range(files - 3):
        path, text = _file(number, size // files, legacy, pick)
        place = folder / path
        if number % _PER_FOLDER in (0, 1):  # the first source and the first module of a folder
            place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def _file(number: int, size: int, legacy: float, pick: random.Random) -> tuple[str, str]:
    folder, own = divmod(number, _PER_FOLDER)
    if own % 20 == 1:
        return f"large/p{folder}/m{number}.py", "".join(_filled(_PYTHON, size, pick))
    is_legacy = pick.random() < legacy
    is_header = own % 2 == 0 and own > 0
    head = [f'#include "h{folder * _PER_FOLDER + other}.h"\n' for other in range(2, own, 24)]
    head += ["#include <torch/all.h>\n"] if is_legacy else ["#include <vector>\n"]
    if not is_legacy and pick.random() < 0.1:
        head.append(_NAMED)
    body = _filled(_CALM, size, pick, _LEGACY if is_legacy else "")
    if number == 0:
        head.append("at::Tensor f(const at::Tensor& x) { return x.clone(); }\n")
    path = f"csrc/p{folder}/h{number}.h" if is_header else f"csrc/p{folder}/f{number}.{'cu' if own % 4 == 1 else 'cpp'}"
    return path, "".join((*(["#pragma once\n"] if is_header else []), *head, *body))


def _filled(text: str, size: int, pick: random.Random, other: str = "") -> Iterator[str]:
    """Parts until there are `size` bytes: `text`, and `other` in one place of some, filled in with numbers."""
    done = number = 0
    while done < size:
        is_other = other and number % _LEGACY_PARTS == 0
        number += 1
        part = (other if is_other else text).replace("#", str(pick.randrange(1_000_000)))
        done += len(part)
        yield part


def main() -> int:
    """Make the tree, scan it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--legacy", type=float, default=0.1)
    parser.add_argument("--folder", type=Path, help="keeps the tree, and takes the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volume-") as scratch:
        folder = options.folder or Path(scratch) / "tree"
        if not (folder / "setup.py").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_tree(folder, options.files, int(options.megabytes * 1e6), options.legacy)
        began = time.monotonic()
        taken = cost([*COMMAND, "scan"], folder)
        wall = time.monotonic() - began
    print(*taken.printed.splitlines()[:3], sep="\n")
    print(
        f"{options.files} files, {options.megabytes:.0f} MB, {options.legacy:.0%} of them with code of torch's C++ API:"
    )
    print(f"{wall:.1f} s, {taken.seconds:.1f} s of it CPU; {taken.megabytes:.0f} MB at its peak")
    return 1 if wall > SECONDS or taken.megabytes > MEGABYTES else 0


if __name__ == "__main__":
    sys.exit(main())
