"""The words of what users read: plain English as PyTorch's own documentation has it, without mannerisms."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.conftest import ROOT

# What must not be written, and what to write instead.
BANNED = {
    r"what is said": "the message, the text",
    r"(no|some)body knows": "unknown, is known",
    r"both worlds|worlds?": "the legacy and the stable build; a shared header",
    r"beside": "next to, in addition to",
    r"goes": "moves, is removed, is written, is passed",
    r"stands": "is; represents, replaces",
    r"hand(s|ed)? on": "passes on",
    r"shall": "must, is to",
    r"(it|as) were": "leave it out",
}
PATTERN = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)
TEXTS = (".md", ".j2", ".jinja", ".in", ".h", ".cpp", ".cu", ".cuh", ".toml", ".yaml", ".yml", ".sh", "Makefile")
FOLDERS = ("codemod", "templates", "docs", "golden")


def prose(path: Path) -> list[tuple[int, str]]:
    """Lines that a person reads: all of a text, comments and strings of several words of a Python module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py" or not PATTERN.search(text):
        return list(enumerate(text.split("\n"), 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        (token.start[0] + offset, line)
        for token in tokens
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string)
        for offset, line in enumerate(token.string.split("\n"))
    ]


def find_banned(path: Path) -> list[str]:
    return [f"{path.name}:{number}: {found[0]}" for number, line in prose(path) for found in PATTERN.finditer(line)]


def read_by_people() -> list[Path]:
    below = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    top = ("README.md", "CHANGELOG.md", "Makefile", "action.yml", ".pre-commit-hooks.yaml", "pyproject.toml")
    files = [*(ROOT / name for name in top), *below]
    return [path for path in files if path.name.endswith((".py", *TEXTS)) and "build" not in path.parts]


def test_what_people_read_is_plain() -> None:
    assert len(read_by_people()) > 300
    assert "\n".join(found for path in read_by_people() for found in find_banned(path)) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('x = "a header of both worlds"\n', ["m.py:1: both worlds"]),
        ("# what it stands for\n", ["m.py:1: stands"]),
        ('def f():\n    """One.\n\n    Goes there.\n    """\n', ["m.py:4: Goes"]),
        ("stands = beside\n", []),
        ("# understands a worldwide stand-in\n", []),
    ],
)
def test_what_is_found(text: str, found: list[str], tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(text, encoding="utf-8")
    assert find_banned(path) == found
