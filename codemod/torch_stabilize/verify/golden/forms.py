"""The ways Python has to call an operator, other than that of the case: what they do is compared between libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.described import tensor_bytes
from torch_stabilize.verify.golden.modules import ModuleFunction
from torch_stabilize.verify.golden.outcome import Outcome
from torch_stabilize.verify.golden.run import find_op, full_name, run_case


class _Nothing:
    """What no argument can be; it looks the same in every process."""

    def __repr__(self) -> str:
        return "nothing an operator takes"


def call_forms(case: Case, torch: Any) -> dict[str, Outcome]:
    """What the op of `case` does in each of FORMS, with the arguments of the case.

    A function of a Python module is called by keyword, where its arguments have names, and with gradients. REACHED has
    the operators of extensions that were called for gradients.
    """
    op = find_op(case, torch)
    names = tuple(FORMS)
    if isinstance(op, ModuleFunction):
        names = (BY_KEYWORD,) if op.is_named else ()
    found = {name: run_case(case, torch, FORMS[name]) for name in names if name != GRADIENTS}
    with torch.autograd.profiler.profile() as profile:
        found[GRADIENTS] = run_case(case, torch, _gradients)
        if found[GRADIENTS].error is None and found[GRADIENTS].returns != (repr(NO_GRADIENT),):
            found[UNDER_COMPILER] = run_case(case, torch, _compiled_gradients)
    operators = {name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    called = operators & {event.name for event in profile.function_events}  # others are nodes of autograd, and the like
    found[REACHED] = Outcome(tuple(sorted(name for name in called if not name.startswith(_OF_TORCH))))
    return found


def names_of(case: Case, torch: Any) -> tuple[str, ...]:
    """The names of the arguments of the op of `case`."""
    op = find_op(case, torch)
    return op.arguments if isinstance(op, ModuleFunction) else tuple(a.name for a in op._schema.arguments)


def _by_keyword(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    names = op.arguments if isinstance(op, ModuleFunction) else [argument.name for argument in op._schema.arguments]
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
    """The message about a wrong type, argument by argument."""
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
        return [NO_FAKE]
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._pytree import tree_flatten, tree_map_only

    with FakeTensorMode() as mode:
        fakes = tree_map_only(torch.Tensor, mode.from_tensor, (args, kwargs))
        results, _ = tree_flatten(op(*fakes[0], **fakes[1]))
    return [
        f"{one.dtype} {tuple(one.shape)} {tuple(one.stride())}" if isinstance(one, torch.Tensor) else repr(one)
        for one in results
    ]


def _gradients(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> list[str]:
    """Which results ask for a gradient, and the gradients of the inputs, in their bytes."""
    return _differentiated(op, args, kwargs, torch)


def _compiled_gradients(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> list[str]:
    torch._dynamo.reset()

    def call(*args: Any, **kwargs: Any) -> Any:
        return op(*args, **kwargs)

    return _differentiated(torch.compile(call, backend="aot_eager"), args, kwargs, torch)


def _differentiated(call: Any, args: list[Any], kwargs: dict[str, Any], torch: Any) -> list[str]:
    from torch.utils._pytree import tree_flatten, tree_map_only

    leaves: list[Any] = []

    def leaf(tensor: Any) -> Any:
        if not tensor.is_floating_point():
            return tensor
        leaves.append(tensor.detach().requires_grad_())
        return leaves[-1].clone()  # an op may write to it: no leaf can be written to

    given = tree_map_only(torch.Tensor, leaf, (args, kwargs))
    results = [one for one in tree_flatten(call(*given[0], **given[1]))[0] if isinstance(one, torch.Tensor)]
    asking = [one for one in results if one.requires_grad]
    if not asking:
        return [NO_GRADIENT]
    torch.autograd.backward(asking, [torch.ones_like(one) for one in asking])
    texts = [
        "none" if one.grad is None else hashlib.sha256(tensor_bytes(one.grad, torch)).hexdigest()[:16] for one in leaves
    ]
    return [f"{len(asking)} of {len(results)} results ask for gradients", *texts]


def _checked(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> list[str]:
    """What `torch.library.opcheck` says of the op: of its schema, its autograd, its fakes."""
    found = torch.library.opcheck(op, tuple(args), kwargs, test_utils=_CHECKS, raise_exception=False)
    return [f"{name}: {_verdict(said)}" for name, said in sorted(found.items())]


def _verdict(said: Any) -> str:
    return str(said) if isinstance(said, str) else f"failed, {type(said).__name__}"


_CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")
NO_FAKE = "no kernel for fake tensors"
NO_GRADIENT = "no result asks for a gradient"
GRADIENTS = "with gradients"
UNDER_COMPILER = "with gradients under a compiler"
REACHED = "operators that were called for gradients"
_OF_TORCH = ("aten::", "prim::", "prims::", "autograd::")
BY_KEYWORD = "by keyword"
FAKED = "with fake tensors"
OPCHECK = "by torch.library.opcheck"
FORMS: dict[str, Callable[..., Any]] = {
    BY_KEYWORD: _by_keyword,
    "with its defaults left out": _without_defaults,
    "with arguments of a wrong type": _mistyped,
    FAKED: _faked,
    GRADIENTS: _gradients,
    OPCHECK: _checked,
}
