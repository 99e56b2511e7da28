"""The parent's side of `worker.py`: one process for each set of libraries, started again where a case kills it."""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.cost import Cost
from torch_stabilize.verify.golden.inventory import Operator
from torch_stabilize.verify.golden.outcome import Crash, LoadError, Outcome
from torch_stabilize.verify.golden.timing import SECONDS
from torch_stabilize.verify.golden.together import RankGroup
from torch_stabilize.verify.golden.wire import FILE, FUNCTIONS, IMPORT, LENGTH

START_SECONDS = 300.0  # importing torch takes minutes where the machine has much else to do
CASE_SECONDS = 300.0


class Worker:
    """A process that has loaded `libraries`; use it in a `with` statement.

    `python` is the interpreter, whose torch may be another than the one here; it needs torch and numpy alone. Python
    modules are imported after the libraries, for what they register; `environment` is added to that of this process.
    `functions` are operators that are functions of a Python module in these libraries, with their names there ("_C.f").
    `files` are Python files that register something for the libraries; what they import from a package is a library.

    Raises LoadError where a library does not load.
    """

    def __init__(
        self,
        libraries: Iterable[Path],
        *,
        python: str = sys.executable,
        seconds: float = CASE_SECONDS,
        environment: Mapping[str, str] | None = None,
        modules: Iterable[str] = (),
        functions: Mapping[str, str] | None = None,
        files: Iterable[Path] = (),
    ) -> None:
        self._libraries = [str(library.resolve()) for library in libraries]
        self._python = python
        self._functions = dict(functions or {})
        self._seconds = seconds
        self._environment = dict(environment or {})
        self._modules = tuple(modules)
        self._files = tuple(files)
        self._process: subprocess.Popen[str] | None = None
        self._is_abandoned = False
        self._pipe = -1
        self._errors: Any = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._groups: dict[int, RankGroup] = {}
        self.torch = ""
        self.devices: dict[str, str] = {}
        self.made_with: dict[str, str] = {}

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, cases: Path, case: Case) -> Outcome | Crash:
        """Run one case of the file `cases`. One of several ranks has processes of its own."""
        if case.ranks > 1:
            return self._group(case.ranks).run(cases, case)
        answer = self._ask({"do": "case", "cases": str(cases.resolve()), "id": case.id}, self._seconds)
        return answer if isinstance(answer, (Outcome, Crash)) else Crash("no outcome")

    def forms(self, cases: Path, case: Case) -> dict[str, Outcome] | Crash:
        """What one case does in every way of calling."""
        answer = self._ask({"do": "forms", "cases": str(cases.resolve()), "id": case.id}, self._seconds)
        return answer if isinstance(answer, (dict, Crash)) else Crash("no outcome")

    def names(self, cases: Path, case: Case) -> tuple[str, ...] | Crash:
        """The names of the arguments of what one case calls."""
        answer = self._ask({"do": "names", "cases": str(cases.resolve()), "id": case.id}, self._seconds)
        return answer if isinstance(answer, (tuple, Crash)) else Crash("no names")

    def cost(self, cases: Path, case: Case) -> Cost | Crash:
        """What many calls of one case cost."""
        answer = self._ask({"do": "cost", "cases": str(cases.resolve()), "id": case.id}, self._seconds)
        return answer if isinstance(answer, (Cost, Crash)) else Crash("no cost")

    def time(self, cases: Path, case: Case) -> float | Crash:
        """Seconds per call of one case."""
        if case.ranks > 1:
            return self._group(case.ranks).time(cases, case, SECONDS)
        answer = self._ask({"do": "time", "cases": str(cases.resolve()), "id": case.id}, self._seconds)
        return answer if isinstance(answer, (float, Crash)) else Crash("no time")

    def ranked(self, cases: Path, case: Case, place: dict[str, Any], seconds: float = 0.0) -> Outcome | Crash:
        """What this process does as one rank of `case`; with `seconds`, its time per call as a text."""
        request = {"do": "ranked", "cases": str(cases.resolve()), "id": case.id, "place": place, "seconds": seconds}
        answer = self._ask(request, self._seconds)
        return answer if isinstance(answer, (Outcome, Crash)) else Crash("no outcome")

    def kill(self) -> None:
        """End the process without asking it, from any thread; who waits for its answer gets a Crash."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def abandon(self) -> None:
        """End the process and start none any more, from any thread: every request gets a Crash."""
        self._is_abandoned = True
        self.kill()
        for group in self._groups.values():
            group.abandon()

    def close(self) -> None:
        """End the process, and those of the ranks."""
        for group in self._groups.values():
            group.stop()
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()

    def _group(self, ranks: int) -> RankGroup:
        if ranks not in self._groups:
            libraries = [Path(library) for library in self._libraries]
            start = partial(Worker, libraries, python=self._python, functions=self._functions)
            self._groups[ranks] = RankGroup(start, ranks)
        return self._groups[ranks]

    def operators(self) -> tuple[Operator, ...]:
        """What the libraries registered. Raises Refusal where the process cannot say."""
        answer = self._ask({"do": "operators"}, START_SECONDS)
        if isinstance(answer, Crash):
            raise Refusal(f"the operators of {', '.join(self._libraries)} cannot be read: {answer.reason}")
        operators: tuple[Operator, ...] = answer
        return operators

    def offered(self) -> frozenset[str]:
        """The functions and classes of the Python modules in the libraries, "f" and "inner.f"."""
        answer = self._ask({"do": "offered"}, START_SECONDS)
        if isinstance(answer, Crash):
            raise Refusal(f"the modules of {', '.join(self._libraries)} cannot be read: {answer.reason}")
        return frozenset(answer)

    def start(self) -> None:
        """Start the process and wait until the libraries are loaded. Raises LoadError."""
        reader, writer = os.pipe()
        self._pipe = reader
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        path = os.pathsep.join(filter(None, [self._package_folder(), os.environ.get("PYTHONPATH")]))
        try:
            self._process = subprocess.Popen(
                [self._python, "-m", "torch_stabilize.verify.golden.worker", str(writer), *self._arguments()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[writer],
                text=True,
                env={**os.environ, **self._environment, "PYTHONPATH": path},
            )
        finally:
            os.close(writer)
        status, content = self._first_answer()
        if status != "ready":
            self._stop()
            raise LoadError(content)
        self.torch, self.devices = content["torch"], content["devices"]
        self.made_with = content["made_with"]

    def _arguments(self) -> list[str]:
        functions = [f"{FUNCTIONS}{json.dumps(self._functions)}"] if self._functions else []
        files = [f"{FILE}{path.resolve()}" for path in self._files]
        return [*self._libraries, *(f"{IMPORT}{name}" for name in self._modules), *functions, *files]

    def _package_folder(self) -> str:
        """A folder that holds this package alone: another interpreter must not see the packages next to it."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory()
            package = Path(__file__).parents[2]
            (Path(self._folder.name) / package.name).symlink_to(package)
        return self._folder.name

    def _first_answer(self) -> tuple[str, Any]:
        try:
            return self._receive(START_SECONDS) or ("failed", self._why())
        except TimeoutError:
            self.kill()
            return "failed", f"not loaded within {START_SECONDS:.0f} s"

    def _ask(self, request: dict[str, Any], seconds: float) -> Any:
        if self._is_abandoned:
            return Crash("stopped")
        if self._process is None:
            self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._receive(seconds)
        except BrokenPipeError:
            answer = None
        except TimeoutError:
            self.kill()  # it hangs: there is nothing to wait for
            self._stop()
            return Crash(f"no answer within {seconds:.0f} s")
        if answer is None:
            reason = self._why()
            self._stop()  # the next request starts a fresh one
            return Crash(reason)
        status, content = answer
        return content if status == "ok" else Crash(content)

    def _receive(self, seconds: float) -> tuple[str, Any] | None:
        """The next answer, or None where the process died. Raises TimeoutError where it was silent for too long."""
        deadline = time.monotonic() + seconds
        head = self._read(LENGTH.size, deadline)
        body = None if head is None else self._read(LENGTH.unpack(head)[0], deadline)
        if body is None:
            return None
        answer: tuple[str, Any] = pickle.loads(body)
        return answer

    def _read(self, count: int, deadline: float) -> bytes | None:
        data = bytearray()
        while len(data) < count:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            piece = os.read(self._pipe, min(1 << 20, count - len(data)))
            if not piece:
                return None
            data += piece
        return bytes(data)

    def _why(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return f"no answer within {self._seconds:.0f} s"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        if code < 0:
            return f"the process died of {signal.Signals(-code).name}{last}"
        return f"the process ended with {code}{last}"

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None and not process.stdin.closed:
                try:
                    process.stdin.close()
                    process.wait(timeout=10)
                except (BrokenPipeError, subprocess.TimeoutExpired):
                    process.kill()
            process.wait()
            self._errors.close()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
