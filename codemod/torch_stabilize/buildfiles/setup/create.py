"""The text of a stable setuptools extension, modelled on the legacy call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, NOT_EVERYWHERE
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.families import all_of
from torch_stabilize.buildfiles.setup.model import Extension, SetupModel
from torch_stabilize.buildfiles.setup.round_edits import round_text
from torch_stabilize.buildfiles.setup.values import value_given
from torch_stabilize.model import Severity
from torch_stabilize.repository.stable_target import version_macro

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun

_TAG = re.compile(r"cp3(\d+)")
OLD_STANDARD = re.compile(r"(?<=-std=)(c|gnu)\+\+(?:0x|11|1y|14)(?!\w)")
_SET_BY_TORCH = frozenset({"CppExtension", "CUDAExtension", "SyclExtension"})  # BuildExtension defines Py_LIMITED_API
_LIMITED_FLAG = re.compile(r"""(["'])-DPy_LIMITED_API(?:=[^"']*)?\1\s*(?:,\s*|(?=\]))""")
_ENTRY = re.compile(r"""[(\[]\s*["'](\w+)["']\s*,""")  # of define_macros
_REQUIRES = re.compile(r"""(?:requires[-_]python|python_requires)["']?\s*[=:]\s*["'][^"']*>=\s*3\.(\d+)""")


def argument_names(call: cst.Call) -> dict[str, cst.Arg]:
    """The arguments of a call that makes an extension by what they are called; stars by their place."""
    found: dict[str, cst.Arg] = {}
    for index, argument in enumerate(call.args):
        if argument.keyword is not None:
            found[argument.keyword.value] = argument
        else:
            found[f"*{index}" if argument.star or index > 1 else ("name", "sources")[index]] = argument
    return found


def extension_text(run: SetupRun, legacy: Extension, sources: str) -> str:
    """The legacy call with the stable library's name and sources, and the macros it needs."""
    file = run.model.file
    call = legacy.call
    at: cst.CSTNode = call
    if legacy.round is not None:
        at = file.statement(call) if legacy.round.row is not None else legacy.round.site
    texts: list[str] = []
    outer = file.indent(file.span(at).start)
    indent = outer + "    "
    arguments = argument_names(call)
    for key, argument in arguments.items():
        head = f"{key}=" if argument.keyword is not None else argument.star
        value = round_text(run, legacy, argument.value)
        if key == "name":
            value = new_name(run, legacy, value)
        elif key == "sources":
            value = sources.replace("\n", "\n" + indent)
        elif key == "define_macros":
            value = macros_text(run, legacy, argument.value, indent)
        elif key == "py_limited_api":
            value = "True"
        elif _defines_limited_api(run, legacy):
            value = _LIMITED_FLAG.sub("", value)
        texts.append(head + value)
    spread = settings_of(call)
    if spread is not None:
        index = list(arguments.values()).index(spread)
        texts[index] = with_settings(run, legacy, texts[index].removeprefix("**"), sources, indent)
    else:
        if "py_limited_api" not in arguments:
            texts.append("py_limited_api=True")
        if "define_macros" not in arguments:
            texts.append(f"define_macros={macros_text(run, legacy, None, indent)}")
    texts = _with_new_standard(run, legacy, texts)
    inner = "".join(f"\n{indent}{text}," for text in texts)
    return f"{file.text(call.func)}({inner}\n{outer})"


def settings_of(call: cst.Call) -> cst.Arg | None:
    """The dictionary of settings that a call is given, `**settings`, where it is given one."""
    found = [argument for argument in call.args if argument.star == "**"]
    return found[0] if len(found) == 1 else None


def with_settings(run: SetupRun, legacy: Extension, settings: str, sources: str, indent: str) -> str:
    """`**settings` with what the stable extension needs, which may be in the settings too; no `sources` keep theirs."""
    arguments = argument_names(legacy.call)
    parts = [f"**{settings}"]
    if "name" not in arguments and legacy.name:
        parts.append(f'"name": {new_name(run, legacy, "")}')
    if "sources" not in arguments and sources:
        parts.append('"sources": ' + sources.replace("\n", "\n" + indent + "    "))
    if "define_macros" not in arguments:
        held = settings if settings.isidentifier() else f"({settings})"
        macros = macros_text(run, legacy, None, indent + "    ")
        parts.append(f'"define_macros": [\n{indent}        *{held}.get("define_macros", ()),{macros[1:]}')
    if "py_limited_api" not in arguments:
        parts.append('"py_limited_api": True')
    return "**{" + "".join(f"\n{indent}    {part}," for part in parts) + f"\n{indent}}}"


def _with_new_standard(run: SetupRun, legacy: Extension, texts: list[str]) -> list[str]:
    """The arguments with C++17 where they ask for less: the stable headers need it."""
    newer = [OLD_STANDARD.sub(r"\1++17", text) for text in texts]
    old = OLD_STANDARD.search(run.model.file.slice(run.model.file.span(run.model.file.module)))
    if newer == texts and old is not None:
        run.report(
            EXTENSION_CREATED, Severity.WARNING, legacy.call,
            f"-std={old[0]} is asked for in this file, and the stable headers need C++17",
            "Compile the stable extension with -std=c++17, or leave the flag to torch.",
        )  # fmt: skip
    return newer


def new_name(run: SetupRun, legacy: Extension, text: str) -> str:
    """The name of the stable library, written as `text`, the legacy name, is."""
    old, new = legacy.name.rpartition(".")[2], run.stable_name(legacy)
    replaced = re.sub(rf"(?<![\w]){re.escape(old)}(?!\w)", new, text) if old else text
    if replaced != text and legacy.round is None:
        return replaced
    if not old:  # put together at run time: only its package may be known
        package = re.match(r"[fFrR]*[\"']([\w.]*\.)?", text)
        return f'"{package[1] or "" if package else ""}{new}"'
    return f'"{legacy.name[: len(legacy.name) - len(old)]}{new}"'


def macros_text(run: SetupRun, legacy: Extension, value: cst.BaseExpression | None, indent: str) -> str:
    """`define_macros` of the stable extension: those of the legacy one (`value`) and what the headers need."""
    import libcst as cst

    before: list[str] = []
    if isinstance(value, (cst.List, cst.Tuple)):
        before = [round_text(run, legacy, element.value) for element in value.elements]
    elif value is not None:
        before = [f"*{round_text(run, legacy, value)}"]
    known = {match[1]: entry for entry in before if (match := _ENTRY.match(entry))}
    by_torch = _defines_limited_api(run, legacy)
    set_anew = {"TORCH_TARGET_VERSION", *(["Py_LIMITED_API"] if by_torch else [])}
    entries = [entry for entry in before if not any(known.get(name) == entry for name in set_anew)]
    entries.append(f'("TORCH_TARGET_VERSION", "{version_macro(run.target)}")')
    if not by_torch and "Py_LIMITED_API" not in known:
        entries.append(f'("Py_LIMITED_API", "{_limited_api(run.model)}")')
    if "USE_CUDA" not in known:
        entries += _device_entries(run, legacy)
    return "[" + "".join(f"\n{indent}    {entry}," for entry in entries) + f"\n{indent}]"


def _defines_limited_api(run: SetupRun, legacy: Extension) -> bool:
    """Whether Py_LIMITED_API is defined for an extension that has `py_limited_api`, whatever class it is of."""
    return {name.rpartition(".")[2] for name in classes_of(run, legacy)} <= _SET_BY_TORCH


def classes_of(run: SetupRun, legacy: Extension) -> list[str]:
    """The classes that a call may make its extension of, as they are written."""
    import libcst as cst

    if legacy.kind.endswith("Extension") and not run.model.bindings(legacy.kind):
        return [legacy.kind]
    found = []
    for bound in run.model.bindings(legacy.kind):
        value = value_given(bound, legacy.kind)
        arms = [value.body, value.orelse] if isinstance(value, cst.IfExp) else [value]
        found += [name for arm in arms if (name := dotted_name(arm))]
    return found or [legacy.kind]


def _device_entries(run: SetupRun, legacy: Extension) -> list[str]:
    """USE_CUDA where the class that is called is CUDAExtension, decided where setup.py decides it."""
    entry = '("USE_CUDA", None)'
    classes = classes_of(run, legacy)
    cuda = next((name for name in classes if name.rpartition(".")[2] == "CUDAExtension"), "")
    if not cuda:
        return []
    if set(classes) == {cuda}:
        return [entry]
    return [f"*([{entry}] if {run.model.file.text(legacy.call.func)} is {cuda} else [])"]


def _limited_api(model: SetupModel) -> str:
    """The lowest CPython the project supports, as Py_LIMITED_API wants it; 3.10 where nothing says."""
    return f"0x03{lowest_python(model):02X}0000"


def lowest_python(model: SetupModel) -> int:
    """The minor version of the lowest CPython 3 that the project supports; 10 where nothing says."""
    text = model.file.slice(model.file.span(model.file.module))
    tags = [int(tag) for tag in _TAG.findall(text)]
    pyproject = f"{model.folder}/pyproject.toml" if model.folder else "pyproject.toml"
    if model.snapshot.exists(pyproject):
        text += model.snapshot.read(pyproject).decode("utf-8", "replace")
    requires = [int(minor) for minor in _REQUIRES.findall(text)]
    return min([*tags, *requires], default=10)


def report_missing(run: SetupRun, legacy: Extension, built: Sequence[Sequence[str]]) -> None:
    """Say that the stable library is built only under the conditions `built`, and the legacy one elsewhere too."""
    stable = run.stable_name(legacy)
    where = " or ".join(f"`{all_of(conditions)}`" for conditions in built if conditions) or "some builds"
    run.report(
        NOT_EVERYWHERE, Severity.ERROR, legacy.call,
        f"{stable} is built where {where} only, and {legacy.name} elsewhere too",
        f"Load {stable} only where it is there, and call its operators only then.",
    )  # fmt: skip
