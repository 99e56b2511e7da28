"""A process of its own for libraries that register the same ops as others: loads them, runs cases, sends outcomes.

The parent (`process.py`) starts it with a pipe to write to; requests come on standard input, one JSON line each, and
answers are pickles with their length in front. What an op prints cannot disturb them.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch_stabilize.verify.golden.capture.functions import libraries_loaded
from torch_stabilize.verify.golden.cases import DEVICES, MOST_RANKS, Case, load_cases, ranked_device
from torch_stabilize.verify.golden.cost import cost_of
from torch_stabilize.verify.golden.forms import call_forms, names_of
from torch_stabilize.verify.golden.inventory import all_names, read_operators
from torch_stabilize.verify.golden.modules import load_libraries
from torch_stabilize.verify.golden.outcome import Outcome
from torch_stabilize.verify.golden.python_files import run_files
from torch_stabilize.verify.golden.ranked import Rank, run_rank
from torch_stabilize.verify.golden.run import run_case
from torch_stabilize.verify.golden.timing import seconds_per_call
from torch_stabilize.verify.golden.wire import FILE, FUNCTIONS, IMPORT, LENGTH


def main(arguments: list[str]) -> int:
    """`PIPE-FD LIBRARY... --import=MODULE... --functions=JSON --file=FILE...`: load and import, then answer requests
    until standard input ends.

    The JSON object has the operators that are functions of a Python module in these libraries.
    """
    pipe = int(arguments[0])
    libraries = [argument for argument in arguments[1:] if not argument.startswith((IMPORT, FUNCTIONS, FILE))]
    scripts = [Path(argument.removeprefix(FILE)) for argument in arguments[1:] if argument.startswith(FILE)]
    told = [argument.removeprefix(FUNCTIONS) for argument in arguments[1:] if argument.startswith(FUNCTIONS)]
    functions: dict[str, str] = json.loads(told[0]) if told else {}
    try:
        import torch

        loaded = load_libraries(map(Path, libraries), functions, torch)
        present = all_names(torch)
        libraries_loaded(libraries)
        for argument in arguments[1:]:
            if argument.startswith(IMPORT):
                importlib.import_module(argument.removeprefix(IMPORT))
        # Now: torch registers more of its own later.
        imported = dict.fromkeys(all_names(torch) - present, "")
        operators = read_operators({**imported, **loaded.operators}, torch)
        run_files(scripts, map(Path, libraries), torch)
    except Exception as error:  # a library that does not load is an answer
        _send(pipe, ("failed", f"{error}".strip()))
        return 1
    torch.use_deterministic_algorithms(True, warn_only=True)
    here = {"torch": torch.__version__, "devices": _devices(torch), "made_with": _made_with(torch)}
    _send(pipe, ("ready", here))
    files: dict[str, dict[str, Case]] = {}
    known = {"operators": operators, "offered": loaded.names}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = ("ok", _answer(request, files, known, torch))
        except Exception as error:  # sent to the parent, which says it with the case's name
            answer = ("failed", f"{type(error).__name__}: {error}")
        _send(pipe, answer)
    return 0


_CALLS: dict[str, Callable[[Case, Any], Any]] = {
    "case": run_case,
    "forms": call_forms,
    "names": names_of,
    "cost": cost_of,
    "time": seconds_per_call,
}


def _answer(request: dict[str, Any], files: dict[str, dict[str, Case]], known: dict[str, Any], torch: Any) -> Any:
    if request["do"] in known:
        return known[request["do"]]
    path = request["cases"]
    if path not in files:
        file = load_cases(Path(path))
        files[path] = {case.id: case for case in (*file.cases, *file.timings)}
    case = files[path][request["id"]]
    if request["do"] == "ranked":
        return _ranked(case, request, torch)
    return _CALLS[request["do"]](case, torch)


_kept: dict[str, Any] = {}  # what a rank keeps from case to case


def _ranked(case: Case, request: dict[str, Any], torch: Any) -> Outcome:
    place = request["place"]
    me = Rank(case, place["rank"], Path(place["folder"]), torch, _kept, place["patience"], request["seconds"])
    outcome = run_rank(me, Path(request["cases"]))
    timed = request["seconds"] and outcome.error is None
    return Outcome(returns=(repr(me.per_call),)) if timed else outcome


def _devices(torch: Any) -> dict[str, str]:
    """The devices here, with the name under which their outputs are recorded; several of them for several ranks."""
    found = {"cpu": "cpu"}
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        found["cuda"] = f"cuda-sm{major}{minor}"
    ranks = {"cpu": MOST_RANKS, "cuda": torch.cuda.device_count()}
    for device in DEVICES:
        for count in range(2, min(MOST_RANKS, ranks[device]) + 1):
            found[ranked_device(device, count)] = f"{found[device]}-x{count}"
    return found


def _made_with(torch: Any) -> dict[str, str]:
    """What recorded outputs may depend on, other than the library."""
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    gpus = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    return found | ({"cuda": str(torch.version.cuda), "gpus": gpus} if names else {})


def _send(pipe: int, answer: object) -> None:
    data = pickle.dumps(answer)
    view = memoryview(LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(pipe, view) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
