"""The names that files give to types."""

from __future__ import annotations

import pytest
from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.document import Document
from torch_stabilize.source.types import TENSOR, UNKNOWN, CppType, parse_type, split_arguments
from torch_stabilize.source.written_types import WrittenTypes

CODE = b"""
using fptr_t = int64_t;
typedef unsigned char* Bytes;
typedef at::Tensor T;
using Maybe = std::optional<T>;
typedef void (*Callback)(int);  // beyond what is read
using List = std::vector<
    Maybe>;
"""


def test_both_ways_of_writing_an_alias_are_read() -> None:
    document = Document("names.h", CODE)
    aliases = read_aliases(document)
    assert {alias.name: alias.type_text for alias in aliases} == {
        "fptr_t": "int64_t",
        "Bytes": "unsigned char*",
        "T": "at::Tensor",
        "Maybe": "std::optional<T>",
        "List": "std::vector< Maybe>",
    }
    assert document.text(aliases[0].span) == b"using fptr_t = int64_t;"


def test_an_alias_of_an_alias_leads_to_the_tensor() -> None:
    types = WrittenTypes([Document("names.h", CODE)])
    assert types.resolved(parse_type("List")) == CppType("vector", (CppType("optional", (TENSOR,)),))
    assert types.resolved(parse_type("fptr_t")) == CppType("fptr_t"), "of no interest to the rules"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("const at::Tensor&", CppType("Tensor", const=True, reference=True)),
        ("std::vector<at::Tensor>*", CppType("vector", (TENSOR,), 1)),
        ("std::function<at::Tensor(int)>", CppType("function", (TENSOR,))),
        ("torch::autograd::Variable", TENSOR),
        ("torch::autograd::variable_list&", CppType("vector", (TENSOR,), reference=True)),
        ("cute::Tensor<Engine, Layout>", CppType("Tensor<>", (CppType("Engine"), CppType("Layout")))),
        ("unsigned int", CppType("unsigned int")),
        ("std::vector<at::Tensor>::value_type", TENSOR),
        ("std::vector<at::Tensor>::const_reference&", CppType("Tensor", reference=True)),
        ("std::map<int, at::Tensor>::mapped_type", TENSOR),
        ("std::map<int, at::Tensor>::value_type", CppType("tuple", (CppType("int"), TENSOR))),
        ("std::shared_ptr<at::Tensor>::element_type*", CppType("Tensor", pointers=1)),
        ("std::vector<at::Tensor>::allocator_type", UNKNOWN),
        ("T::value_type", CppType("value_type", (CppType("T"),))),
        ("const std::decay_t<at::Tensor>&", CppType("Tensor", const=True, reference=True)),
        ("typename std::remove_reference<const at::Tensor&>::type", TENSOR),
        ("std::remove_cvref_t<const at::Tensor&>*", CppType("Tensor", pointers=1)),
        ("std::enable_if_t<B, at::Tensor>", TENSOR),
        ("std::tuple_element_t<0, std::tuple<at::Tensor, int>>", UNKNOWN),
        ("std::conditional_t<B, at::Tensor, int>", UNKNOWN),
        ("own_t<at::Tensor>", CppType("own_t", (TENSOR,))),
        ("decltype(x)", UNKNOWN),
        ("3", UNKNOWN),
    ],
)
def test_types_as_they_are_written(text: str, kind: CppType) -> None:
    assert parse_type(text) == kind


def test_what_a_type_holds() -> None:
    assert parse_type("at::TensorList").inner == TENSOR
    assert parse_type("at::IntArrayRef").inner == CppType("int64_t")
    assert parse_type("std::optional<at::Tensor>").pointee == TENSOR
    assert parse_type("at::Tensor**").pointee == parse_type("at::Tensor*")
    assert parse_type("float").pointee == UNKNOWN


def test_commas_inside_brackets_do_not_part_arguments() -> None:
    assert split_arguments("a, b<c, d>, f(e, g), {1, 2}") == ("a", "b<c, d>", "f(e, g)", "{1, 2}")
    assert split_arguments("p->x, y") == ("p->x", "y")
    assert split_arguments(" ") == ()


def _meant(code: str, name: str) -> CppType:
    return WrittenTypes([Document("names.h", code.encode())]).resolved(parse_type(name))


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        ("#define T at::Tensor\n", "T", TENSOR),
        ("#define T at::Tensor\n", "const T&", CppType("Tensor", const=True, reference=True)),
        ("using torch::autograd::Variable;\n", "Variable", TENSOR),
        (
            "template <class U> using List = std::vector<U>;\nusing T = at::Tensor;\n",
            "List<T>",
            CppType("List", (TENSOR,)),
        ),
        ("using Make = at::Tensor (*)(int);\n", "Make", CppType("Tensor", pointers=1)),
        ("using Tensors = std::vector<at::Tensor>;\n", "Tensors::value_type", TENSOR),
        (
            "using Names = std::vector<std::string>;\n",
            "const Tensors::value_type&",
            CppType("value_type", (CppType("Tensors"),), const=True, reference=True),
        ),
        # one name in two places, which does not tell which
        ("using T = at::Tensor;\nnamespace b { using T = int; }\n", "T", UNKNOWN),
        ("struct A {}; struct B {};\nusing T = A;\nnamespace b { using T = B; }\n", "T", CppType("T")),
    ],
)
def test_what_the_names_of_files_mean(code: str, name: str, kind: CppType) -> None:
    assert _meant(code, name) == kind


def test_what_an_object_consists_of() -> None:
    code = b"using T = at::Tensor;\nstruct S { int rows; T cells; at::Tensor kept; std::vector<T> all; };\n"
    types = WrittenTypes([Document("s.h", code)])
    assert types.layout("S") == (CppType("int"), TENSOR, TENSOR, CppType("vector", (TENSOR,)))
    assert types.layout("Other") == ()


def test_a_method_by_its_name_alone() -> None:
    code = b"struct A { at::Tensor run(); };\nstruct B { int run(); int stop(); explicit operator bool() const; };\n"
    classes = WrittenTypes([Document("s.h", code)]).classes
    assert [method.returns for method in classes.with_method("run")] == ["at::Tensor", "int"]
    assert classes.with_method("start") == ()
    assert classes.method_names == {"run", "stop", "operator bool"}
