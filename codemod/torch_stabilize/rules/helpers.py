"""Helpers the rewritten code calls: the repository's own where it has them, generated ones otherwise.

A helper's role is the name of its snippet (`torch_stabilize.surface.snippet`). A rewrite asks for a role; the planner looks
which header has it and writes the missing ones once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch_stabilize.rules.context import StableHelpers
from torch_stabilize.source.document import Document
from torch_stabilize.source.patterns import whole_word
from torch_stabilize.source.signatures import Function, read_signatures

# What a function must call to play a role: how helpers are recognised under whatever name a repository gave them.
_MARKS = {
    "get_current_cuda_stream": rb"aoti_torch_get_current_cuda_stream",
    "get_device_prop": rb"cudaGetDeviceProperties",
    "get_current_cuda_blas_handle": rb"torch_get_current_cuda_blas_handle",
    "storage_nbytes": rb"aoti_torch_get_storage_size",
    "get_cuda_stream_from_pool": rb"torch_get_cuda_stream_from_pool",
}
_RESULTS = {
    "get_current_cuda_stream": "cudaStream_t", "get_device_prop": "cudaDeviceProp",
    "get_current_cuda_blas_handle": "cublasHandle_t", "get_cuda_stream_from_pool": "cudaStream_t",
}  # fmt: skip
# A header without any of these words has no helper: its functions are not read.
_TELLING = frozenset({*_MARKS.values(), *(role.encode() for role in _MARKS)})
_INDEX = re.compile(r"\b(?:int|int8_t|int16_t|int32_t|int64_t|long|DeviceIndex|auto)\b")
_STD_MACRO = re.compile(r"^STD_(?:TORCH|CUDA)_\w+$")


def find_helpers(documents: Iterable[Document]) -> StableHelpers:
    """The helpers that headers of the stable folder define: functions by what they call, STD_* macros by name."""
    names: dict[str, str] = {}
    headers: dict[str, str] = {}
    takes: dict[str, str] = {}
    for document in documents:
        for function in () if _TELLING.isdisjoint(document.words) else read_signatures(document):
            for role in _roles_of(function, document):
                taken = _takes(role, function)
                if taken is None or role in names:
                    continue  # its callers would have to say what is not known here: another one is written
                names[role], headers[role], takes[role] = _spelled(function, document), document.path, taken
        for macro in document.macros:
            if _STD_MACRO.match(macro.name):
                names.setdefault(macro.name, macro.name)
                headers.setdefault(macro.name, document.path)
    return StableHelpers(names, headers, takes)


def _takes(role: str, function: Function) -> str | None:
    """How the helper is called where nothing is given: "" plainly, "-1" with that, None where a call is not known.

    A helper for streams that takes no device is called "()": nothing can be given to it. One that takes a tensor, whose
    device it asks, is called with the one that is guarded.
    """
    parameters = function.parameters
    required = [one for one in parameters if not one.default]
    if role == "get_current_cuda_stream":
        if not parameters:
            return "()"
        if len(required) > 1:
            return None
        if re.search(r"\bTensor\b", parameters[0].type_text):
            return "tensor"
        return None if not _INDEX.search(parameters[0].type_text) else "-1" if required else ""
    if role == "get_device_prop" and "*" not in function.return_type:
        return None
    wanted = {"storage_nbytes": 1, "get_cuda_stream_from_pool": len(parameters)}.get(role, 0)
    return "" if len(required) <= wanted <= len(parameters) else None


def _spelled(function: Function, document: Document) -> str:
    """The name by which any file can call a helper."""
    spaces = [space for space in function.namespace if space]
    if not spaces or re.search(rb"\busing\s+namespace\s+" + spaces[-1].encode() + rb"\b", document.code):
        return function.name
    return function.name if function.needs_scope else function.qualified


def _roles_of(function: Function, document: Document) -> tuple[str, ...]:
    """The roles a function plays: by the name the tool itself would give it, or by what it calls."""
    found = []
    body = document.code[function.body.start : function.body.end] if function.body is not None else b""
    for role, mark in _MARKS.items():
        if _RESULTS.get(role, "") not in function.return_type:
            continue
        if function.name == role or re.search(whole_word(mark), body):
            found.append(role)
    return tuple(found)
