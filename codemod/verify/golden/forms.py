"""The ways Python has to call an operator, beside the one of the case: what they do is compared between libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codemod.verify.golden.cases import Case
from codemod.verify.golden.outcome import Outcome
from codemod.verify.golden.run import full_name, run_case


class _Nothing:
    """What no argument can be; it looks the same in every process."""

    def __repr__(self) -> str:
        return "nothing an operator takes"


def call_forms(case: Case, torch: Any) -> dict[str, Outcome]:
    """What the op of `case` does in each of FORMS, with the arguments of the case."""
    return {name: run_case(case, torch, call) for name, call in FORMS.items()}


def _by_keyword(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    names = [argument.name for argument in op._schema.arguments]
    return op(**dict(zip(names, args, strict=False)), **kwargs)


def _without_defaults(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    """The arguments that are what they would be by default are left to it."""
    arguments = {argument.name: argument for argument in op._schema.arguments}
    given = {**dict(zip(arguments, args, strict=False)), **kwargs}

    def is_default(name: str) -> bool:
        value, argument = given[name], arguments[name]
        return argument.has_default_value() and not isinstance(value, torch.Tensor) and value == argument.default_value

    return op(**{name: value for name, value in given.items() if not is_default(name)})


def _mistyped(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> list[str]:
    """What is said of a wrong type, argument by argument."""
    said = []
    for index in range(len(args)):
        try:
            op(*[*args[:index], _Nothing(), *args[index + 1 :]], **kwargs)
        except Exception as error:  # what it says is the outcome
            said.append(f"{type(error).__name__}: {_without_names(str(error), op)}")
        else:
            said.append("taken")
    return said


def _without_names(text: str, op: Any) -> str:
    """The text of an error without the names of arguments, which may have been numbers before the migration."""
    text = text.replace(str(op._schema), "the schema")
    for index, argument in enumerate(op._schema.arguments):
        text = text.replace(f"'{argument.name}'", f"number {index}")
    return text


def _faked(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> list[str]:
    """What the results look like that a compiler is told of, where the library has a kernel for that."""
    if not torch._C._dispatch_has_kernel_for_dispatch_key(full_name(op), "Meta"):
        return ["no kernel for fake tensors"]
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._pytree import tree_flatten, tree_map_only

    with FakeTensorMode() as mode:
        fakes = tree_map_only(torch.Tensor, mode.from_tensor, (args, kwargs))
        results, _ = tree_flatten(op(*fakes[0], **fakes[1]))
    return [
        f"{one.dtype} {tuple(one.shape)} {tuple(one.stride())}" if isinstance(one, torch.Tensor) else repr(one)
        for one in results
    ]


FORMS: dict[str, Callable[..., Any]] = {
    "by keyword": _by_keyword,
    "with its defaults left out": _without_defaults,
    "with arguments of a wrong type": _mistyped,
    "with fake tensors": _faked,
}
