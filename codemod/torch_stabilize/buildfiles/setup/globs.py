"""Globs of a setup file: which sources they name, and what names the migrated ones."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.evaluate.paths import MAGIC, matches
from torch_stabilize.buildfiles.setup.values import Values, place

if TYPE_CHECKING:
    import libcst as cst

_WIDTH = 88


class Glob(NamedTuple):
    """A call that finds files. `pattern` is a path of the repository, `folder` what a method of a path is called on.

    `argument` is the expression for the pattern, `without` a folder whose files are left out afterwards.
    """

    pattern: str
    recursive: bool
    call: cst.Call
    argument: cst.CSTNode
    folder: str | None = None
    without: str = ""

    def matches(self, path: str) -> bool:
        """Whether the glob finds `path`."""
        if self.without and path.startswith(self.without + "/"):
            return False
        return matches(path, self.pattern, recursive=self.recursive)

    @property
    def fixed(self) -> str:
        """The folder that every file it finds lies in."""
        parts = self.pattern.split("/")
        magic = next((index for index, part in enumerate(parts) if MAGIC.search(part)), len(parts) - 1)
        return "/".join(parts[:magic])


def read_glob(values: Values, node: cst.CSTNode, folder: str) -> Glob | None:
    """`glob.glob("csrc/*.cu")`, `Path("csrc").rglob("*.cu")` in a setup file in `folder`; None for anything else."""
    import libcst as cst

    if not isinstance(node, cst.Call) or not node.args or node.args[0].keyword is not None:
        return None
    name, argument = dotted_name(node.func), node.args[0].value
    text = values.string(argument)
    if text is None:
        return None
    options = {a.keyword.value: dotted_name(a.value) for a in node.args[1:] if a.keyword is not None}
    if name in ("glob.glob", "glob.iglob") or (name in ("glob", "iglob") and _is_imported(values, name)):
        if set(options) - {"recursive"} or len(options) != len(node.args) - 1:
            return None
        pattern = place(text, folder)
        return Glob(pattern, options.get("recursive") == "True", node, argument) if pattern else None
    if not isinstance(node.func, cst.Attribute) or node.func.attr.value not in ("glob", "rglob") or len(node.args) > 1:
        return None
    held = values.string(node.func.value)
    start = place(held, folder) if held is not None else None
    if start is None:
        return None
    below = posixpath.join("**", text) if node.func.attr.value == "rglob" else text
    return Glob(posixpath.normpath(posixpath.join(start, below)), True, node, argument, start)


def _is_imported(values: Values, name: str) -> bool:
    import libcst as cst

    return any(
        dotted_name(line.module) == "glob"
        and not isinstance(line.names, cst.ImportStar)
        and any(alias.evaluated_name == name and alias.asname is None for alias in line.names)
        for line in values.file.find(cst.ImportFrom)
    )


def stable_call(glob: Glob, values: Values, pattern: str, literal: str, folder: str) -> str | None:
    """The text of a call that finds `pattern`; `literal` is the expression for it, written like that of the glob."""
    import libcst as cst

    file = values.file
    if glob.folder is not None:
        start = f"{glob.folder}/" if glob.folder != "." else ""
        assert isinstance(glob.call.func, cst.Attribute)
        held = file.text(glob.call.func.value)
        return f'{held}.glob("{pattern.removeprefix(start)}")' if pattern.startswith(start) else None
    head, joined = _joined_folders(glob, values)
    found = place(joined, folder) if joined is not None else None
    if found is not None and pattern.startswith(f"{found}/"):
        literal = f"{head}, {_quoted(pattern.removeprefix(f'{found}/'))})"
    return file.text(glob.call).replace(file.text(glob.argument), literal, 1)


def left_out(glob: Glob, values: Values, below: str) -> str | None:
    """The text of the call without what lies in the folder `below` of where it looks; None where it cannot be told."""
    import libcst as cst

    file = values.file
    if glob.folder is not None or glob.without:
        return None
    argument = glob.argument
    if isinstance(argument, cst.SimpleString):
        written = argument.evaluated_value
        assert isinstance(written, str)
        magic = MAGIC.search(written)
        head = written[: written.rfind("/", 0, magic.start() if magic else len(written)) + 1]
        prefix = f'"{head}{below}/"'
    else:
        head, start = _joined_folders(glob, values)
        if start is None:
            return None
        prefix = f'{head}, {_quoted(below)}, "")'
    used = {name.value for name in file.find_in(glob.call, cst.Name)}
    name = next(name for name in ("path", "source", "found", "one") if name not in used)
    start_of_line = file.span(glob.call).start
    indent = file.indent(start_of_line)
    parts = (f"[{name} for {name} in {file.text(glob.call)}", f"if not {name}.startswith({prefix})]")
    line = " ".join(parts)
    if start_of_line - file.line_start(start_of_line) + len(line) <= _WIDTH:
        return line
    return f"[\n{indent}    {parts[0][1:]}\n{indent}    {parts[1][:-1]}\n{indent}]"


def _joined_folders(glob: Glob, values: Values) -> tuple[str, str | None]:
    """`os.path.join(here, "csrc"` of a pattern that is joined of folders and more, and what that evaluates to."""
    import libcst as cst

    argument = glob.argument
    if not isinstance(argument, cst.Call) or not dotted_name(argument.func).endswith("join"):
        return "", None
    parts = [values.string(part.value) for part in argument.args]
    plain = next((index for index, part in enumerate(parts) if part is None or MAGIC.search(part)), 0)
    if not plain:
        return "", None
    texts = ", ".join(values.file.text(part.value) for part in argument.args[:plain])
    return f"{values.file.text(argument.func)}({texts}", posixpath.join(*(part or "" for part in parts[:plain]))


def _quoted(path: str) -> str:
    return ", ".join(f'"{part}"' for part in path.split("/"))


def excluded_folder(values: Values, condition: cst.CSTNode, variable: str, folder: str) -> str | None:
    """The folder that `not variable.startswith(FOLDER)` leaves out; None for another condition."""
    import libcst as cst

    if not isinstance(condition, cst.UnaryOperation) or not isinstance(condition.operator, cst.Not):
        return None
    call = condition.expression
    if not isinstance(call, cst.Call) or dotted_name(call.func) != f"{variable}.startswith" or len(call.args) != 1:
        return None
    text = values.string(call.args[0].value)
    return place(text, folder) if text is not None and text.endswith("/") else None
