"""A long run tells a line for each step where there is no terminal, and leaves no child when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch_stabilize.verify.build import build
from torch_stabilize.verify.group import Clock
from torch_stabilize.verify.held_signals import held_signals
from torch_stabilize.verify.ninja_file import object_path
from torch_stabilize.verify.progress import Reporter, reporting
from torch_stabilize.verify.result import Step
from torch_stabilize.verify.side import BuildOptions, Side
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall

NINJA = """#!/bin/sh
echo "[1/2] host a.o"
echo "FAILED: [code=1] {failed}"
exec sleep 300
"""


def tools(folder: Path) -> Toolchain:
    torch = TorchInstall("2.13.0", folder, folder)
    return Toolchain("/bin/c++", str(folder / "ninja"), torch, folder)


def fake_ninja(folder: Path, failed: str) -> None:
    (folder / "ninja").write_text(NINJA.format(failed=failed))
    (folder / "ninja").chmod(0o755)


def test_steps_are_told_as_they_end(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting() as reporter:
        clock = Clock(reporter)
        step = clock.timed(lambda: Step.judged("symbols", "all are stable", ()))
        reporter(3, 9)  # counts are rare where there is no terminal
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "[   0 s] symbols: ok, all are stable\n"
    assert 0 <= step.seconds < 5


def test_a_unit_that_does_not_compile_is_told_at_once(tmp_path: Path) -> None:
    side = Side("stable", tmp_path, "_C", ("a.cpp",), ())
    place = object_path(tmp_path / "build", side, "a.cpp")
    fake_ninja(tmp_path, str(place))
    place.parent.mkdir(parents=True)
    Path(f"{place}.log").write_text("a.cpp:3:1: error: no")
    told: list[tuple[str, str, str]] = []

    class Stopped(BaseException):
        pass

    def failed(side: Side, unit: str, log: str) -> None:
        told.append((side.name, unit, log))
        raise Stopped

    with pytest.raises(Stopped):
        build([side], tools(tmp_path), tmp_path / "build", BuildOptions(), failed=failed)
    assert told == [("stable", "a.cpp", "a.cpp:3:1: error: no")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_stopped_stops_its_children(number: signal.Signals, tmp_path: Path) -> None:
    # KILL: a shell that has just forked, and runs no sleep yet, takes TERM as its parent does, and survives it.
    ninja = "#!/bin/sh\ntrap 'kill -KILL $child; exit 1' TERM\nsleep 300 &\nchild=$!\necho $child > {pid}\nwait\n"
    (tmp_path / "ninja").write_text(ninja.format(pid=tmp_path / "pid"))
    (tmp_path / "ninja").chmod(0o755)
    script = f"""
import signal, sys
from pathlib import Path
from torch_stabilize.verify.build import BuildOptions, Side, build
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall
def end(number, frame): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
folder = Path({str(tmp_path)!r})
tools = Toolchain("/bin/c++", str(folder / "ninja"), TorchInstall("2.13.0", folder, folder), folder)
build([Side("stable", folder, "_C", ("a.cpp",), ())], tools, folder / "build", BuildOptions())
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())
    process.send_signal(number)
    assert process.wait(120) != 0
    while _is_alive(child):
        assert time.monotonic() < deadline + 120
        time.sleep(0.05)


def test_a_signal_waits_until_a_child_is_known() -> None:
    """The child is quick: the signal comes before the call that starts it has returned."""
    known: list[subprocess.Popen[bytes]] = []

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(KeyboardInterrupt):
            _start_one_that_signals(known)
        assert signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [child.returncode for child in known] == [0]


def _start_one_that_signals(known: list[subprocess.Popen[bytes]]) -> None:
    with held_signals():
        child = subprocess.Popen([sys.executable, "-c", f"import os; os.kill({os.getpid()}, {int(signal.SIGTERM)})"])
        child.wait(60)
        known.append(child)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_reporter_that_nobody_listens_to_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    reporter.line("nothing")
    reporter(1, 2)
    assert capsys.readouterr() == ("", "")
