"""Write `tables/aten.json` from the torch that is installed: every aten op with its schema, and which are methods.

    python -m torch_stabilize.surface.generate_aten

The schemas are the dispatcher's own; which of them C++ offers as methods of a tensor or as functions is in the
`native_functions.yaml` that torchgen ships. Needs torch and PyYAML, at the time of writing the table only.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("tables") / "aten.json"
_PREFIX = "aten::"


def read_schemas() -> dict[str, dict[str, str]]:
    """Signatures by op and overload: `schemas["cumsum"][""]` is "(Tensor self, int dim, ...) -> Tensor"."""
    import torch

    schemas: dict[str, dict[str, str]] = {}
    for qualified in sorted(torch._C._dispatch_get_all_op_names()):
        if not qualified.startswith(_PREFIX):
            continue
        op, _, overload = qualified.removeprefix(_PREFIX).partition(".")
        text = str(torch._C._get_schema(_PREFIX + op, overload))
        schemas.setdefault(op, {})[overload] = text[text.index("(") :]
    return schemas


def read_variants() -> dict[str, str]:
    """What C++ offers by op and overload: "m" for a method, "f" for a function, "mf" for both."""
    import yaml  # type: ignore[import-untyped]

    spec = find_spec("torchgen")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("torchgen is missing: it comes with torch")
    path = Path(spec.submodule_search_locations[0], "packaged", "ATen", "native", "native_functions.yaml")
    native: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    variants: dict[str, str] = {}
    for function in native:
        name = function["func"].partition("(")[0]
        offered = function.get("variants", "function")
        variants[name] = ("m" if "method" in offered else "") + ("f" if "function" in offered else "")
    return variants


def main() -> None:
    """Write the table, one overload a line so that a new torch shows as a readable diff."""
    import torch

    variants = read_variants()
    rows = [
        [op, overload, variants.get(f"{op}.{overload}" if overload else op, "f"), signature]
        for op, overloads in read_schemas().items()
        for overload, signature in overloads.items()
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    version = torch.__version__.partition("+")[0]
    TABLE.write_text(f'{{"torch": "{version}", "ops": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
