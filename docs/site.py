"""The documentation as a site, with a page for every code and the tables of torch's API.

    python docs/site.py FOLDER

writes the site to FOLDER. The pages of this folder are taken as they are; those of the codes, of what cannot migrate
and of the API come from the rules and tables themselves.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch_stabilize import explain
from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence
from torch_stabilize.report.markup import markdown_cell, markdown_code
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.table import load_surface

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
OF_THE_REPOSITORY = re.compile(r"\[([^\]]+)\]\((?!https?://|#|docs/)[^)]*\)")  # links of README.md to code and licence
MOVED = {"codes.md": "codes/index.md", "../golden/README.md": "golden-cases.md", "../docs/gpu.md": "gpu.md"}
KINDS = {
    "type": "Types",
    "constant": "Constants",
    "function": "Functions",
    "method": "Methods of a tensor",
    "macro": "Macros",
    "dispatch": "Dispatch macros",
    "include": "Headers",
}


def write_pages(folder: Path) -> None:
    """Everything that mkdocs reads: the pages of docs/, and those that are made from rules and tables."""
    folder.mkdir(parents=True)
    for page in DOCS.glob("*.md"):
        if page.name != "codes.md":
            shutil.copy(page, folder / page.name)
    (folder / "index.md").write_text(front_page((ROOT / "README.md").read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copy(ROOT / "CHANGELOG.md", folder / "changelog.md")
    shutil.copy(ROOT / "golden/README.md", folder / "golden-cases.md")
    for page in folder.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for link, place in MOVED.items():
            text = text.replace(f"]({link})", f"]({place})")
        page.write_text(text, encoding="utf-8")
    codes = explain.all_codes()
    (folder / "codes").mkdir()
    (folder / "codes/index.md").write_text(code_index(codes), encoding="utf-8")
    for code in codes.values():
        text = f"# {code.code}\n\n{explain.room(code.code)}\n\n{explain.page_markdown(code)}"
        (folder / f"codes/{code.code}.md").write_text(text, encoding="utf-8")
    (folder / "cannot-migrate.md").write_text(what_cannot_migrate(codes), encoding="utf-8")
    (folder / "api.md").write_text(api(load_surface().entries), encoding="utf-8")


def front_page(readme: str) -> str:
    """README.md as the first page: its links to pages lead there, those to code are its words alone."""
    return OF_THE_REPOSITORY.sub(r"\1", readme).replace("](docs/", "](")


def code_index(codes: Mapping[str, Code]) -> str:
    """All codes with their titles, room by room."""
    parts = ["# Diagnostics\n\nEach has a page. `torch-stabilize explain CODE` prints it too.\n"]
    for prefix, room in explain.ROOMS.items():
        rows = [f"| [{code.code}]({code.code}.md) | {markdown_cell(code.title)} |" for code in _starting(codes, prefix)]
        parts.append(f"## {room}\n\n| code | |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def what_cannot_migrate(codes: Mapping[str, Code]) -> str:
    """The codes of what is left to be done by hand, with the first paragraph of what to do."""
    parts = [
        "# What cannot migrate, and what to do instead\n\n"
        "What these find is left as it is, in a build that works, and the exit code is 1. Each page says why and gives "
        "the alternative.\n"
    ]
    for prefix, room in explain.ROOMS.items():
        manual = [code for code in _starting(codes, prefix) if code.confidence is Confidence.MANUAL]
        if manual:
            rows = [f"- [{code.code}](codes/{code.code}.md): {code.title}" for code in manual]
            parts.append(f"## {room}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def api(entries: Iterable[Entry]) -> str:
    """The names of libtorch that are known, with their stable forms and the oldest torch that has each."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for entry in entries:
        stable = markdown_code(entry.stable) if entry.stable and entry.form != "none" else markdown_cell(entry.note)
        code = f"[{entry.rule}](codes/{entry.rule}.md)" if entry.rule else ""
        target = entry.target if entry.form != "none" else "none"
        names = ", ".join(markdown_code(name) for name in entry.legacy).replace("|", "\\|")
        by_kind[entry.kind].append(f"| {names} | {stable.replace('|', chr(92) + '|')} | {target} | {code} |")
    parts = [
        "# The API of torch, by version\n\n"
        "Each legacy name with its stable form and the oldest torch that runs it. `none` has no stable form in any "
        "release. Operators that no row names are called through the dispatcher.\n"
    ]
    for kind, title in KINDS.items():
        head = "| legacy | stable | oldest torch | |\n|---|---|---|---|\n"
        parts.append(f"## {title}\n\n{head}" + "\n".join(sorted(by_kind[kind])) + "\n")
    return "\n".join(parts)


def build(folder: Path) -> int:
    """Write the site to `folder`; the exit code of mkdocs, which fails where a link leads nowhere."""
    from mkdocs.__main__ import cli

    with tempfile.TemporaryDirectory() as work:
        write_pages(Path(work) / "docs")
        shutil.copy(DOCS / "mkdocs.yml", work)
        arguments = ["build", "--strict", "--config-file", f"{work}/mkdocs.yml", "--site-dir", str(folder)]
        return int(cli.main(arguments, standalone_mode=False) or 0)


def _starting(codes: Mapping[str, Code], prefix: str) -> list[Code]:
    return [code for code in codes.values() if code.code.startswith(prefix)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(build(Path(sys.argv[1]).resolve()))
