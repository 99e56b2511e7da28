"""Which torch `make` installs, and when it has nothing to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import environment
from tests.conftest import ROOT
from tests.environment import CPU_INDEX, VERSION, Environment, Offer, choose_torch, read_offer, wanted_state

CPU = f"{VERSION}+cpu"
PYPI = Offer(("2.14.1", VERSION, "2.12.0"), ("https://index.example/simple",))
LOCAL = Offer(("2.14.1", CPU, VERSION))

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="all builds for macOS are for the CPU")


@pytest.mark.parametrize(
    ("asked", "gpu", "own", "other", "arguments", "words"),
    [
        ("", False, PYPI, Offer((CPU,)), (f"torch=={CPU}", "--extra-index-url", CPU_INDEX), f"CPU build of torch {VERSION} from {CPU_INDEX}"),
        ("", False, LOCAL, None, (f"torch=={CPU}",), "CPU build"),
        ("", False, PYPI, Offer(()), (f"torch=={VERSION}",), "a build for the CPU, which is smaller, is not to be had there or from"),
        ("", True, PYPI, None, (f"torch=={VERSION}",), "there is an NVIDIA GPU"),
        ("torch==2.12.0 --index-url URL", False, Offer(()), None, ("torch==2.12.0", "--index-url", "URL"), "as TORCH says"),
    ],
)  # fmt: skip
def test_torch_is_for_the_cpu_where_no_gpu_is_and_pip_can_get_it(
    asked: str, gpu: bool, own: Offer, other: Offer | None, arguments: tuple[str, ...], words: str
) -> None:
    choice = choose_torch(asked, gpu=gpu, own=own, other=other)
    assert choice.arguments == arguments
    assert words in choice.words


def test_what_pip_prints_is_read() -> None:
    output = f"2 location(s) to search for versions of torch:\n* https://index.example/simple/torch/\n* file:///wheels\nAvailable versions: 2.14.1, {CPU}, {VERSION}\n  LATEST:    2.14.1\n"
    assert read_offer(output) == Offer(("2.14.1", CPU, VERSION), ("https://index.example/simple", "file:///wheels"))
    assert read_offer("ERROR: No matching distribution found for torch\n") == Offer(())


def test_without_an_index_it_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Environment, "offer", lambda self, *options: Offer(()))
    monkeypatch.setattr(Environment, "version", lambda self, package: None)
    monkeypatch.setattr(environment, "has_gpu", lambda: False)
    with pytest.raises(SystemExit) as ended:
        environment.install_torch(Environment(tmp_path), "")
    assert "the package index does not answer" in str(ended.value)
    assert "\n" not in str(ended.value)


def test_an_environment_that_is_as_asked_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Environment(tmp_path)
    assert not made.is_ready(wanted_state("", ()))
    (tmp_path / "bin").mkdir()
    made.python.touch()
    made.record(wanted_state("", ()))
    monkeypatch.setattr(environment, "header_packages", lambda nvcc: ())
    environment.main(str(tmp_path))  # would fail: this is no environment
    assert not made.is_ready(wanted_state("torch==2.12.0", ()))
    assert not made.is_ready(wanted_state("", ("nvidia-cutlass",)))


def test_cuda_units_need_headers_that_the_toolkit_may_lack(tmp_path: Path) -> None:
    assert environment.header_packages(None) == ()
    nvcc = tmp_path / "bin" / "nvcc"
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "cublas_v2.h").touch()
    assert environment.header_packages(str(nvcc)) == (environment.CUTLASS,)


def test_nvcc_can_be_hidden() -> None:
    code = "command -v nvcc; ls -d /usr/local/cuda*"
    hidden = subprocess.run(
        [ROOT / "tests/without_nvcc.sh", "sh", "-c", code], capture_output=True, text=True, check=False
    )
    if "allows no mount namespace" in hidden.stderr:
        pytest.skip("this machine allows no mount namespace")
    assert hidden.stdout == ""
    assert "cannot access" in hidden.stderr
