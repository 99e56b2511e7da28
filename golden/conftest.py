"""Golden cases as pytest items: `pytest golden/ --library FILE`, with -k, -x and -n as in every other test run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from torch_stabilize.verify.golden.cases import find_case_files, load_cases
from torch_stabilize.verify.golden.process import Worker
from torch_stabilize.verify.golden.store import GoldenFile, read_golden

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """The library under test."""
    parser.addoption(
        "--library",
        action="append",
        default=[],
        metavar="FILE",
        help="a compiled extension to run the golden cases on; may be given several times",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each case of each group."""
    if "case" in metafunc.fixturenames:
        files = [load_cases(path) for path in find_case_files(HERE)]
        items = [pytest.param(file, case, id=f"{file.group}/{case.id}") for file in files for case in file.cases]
        metafunc.parametrize(("file", "case"), items)


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A process that has loaded the library under test."""
    libraries = [Path(name) for name in request.config.getoption("--library")]
    if not libraries:
        pytest.skip("no library to test: pytest golden/ --library FILE")
    with Worker(libraries) as running:
        yield running


@pytest.fixture(scope="session")
def recorded() -> Callable[[Path], GoldenFile | None]:
    """Reads a golden file, once; None where nothing is recorded."""
    return cache(lambda path: read_golden(path) if path.exists() else None)
