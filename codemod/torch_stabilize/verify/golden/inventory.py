"""What a loaded library registered, as the dispatcher says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Keys that kernels are registered for; per-backend keys of which an extension may have one.
KEYS = (
    "CPU", "CUDA", "Meta", "XPU", "MPS", "QuantizedCPU", "QuantizedCUDA", "SparseCPU", "SparseCUDA",
    "CompositeExplicitAutograd", "CompositeImplicitAutograd", "CompositeExplicitAutogradNonFunctional",
    "Autograd", "AutogradCPU", "AutogradCUDA", "ADInplaceOrView", "BackendSelect", "Functionalize",
)  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """One overload: "ns::name" or "ns::name.overload", its schema, and the keys it has kernels for.

    `tags` are what its definition promises compilers; `module` is the Python module that has its fakes, "" if none;
    `library` is the name of the library that defined it.
    """

    name: str
    schema: str
    keys: tuple[str, ...]
    tags: tuple[str, ...] = ()
    module: str = ""
    library: str = ""


def all_names(torch: Any) -> frozenset[str]:
    """Every operator the dispatcher knows at this moment."""
    return frozenset(torch._C._dispatch_get_all_op_names())


def read_operators(names: Mapping[str, str], torch: Any) -> tuple[Operator, ...]:
    """The operators of `names`, each with the library that defined it, sorted by name."""
    return tuple(_read(name, library, torch) for name, library in sorted(names.items()))


def _read(name: str, library: str, torch: Any) -> Operator:
    base, _, overload = name.partition(".")
    schema = torch._C._get_schema(base, overload)
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    keys = tuple(key for key in KEYS if has_kernel(name, key))
    tags, module = _tags(base, overload, torch), _module(base, overload, torch)
    return Operator(name, str(schema), keys, tags, module, library)


def _tags(base: str, overload: str, torch: Any) -> tuple[str, ...]:
    namespace, _, short = base.partition("::")
    op = getattr(getattr(getattr(torch.ops, namespace), short), overload or "default")
    return tuple(sorted(str(tag).rpartition(".")[2] for tag in op.tags))


def _module(base: str, overload: str, torch: Any) -> str:
    """What `m.set_python_module` of the definition says; older torch has no word for it."""
    ask = getattr(torch._C, "_dispatch_pystub", None)
    try:
        found = ask(base, overload) if ask is not None else None
    except (RuntimeError, TypeError):
        found = None
    return str(found[0]) if found else ""
