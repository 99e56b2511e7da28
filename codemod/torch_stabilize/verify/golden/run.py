"""Call one op as a case says and record what it did. Runs in a process that has loaded one library and no other."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.described import describe, describe_error, flatten, tensor_bytes
from torch_stabilize.verify.golden.inputs import make_arguments
from torch_stabilize.verify.golden.modules import ModuleFunction, function_for
from torch_stabilize.verify.golden.outcome import Outcome, TensorOutcome
from torch_stabilize.verify.golden.repeatable import repeatable


def run_case(case: Case, torch: Any, call: Callable[..., Any] | None = None) -> Outcome:
    """What the op of `case` does. What the op raises is part of the outcome.

    `call` calls it in another way than the mode of the case. Raises CaseError for inputs that cannot be made, and
    LookupError for an op that is not registered.
    """
    if case.captured is not None and call is None:
        from torch_stabilize.verify.golden.capture.replay import run_call

        return run_call(case.captured, torch)
    op = find_op(case, torch)
    args, kwargs = make_arguments(_placed(case, torch), torch)
    inputs = dict(_named_tensors(args, kwargs))
    before = {name: tensor_bytes(_whole(tensor, torch), torch) for name, tensor in inputs.items()}
    digest = _digest(inputs, before)
    versions = {name: tensor._version for name, tensor in inputs.items()}
    try:
        if call is None:
            result = _MODES[case.mode](op, args, kwargs, case.device, torch)
        else:
            with repeatable(torch):
                result = call(op, args, kwargs, case.device, torch)
        if case.device != "cpu":
            _wait(torch)
    except Exception as error:  # whatever the op raises is what we are here to see
        return Outcome(error=describe_error(error), inputs=digest)
    returns = tuple(_returned(value, inputs, torch) for value in flatten(result))
    changed = {n: t for n, t in inputs.items() if tensor_bytes(_whole(t, torch), torch) != before[n]}
    declared = _declared_writes(op, args)
    is_plain = call is None and case.mode == "eager" and not isinstance(op, ModuleFunction)
    return Outcome(
        returns=returns if "returns" in case.compare else (),
        mutated=tuple((name, describe(tensor, torch)) for name, tensor in changed.items())
        if "mutated" in case.compare
        else (),
        undeclared=tuple(name for name in changed if name.split(".")[0] not in declared),
        inputs=digest,
        bumped=tuple(name for name, t in inputs.items() if t._version != versions[name]) if is_plain else None,
    )


def find_op(case: Case, torch: Any) -> Any:
    """The overload that `case` calls, or the function of a Python module that it was. Raises LookupError where no
    library has it."""
    function = function_for(case.operator)
    if function is not None:
        return function
    try:
        return getattr(getattr(getattr(torch.ops, case.namespace), case.op), case.overload)
    except (AttributeError, RuntimeError) as error:
        raise LookupError(f"{case.namespace}::{case.op}.{case.overload} is not registered by this library") from error


def full_name(op: Any) -> str:
    """What the dispatcher calls an overload: "ns::name" or "ns::name.overload"."""
    if isinstance(op, ModuleFunction):
        return op.full_name
    return ".".join(filter(None, (op._schema.name, op._schema.overload_name)))


def _eager(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    return op(*args, **kwargs)


def _compiled(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    """Through functionalisation, which believes the schema; no code generator is needed for that.

    A function of a Python module has no schema: what it does is what it does eagerly.
    """
    if isinstance(op, ModuleFunction):
        return op(*args, **kwargs)
    torch._dynamo.reset()
    _describe_results(op, args, kwargs, torch)

    def call(args: list[Any], kwargs: dict[str, Any]) -> Any:
        return op(*args, **kwargs)

    return torch.compile(call, backend="aot_eager", fullgraph=True)(args, kwargs)


def _describe_results(op: Any, args: list[Any], kwargs: dict[str, Any], torch: Any) -> None:
    """Tell the compiler what an op returns that says it nowhere: what it returns for copies of these arguments.

    Projects do that in Python, which is not loaded here. What the op does to its arguments is in the schema.
    """
    name = full_name(op)
    returns_tensors = "Tensor" in str(op._schema).rpartition("->")[2]
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    has_meta = any(has_kernel(name, key) for key in ("Meta", "CompositeImplicitAutograd"))
    if not returns_tensors or (has_meta and name not in _DESCRIBED):
        return
    _DESCRIBED[name] = op(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    if not has_meta:
        torch.library.register_fake(op, lambda *_, **__: _like(_DESCRIBED[name], torch))


def _like(value: Any, torch: Any) -> Any:
    """Results of the same kind and without content."""
    if isinstance(value, torch.Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
    if isinstance(value, (tuple, list)):
        return type(value)(_like(item, torch) for item in value)
    return value


_DESCRIBED: dict[str, Any] = {}


def _on_stream(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    """On a stream of its own, behind work that takes a while: a launch on the default stream overtakes it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        storages = [_whole(tensor, torch) for _, tensor in _named_tensors(args, kwargs)]
        kept = [storage.clone() for storage in storages]
        for storage in storages:
            storage.zero_()
        torch.cuda._sleep(20_000_000)
        for storage, content in zip(storages, kept, strict=True):
            storage.copy_(content)
        result = op(*args, **kwargs)
    torch.cuda.current_stream().wait_stream(stream)
    return result


def _captured(op: Any, args: list[Any], kwargs: dict[str, Any], device: str, torch: Any) -> Any:
    """Captured into a CUDA graph and replayed once: the capture runs nothing, a launch outside of it fails.

    What happens once only (modules are loaded, attributes set) happens before, on copies of the arguments.
    """
    op(*copy.deepcopy(args), **copy.deepcopy(kwargs))
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = op(*args, **kwargs)
    graph.replay()
    return result


_MODES: dict[str, Callable[..., Any]] = {
    "eager": _eager,
    "compile": _compiled,
    "stream": _on_stream,
    "graph": _captured,
    "device": _eager,
}


def _placed(case: Case, torch: Any) -> Case:
    """In the mode "device" on the last GPU, while the first is the current one; with one GPU it is that."""
    return replace(case, device=f"cuda:{torch.cuda.device_count() - 1}") if case.mode == "device" else case


def _wait(torch: Any) -> None:
    for index in range(torch.cuda.device_count()):
        torch.cuda.synchronize(index)


def _named_tensors(args: list[Any], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    places = [(str(index), value) for index, value in enumerate(args)]
    for name, value in [*places, *kwargs.items()]:
        items = [(f"{name}.{i}", item) for i, item in enumerate(value)] if isinstance(value, list) else [(name, value)]
        yield from ((where, item) for where, item in items if hasattr(item, "untyped_storage"))


def _returned(value: Any, inputs: dict[str, Any], torch: Any) -> TensorOutcome | str:
    if not isinstance(value, torch.Tensor):
        return value.hex() if isinstance(value, float) else repr(value)
    storage = value.untyped_storage().data_ptr()
    alias = None
    if storage:
        alias = next((name for name, t in inputs.items() if t.untyped_storage().data_ptr() == storage), None)
    return describe(value, torch, alias)


def _whole(tensor: Any, torch: Any) -> Any:
    """All of a tensor's storage, so that a write between its elements is seen too."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


def _declared_writes(op: Any, args: list[Any]) -> set[str]:
    """The arguments that an op says it writes to; a function of a Python module says nothing, and may write to any."""
    if isinstance(op, ModuleFunction):
        return {*map(str, range(len(args))), *op.arguments}
    found = set()
    for index, argument in enumerate(op._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found |= {argument.name} | ({str(index)} if index < len(args) else set())
    return found


def _digest(inputs: dict[str, Any], data: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, tensor in inputs.items():
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:{tensor.stride()}:".encode())
        digest.update(data[name])
    return digest.hexdigest()[:16]
