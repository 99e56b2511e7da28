"""Heads of functions by the text around them: what answers, and what only spares reading the functions."""

from __future__ import annotations

import pytest
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document
from torch_stabilize.source.heads import declares, defines, may_declare, may_define, names_called
from torch_stabilize.source.signatures import read_signatures

from tests.conftest import SAMPLE


@pytest.mark.parametrize(
    ("text", "declared", "defined"),
    [
        ("void scale(torch::Tensor& x);", True, False),
        ("std::tuple<at::Tensor, at::Tensor>\nscale(\n    at::Tensor x, std::function<int(int)> f);", True, False),
        ("at::Tensor* scale(at::Tensor x) { return &x; }", False, True),
        ("void f() { return scale(x); }", False, False),
        ("void f() {\n  scale(x);\n}", False, False),
        ("void scale_more(int x);", False, False),
        ("// void scale(int x);", False, False),
        ("static inline int scale(int x) noexcept {}", False, True),
    ],
)
def test_prototypes_definitions_and_calls(text: str, declared: bool, defined: bool) -> None:
    document = Document("a.cpp", text.encode())
    names = frozenset({"scale"})
    assert (bool(declares(document, names)), bool(defines(document, names))) == (declared, defined)


@pytest.mark.parametrize(
    "text",
    [
        "int scale(int x);",
        "int scale(int x) noexcept;",
        "int* scale(std::vector<int> x = {});",
        "int scale(int x) {}",
        "int scale(int x)  // [tokens] of (x)\n{}",
        "int scale(  // { } ;\n    int x) {}",
        "auto scale(int x) -> std::vector<int> {}",
        "int scale(int x) noexcept(true) {}",
        "template <>\nint scale<float>(int x) {}",
    ],
)
def test_first_looks_miss_nothing(text: str) -> None:
    document = Document("a.cpp", text.encode())
    (function,) = read_signatures(document)
    look = may_define if function.is_definition else may_declare
    assert look(document, ["scale"])
    assert not look(document, ["other"])


def test_first_looks_miss_nothing_of_the_sample() -> None:
    files = sorted(path for path in SAMPLE.rglob("*") if path.name.endswith(SOURCE_SUFFIXES) and path.is_file())
    documents = [Document(path.relative_to(SAMPLE).as_posix(), path.read_bytes()) for path in files]
    heads = [(document, function) for document in documents for function in read_signatures(document)]
    assert len(heads) > 100
    missed = [
        f"{document.path}: {function.name}"
        for document, function in heads
        if not (may_define if function.is_definition else may_declare)(document, [function.name])
    ]
    assert missed == []


def test_a_call_is_no_head() -> None:
    document = Document("a.cpp", b"void f() { scale(x); return scale(y); }")
    assert not may_declare(document, ["scale"])
    assert not may_define(document, ["scale"])
    assert names_called(document.code) == {"f", "scale"}
