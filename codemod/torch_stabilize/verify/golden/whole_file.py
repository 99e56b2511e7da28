"""Files of the golden folder, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from torch_stabilize.model import Refusal


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whose folder is made. Raises Refusal where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as handle:
            handle.write(data)
        os.chmod(handle.name, 0o644)
        os.replace(handle.name, path)
    except OSError as error:
        raise Refusal(f"cannot write {path}: {error.strerror}") from error
