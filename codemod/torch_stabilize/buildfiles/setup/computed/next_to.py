"""Where a new extension is made next to another one: in its list, loop, comprehension or function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.placement import Call, place_calls

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun


def place_next_to(run: SetupRun, legacy: Extension, text: str, guard: str) -> bool:
    """Whether `text`, a call, could be put where the legacy extension is made; only where `guard` holds, if any."""
    import libcst as cst

    file = run.model.file
    above = file.parent(legacy.call)
    if isinstance(above, cst.ListComp) and above.elt is legacy.call:
        where = f" if {guard}" if guard else ""
        run.edits.insert(
            file.span(above).end, f" + [{text} {file.text(above.for_in).strip()}{where}]", EXTENSION_CREATED
        )
        return True
    if isinstance(above, cst.Return):
        return _return_both(run, legacy.call, text, guard)
    before = len(run.diagnostics)
    place_calls(run, [Call(legacy, text, guard)])
    lost = run.diagnostics[before:]
    del run.diagnostics[before:]
    return not lost


def _return_both(run: SetupRun, call: cst.CSTNode, text: str, guard: str) -> bool:
    """A function that returns an extension returns a list of both, which is spread where it is called."""
    import libcst as cst

    file = run.model.file
    function = file.scope(call)
    if not isinstance(function, cst.FunctionDef) or function.decorators:
        return False
    name = function.name.value
    sites = [one for one in file.find(cst.Call) if dotted_name(one.func) == name]
    named = [one for one in file.find(cst.Name) if one.value == name and one is not function.name]
    returned = [one for one in file.find_in(function, cst.Return) if file.scope(one) is function]
    if len(named) != len(sites) or len(returned) != 1 or not sites:
        return False
    if not all(_spread(run, site) for site in sites):
        return False
    more = f"*([{text}] if {guard} else [])" if guard else text
    run.edits.insert(file.span(call).start, "[", EXTENSION_CREATED)
    run.edits.insert(file.span(call).end, f", {more}]", EXTENSION_CREATED)
    return True


def _spread(run: SetupRun, site: cst.Call) -> bool:
    """Whether all of what a call returns could be put where one extension was put."""
    import libcst as cst

    file, edits = run.model.file, run.edits
    above = file.parent(site)
    around = file.parent(above) if above is not None else None
    if isinstance(above, cst.Element):
        edits.insert(file.span(site).start, "*", EXTENSION_CREATED)
        return True
    if isinstance(above, cst.ListComp) and above.elt is site:
        edits.insert(file.span(above).start, "sum(", EXTENSION_CREATED)
        edits.insert(file.span(above).end, ", [])", EXTENSION_CREATED)
        return True
    if not isinstance(around, cst.Call) or not isinstance(around.func, cst.Attribute) or len(around.args) != 1:
        return False
    if around.func.attr.value == "append":
        edits.replace(file.span(around.func.attr), "extend", EXTENSION_CREATED)
    return around.func.attr.value == "append"
