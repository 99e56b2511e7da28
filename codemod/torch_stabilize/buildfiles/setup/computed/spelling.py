"""How the sources of a list are compared with paths of the repository."""

from __future__ import annotations

from torch_stabilize.buildfiles.setup.computed.records import Split
from torch_stabilize.buildfiles.setup.model import SetupModel


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
