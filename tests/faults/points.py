"""A run of the writer that fails, is killed or is interrupted at its n-th event, in a process of its own.

Events are what Python's audit hooks see: files that are opened, renamed, linked and removed, folders, modes, locks and
processes, and what the writer announces itself (bytes written, files exchanged).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any

from torch_stabilize.model import Refusal

_PREFIXES = ("os.", "shutil.", "fcntl.", "subprocess.Popen", "torch_stabilize.")
_READING = ("os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.walk", "os.fwalk")
REFUSED, INTERRUPTED, BROKEN = 3, 130, 99


class Fault(Enum):
    """What happens at the event."""

    KILLED = "SIGKILL"
    TERMINATED = "SIGTERM"
    INTERRUPTED = "SIGINT"
    INTERRUPTED_TWICE = "SIGINT, and once more at the next event"
    FULL = "ENOSPC, at every event that writes from there on for the next three"
    UNREADABLE = "EIO"
    UNREADABLE_TWICE = "EIO, and again four events later: while what was done is undone"


class _Hook:
    """Counts events and lets the fault happen at event `at` (from 1); with 0 it only counts."""

    def __init__(self, fault: Fault, at: int, root: Path) -> None:
        self.fault, self.at, self.root = fault, at, os.fspath(root)
        self.count, self.armed = 0, False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed or not self._concerns(event, arguments):
            return
        self.count += 1
        if self.at and self.count >= self.at:
            self.armed = False  # os.kill is an event too
            try:
                self._happen(self.count - self.at, arguments)
            finally:
                self.armed = True

    def _concerns(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            return isinstance(arguments[0], (str, bytes)) and os.fsdecode(arguments[0]).startswith(self.root)
        return event.startswith(_PREFIXES) and event not in _READING

    def _happen(self, later: int, arguments: tuple[Any, ...]) -> None:
        path = arguments[0] if arguments and isinstance(arguments[0], (str, bytes)) else None
        match self.fault:
            case Fault.KILLED:
                os.kill(os.getpid(), signal.SIGKILL)
            case Fault.TERMINATED if later == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            case Fault.INTERRUPTED if later == 0:
                os.kill(os.getpid(), signal.SIGINT)
            case Fault.INTERRUPTED_TWICE if later in (0, 1):
                os.kill(os.getpid(), signal.SIGINT)
            case Fault.FULL if later < 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            case Fault.UNREADABLE if later == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            case Fault.UNREADABLE_TWICE if later in (0, 4):
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def run_with_fault(run: Callable[[], object], root: Path, fault: Fault, at: int) -> int:
    """Run `run` in a child process with `fault` at its event `at`. Returns its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        os._exit(_in_child(run, _Hook(fault, at, root)))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def count_events(run: Callable[[], object], root: Path) -> int:
    """How many events `run` has when nothing happens to it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        hook = _Hook(Fault.KILLED, 0, root)
        code = _in_child(run, hook)
        os.write(writing, b"%d" % hook.count)
        os._exit(code)
    os.close(writing)
    with open(reading, "rb") as stream:
        count = int(stream.read())
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return count


def _in_child(run: Callable[[], object], hook: _Hook) -> int:
    silent = os.open(os.devnull, os.O_RDWR)
    os.dup2(silent, 1)
    trace = os.environ.get("FAULTS_TRACE")  # a file for what no one expected
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _interrupted)
        sys.addaudithook(hook)
        hook.armed = True
        run()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Refusal:
        return REFUSED
    except BaseException:
        if trace:
            import traceback

            hook.armed = False
            with open(trace, "a") as stream:
                traceback.print_exc(file=stream)
        return BROKEN
    finally:
        hook.armed = False


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
