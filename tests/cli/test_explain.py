"""`explain`: every code that the tool can say has a page, and docs/codes.md holds them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from torch_stabilize import explain
from torch_stabilize.codes import Code

from tests.conftest import ROOT, Run

CODE = re.compile(r"\bTSA\d{3}\b")


def test_one_page(run_cli: Run, tmp_path: Path) -> None:
    ran = run_cli("explain", "tsa101", cwd=tmp_path)
    page = explain.all_codes()["TSA101"]
    assert ran.code == 0
    assert ran.out.startswith(f"TSA101: {page.title}\n")
    for example in page.examples:
        assert example.before.strip().splitlines()[0] in ran.out


def test_every_code_in_the_source_has_a_page() -> None:
    used: dict[str, str] = {}
    for path in sorted((ROOT / "codemod").rglob("*")):
        if path.suffix in (".py", ".toml"):
            used |= dict.fromkeys(CODE.findall(path.read_text(encoding="utf-8")), path.name)
    missing = {code: name for code, name in used.items() if code not in explain.all_codes()}
    assert missing == {}


def test_every_page_says_something() -> None:
    for code in explain.all_codes().values():
        assert CODE.fullmatch(code.code)
        assert code.title.endswith("."), code.code


def test_a_code_used_twice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = (Code("TSA001", "One."), Code("TSA001", "Another."))
    monkeypatch.setattr(explain, "_every_code", lambda: iter(twice))
    with pytest.raises(ValueError, match=r"TSA001 is used twice: 'One\.' and 'Another\.'"):
        explain.all_codes()


def test_all_as_json(run_cli: Run, tmp_path: Path) -> None:
    pages = json.loads(run_cli("explain", "--all", "--json", cwd=tmp_path).out)
    assert [page["code"] for page in pages] == list(explain.all_codes())


def test_docs_hold_every_page() -> None:
    written = (ROOT / "docs/codes.md").read_text(encoding="utf-8")
    assert written == explain.pages_markdown(explain.all_codes().values()), "run `make docs`"
