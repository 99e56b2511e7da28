"""The modules of the repository that a setup file imports."""

from __future__ import annotations

import ast
import posixpath

from torch_stabilize.buildfiles.model import Gap, GapKind
from torch_stabilize.buildfiles.setup.evaluate.functions import Functions
from torch_stabilize.buildfiles.setup.evaluate.state import source_of
from torch_stabilize.buildfiles.setup.evaluate.values import (
    External,
    Frame,
    Module,
    Text,
    Unknown,
    Value,
)  # fmt: skip
from torch_stabilize.model import Span


class Imports(Functions):
    """Evaluates the modules that are imported, each once."""

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            module = self._module(alias.name, 0)
            if alias.asname:
                self.state.assign(alias.asname, module or External(alias.name))
            else:
                top = alias.name.partition(".")[0]
                self.state.assign(top, (module if top == alias.name else None) or External(top))

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        module = self._module(node.module or "", node.level)
        for alias in node.names:
            name = alias.asname or alias.name
            if alias.name == "*":
                if module is not None:
                    self.state.frame.names.update(module.frame.names)
                continue
            value: Value | None = module.frame.names.get(alias.name) if module is not None else None
            if value is None:
                value = self._module(".".join(filter(None, (node.module, alias.name))), node.level)
            if value is None and module is not None:
                value = Unknown(alias.name, self.state.gap(node, f"{module.frame.path} does not define it"))
            self.state.assign(name, value if value is not None else External(f"{node.module or ''}.{alias.name}"))

    def _module(self, name: str, level: int) -> Module | None:
        """The module of the repository that an import names, evaluated once; None for another one."""
        state = self.state
        start = state.folder
        if level:
            start = posixpath.dirname(state.frame.path)
            for _ in range(level - 1):
                start = posixpath.dirname(start)
        base = posixpath.join(start, *name.split(".")) if name else start
        paths = (f"{base}.py", posixpath.join(base, "__init__.py"))
        path = state.ask(lambda tree: next((path for path in paths if tree.exists(path)), None))
        if path is None:
            return None
        if path not in state.modules:
            state.modules[path] = None  # a circle of imports ends here
            state.modules[path] = self._loaded(path, name.rpartition(".")[2])
        frame = state.modules[path]
        return Module(frame) if frame is not None else None

    def _loaded(self, path: str, name: str) -> Frame | None:
        state = self.state
        state.ask(lambda tree: tree.read(path) if tree.exists(path) else None)
        source = source_of(state.snapshot, path)
        if source is None:
            state.gaps.append(Gap(GapKind.FILE, path, Span(0, 0), "the file cannot be parsed"))
            return None
        data = source.data
        is_about = b"xtension" in data or b"sources" in data or len(data) < 20_000
        state.sources[path] = source
        frame = Frame(path)
        if is_about:
            frame.names["__name__"] = Text(name)
            before, state.frame = state.frame, frame
            self.block(source.tree.body)
            state.frame = before
        return frame
