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
