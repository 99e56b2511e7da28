"""Where the CPU time of a verb goes, by the rooms of the code.

    stages.py VERB ARGUMENTS...

Runs the verb in this process with a clock around the functions that `STAGES` names. A stage's time is its own: what it
asks of another stage is counted there, and what no stage claims is "other". Prints JSON: stage to seconds.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import pkgutil
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

# Stage -> the functions and methods that do its work, as "module:name" or "module:class.name".
STAGES = {
    "snapshot": (
        "torch_stabilize.repository.snapshot:open_snapshot",
        "torch_stabilize.repository.snapshot:Snapshot.read",
    ),
    "layout": ("torch_stabilize.layout.detect:detect_layout", "torch_stabilize.config:load_config"),
    "masking": ("torch_stabilize.source.mask:mask", "torch_stabilize.source.mask:mask_comments"),
    "parse": ("torch_stabilize.source.document:parse_code",),
    "include graph": (
        "torch_stabilize.repository.includes:IncludeGraph.includes",
        "torch_stabilize.repository.includes:IncludeGraph.closure",
        "torch_stabilize.repository.includes:IncludeGraph.reached_from",
    ),
    "groups": ("torch_stabilize.program.groups:resolve_group", "torch_stabilize.program.groups:suggest_groups"),
    "signatures": ("torch_stabilize.source.signatures:read_signatures",),
    "sites": ("torch_stabilize.rules.sites:find_sites", "torch_stabilize.program.scan:scan_tree"),
    "rules": (
        "torch_stabilize.migration.project:make_project",
        "torch_stabilize.migration.kernels:rewrite_files",
        "torch_stabilize.migration.kernels:kernel_change",
    ),
    "bindings": (
        "torch_stabilize.bindings.plan:plan_bindings",
        "torch_stabilize.bindings.inventory:inventory",
        "torch_stabilize.bindings.inventory:compare_inventories",
        "torch_stabilize.report.scan_view:ops_by_function",
    ),
    "build files": ("torch_stabilize.buildfiles.plan:plan_build",),
    "formatting": ("torch_stabilize.formatting.clang_format:format_changed",),
    "report": (
        "torch_stabilize.report.view:build_report",
        "torch_stabilize.report.scan_view:build_scan_report",
        "torch_stabilize.report.terminal:print_report",
        "torch_stabilize.report.scan_terminal:print_scan",
        "torch_stabilize.diff:render_diff",
    ),
}


def cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


class Clock:
    """Own time by stage: the innermost stage that is running gets it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._running = ["other"]
        self._since = cpu()

    def switch(self) -> None:
        """Give the time since the last switch to the stage that runs."""
        now = cpu()
        stage = self._running[-1]
        self.spent[stage] = self.spent.get(stage, 0.0) + now - self._since
        self._since = now

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` with its time given to `stage`."""

        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            self.switch()
            self._running.append(stage)
            try:
                return function(*arguments, **named)
            finally:
                self.switch()
                self._running.pop()

        return run


def modules() -> list[ModuleType]:
    """Every module of the package, imported."""
    import torch_stabilize

    names = [found.name for found in pkgutil.walk_packages(torch_stabilize.__path__, "torch_stabilize.")]
    return [import_module(name) for name in names if "verify" not in name and "golden" not in name]


def instrument(clock: Clock) -> None:
    """Put `clock` around the functions of STAGES, wherever they have been imported to."""
    loaded = modules()
    for stage, places in STAGES.items():
        for place in places:
            module, _, name = place.partition(":")
            owner_name, _, method = name.rpartition(".")
            if owner_name:
                owner = getattr(import_module(module), owner_name)
                setattr(owner, method, clock.timed(stage, getattr(owner, method)))
                continue
            function = getattr(import_module(module), name)
            timed = clock.timed(stage, function)
            for holder in loaded:
                if getattr(holder, name, None) is function:
                    setattr(holder, name, timed)


def main() -> None:
    """Run the verb in the arguments and print where its time went."""
    before = cpu()
    from torch_stabilize.cli.main import program

    clock = Clock()
    instrument(clock)
    clock.spent["start-up"] = cpu() - before
    clock.spent.pop("other", None)
    clock._since = cpu()
    silent = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        program.main(sys.argv[1:], standalone_mode=False)
    clock.switch()
    print(json.dumps(clock.spent))


if __name__ == "__main__":
    main()
