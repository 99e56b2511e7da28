"""The documentation as a site: every page is in it, and no link leads nowhere."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from torch_stabilize import toml
from torch_stabilize.codes import DOCUMENTATION, page_address
from torch_stabilize.explain import all_codes

from tests.conftest import ROOT

pytest.importorskip("mkdocs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` does; mkdocs ends with an error where a link leads nowhere."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/site.py"), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs/site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_code_has_its_page_at_the_address_that_reports_name(site: Path) -> None:
    for code in all_codes():
        path = page_address(code).removeprefix(DOCUMENTATION)
        assert code in (site / path / "index.html").read_text(encoding="utf-8")


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.stem).is_dir(), page.name


def test_what_cannot_migrate_leads_to_the_pages_of_its_codes(site: Path) -> None:
    page = (site / "cannot-migrate/index.html").read_text(encoding="utf-8")
    assert '<a href="../codes/TSA003/">' in page
    assert '<a href="../codes/TSA101/">' not in page  # it is rewritten


def test_the_api_is_listed_with_its_versions(site: Path) -> None:
    page = (site / "api/index.html").read_text(encoding="utf-8")
    for text in ("torch::stable::Tensor", "STD_TORCH_CHECK", "2.10"):
        assert text in page


def test_the_front_page_links_within_the_site_alone(maker: ModuleType) -> None:
    readme = "See [it](docs/verify.md), [the sample](csrc), [another](https://example.org/a), [below](#x)."
    assert maker.front_page(readme) == "See [it](verify.md), the sample, [another](https://example.org/a), [below](#x)."


def test_the_address_is_that_of_the_distribution() -> None:
    urls = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert urls["Documentation"] == DOCUMENTATION
