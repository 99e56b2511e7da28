"""A precompiled header for what most units of a library include: the headers of torch take longer than the units.

Only units that include the header themselves get it, and only from GCC, whose precompiled headers change nothing in
the object. It is large, and so it is made where it pays and removed after the build.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from torch_stabilize.verify.side import CUDA_SUFFIX, Side
from torch_stabilize.verify.toolchain import Toolchain

WORTH_IT = 6  # units: making it takes as long as two of them, and one then takes a third of its time
HEAVY = 200  # headers that one brings along


def with_prefix(
    side: Side,
    included: Callable[[str], Iterable[str]],
    brought: Callable[[str], int],
    tools: Toolchain,
) -> Side:
    """`side` with the heaviest header that enough of its units share as their prefix; as it is where there is none.

    `included` gives the headers from elsewhere that a unit includes, `brought` how many another one brings along.
    """
    units = [
        unit
        for unit in side.units
        if not unit.endswith(CUDA_SUFFIX) and unit not in side.reused and unit not in side.gpu
    ]
    if len(units) < WORTH_IT or tools.launcher is not None or not is_gcc(tools.cxx):
        return side
    seen = {unit: frozenset(included(unit)) for unit in units}
    counted = Counter(name for names in seen.values() for name in names)
    shared = [name for name, count in counted.items() if count >= WORTH_IT and brought(name) >= HEAVY]
    if not shared:
        return side
    header = max(shared, key=lambda name: (counted[name] * brought(name), name))
    return replace(side, prefix=header, prefixed=frozenset(unit for unit in units if header in seen[unit]))


def is_gcc(compiler: str) -> bool:
    """Whether the program is GCC's C++ compiler, under whatever name."""
    try:
        said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return "Free Software Foundation" in said
