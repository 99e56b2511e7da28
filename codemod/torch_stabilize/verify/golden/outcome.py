"""What one call of an op did, in a form that can be stored and compared without the op, the library or torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch_stabilize.model import Refusal


@dataclass(frozen=True)
class TensorOutcome:
    """A tensor as bytes, in the order of its elements; `alias` is the argument whose storage it shares."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    data: bytes
    alias: str | None = None

    def description(self) -> dict[str, Any]:
        """All but the bytes, ready for JSON."""
        return {"dtype": self.dtype, "shape": self.shape, "strides": self.strides, "alias": self.alias}


@dataclass(frozen=True)
class ErrorOutcome:
    """An exception: the names of its type and of the types it derives from, and its text."""

    type: str
    bases: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Outcome:
    """Everything an op did. Returns that are no tensors are kept as text that tells every bit.

    `mutated` has the arguments that changed, by position or name, lists element by element as "2.0".
    """

    returns: tuple[TensorOutcome | str, ...] = ()
    mutated: tuple[tuple[str, TensorOutcome], ...] = ()
    error: ErrorOutcome | None = None
    undeclared: tuple[str, ...] = ()  # arguments that changed although the schema does not say so
    inputs: str = ""  # a hash of what went in
    gradients: tuple[tuple[str, TensorOutcome], ...] = ()  # by argument
    facts: tuple[tuple[str, str], ...] = ()  # more that a caller can see, as text by its name
    bumped: tuple[str, ...] | None = None  # arguments whose version moved on; None where that is not known

    def tensors(self) -> dict[str, TensorOutcome]:
        """Every tensor by a name: "returns.0", "mutated.1"."""
        found = {f"returns.{i}": value for i, value in enumerate(self.returns) if isinstance(value, TensorOutcome)}
        found |= {f"mutated.{name}": tensor for name, tensor in self.mutated}
        return {**found, **{f"gradients.{name}": tensor for name, tensor in self.gradients}}

    def to_json(self) -> dict[str, Any]:
        """All but the tensors' bytes; `from_json` puts them together again."""
        more: dict[str, Any] = {}
        if self.gradients:
            more["gradients"] = {name: tensor.description() for name, tensor in self.gradients}
        if self.facts:
            more["facts"] = [list(fact) for fact in self.facts]
        return more | {
            "returns": [
                {"tensor": value.description()} if isinstance(value, TensorOutcome) else {"text": value}
                for value in self.returns
            ],
            "mutated": {name: tensor.description() for name, tensor in self.mutated},
            "error": None if self.error is None else asdict(self.error),
            "undeclared": list(self.undeclared),
            "inputs": self.inputs,
        }


def from_json(raw: dict[str, Any], data: dict[str, bytes]) -> Outcome:
    """The outcome that `to_json` and `tensors` took apart. Raises KeyError where a tensor is missing."""
    returns = tuple(
        _tensor(value["tensor"], data[f"returns.{index}"]) if "tensor" in value else value["text"]
        for index, value in enumerate(raw["returns"])
    )
    mutated = tuple((name, _tensor(value, data[f"mutated.{name}"])) for name, value in raw["mutated"].items())
    gradients = raw.get("gradients", {}).items()
    error = raw["error"]
    return Outcome(
        returns,
        mutated,
        None if error is None else ErrorOutcome(error["type"], tuple(error["bases"]), error["message"]),
        tuple(raw["undeclared"]),
        raw["inputs"],
        tuple((name, _tensor(value, data[f"gradients.{name}"])) for name, value in gradients),
        tuple((name, text) for name, text in raw.get("facts", ())),
    )


def _tensor(raw: dict[str, Any], data: bytes) -> TensorOutcome:
    return TensorOutcome(raw["dtype"], tuple(raw["shape"]), tuple(raw["strides"]), data, raw["alias"])


@dataclass(frozen=True)
class Crash:
    """A case that gave no outcome: the process died or hung, or the case could not be run. `reason` says which."""

    reason: str


class LoadError(Refusal):
    """A library that does not load, with the loader's words."""
