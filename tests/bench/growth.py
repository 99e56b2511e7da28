"""How the cost of `scan` and `migrate` grows with one thing in the code, as a power of how often it is there.

    python -m tests.bench.growth [KIND...] [--sizes N...] [--calls]

Each kind of code is made in doubling sizes and planned in memory. Printed for each kind: the cost by size, and the
exponents that fit it: 1.0 where twice as much code takes twice as long. What a tree of size 1 costs is taken off first.
The cost is CPU time, the best of some runs; with --calls the calls of Python functions, which no load of the machine
changes and which leave out what native code does. Exits with 1 where an exponent is above 1.2.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.program.groups import resolve_group, suggest_groups
from torch_stabilize.program.scan import scan_tree
from torch_stabilize.repository.snapshot import Snapshot

LIMIT = 1.2
SIZES = (200, 400, 800, 1600)
_BINDINGS = """\
#include <torch/library.h>
#include "ops.h"
TORCH_LIBRARY(made, ops) {
  ops.def("f(Tensor x) -> Tensor");
  ops.impl("f", torch::kCPU, &f);
%s}
"""
_OPS = "#pragma once\n#include <torch/all.h>\nat::Tensor f(const at::Tensor& x);\n"
_SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import CppExtension
setup(name="made", packages=["made"], ext_modules=[CppExtension("made._C", ["csrc/bindings.cpp", "csrc/f.cpp"%s])])
"""

Files = Mapping[str, str]


def _tree(unit: str, *, more: Files | None = None, statements: str = "", sources: str = "") -> Files:
    return {
        "setup.py": _SETUP % sources,
        "made/__init__.py": "from made import _C\n",
        "csrc/bindings.cpp": _BINDINGS % statements,
        "csrc/ops.h": _OPS,
        "csrc/f.cpp": unit,
        **(more or {}),
    }


def _function(*statements: str, before: str = "", includes: str = "") -> str:
    body = "".join(f"  {statement}\n" for statement in statements)
    return f'#include "ops.h"\n{includes}{before}at::Tensor f(const at::Tensor& x) {{\n{body}}}\n'


def _each(count: int, statement: str) -> tuple[str, ...]:
    return (*(statement.replace("#", str(n)) for n in range(count)), "return x;")


def _include_cycles(count: int) -> Files:
    headers = {
        f"csrc/h{n}.h": f'#pragma once\n#include "h{(n + 1) % count}.h"\n#include "h{(n + 7) % count}.h"\n'
        f"inline int64_t rows{n}(const at::Tensor& x) {{ return x.size(0); }}\n"
        for n in range(count)
    }
    return _tree(_function("return x;", includes='#include "h0.h"\n'), more=headers)


def _groups(count: int) -> Files:
    units = {
        f"csrc/k{n}/k{n}.cpp": f'#include "../ops.h"\nat::Tensor k{n}(at::Tensor x) {{ return x.clone(); }}\n'
        for n in range(count)
    }
    statements = "".join(f'  ops.def("k{n}(Tensor x) -> Tensor", &k{n});\n' for n in range(count))
    return _tree(_function("return x;"), more=units, statements=statements, sources="".join(f', "{u}"' for u in units))


def _functions(count: int) -> Files:
    one = 'static at::Tensor g#(const at::Tensor& x) { TORCH_CHECK(x.dim() == 2, "bad"); return x.clone(); }\n'
    return _tree(_function("return g0(x);", before="".join(one.replace("#", str(n)) for n in range(count))))


def _nested_macros(count: int) -> Files:
    macros = "#define M0(x) x.clone()\n" + "".join(f"#define M{n}(x) M{n - 1}(x)\n" for n in range(1, count))
    return _tree(_function(f"return M{count - 1}(x);", before=macros))


def _nested_blocks(count: int) -> Files:
    opened = " ".join(f"if (x.size({n % 3}) > {n}) {{ auto y{n} = x + {n};" for n in range(count))
    return _tree(_function(opened + "}" * count, "return x;"))


def _registrations(count: int) -> Files:
    statements = "".join(
        f'  ops.def("k{n}(Tensor x) -> Tensor");\n  ops.impl("k{n}", torch::kCPU, &k{n});\n' for n in range(count)
    )
    unit = _function("return x;") + "".join(
        f"at::Tensor k{n}(at::Tensor x) {{ return x.clone(); }}\n" for n in range(count)
    )
    headers = {"csrc/ops.h": _OPS + "".join(f"at::Tensor k{n}(at::Tensor x);\n" for n in range(count))}
    return _tree(unit, more=headers, statements=statements)


def _build_entries(count: int) -> Files:
    units = {f"csrc/u{n}.cpp": f"int u{n}() {{ return {n}; }}\n" for n in range(count)}
    return _tree(_function("return x;"), more=units, sources="".join(f', "{unit}"' for unit in units))


def _extensions(count: int) -> Files:
    calls = "".join(f'CppExtension("made._E{n}", ["csrc/e{n}.cpp"]), ' for n in range(count))
    one = "at::Tensor e#(at::Tensor x) { return x.clone(); }\n"
    one += 'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("e#", &e#); }\n'
    head = "#include <torch/extension.h>\n"
    units = {f"csrc/e{n}.cpp": head + one.replace("#", str(n)) for n in range(count)}
    files = dict(_tree(_function("return x;"), more=units))
    files["setup.py"] = files["setup.py"].replace("ext_modules=[", f"ext_modules=[{calls}")
    return files


def _namespaces(count: int) -> Files:
    inner = "inline int64_t rows(const at::Tensor& x) { return x.size(0); }"
    name = "::".join(f"n{n}" for n in range(count))
    text = "".join(f"namespace n{n} {{\n" for n in range(count)) + inner + "}" * count + "\n"
    return _tree(_function(f"TORCH_CHECK({name}::rows(x) > 0);", "return x;", before=text))


def _long_macro(count: int) -> Files:
    lines = "".join(f"  y = y + {n}; \\\n" for n in range(count))
    return _tree(
        _function("at::Tensor y = x;", "ADD_ALL(y)", "return y;", before=f"#define ADD_ALL(y) \\\n{lines}  y = y;\n")
    )


def _conditions(count: int) -> Files:
    one = "#ifdef USE_#\n  y = y + #;\n#else\n  y = y - #;\n#endif"
    body = (one.replace("USE_#", f"USE_{n}").replace("+ #", f"+ {n}").replace("- #", f"- {n}") for n in range(count))
    return _tree(_function("at::Tensor y = x;", *(f"\n{text}\n" for text in body), "return y;"))


def _calling_names(count: int) -> Files:
    """Functions of two names in many namespaces, each of which may call all the others."""
    one = (
        "namespace s# { at::Tensor own(at::Tensor x) { return twice(x.exp()); }\n"
        "at::Tensor twice(at::Tensor x) { return own(x.mul(2)); }\n"
        "at::Tensor g(at::Tensor x) { return own(x).mul(twice(x).sum()); } }\n"
    )
    return _tree(_function("return x;", before="".join(one.replace("#", str(n)) for n in range(count))))


def _same_names(count: int) -> Files:
    one = "namespace s# { at::Tensor g(const at::Tensor& x) { return x.clone(); } }\n"
    calls = " + ".join(f"s{n}::g(x)" for n in range(count))
    return _tree(_function(f"return {calls};", before="".join(one.replace("#", str(n)) for n in range(count))))


KINDS: Mapping[str, Callable[[int], Files]] = {
    "operands of an expression": lambda n: _tree(_function("return " + " + ".join("x" for _ in range(n)) + ";")),
    "include cycles": _include_cycles,
    "groups": _groups,
    "functions of a unit": _functions,
    "nested calls": lambda n: _tree(_function("return " + "at::abs(" * n + "x" + ")" * n + ";")),
    "chained methods": lambda n: _tree(_function("return x" + ".abs()" * n + ";")),
    "options variables": lambda n: _tree(_function(*_each(n, "auto o# = x.options(); auto y# = at::empty({2}, o#);"))),
    "pointers in a function": lambda n: _tree(_function(*_each(n, "float* p# = x.data_ptr<float>(); p#[0] += 1;"))),
    "nested macros": _nested_macros,
    "nested blocks": _nested_blocks,
    "blocks in a row": lambda n: _tree(
        _function(*_each(n, "if (x.size(0) > #) { auto y# = x + #; TORCH_CHECK(y#.defined()); }"))
    ),
    "checks": lambda n: _tree(_function(*_each(n, 'TORCH_CHECK(x.size(0) == #, "bad ", x.sizes());'))),
    "registrations": _registrations,
    "build entries": _build_entries,
    "extensions": _extensions,
    "namespaces in each other": _namespaces,
    "lines of a macro": _long_macro,
    "conditions": _conditions,
    "functions of one name": _same_names,
    "functions of one name that call others": _calling_names,
}


class Growth(NamedTuple):
    """What sizes of one kind cost, and the exponent that fits."""

    kind: str
    verb: str
    costs: tuple[float, ...]
    exponent: float


def measured(kind: str, verb: str, sizes: Sequence[int], cost: Callable[[Callable[[], object]], float]) -> Growth:
    """The costs of `verb` for `kind` in `sizes`."""
    _work(kind, verb, 1)()  # what is read and kept once
    base = cost(_work(kind, verb, 1))
    costs = tuple(max(cost(_work(kind, verb, size)) - base, 1e-9) for size in sizes)
    return Growth(kind, verb, costs, exponent(sizes, costs))


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The slope of the costs over the sizes, both as logarithms."""
    x, y = [math.log(size) for size in sizes], [math.log(one) for one in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def _work(kind: str, verb: str, size: int) -> Callable[[], object]:
    files = {path: text.encode() for path, text in KINDS[kind](size).items()}

    def run() -> object:
        snapshot = Snapshot(Path("/nowhere"), tuple(sorted(files)), overlay=files)
        config = load_config(snapshot)
        layout = detect_layout(snapshot, config)
        if verb == "scan":
            return scan_tree(snapshot, layout, config), suggest_groups(snapshot, layout, config)
        group = resolve_group(snapshot, layout, config, ("csrc/f.cpp",))
        return plan_migration(snapshot, layout, group, Options(format=False), config)

    return run


def seconds(work: Callable[[], object]) -> float:
    """CPU time, the best of some runs."""
    best = math.inf
    for _ in range(3):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def calls(work: Callable[[], object]) -> float:
    """How many functions are called, native ones too."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return float(count)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--calls", action="store_true", help="count calls, and not time")
    options = parser.parse_args()
    sys.setrecursionlimit(20_000)
    gc.disable()
    worst = 0.0
    print(f"{'kind':28}{'verb':9}" + "".join(f"{size:>9}" for size in options.sizes) + "  exponent", flush=True)
    for kind in options.kinds or KINDS:
        for verb in ("scan", "migrate"):
            one = measured(kind, verb, options.sizes, calls if options.calls else seconds)
            shown = "".join(f"{cost:9.0f}" if options.calls else f"{cost:8.2f}s" for cost in one.costs)
            print(f"{kind:28}{verb:9}{shown}  {one.exponent:8.2f}", flush=True)
            worst = max(worst, one.exponent)
    print(f"the largest exponent is {worst:.2f}, and {LIMIT} is the limit")
    return 1 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
