"""The functions at namespace scope, read from their heads."""

from __future__ import annotations

import pytest
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, function_names, functions_by_name, read_signatures


def _document(text: str) -> Document:
    return Document("a.cu", text.encode())


def _shown(function: Function) -> str:
    return f"{function.return_type} {function.qualified}({', '.join(function.parameter_types)})"


# What is read of the one function of a text; "" where there is none.
HEADS = {
    "void f(int n);": "void f(int)",
    "void f(void);": "void f()",
    "static inline const at::Tensor & f( at::Tensor  x );": "const at::Tensor & f(at::Tensor)",
    "auto f(int n) -> std::vector<at::Tensor> { return {}; }": "std::vector<at::Tensor> f(int)",
    "__global__ void __launch_bounds__(128, 2) f(float* p) {}": "void f(float*)",
    "OPS_API at::Tensor f(at::Tensor x);": "at::Tensor f(at::Tensor)",
    "[[nodiscard]] int f();": "int f()",
    "template <class T> T f(T x, std::array<T, 2> a = {1, 2});": "T f(T, std::array<T,2>)",
    "template <class T> template <int N> void Net<T>::f() {}": "void Net::f()",
    "namespace a { inline namespace b { void f(); } }": "void a::b::f()",
    "namespace { void f(); }": "void f()",
    'extern "C" { void f(const char* name, ...); }': "void f(constchar*, ...)",
    "void Net::f(int n) const noexcept {}": "void Net::f(int)",
    "struct Row f(int n) { return {}; }": "struct Row f(int)",
    "int f(unsigned int, int rows[2]);": "int f(unsignedint, int*)",
    "void f([[maybe_unused]] int n);": "void f(int)",
    # these are none
    "template void f<int>(int);": "",
    "struct Row { void f(); };": "",
    "using F = void (*)(int);": "",
    "int n = f(1);": "",
    "Net net(1, 2);": "",
    "friend void f(int);": "",
    "REGISTER(f)": "",
    "template <class T = decltype(f(1)": "",
}


@pytest.mark.parametrize("text", HEADS)
def test_what_is_read_of_a_head(text: str) -> None:
    assert ", ".join(map(_shown, read_signatures(_document(text)))) == HEADS[text]


def test_a_default_is_kept_as_written() -> None:
    (function,) = read_signatures(_document('void f(int n = 2, std::string s = "a, b", bool b = (1 < 2) == true);'))
    assert [(p.name, p.default) for p in function.parameters] == [("n", "2"), ("s", '"a, b"'), ("b", "(1 < 2) == true")]


def test_overloads_are_found_by_name() -> None:
    by_name = functions_by_name(_document("void f(int n);\nvoid g();\nnamespace a { void f(float x); }\n"))
    assert {name: list(map(_shown, found)) for name, found in by_name.items()} == {
        "f": ["void f(int)", "void a::f(float)"],
        "g": ["void g()"],
    }


@pytest.mark.parametrize(
    ("text", "means", "does_not"),
    [
        (
            "namespace a { namespace b { void f(); } }",
            ["f", "b::f", "a::b::f", "::a::b::f", "x::a::b::f"],
            ["c::f", "g"],
        ),
        ("void Net::f() {}", ["Net::f", "a::Net::f"], ["f", "Other::f"]),
    ],
)
def test_the_names_that_mean_a_function(text: str, means: list[str], does_not: list[str]) -> None:
    (function,) = read_signatures(_document(text))
    assert [name for name in means + does_not if function.answers_to(name)] == means


HIDDEN = """
HIDDEN_NAMESPACE_BEGIN(outer, inner)
at::Tensor f(at::Tensor x);
HIDDEN_NAMESPACE_END(outer, inner)
{using}
at::Tensor g(at::Tensor x);
"""


@pytest.mark.parametrize(("using", "is_visible"), [("", False), ("using namespace outer::inner;", True)])
def test_a_hidden_namespace_is_seen_by_a_using_directive_alone(using: str, is_visible: bool) -> None:
    document = _document(HIDDEN.replace("{using}", using))
    f, g = read_signatures(document)
    assert document.text(f.span) == b"at::Tensor f(at::Tensor x);", "the macro in front of it is no part of it"
    assert (f.qualified, g.qualified) == ("outer::inner::f", "g")
    assert f.answers_to("f") is is_visible
    assert f.answers_to("inner::f")
    assert g.answers_to("g")


def test_the_functions_around_places() -> None:
    text = "int a;\nvoid f() { a1; a2; }\nint b = 3;\nnamespace n { void g(int n) {\n a3; } }\nvoid h();\nint c;\n"
    places = [text.index(mark) for mark in ("a;", "a1", "a2", "b =", "a3", "c;")]
    assert function_names(_document(text), places) == ("", "f", "f", "", "g", "")
    assert function_names(_document(text), []) == ()
