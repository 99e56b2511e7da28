"""Watches a program from its start: operators through torch's observer, functions of modules as they are loaded."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from . import FOLDER_VARIABLE, SETTINGS
from .observer import Unbuilt, build_observer
from .recorder import Recorder


class Watch:
    """What is watched in this process, and how."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.recorder = Recorder(folder, settings)
        self.observer: Any = None
        self._functions: dict[str, set[str]] = {}
        for name in settings["functions"]:
            module, _, function = name.partition(":")
            self._functions.setdefault(module, set()).add(function)

    def torch_loaded(self, torch: Any) -> None:
        """Torch was imported: from here on operators can be called."""
        self.recorder.torch = torch
        operators = sorted({name.partition(".")[0] for name in self.settings["operators"]})
        if not operators and not self._functions:
            return
        try:
            self.observer = build_observer(torch, Path(self.settings["cache"]), Path(self.settings["source"]))
        except Unbuilt as reason:
            self.recorder.how = f"patches of torch.ops, which miss calls from C++ and TorchScript ({reason})"
            _patch_overloads(torch, frozenset(operators), self.recorder)
            return
        self.recorder.how = "torch's RecordFunction"
        self.recorder.all_blocks = lambda: self.observer.blocks(True)
        self.observer.observe(operators, self._told)

    def module_loaded(self, module: ModuleType) -> None:
        """An extension module was executed: its functions that the group has are replaced by watched ones."""
        self.recorder.module_loaded(module)
        last = module.__name__.rpartition(".")[2]
        for name in sorted(self._functions.get(last, ())):
            function = getattr(module, name, None)
            if function is not None and type(function).__name__ == "builtin_function_or_method":
                setattr(module, name, self._watched(f"{last}:{name}", function))
        if last in self._functions:
            self.recorder.classes += [
                f"{last}.{name}" for name, value in vars(module).items() if type(value).__name__ == "pybind11_type"
            ]

    def _told(self, name: str, overload: str, arguments: list[Any], nested: bool) -> Any:
        full = f"{name}.{overload}" if overload else name
        return self.recorder.see(full, arguments, {}, nested)

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            observer = self.observer
            if observer is None:
                self.recorder.see(name, list(args), kwargs, False)
                return function(*args, **kwargs)
            nested = observer.enter()
            kept = None
            try:
                kept = self.recorder.see(name, list(args), kwargs, nested)
                if not nested:
                    observer.begin()
                return function(*args, **kwargs)
            finally:
                observer.leave()
                if kept is not None:
                    kept(observer.blocks(False))

        watched.__name__ = watched.__qualname__ = function.__name__
        watched.__doc__ = function.__doc__
        if "torch" not in sys.modules:
            return watched
        # A compiler breaks its graph at a function it cannot see into; it must not look into this one either.
        disabled: Callable[..., Any] = sys.modules["torch"].compiler.disable(watched)
        return disabled


def install() -> None:
    """Start to watch, where the environment says so. Called before anything of the program is imported."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    watch = Watch(Path(folder), json.loads((Path(folder) / SETTINGS).read_text(encoding="utf-8")))
    execute = importlib.machinery.ExtensionFileLoader.exec_module

    def exec_module(self: importlib.machinery.ExtensionFileLoader, module: ModuleType) -> None:
        execute(self, module)
        if not module.__name__.startswith("torch."):
            watch.module_loaded(module)

    importlib.machinery.ExtensionFileLoader.exec_module = exec_module  # type: ignore[method-assign]
    sys.meta_path.insert(0, _TorchFinder(watch))


class _TorchFinder:
    """Lets torch be found as ever, and says when it has been imported."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._looking = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name != "torch" or self._looking:
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module
        watch = self._watch

        def exec_module(module: ModuleType) -> None:
            execute(module)
            watch.torch_loaded(module)

        setattr(spec.loader, "exec_module", exec_module)  # noqa: B010  # of this loader alone
        return spec


def _patch_overloads(torch: Any, names: frozenset[str], recorder: Recorder) -> None:
    """Where no observer can be built: calls from Python through torch.ops are seen, and no others."""
    overload_call = torch._ops.OpOverload.__call__
    packet_call = torch._ops.OpOverloadPacket.__call__

    def call_overload(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self._schema.name in names:
            full = ".".join(filter(None, (self._schema.name, self._schema.overload_name)))
            recorder.see(full, list(args), kwargs, False)
        return overload_call(self, *args, **kwargs)

    def call_packet(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self._qualified_op_name in names:
            recorder.see(self._qualified_op_name, list(args), kwargs, False)
        return packet_call(self, *args, **kwargs)

    torch._ops.OpOverload.__call__ = call_overload
    torch._ops.OpOverloadPacket.__call__ = call_packet
