"""How the sources of a list are compared with paths of the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.computed.records import Split
from torch_stabilize.buildfiles.setup.model import SetupModel
from torch_stabilize.buildfiles.setup.values import value_given

if TYPE_CHECKING:
    import libcst as cst


_ITERATORS = frozenset(
    {"map", "filter", "zip", "iter", "reversed", "enumerate", "iglob", "rglob", "iterdir", "chain", "from_iterable"}
)

_CHANGES = frozenset({"append", "extend", "insert", "remove", "pop", "clear"})


def compared(split: Split, name: str) -> str:
    """The expression that is a path from the folder of setup.py where the variable `name` is a source."""
    return name if split.is_plain else f"os.path.relpath({name})"


def imports_os(model: SetupModel) -> bool:
    """Whether `os.path` can be used in the file."""
    import libcst as cst

    return any(
        alias.evaluated_name in ("os", "os.path") and alias.asname is None
        for line in model.file.find(cst.Import)
        for alias in line.names
    )


def is_changed_later(model: SetupModel, sources: cst.CSTNode, call: cst.CSTNode) -> bool:
    """Whether a list in an expression is changed after `call`, which was given it: a copy would not have that."""
    import libcst as cst

    file = model.file
    names = {name.value for name in file.find_in(sources, cst.Name)}
    if isinstance(sources, cst.Name):
        names.add(sources.value)
    changed: list[cst.CSTNode] = [one.target for one in file.find(cst.AugAssign)]
    for one in file.find(cst.Call):
        if isinstance(one.func, cst.Attribute) and one.func.attr.value in _CHANGES:
            changed.append(one.func.value)
    for one_slice in file.find(cst.Subscript):
        if isinstance(file.parent(one_slice), (cst.AssignTarget, cst.Del)):
            changed.append(one_slice.value)
    behind = file.span(call).end
    return any(isinstance(one, cst.Name) and one.value in names and file.span(one).start > behind for one in changed)


def is_used_up(model: SetupModel, sources: cst.CSTNode) -> bool:
    """Whether an expression uses up an iterator that has a name: it says something else when it is evaluated again."""
    import libcst as cst

    for name in model.file.find_in(sources, cst.Name):
        for bound in model.bindings(name.value, name):
            value = value_given(bound, name.value) if isinstance(bound, (cst.Assign, cst.AnnAssign)) else None
            called = dotted_name(value.func) if isinstance(value, cst.Call) else ""
            is_path = called.endswith(".glob") and called != "glob.glob"
            if isinstance(value, cst.GeneratorExp) or called.rpartition(".")[2] in _ITERATORS or is_path:
                return True
    return False
