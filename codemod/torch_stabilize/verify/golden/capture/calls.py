"""Captured calls as data, and the file that a group's are kept in: storages under their hash, the rest as JSON.

A call names the function it was made to ("ns::op.overload" or "module:function") and what else represents it after a
migration. A variation is another call with one change; both are golden cases with the id "captured/...".
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.whole_file import write_whole

CAPTURED_FILE = "captured.safetensors"
FORMAT = "torch-stabilize-captured/1"
ID = "captured/"
_DESCRIPTION = "captured"


@dataclass(frozen=True, eq=False)
class Call:
    """One call. `content` is what the recorder wrote of it: arguments, storages, grad mode, test and features.

    `change` makes it a variation; `contents` are the bytes of storages by their hash, shared between calls.
    """

    targets: tuple[str, ...]  # the function that was called, then what it became
    content: Mapping[str, Any] = field(repr=False)
    contents: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    change: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """A hash of all that decides what the call does."""
        decides = {name: self.content[name] for name in ("target", "args", "kwargs", "storages", "grad")}
        text = json.dumps([FORMAT, decides, self.change], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def id(self) -> str:
        """The id of the case: readable, and unique within the file."""
        name = self.targets[0].rpartition(":")[2]
        changed = f"/{self.change['text'].replace(':', '').replace(' ', '-')}" if self.change is not None else ""
        return f"{ID}{name}-{self.key[:8]}{changed}"

    @property
    def features(self) -> tuple[str, ...]:
        """What is particular about its arguments."""
        return tuple(self.content["features"])

    @property
    def device(self) -> str:
        """The kind of device that the call needs."""
        kinds = {storage["device"].partition(":")[0] for storage in self.content["storages"]} | set(
            _devices([*self.content["args"], *self.content["kwargs"].values()])
        )
        return next((kind for kind in sorted(kinds) if kind != "cpu"), "cpu")

    @property
    def asks_for_gradients(self) -> bool:
        """Whether one of its tensors asks for a gradient."""
        return _asks([*self.content["args"], *self.content["kwargs"].values()])

    @property
    def passes_text(self) -> bool:
        """Whether one of its arguments is a text."""
        return any("str" in value for value in [*self.content["args"], *self.content["kwargs"].values()])

    @property
    def bytes(self) -> int:
        """What its storages take in the file, before other calls share them."""
        return sum(len(self.contents.get(storage.get("content", ""), b"")) for storage in self.content["storages"])


def _devices(values: list[Any]) -> list[str]:
    found = []
    for value in values:
        if "device" in value:
            found.append(value["device"].partition(":")[0])
        for kind in ("list", "tuple"):
            found += _devices(value.get(kind, []))
    return found


def _asks(values: list[Any]) -> bool:
    return any(
        value.get("tensor", {}).get("requires_grad", False) or any(_asks(value.get(k, [])) for k in ("list", "tuple"))
        for value in values
    )


@dataclass(frozen=True)
class Captured:
    """What is kept of a group. `notes` is what the capture says against it, for the verdict, and its figures."""

    group: str
    calls: tuple[Call, ...]
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


def write_captured(path: Path, captured: Captured) -> None:
    """Write the file whole or not at all. Raises Refusal where it cannot be written."""
    write_whole(path, to_bytes(captured))


def to_bytes(captured: Captured) -> bytes:
    """`captured` as a safetensors file."""
    import numpy
    from safetensors.numpy import save

    originals: list[Mapping[str, Any]] = []
    places: dict[str, int] = {}
    entries = []
    contents: dict[str, bytes] = {}
    for call in captured.calls:
        text = json.dumps(call.content, sort_keys=True)
        if text not in places:
            places[text] = len(originals)
            originals.append(call.content)
        entries.append({"call": places[text], "targets": call.targets, "change": call.change})
        keys = (storage["content"] for storage in call.content["storages"] if "content" in storage)
        contents.update({key: call.contents[key] for key in keys})
    description = {
        "format": FORMAT,
        "group": captured.group,
        "calls": originals,
        "cases": entries,
        "notes": captured.notes,
        "figures": captured.figures,
    }
    description["checksum"] = _checksum(description, contents)
    stored = {key: numpy.frombuffer(zlib.compress(data, 9), dtype=numpy.uint8) for key, data in contents.items()}
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return bytes(save(dict(sorted(stored.items())), metadata={_DESCRIPTION: text}))


def read_captured(path: Path) -> Captured:
    """The file at `path`. Raises Refusal where it is none, or was changed."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror}", exit_code=2) from error
    try:
        contents = {key: zlib.decompress(value.tobytes()) for key, value in load(data).items()}
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        raw = json.loads(head["__metadata__"][_DESCRIPTION])
        if raw["format"] != FORMAT:
            raise Refusal(f"{path} has the format {raw['format']!r}; this version reads {FORMAT}")
        if raw.pop("checksum") != _checksum(raw, contents):
            raise Refusal(f"{path} is corrupted: its checksum does not match its content")
        calls = tuple(
            Call(tuple(entry["targets"]), raw["calls"][entry["call"]], contents, entry["change"])
            for entry in raw["cases"]
        )
        return Captured(raw["group"], calls, tuple(raw["notes"]), raw["figures"])
    except (SafetensorError, zlib.error, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise Refusal(f"{path} is no file of captured calls, or only a part of one: {error!r}") from error


def _checksum(description: Mapping[str, Any], contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True, separators=(",", ":")).encode())
    for key in sorted(contents):
        digest.update(f"\n{key}:{hashlib.sha256(contents[key]).hexdigest()}".encode())
    return digest.hexdigest()
