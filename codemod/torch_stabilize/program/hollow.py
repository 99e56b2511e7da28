"""Units that hold nothing: what is left of a bindings file once all of its registrations have moved."""

from __future__ import annotations

import re

from torch_stabilize.bindings.reading.read import has_bindings, read_bindings
from torch_stabilize.bindings.writing.inplace import is_module_doc
from torch_stabilize.source.definitions import things_defined
from torch_stabilize.source.document import Document
from torch_stabilize.source.symbols import Definition, Linkage, SymbolKind, read_symbols

_DIRECTIVE = re.compile(rb"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
_REGISTERS = re.compile(
    rb"^[ \t]*#[ \t]*include[ \t]*<(?:torch/(?:library|extension|python)\.h|pybind11/[\w/]+\.h|Python\.h)>",
    re.MULTILINE,
)
_MACRO = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)
_INIT = re.compile(rb"\b(?:PyInit_\w+|PyMODINIT_FUNC|(?:PYBIND11|NB)_MODULE|REGISTER_EXTENSION)\b")
_INIT_MARKS = (b"PyInit_", b"PyMODINIT_FUNC", b"_MODULE", b"REGISTER_EXTENSION")
_INIT_MACROS = frozenset({"REGISTER_EXTENSION", "PYBIND11_MODULE", "NB_MODULE"})
_MODULE = re.compile(rb"\bPyModuleDef\b")
_METHODS = re.compile(rb"\bPyMethodDef\b|PyModuleDef_HEAD_INIT\s*,(?:[^,{}]*,){3}\s*(?!(?:NULL|nullptr|0)\b)[\w&]")
_CALLED = re.compile(rb"\b([A-Za-z_]\w*)\s*\(")
_OF_INIT = re.compile(rb"PyInit_\w+|PyModule_Create2?|PyModuleDef_Init")
_MODULE_DOC = re.compile(rb'\b\w+\s*\.\s*doc\s*\(\s*\)\s*=[\s"R]*;')  # in code whose literals are blanked
_MOST_BRACES = 12  # a module's entry point has a few


def has_init(document: Document) -> bool:
    """Whether a unit has the entry point of a Python module."""
    return any(mark in document.data for mark in _INIT_MARKS) and _INIT.search(document.code) is not None


def is_hollow(document: Document) -> bool:
    """Whether a unit that is there to register something registers nothing any more, and defines nothing.

    The entry point of an empty Python module may be left, and what the module said of itself.
    """
    if not has_init(document) and not _REGISTERS.search(document.data):
        return False
    code = _DIRECTIVE.sub(b"", document.code)
    if not code.strip():
        return True
    statements = read_bindings(document).statements if has_bindings(document.data) else ()
    if code.count(b"{") > _MOST_BRACES or not all(is_module_doc(document, one) for one in statements):
        return False
    code = _MODULE_DOC.sub(b"", code) if statements else code
    inside = code[code.find(b"{") : code.rfind(b"}") + 1]
    if not all(_OF_INIT.fullmatch(name) for name in _CALLED.findall(inside)):
        return False
    symbols = read_symbols(document)
    own_macros = set(_MACRO.findall(document.code))  # they serve the unit alone
    if any(use.name not in _INIT_MACROS for use in symbols.uses) or things_defined(document) - own_macros:
        return False
    return all(_is_of_init(document, one) for one in symbols.definitions)


def _is_of_init(document: Document, one: Definition) -> bool:
    """Whether a definition is the entry point of a module, or the table that this hands to Python."""
    if one.symbol.kind is SymbolKind.VARIABLE and one.linkage is Linkage.LOCAL:
        methods = _METHODS.search(document.code, one.span.start, one.span.end)
        return methods is None and _MODULE.search(document.code, one.span.start, one.span.end) is not None
    return one.symbol.kind is SymbolKind.INIT
