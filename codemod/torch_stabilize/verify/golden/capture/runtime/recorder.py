"""Counts the calls of one process and keeps those that no kept one is like.

Kept calls are lines of `calls-PID.jsonl`, contents of storages files under their hash, counts stand in
`counts-PID.json`: a process that is killed loses little, and processes do not disturb each other.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .contents import keep_storage
from .reading import Arguments, Unusable, read_arguments
from .signature import features

KEPT_OF_A_KIND = 2
TRIED_OF_A_KIND = 8  # kept ones that a smaller or richer one followed included
_COUNTED_EVERY = 500


class Recorder:
    """The calls of this process. No failure here may change what the program does."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.torch: Any = None
        self.how = "nothing: torch was not imported"
        self.classes: list[str] = []
        self.all_blocks: Callable[[], list[str]] = list
        self._folder = folder
        self._wanted = frozenset(settings["operators"]) | frozenset(settings["functions"])
        self._modules: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        self._busy = threading.local()
        self._kept: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self._calls: Counter[str] = Counter()
        self._alike: Counter[tuple[str, ...]] = Counter()
        self._left_out: dict[str, Counter[str]] = {}
        self._seconds = 0.0
        self._lines = 0
        self._process = os.getpid()
        atexit.register(self.write_counts)

    def see(
        self, target: str, args: list[Any], kwargs: dict[str, Any], nested: bool
    ) -> Callable[[list[str]], None] | None:
        """A call of `target` is about to be made; if it is kept, the answer takes the blocks that it reached."""
        if target not in self._wanted or getattr(self._busy, "now", False):
            return None
        begun = time.perf_counter()
        self._busy.now = True
        try:
            with self._lock:
                return self._see(target, args, kwargs, nested)
        except Exception as error:  # said in the report
            self._leave_out(target, f"could not be read ({type(error).__name__}: {str(error)[:80]})")
            return None
        finally:
            self._busy.now = False
            self._seconds += time.perf_counter() - begun

    def module_loaded(self, module: ModuleType) -> None:
        """An extension module was loaded."""
        path = getattr(module, "__file__", None)
        if path:
            self._modules.append((module.__name__, path))

    def write_counts(self) -> None:
        """Write what has been counted so far."""
        libraries = sorted(map(str, self.torch.ops.loaded_libraries)) if self.torch is not None else []
        counts = {
            "how": self.how,
            "torch": getattr(self.torch, "__version__", ""),
            "calls": dict(self._calls),
            "left_out": {target: dict(reasons) for target, reasons in self._left_out.items()},
            "signatures": len(self._alike),
            "seconds": self._seconds,
            "blocks": self.all_blocks(),
            "libraries": libraries,
            "modules": self._modules,
            "classes": self.classes,
            "python": __import__("sys").executable,
        }
        _write(self._folder / f"counts-{os.getpid()}.json", lambda handle: json.dump(counts, handle))

    def _see(
        self, target: str, args: list[Any], kwargs: dict[str, Any], nested: bool
    ) -> Callable[[list[str]], None] | None:
        self._same_process()
        self._calls[target] += 1
        if sum(self._calls.values()) % _COUNTED_EVERY == 1:
            self.write_counts()
        try:
            if nested:
                raise Unusable("inside another captured call")
            if self.torch is None:
                raise Unusable("before torch was imported")
            arguments = read_arguments(args, kwargs, self.torch)
            return self._keep(target, arguments)
        except Unusable as reason:
            self._leave_out(target, str(reason))
            return None

    def _keep(self, target: str, arguments: Arguments) -> Callable[[list[str]], None] | None:
        grad = "inference" if self.torch.is_inference_mode_enabled() else str(self.torch.is_grad_enabled())
        found = features(target, arguments.positional, arguments.keywords, grad)
        self._alike[found] += 1
        size = sum(touched.end - touched.start for touched in arguments.storages)
        kept = self._kept.setdefault(found, [])
        smaller = kept and size * 2 < min(other for other, _ in kept)
        poor = kept and max(rich for _, rich in kept) <= 2  # nothing but zeros and ones so far
        if len(kept) >= KEPT_OF_A_KIND and not ((smaller or poor) and len(kept) < TRIED_OF_A_KIND):
            return None
        storages = [keep_storage(touched, self._folder / "storages", self.torch) for touched in arguments.storages]
        rich = max((storage["rich"] for storage in storages), default=0)
        kept.append((size, rich))
        call = {
            "target": target,
            "args": arguments.positional,
            "kwargs": arguments.keywords,
            "storages": storages,
            "grad": grad,
            "test": os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0],
            "features": found,
            "rich": rich,
        }
        self._write_line(call)
        number = self._lines - 1

        def reached(blocks: list[str]) -> None:
            if blocks:
                with self._lock:
                    self._write_line({"line": number, "blocks": blocks})

        return reached

    def _write_line(self, content: dict[str, Any]) -> None:
        with open(self._folder / f"calls-{os.getpid()}.jsonl", "a", encoding="utf-8") as handle:
            handle.write(json.dumps(content) + "\n")
        self._lines += 1

    def _leave_out(self, target: str, reason: str) -> None:
        self._left_out.setdefault(target, Counter())[reason] += 1

    def _same_process(self) -> None:
        """A forked child counts for itself from where it began."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._calls.clear()
            self._alike.clear()
            self._left_out.clear()
            self._seconds = 0.0
            self._lines = 0


def _write(path: Path, write: Callable[[Any], None]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8") as handle:
            write(handle)
        part.replace(path)
    except OSError:
        return
