"""The text of a stable setuptools extension, modelled on the legacy call, and where it goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codemod.buildfiles.codes import COMPUTED_SOURCES, EXTENSION_CREATED, WHEEL_TAG
from codemod.buildfiles.python.syntax import dotted_name
from codemod.buildfiles.setup.model import Extension, SetupModel
from codemod.buildfiles.setup.round_edits import place_round, round_text
from codemod.buildfiles.setup.text import add_after, add_statement, dedented
from codemod.buildfiles.stable_target import short_name, version_macro
from codemod.model import Severity

if TYPE_CHECKING:
    import libcst as cst

    from codemod.buildfiles.setup.run import SetupRun

_TAG = re.compile(r"cp3(\d+)")
_OLD_STANDARD = re.compile(r"(?<=-std=)(c|gnu)\+\+(?:0x|11|1y|14)(?!\w)")
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
        texts.append(head + value)
    if "py_limited_api" not in arguments:
        texts.append("py_limited_api=True")
    if "define_macros" not in arguments:
        texts.append(f"define_macros={macros_text(run, legacy, None, indent)}")
    note_wheel_tag(run, legacy)
    texts = _with_new_standard(run, legacy, texts)
    inner = "".join(f"\n{indent}{text}," for text in texts)
    return f"{file.text(call.func)}({inner}\n{outer})"


def _with_new_standard(run: SetupRun, legacy: Extension, texts: list[str]) -> list[str]:
    """The arguments with C++17 where they ask for less: the stable headers need it."""
    newer = [_OLD_STANDARD.sub(r"\1++17", text) for text in texts]
    old = _OLD_STANDARD.search(run.model.file.slice(run.model.file.span(run.model.file.module)))
    if newer == texts and old is not None:
        run.report(
            EXTENSION_CREATED, Severity.WARNING, legacy.call,
            f"-std={old[0]} is asked for in this file, and the stable headers need C++17",
            "Compile the stable extension with -std=c++17, or leave the flag to torch.",
        )  # fmt: skip
    return newer


def new_name(run: SetupRun, legacy: Extension, text: str) -> str:
    """The name of the stable library, written as `text`, the legacy name, is."""
    old, new = legacy.name.rpartition(".")[2], short_name(run.layout.stable_library)
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
    entries = [
        *before,
        f'("TORCH_TARGET_VERSION", "{version_macro(run.target)}")',
        f'("Py_LIMITED_API", "{_limited_api(run.model)}")',
        *_device_entries(run, legacy),
    ]
    return "[" + "".join(f"\n{indent}    {entry}," for entry in entries) + f"\n{indent}]"


def _device_entries(run: SetupRun, legacy: Extension) -> list[str]:
    """USE_CUDA where the class that is called is CUDAExtension, decided where setup.py decides it."""
    import libcst as cst

    entry = '("USE_CUDA", None)'
    if legacy.kind == "CUDAExtension":
        return [entry]
    texts = []
    for bound in run.model.bindings(legacy.kind):
        value = bound.value if isinstance(bound, (cst.Assign, cst.AnnAssign)) else None
        values = [value.body, value.orelse] if isinstance(value, cst.IfExp) else [value]
        texts += [dotted_name(item) for item in values]
    cuda = next((text for text in texts if text.rpartition(".")[2] == "CUDAExtension"), "")
    if not cuda:
        return []
    return [f"*([{entry}] if {run.model.file.text(legacy.call.func)} is {cuda} else [])"]


def _limited_api(model: SetupModel) -> str:
    """The lowest CPython the project supports, as Py_LIMITED_API wants it; 3.10 where nothing says."""
    text = model.file.slice(model.file.span(model.file.module))
    tags = [int(tag) for tag in _TAG.findall(text)]
    pyproject = f"{model.folder}/pyproject.toml" if model.folder else "pyproject.toml"
    if model.snapshot.exists(pyproject):
        text += model.snapshot.read(pyproject).decode("utf-8", "replace")
    requires = [int(minor) for minor in _REQUIRES.findall(text)]
    minor = min([*tags, *requires], default=10)
    return f"0x03{minor:02X}0000"  # as torch spells it, which may define it too


def note_wheel_tag(run: SetupRun, legacy: Extension) -> None:
    """Say that the wheel is tagged for one Python, where nothing in the file makes it otherwise."""
    if "py_limited_api" in run.model.file.slice(run.model.file.span(run.model.file.module)).replace(
        run.model.file.text(legacy.call), ""
    ):
        return
    run.report(
        WHEEL_TAG, Severity.NOTE, legacy.call,
        "the wheel is still tagged for one Python: other extensions in it may not use the limited API",
        'Once all do, give setup() options={"bdist_wheel": {"py_limited_api": "cp310"}}.',
    )  # fmt: skip


def place_extension(run: SetupRun, legacy: Extension, text: str, *, takes_over: bool = False) -> bool:
    """Put the new call where the legacy one stands: in its list, behind its append, or beside its variable.

    True where it `takes_over`, as asked for, the place of the round or call that makes the legacy one.
    """
    call: cst.CSTNode = legacy.call
    if legacy.round is not None:
        place = place_round(run, legacy, text, takes_over=takes_over)
        if place is None:
            return takes_over
        call = place
    if (legacy.round is None or call is not legacy.call) and _placed_beside(run, call, text):
        return False
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, legacy.call,
        f"cannot tell where extensions like {legacy.name or 'this one'} are collected",
        f"Build this extension too:\n{text}",
    )  # fmt: skip
    return False


def _placed_beside(run: SetupRun, call: cst.CSTNode, text: str) -> bool:
    """Whether a call could be put beside `call`."""
    import libcst as cst

    file, edits = run.model.file, run.edits
    above = file.parent(call)
    if isinstance(above, cst.Element):
        add_after(file, call, [text], edits, EXTENSION_CREATED)
        return True
    if isinstance(above, cst.Arg):
        around = file.parent(above)
        if (
            isinstance(around, cst.Call)
            and isinstance(around.func, cst.Attribute)
            and around.func.attr.value == "append"
        ):
            start = file.span(call).start
            if not file.data[file.line_start(start) : start].strip():  # the call has its lines to itself
                text = f"\n{file.indent(start)}{text}\n{file.indent(file.span(around).start)}"
            statement = dedented(f"{file.text(around.func)}({text})", file, around)
            add_statement(file, around, statement, edits, EXTENSION_CREATED)
            return True
    if isinstance(above, cst.Assign) and len(above.targets) == 1 and isinstance(above.targets[0].target, cst.Name):
        return _placed_in_variable(run, above, above.targets[0].target.value, text)
    return False


def _placed_in_variable(run: SetupRun, assign: cst.Assign, name: str, text: str) -> bool:
    """Whether a variable of its own could be used wherever `name`, the legacy extension's, is collected."""
    import libcst as cst

    file, new = run.model.file, f"stable_{name}"
    reached = [n for n in file.find(cst.Name) if n.value == name and run.model.always_behind(n, assign)]
    elements = [use for use in reached if isinstance(file.parent(use), cst.Element)]
    appended = [
        call
        for call in file.find(cst.Call)
        if file.text(call.func).endswith(".append") and len(call.args) == 1 and call.args[0].value in reached
    ]
    if not elements and not appended:
        return False
    add_statement(file, assign, dedented(f"{new} = {text}", file, assign), run.edits, EXTENSION_CREATED)
    for use in elements:
        add_after(file, use, [new], run.edits, EXTENSION_CREATED)
    for call in appended:
        add_statement(file, call, f"{file.text(call.func)}({new})", run.edits, EXTENSION_CREATED)
    return True
