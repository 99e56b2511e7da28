"""What `scan --ops` prints: every operator that a tree registers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from torch_stabilize.bindings.inventory import OpEntry
from torch_stabilize.report.lines import Lines

NO_SCHEMA = "(no schema is written: torch infers it from the C++ type)"
FORMAT = "torch-stabilize-ops/1"


def print_ops(operators: Sequence[OpEntry], out: Lines) -> None:
    """Two lines for every operator: side, name, keys with their functions and the file; then the schema."""
    width = max((len(operator.full_name) for operator in operators), default=0)
    for operator in operators:
        functions = ", ".join(
            f"{key or 'any'}={function}" for key, function in zip(operator.keys, operator.functions, strict=True)
        )
        out.print(f"{operator.side.value:7} {operator.full_name:{width}}  {functions or '-'}  {operator.file}")
        out.print(f"        {operator.schema or NO_SCHEMA}")
    out.print(f"{len(operators)} operators", style="bold")


def ops_json(operators: Sequence[OpEntry]) -> str:
    """The operators as JSON, with a line end."""
    entries = [
        {
            "namespace": operator.namespace,
            "name": operator.name,
            "overload": operator.overload,
            "schema": operator.schema,
            "side": operator.side.value,
            "implementations": [
                {"key": key, "function": function}
                for key, function in zip(operator.keys, operator.functions, strict=True)
            ],
            "file": operator.file,
            "build": operator.build,
        }
        for operator in operators
    ]
    return json.dumps({"format": FORMAT, "operators": entries}, indent=2) + "\n"
