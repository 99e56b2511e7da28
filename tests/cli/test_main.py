"""The command line itself: how fast it starts, what it imports, and what an error looks like."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from torch_stabilize import __version__
from torch_stabilize.cli import main
from torch_stabilize.model import Refusal

from tests.conftest import ROOT, SAMPLE, Run, tree

HEAVY = ("torch", "libcst", "jinja2", "rich", "tree_sitter", "numpy")
HELP_CPU_SECONDS = 0.3


def child_cpu_seconds(arguments: list[str], cwd: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, cwd=cwd, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imported_by(code: str, cwd: Path) -> set[str]:
    """The top-level modules that are loaded after `code` ran."""
    watch = f"import sys, json\nsys.path.insert(0, {str(ROOT / 'codemod')!r})\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    watch += "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", watch], cwd=cwd, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_starts_fast(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'codemod')!r}); from torch_stabilize.cli.main import main; main()"
    )
    command = [sys.executable, "-c", script, "--help"]
    child_cpu_seconds(command, tmp_path)  # the first run writes the byte code
    assert min(child_cpu_seconds(command, tmp_path) for _ in range(3)) < HELP_CPU_SECONDS


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    loaded = imported_by("from torch_stabilize.cli.main import program; program(['--help'])", tmp_path)
    assert loaded.isdisjoint(HEAVY)
    assert "click" in loaded


def test_the_overview_names_every_verb_and_every_verb_has_help(run_cli: Run, tmp_path: Path) -> None:
    overview = run_cli("--help", cwd=tmp_path)
    assert overview.code == 0
    for verb in main.VERBS:
        assert f"  {verb} " in overview.out
        assert run_cli(verb, "--help", cwd=tmp_path).code == 0


def test_version(run_cli: Run, tmp_path: Path) -> None:
    assert run_cli("--version", cwd=tmp_path).out == f"torch-stabilize {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "no such command: frobnicate"),
        (["migrat", "norm"], "no such command: migrat; did you mean migrate?"),
        (["--frobnicate"], "--frobnicate"),
        (["migrate"], "Missing argument"),
        (["migrate", "x", "--report", "x.docx"], "x.docx must end in .md, .html, .json, .sarif"),
        (["migrate", "x", "--allow-dirty"], "--allow-dirty needs --write"),
        (["explain"], "Give one CODE, or --all"),
        (["explain", "TSA000"], "no such code: TSA000"),
        (["explain", "TSA10"], "no such code: TSA10; did you mean TSA"),
        (["explain", "TSA1O1"], "no such code: TSA1O1; did you mean TSA1"),
        (["-C", "nowhere", "scan"], "cannot enter nowhere: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, run_cli: Run, tmp_path: Path
) -> None:
    ran = run_cli(*arguments, cwd=tmp_path)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("torch-stabilize: ")
    assert ran.err.count("\n") == 1
    assert words in ran.err


@pytest.fixture
def failing_verb(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command line whose every verb raises what the test puts into the list."""
    errors: list[BaseException] = []

    @click.command()
    def command() -> None:
        raise errors[0]

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: command)
    return errors


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Refusal("no compiler\n found"), 3, "torch-stabilize: no compiler found\n"),
        (Refusal("no such group", exit_code=2), 2, "torch-stabilize: no such group\n"),
        (KeyboardInterrupt(), 130, "torch-stabilize: interrupted\n"),
    ],
)
def test_errors_are_one_line(
    error: BaseException,
    code: int,
    line: str,
    failing_verb: list[BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing_verb.append(error)
    assert main.run(["scan"]) == code
    assert capsys.readouterr().err.lstrip() == line


def test_a_bug_shows_its_traceback_and_does_not_look_like_findings(
    failing_verb: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing_verb.append(IndexError("oops"))
    assert main.run(["scan"]) == 3
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "internal error" in shown.splitlines()[-1]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_error(tmp_path: Path, unbuffered: str) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'codemod')!r}); from torch_stabilize.cli.main import main; main()"
    )
    command = f'"{sys.executable}" -c "{script}" explain --all | head -n 1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert done.returncode == 0


def test_directory_option_runs_elsewhere(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("-C", str(tmp_path), "verify", "layernorm", cwd=SAMPLE)
    assert ran.code == 2
    assert "not a git repository" in ran.err


def test_what_only_reads_needs_no_git(run_cli: Run, tmp_path: Path) -> None:
    unpacked = Path(shutil.copytree(SAMPLE, tmp_path / "release"))
    (unpacked / ".cache").mkdir()
    (unpacked / ".cache/old.cu").write_text("torch::Tensor x;\n")
    before = tree(unpacked)
    scanned = run_cli("scan", cwd=unpacked)
    assert (scanned.code, scanned.err) == (1, "")
    assert "old.cu" not in scanned.out
    assert "+++ b/csrc/libtorch_stable/layernorm_kernels.cu" in run_cli("migrate", "layernorm", cwd=unpacked).out
    assert run_cli("check", cwd=unpacked).code == 0
    assert tree(unpacked) == before


@pytest.mark.parametrize(("into", "code"), [("/dev/null", 0), ("/dev/full", 3)])
def test_what_was_printed_is_written_out_before_the_process_ends(into: str, code: int, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'codemod')!r}); from torch_stabilize.cli.main import main; main()"
    )
    with open(into, "wb") as out:
        done = subprocess.run([sys.executable, "-c", script, "--version"], cwd=tmp_path, stdout=out, check=False)
    assert done.returncode == code


def test_what_waits_for_the_end_of_the_process_runs(tmp_path: Path) -> None:
    script = (
        f"import atexit, sys; sys.path.insert(0, {str(ROOT / 'codemod')!r}); from torch_stabilize.cli.main import main\n"
        "atexit.register(print, 'last words'); main()"
    )
    done = subprocess.run([sys.executable, "-c", script, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "last words"
    assert done.returncode == 0
