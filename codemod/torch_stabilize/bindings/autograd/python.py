"""What Python registers for an operator that had an autograd function."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch_stabilize.bindings.autograd.model import AutogradClass, Saved, is_optional
from torch_stabilize.bindings.fakes.expressions import python_name

_OUTPUT = re.compile(r"\boutput\[(?P<place>\d+)\]")


def registered_backward(
    made: AutogradClass, namespace: str, forward: str, backward: str, *, is_conditional: bool = False
) -> str:
    """Python text: how the gradients of `namespace::forward` are worked out by `namespace::backward`.

    An operator that writes to an argument takes a torch.autograd.Function, which can say so. `is_conditional` says that
    some builds have no such operator.
    """
    if made.forward.dirty:
        return _written(made, namespace, forward, backward)
    return _functional(made, namespace, forward, backward, is_conditional=is_conditional)


def _functional(made: AutogradClass, namespace: str, forward: str, backward: str, *, is_conditional: bool) -> str:
    lines = [f"def _setup_{forward}(ctx, inputs, output):"]
    lines += _indented([*_arguments(made), *_kept(made)] or ["pass"])
    lines += ["", "", f"def _backward_{forward}(ctx, {', '.join(_gradients(made))}):"]
    lines += _indented(_gradient_lines(made, namespace, backward))
    names = f'"{namespace}::{forward}", _backward_{forward}, setup_context=_setup_{forward}'
    registered = [f"torch.library.register_autograd({names})"]
    if is_conditional:
        registered = [f'if hasattr(torch.ops.{namespace}, "{forward}"):', f"    {registered[0]}"]
    return "\n".join([*lines, "", "", *registered]) + "\n"


def _written(made: AutogradClass, namespace: str, forward: str, backward: str) -> str:
    names = [python_name(name) for _, name in made.parameters]
    title = "".join(part.capitalize() for part in forward.split("_"))
    lines = [f"class _{title}(torch.autograd.Function):", "    @staticmethod"]
    lines.append(f"    def forward(ctx, {', '.join(names)}):")
    results = [_output(made, i) for i in range(made.forward.results + len(made.forward.made))]
    own = [text for text in results if text.startswith("output")]
    inside = ["with torch._C._AutoDispatchBelowAutograd():"]
    call = f"torch.ops.{namespace}.{forward}({', '.join(names)})"
    inside.append(f"    output = {call}" if own else f"    {call}")
    for name in made.forward.dirty:
        kind = next(kind for kind, parameter in made.parameters if parameter == name)
        mark = f"ctx.mark_dirty({python_name(name)})"
        inside += [f"if {python_name(name)} is not None:", f"    {mark}"] if is_optional(kind) else [mark]
    is_same = len(own) == len(results)
    inside += [*_kept(made), "return output" if is_same else f"return {', '.join(results)}"]
    lines += _indented(_indented(inside))
    lines += ["", "    @staticmethod", f"    def backward(ctx, {', '.join(_gradients(made))}):"]
    lines += _indented(_indented(_gradient_lines(made, namespace, backward)))
    library = f"_{namespace}_{forward}"
    lines += ["", "", f'{library} = torch.library.Library("{namespace}", "IMPL")']
    if is_same:
        lines.append(f'{library}.impl("{forward}", _{title}.apply, "Autograd")')
        return "\n".join(lines) + "\n"
    places = [i for i, text in enumerate(results) if text.startswith("output")]
    applied = f"_{title}.apply({', '.join(names)})"
    lines += ["", "", f"def _{forward}({', '.join(names)}):"]
    if places:
        lines += [f"    results = {applied}", f"    return {', '.join(f'results[{i}]' for i in places)}"]
    else:
        lines.append(f"    {applied}")
    lines += ["", "", f'{library}.impl("{forward}", _{forward}, "Autograd")']
    return "\n".join(lines) + "\n"


def _arguments(made: AutogradClass) -> Iterator[str]:
    """The arguments by name, where any is asked for."""
    names = [python_name(name) for _, name in made.parameters]
    yield f"{_unpacked(names)} = inputs"


def _kept(made: AutogradClass) -> list[str]:
    """What is kept for backward, and how results are marked."""
    does = made.forward
    lines: list[str] = []
    if does.saved:
        lines.append(f"ctx.save_for_backward({', '.join(_python_of(made, one) for one in does.saved)})")
    lines += [f"ctx.count_{python_name(name)} = len({python_name(name)})" for name in made.lists]
    marked = [*does.not_differentiable, *range(does.results, does.results + len(does.made))]
    if marked:
        lines.append(f"ctx.mark_non_differentiable({', '.join(_output(made, i) for i in marked)})")
    if not does.materializes:
        lines.append("ctx.set_materialize_grads(False)")
    before = dict.fromkeys(line for value in does.values for line in value.lines)
    lines += [_spelled(made, line) for line in before]
    wanted = {needed.python for needed in made.backward.parameters}
    lines += [
        f"ctx.{value.attribute} = {_spelled(made, value.python)}"
        for value in does.values
        if f"ctx.{value.attribute}" in wanted
    ]
    return lines


def _python_of(made: AutogradClass, one: Saved) -> str:
    if one.source == "list":
        return f"*{python_name(one.text)}"
    if one.source == "input":
        return python_name(one.text)
    if one.source == "output":
        return _output(made, int(one.text))
    return _output(made, made.forward.results + made.forward.made.index(one))


def _output(made: AutogradClass, place: int) -> str:
    """A result: one of the operator, or an argument that it is."""
    does = made.forward
    if place < does.results and does.given_back[place]:
        return python_name(does.given_back[place])
    own = [*does.own, *range(does.results, does.results + len(does.made))]
    return f"output[{own.index(place)}]" if len(own) > 1 else "output"


def _spelled(made: AutogradClass, text: str) -> str:
    """An expression with its results as the operator gives them."""
    return _OUTPUT.sub(lambda match: _output(made, int(match["place"])), text)


def _gradients(made: AutogradClass) -> list[str]:
    names = [python_name(name) for name in made.backward.gradients]
    return [*names, "*_"] if made.forward.made else names


def _gradient_lines(made: AutogradClass, namespace: str, backward: str) -> list[str]:
    lines: list[str] = []
    if made.backward.raises:
        return [f"raise RuntimeError({made.backward.raises})"]
    if made.backward.names:
        kinds = [one.source for one in made.forward.saved]
        names = [python_name(name) for name in made.backward.names]
        names = [f"*{name}" if kind == "list" else name for name, kind in zip(names, kinds, strict=True)]
        lines.append(f"{_unpacked(names)} = ctx.saved_tensors")
    given = [needed.python for needed in made.backward.parameters]
    lines.append(f"gradients = torch.ops.{namespace}.{backward}({', '.join(given)})")
    if made.backward.gives_list:
        return [*lines, f"return {_out_of_list(made)}"]
    several = made.backward.gradients_given > 1
    gives = made.backward.gives
    results = ["None" if p is None else f"gradients[{p}]" if several else "gradients" for p in gives]
    results = [_nothing(made, name) or text for (_, name), text in zip(made.parameters, results, strict=True)]
    return [*lines, f"return {', '.join(results)}"]


def _out_of_list(made: AutogradClass) -> str:
    """The gradients of the arguments out of the list `gradients`: those of a list of tensors are a list."""
    if not made.lists:
        return f"tuple(gradients[:{len(made.parameters)}])"
    parts, place, counted = [], 0, ""
    for _, name in made.parameters:
        start = f"{place}{counted}" if place or not counted else counted.removeprefix(" + ")
        if name in made.differentiated:
            counted += f" + ctx.count_{python_name(name)}"
            end = f"{place}{counted}" if place else counted.removeprefix(" + ")
            parts.append(f"list(gradients[{start}:{end}])")
        else:
            parts.append(_nothing(made, name) or f"gradients[{start}]")
            place += 1
    return ", ".join(parts) + ("," if len(parts) == 1 else "")


def _nothing(made: AutogradClass, name: str) -> str:
    """The gradient of a list of tensors that have none, "" for other arguments."""
    return f"[None] * ctx.count_{python_name(name)}" if name in made.lists and name not in made.differentiated else ""


def _unpacked(names: Sequence[str]) -> str:
    """What a tuple of these names is assigned to."""
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" if line else line for line in lines]
