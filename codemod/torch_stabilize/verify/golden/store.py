"""Golden files: outcomes in a safetensors file for each group and device, with what is needed to distrust them.

All of the description is one JSON text in the file's metadata, so that the same outcomes give the same bytes. Tensors
stand under a hash of their bytes: what several cases give (on another stream, say) is kept once. A checksum covers
description and tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.outcome import Outcome, from_json
from torch_stabilize.verify.golden.whole_file import write_whole

FORMAT = "torch-stabilize-golden/1"
_DESCRIPTION = "golden"


@dataclass(frozen=True)
class Recorded:
    """The outcome of one case, with the digest of the case as it was then."""

    digest: str
    outcome: Outcome


@dataclass(frozen=True)
class GoldenFile:
    """The recorded outcomes of one group on one device, by case id, and what gave them."""

    group: str
    device: str  # "cpu" or "cuda-sm90"
    torch: str
    cases: Mapping[str, Recorded] = field(repr=False)
    made_with: Mapping[str, str] = field(default_factory=dict)  # the machine and the library, for people


def record(case: Case, outcome: Outcome) -> Recorded:
    """`outcome` as the record of `case`."""
    return Recorded(case.digest, outcome)


def write_golden(path: Path, golden: GoldenFile, *, force: bool = False) -> None:
    """Write `golden` whole or not at all.

    Raises Refusal (exit 2) where the file exists and `force` is not given, and where it cannot be written.
    """
    if path.exists() and not force:
        raise Refusal(f"{path} exists and recorded outputs are not overwritten; ask for it with --force", exit_code=2)
    write_whole(path, to_bytes(golden))


def to_bytes(golden: GoldenFile) -> bytes:
    """`golden` as a safetensors file."""
    import numpy
    from safetensors.numpy import save

    named = _all_tensors(golden)
    tensors = {_key(data): data for data in named.values()}
    description: dict[str, Any] = {
        "format": FORMAT,
        "group": golden.group,
        "device": golden.device,
        "torch": golden.torch,
        "tensors": {name: _key(data) for name, data in sorted(named.items())},
        "cases": {
            name: {"digest": recorded.digest, "outcome": recorded.outcome.to_json()}
            for name, recorded in sorted(golden.cases.items())
        },
    }
    if golden.made_with:
        description["made_with"] = dict(golden.made_with)
    description["checksum"] = _checksum(description, tensors)
    # Bytes as uint8: what they mean is in the description, and no dtype is too new for the file format.
    stored = {name: numpy.frombuffer(data, dtype=numpy.uint8) for name, data in sorted(tensors.items())}
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return bytes(save(stored, metadata={_DESCRIPTION: text}))


def read_golden(path: Path) -> GoldenFile:
    """Read a golden file. Raises Refusal where it is missing, truncated, corrupted or something else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror}", exit_code=2) from error
    return from_bytes(data, str(path))


def from_bytes(data: bytes, name: str) -> GoldenFile:
    """The golden file that `data` is. Raises Refusal with `name` where it is none or was changed."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = {key: value.tobytes() for key, value in load(data).items()}
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        raw = json.loads(head["__metadata__"][_DESCRIPTION])
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Refusal(f"{name} is not a golden file, or only a part of one: {error}") from error
    if not isinstance(raw, dict):
        raise Refusal(f"{name} is not a golden file: its description is no object")
    if raw.get("format") != FORMAT:
        raise Refusal(f"{name} has the format {raw.get('format')!r}; this version reads {FORMAT}")
    checksum = raw.pop("checksum", None)
    if checksum != _checksum(raw, tensors):
        raise Refusal(f"{name} is corrupted: its checksum does not match its content")
    try:
        return _golden_file(raw, tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refusal(f"{name} is not a golden file of this version: {error!r}") from error


def _golden_file(raw: Mapping[str, Any], tensors: Mapping[str, bytes]) -> GoldenFile:
    """The file that the description `raw` and its `tensors` are."""
    named = {name: tensors[key] for name, key in raw["tensors"].items()}
    cases = {
        case: Recorded(entry["digest"], from_json(entry["outcome"], _of_case(case, named)))
        for case, entry in raw["cases"].items()
    }
    return GoldenFile(raw["group"], raw["device"], raw["torch"], cases, raw.get("made_with", {}))


def _all_tensors(golden: GoldenFile) -> dict[str, bytes]:
    return {
        f"{case}/{name}": tensor.data
        for case, recorded in golden.cases.items()
        for name, tensor in recorded.outcome.tensors().items()
    }


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _of_case(case: str, tensors: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name[len(case) + 1 :]: data for name, data in tensors.items() if name.startswith(f"{case}/")}


def _checksum(description: Mapping[str, Any], tensors: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        digest.update(f"\n{name}:{len(tensors[name])}:".encode())
        digest.update(tensors[name])
    return digest.hexdigest()
