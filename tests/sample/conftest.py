from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sample.building import build_sample


@pytest.fixture(scope="session")
def sample_tree() -> Path:
    """A copy of the sample in which the extension is built."""
    return build_sample()


@pytest.fixture(scope="session")
def samplex(sample_tree: Path) -> Iterator[None]:
    """The ops of the sample, registered in this process."""
    sys.path.insert(0, str(sample_tree))
    try:
        import samplex.ops  # type: ignore[import-not-found, unused-ignore]  # noqa: F401

        yield
    finally:
        sys.path.remove(str(sample_tree))
