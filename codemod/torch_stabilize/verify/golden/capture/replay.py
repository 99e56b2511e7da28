"""Make a captured call again and record what it did, in a process that has loaded one library and no other."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from typing import Any

from torch_stabilize.verify.golden.capture.arguments import Made, make_call
from torch_stabilize.verify.golden.capture.calls import Call
from torch_stabilize.verify.golden.capture.functions import find_function
from torch_stabilize.verify.golden.described import describe, describe_error, flatten, tensor_bytes
from torch_stabilize.verify.golden.outcome import Outcome, TensorOutcome
from torch_stabilize.verify.golden.repeatable import SEED, repeatable

LARGE = 256 << 10  # outputs beyond are kept as a hash and samples
SAMPLES = 64
_LOST_DEVICE = "CUDA error"
_EXIT_LOST = 70


class Died(Exception):
    """The call ended its process."""


def run_call(call: Call, torch: Any) -> Outcome:
    """What `call` does here. A variation runs in a child where that can be, since what it passes may be too much.

    Raises LookupError where no library has the function, and Died where a child did.
    """
    function = find_function(call.targets, torch)
    if call.change is None or torch.cuda.is_initialized() or not hasattr(os, "fork"):
        outcome = _run(call, function, torch)
        if outcome.error is not None and _LOST_DEVICE in outcome.error.message:
            os._exit(_EXIT_LOST)  # nothing runs on the device any more: the next call needs a fresh process
        return outcome
    return _in_child(lambda: _run(call, function, torch))


def _in_child(work: Callable[[], Outcome]) -> Outcome:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            try:
                answer: Outcome | str = work()
            except BaseException as error:  # sent to the parent
                answer = f"{type(error).__name__}: {error}"
            with open(writer, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise Died(f"the process died of {signal.Signals(os.WTERMSIG(status)).name}")
    if not data:
        raise Died(f"the process ended with {os.WEXITSTATUS(status)}")
    answer = pickle.loads(data)
    if isinstance(answer, str):
        raise Died(answer)
    return answer


def _run(call: Call, function: Callable[..., Any], torch: Any) -> Outcome:
    with repeatable(torch), _mode(call, torch):
        return _recorded(call, function, torch)


def _mode(call: Call, torch: Any) -> Any:
    grad = call.content["grad"]
    return torch.inference_mode() if grad == "inference" else torch.set_grad_enabled(grad == "True")


def _recorded(call: Call, function: Callable[..., Any], torch: Any) -> Outcome:
    try:
        made = make_call(call, torch)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise LookupError(f"its arguments cannot be made here: {error}") from error
    inputs = dict(_named(made, torch))
    before = {place: _storage_bytes(tensor, torch) for place, tensor in inputs.items()}
    digest = _digest(inputs, before)
    versions = {place: _version(tensor) for place, tensor in inputs.items()}
    try:
        result = function(*made.args, **made.kwargs)
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
    except Exception as error:  # whatever the call raises is what we are here to see
        return Outcome(error=describe_error(error), inputs=digest)
    facts: list[tuple[str, str]] = [("the result", _structure(result, torch))]
    returns = tuple(_returned(value, index, inputs, facts, torch) for index, value in enumerate(flatten(result)))
    changed = {place: t for place, t in inputs.items() if _storage_bytes(t, torch) != before[place]}
    mutated = tuple((place, _reduced(describe(t, torch), f"argument {place}", facts)) for place, t in changed.items())
    for place, tensor in inputs.items():
        steps = _version(tensor) - versions[place]
        if steps:
            facts.append((f"version steps of argument {place}", str(steps)))
        if place in changed:
            facts.append((f"storage of argument {place}", hashlib.sha256(_storage_bytes(tensor, torch)).hexdigest()))
    gradients = tuple(_gradients(list(flatten(result)), made, facts, torch))
    undeclared = tuple(place for place in changed if not _declared(function, place))
    return Outcome(returns, mutated, None, undeclared, digest, gradients, tuple(facts))


def _gradients(
    results: list[Any], made: Made, facts: list[tuple[str, str]], torch: Any
) -> Iterator[tuple[str, TensorOutcome]]:
    """Gradients of all results by all arguments that ask for one, with fixed numbers for what comes from behind."""
    outputs = [value for value in results if isinstance(value, torch.Tensor) and value.requires_grad]
    if not outputs or not made.sources:
        return
    rng = torch.Generator(device="cpu").manual_seed(SEED)
    behind = [
        torch.rand(value.shape, generator=rng, dtype=torch.float64).to(value.dtype).to(value.device)
        for value in outputs
    ]
    try:
        found = torch.autograd.grad(outputs, list(made.sources.values()), behind, allow_unused=True)
    except Exception as error:  # part of what the call does
        told = describe_error(error)
        facts.append(("the backward", f"raises {told.type}"))
        return
    for place, gradient in zip(made.sources, found, strict=True):
        if gradient is None:
            facts.append((f"gradient by argument {place}", "none"))
        else:
            yield place, _reduced(describe(gradient, torch), f"gradient by argument {place}", facts)


def _returned(
    value: Any, index: int, inputs: dict[str, Any], facts: list[tuple[str, str]], torch: Any
) -> TensorOutcome | str:
    if not isinstance(value, torch.Tensor):
        return value.hex() if isinstance(value, float) else repr(value)
    if value.layout != torch.strided:
        return f"a tensor of the layout {value.layout}"
    place = value.untyped_storage().data_ptr()
    alias = next((n for n, t in inputs.items() if t.untyped_storage().data_ptr() == place), None) if place else None
    facts.append((f"requires_grad of return {index}", str(value.requires_grad)))
    if alias is not None and value is inputs[alias]:
        facts.append((f"return {index}", f"is the argument {alias} itself"))
    return _reduced(describe(value, torch, alias), f"return {index}", facts)


def _reduced(outcome: TensorOutcome, what: str, facts: list[tuple[str, str]]) -> TensorOutcome:
    """A large tensor without its bytes: a hash of them all, and some elements that say where to look."""
    if len(outcome.data) <= LARGE:
        return outcome
    count = 1
    for size in outcome.shape:
        count *= size
    width = len(outcome.data) // count
    step = max(1, count // SAMPLES)
    samples = b"".join(outcome.data[place * width : (place + 1) * width] for place in range(0, count, step)[:SAMPLES])
    facts.append((f"bytes of {what}", hashlib.sha256(outcome.data).hexdigest()))
    facts.append((f"every {step}th element of {what}", samples.hex()))
    return TensorOutcome(outcome.dtype, outcome.shape, outcome.strides, b"", outcome.alias)


def _declared(function: Any, place: str) -> bool:
    """Whether the schema says that the argument is written; what has no schema says nothing else."""
    schema = getattr(function, "_schema", None)
    if schema is None:
        return True
    name = place.partition(".")[0]
    arguments = schema.arguments
    found = [arguments[int(name)]] if name.isdigit() else [one for one in arguments if one.name == name]
    return any(one.alias_info is not None and one.alias_info.is_write for one in found)


def _structure(result: Any, torch: Any) -> str:
    if isinstance(result, (list, tuple)):
        inner = ", ".join(_structure(item, torch) for item in result)
        return f"[{inner}]" if isinstance(result, list) else f"({inner})"
    return "a tensor" if isinstance(result, torch.Tensor) else type(result).__name__


def _named(made: Made, torch: Any) -> Iterator[tuple[str, Any]]:
    def walk(item: Any, place: str) -> Iterator[tuple[str, Any]]:
        if isinstance(item, torch.Tensor):
            yield place, item
        elif isinstance(item, (list, tuple)):
            for index, one in enumerate(item):
                yield from walk(one, f"{place}.{index}")

    for index, item in enumerate(made.args):
        yield from walk(item, str(index))
    for name, item in made.kwargs.items():
        yield from walk(item, name)


def _version(tensor: Any) -> int:
    return 0 if tensor.is_inference() else int(tensor._version)


def _storage_bytes(tensor: Any, torch: Any) -> bytes:
    """Every byte of the storage, those between the elements too."""
    storage = tensor.untyped_storage()
    if not storage.nbytes():
        return b""
    with torch.no_grad():
        whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage, 0, (storage.nbytes(),), (1,))
        return tensor_bytes(whole, torch)


def _digest(inputs: dict[str, Any], contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for place, tensor in inputs.items():
        layout = f"{place}:{tensor.dtype}:{tuple(tensor.shape)}:{tuple(tensor.stride())}:{tensor.storage_offset()}"
        digest.update(layout.encode() + hashlib.sha256(contents[place]).digest())
    return digest.hexdigest()[:16]
