"""The rooms of the package and the arrows between them, read from its imports.

    python -m tests.architecture

writes the picture into docs/architecture.md. Imports for types alone are no arrows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "codemod/torch_stabilize"
PAGE = ROOT / "docs/architecture.md"

# From the ground up: a room imports from those before it, and from its own line.
LAYERS = (
    ("model", "codes", "diff", "toml", "templates"),
    ("source",),
    ("surface",),
    ("rules",),
    ("repository", "config"),
    ("formatting", "includes", "explain", "writer"),
    ("buildfiles",),
    ("layout",),
    ("bindings",),
    ("program",),
    ("migration",),
    ("retire", "series", "report"),
    ("checking", "verify"),
    ("cli",),
)
_PICTURE = re.compile(r"<!-- rooms -->\n.*?<!-- end of rooms -->\n", re.DOTALL)


def modules() -> dict[str, Path]:
    """Every module of the package, "rules.engine", with its file; a package is its `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name and name != "__main__":
            found[name] = path
    return found


def imports() -> dict[str, frozenset[str]]:
    """What each module imports of the package, wherever in its code."""
    known = modules()
    return {name: frozenset(_imported(path, known)) - {name} for name, path in known.items()}


def _imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in for_types:
            package, _, module = node.module.partition(".")
            if package == PACKAGE.name:
                for alias in node.names:
                    inner = f"{module}.{alias.name}".strip(".")
                    yield inner if inner in known else module


def room(module: str) -> str:
    """The room of a module: its first folder, or itself at the top."""
    return module.partition(".")[0]


def arrows() -> frozenset[tuple[str, str]]:
    """Which room imports from which other."""
    return frozenset(
        (room(name), room(other))
        for name, others in imports().items()
        for other in others
        if other and room(other) != room(name)
    )


def level(name: str) -> int:
    """The line of a room in LAYERS. Raises StopIteration for one that is in none."""
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms)


def circles() -> list[list[str]]:
    """Modules that import each other, over any number of steps."""
    edges = imports()
    reached: dict[str, frozenset[str]] = {}
    for name in edges:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for other in edges.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        reached[name] = frozenset(seen)
    found = {
        tuple(sorted(o for o in reached[name] if name in reached.get(o, ()))) for name in edges if name in reached[name]
    }
    return [list(circle) for circle in sorted(found)]


def picture() -> str:
    """The rooms as a table, from the top down: what each line has, and what it imports from."""
    found = arrows()
    lines = ["| rooms | import from |", "|---|---|"]
    for rooms in reversed(LAYERS):
        for name in rooms:
            below = sorted((other for this, other in found if this == name), key=lambda other: (-level(other), other))
            lines.append(f"| `{name}` | {', '.join(f'`{other}`' for other in below) or 'nothing'} |")
    return "<!-- rooms -->\n" + "\n".join(lines) + "\n<!-- end of rooms -->\n"


def drawn(page: str) -> str:
    """`page` with the picture as it is now."""
    return _PICTURE.sub(lambda _: picture(), page)


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
