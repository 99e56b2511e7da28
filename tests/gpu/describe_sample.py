"""Write which units a library of the sample needs for a few groups alone, so that build_release.py can build just these.

    torch-stabilize migrate GROUP... --json | python3 -m tests.gpu.describe_sample FOLDER

FOLDER has the sample before (legacy/) and after its migration (stable/); libraries.json in it is written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BINDINGS = "csrc/torch_bindings.cpp"
STABLE_BINDINGS = "csrc/libtorch_stable/torch_bindings.cpp"
UNITS = (".cpp", ".cu")
DEFINES = ("SAMPLEX_WITH_CUDA",)


def describe(report: dict[str, Any]) -> dict[str, Any]:
    """What libraries.json says of the groups that `report` migrates: the units of each library, before and after."""
    moved = [file for file in report["files"] if file["action"] == "moved" and file["old"].endswith(UNITS)]
    return {
        "release": "the sample",
        "defines": DEFINES,
        "legacy": {"_C": [BINDINGS, *(file["old"] for file in moved)]},
        "stable": {
            "_C": [BINDINGS],  # what stays behind
            "_C_stable_libtorch": [STABLE_BINDINGS, *(file["new"] for file in moved)],
        },
    }


if __name__ == "__main__":
    described = describe(json.load(sys.stdin))
    (Path(sys.argv[1]) / "libraries.json").write_text(json.dumps(described, indent=1) + "\n")
