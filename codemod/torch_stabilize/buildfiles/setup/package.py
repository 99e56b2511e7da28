"""What setup() says about the wheel: the Pythons that it is tagged for, and the torch that it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import TORCH_PINNED, TORCH_REQUIRED, WHEEL_TAG
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.requirements import raised
from torch_stabilize.buildfiles.setup.create import lowest_python
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.text import add_after
from torch_stabilize.buildfiles.setup.values import value_given
from torch_stabilize.model import Confidence, Severity

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun

_OLDEST_PYTHON = 10  # of the torch versions that have the stable ABI
_LIMITED = re.compile(r"py_limited_api\s*=\s*(?!False\b)")
_SETUPS = frozenset({"setup", "setuptools.setup"})


def update_package(run: SetupRun, extensions: Sequence[Extension], converted: Sequence[Extension]) -> None:
    """Tag the wheel for every Python once all of its extensions allow it, and ask for a torch that has what they need.

    `converted` are the extensions that become stable ones.
    """
    calls = _setup_calls(run)
    open_extensions = [e for e in extensions if e not in converted and not is_limited(run, e)]
    text = run.model.file.slice(run.model.file.span(run.model.file.module))
    if "bdist_wheel" not in text:
        if converted and not open_extensions and len(calls) == 1 and _add_option(run, calls[0]):
            _report_tag(run, calls[0], done=True)
        else:
            _report_tag(run, (converted or list(extensions))[0].call, done=False)
    raise_floors(run)


def raise_floors(run: SetupRun) -> None:
    """Make setup() ask for a torch that has what the stable library needs."""
    for call in _setup_calls(run):
        for node in _requirements(run, call):
            _raise_floor(run, node)


def _setup_calls(run: SetupRun) -> list[cst.Call]:
    import libcst as cst

    return [call for call in run.model.file.find(cst.Call) if dotted_name(call.func) in _SETUPS]


def is_limited(run: SetupRun, extension: Extension) -> bool:
    """Whether an extension is built for Python's limited API, as its call says."""
    return _LIMITED.search(run.model.file.text(extension.call)) is not None


def _tag(run: SetupRun) -> str:
    return f"cp3{max(_OLDEST_PYTHON, lowest_python(run.model))}"


def _report_tag(run: SetupRun, node: cst.CSTNode, *, done: bool) -> None:
    if done:
        run.report(
            WHEEL_TAG, Severity.NOTE, node, f"the wheel is tagged for every Python from {_tag(run)} on",
            "Free-threaded Python has no limited API: a wheel for it is built without py_limited_api and the tag.",
        )  # fmt: skip
        return
    run.report(
        WHEEL_TAG, Severity.NOTE, node,
        "the wheel is still tagged for one Python: other extensions in it may not use the limited API",
        f'Once all do, give setup() options={{"bdist_wheel": {{"py_limited_api": "{_tag(run)}"}}}}.',
    )  # fmt: skip


def _add_option(run: SetupRun, call: cst.Call) -> bool:
    """Whether setup() could be given the option that tags the wheel."""
    names = [argument.keyword.value for argument in call.args if argument.keyword is not None]
    if not call.args or "options" in names or any(argument.star for argument in call.args):
        return False
    option = f'options={{"bdist_wheel": {{"py_limited_api": "{_tag(run)}"}}}}'
    add_after(run.model.file, call.args[-1], [option], run.edits, WHEEL_TAG)
    return True


def _requirements(run: SetupRun, call: cst.Call) -> Iterator[cst.SimpleString]:
    """The literals of `install_requires`, written in the call or in the list that it names."""
    import libcst as cst

    for argument in call.args:
        if argument.keyword is None or argument.keyword.value != "install_requires":
            continue
        held: cst.CSTNode | None = argument.value
        if isinstance(held, cst.Name):
            bound = run.model.bindings(held.value, held)
            held = value_given(bound[0], held.value) if len(bound) == 1 else None
        if isinstance(held, (cst.List, cst.Tuple)):
            for element in held.elements:
                if isinstance(element.value, cst.SimpleString):
                    yield element.value


def _raise_floor(run: SetupRun, node: cst.SimpleString) -> None:
    """`torch>=2.4` asks for less than the stable library needs; `torch` for anything."""
    value = str(node.evaluated_value)
    change = raised(value, run.target)
    if change is None:
        return
    if change.text is None:
        run.report(
            TORCH_PINNED, Severity.ERROR, node,
            f"{value} is asked for, and the stable library needs torch {run.target}", f"Ask for torch>={run.target}.",
        )  # fmt: skip
        return
    text = change.text
    written = run.model.file.text(node).replace(value, text)
    run.edits.replace(run.model.file.span(node), written, TORCH_REQUIRED, Confidence.REVIEW)
    run.report(TORCH_REQUIRED, Severity.NOTE, node, f"{value} becomes {text}: the stable library needs it")
