"""Functions are found whatever stands around them."""

from __future__ import annotations

import pytest
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, read_signatures


def read(text: str, path: str = "a.cu") -> tuple[Function, ...]:
    return read_signatures(Document(path, text.encode()))


def only(text: str) -> Function:
    functions = read(text)
    assert len(functions) == 1
    return functions[0]


@pytest.mark.parametrize(
    ("text", "return_type", "parameters"),
    [
        ("void f();", "void", []),
        ("void f(void);", "void", []),
        ("at::Tensor f(const at::Tensor& x, int64_t n = 3);", "at::Tensor",
         [("const at::Tensor&", "x", ""), ("int64_t", "n", "3")]),
        ("void f(at::Tensor, unsigned int);", "void", [("at::Tensor", "", ""), ("unsigned int", "", "")]),
        ("std::tuple<at::Tensor, int64_t> f(std::array<bool, 3> m = {true, false, true}) { return {}; }",
         "std::tuple<at::Tensor, int64_t>", [("std::array<bool, 3>", "m", "{true, false, true}")]),
        ("auto f(int a) -> std::vector<at::Tensor> { return {}; }", "std::vector<at::Tensor>", [("int", "a", "")]),
        ("void f(float* const x, int y[4], const T (&z)[3]);", "void",
         [("float* const", "x", ""), ("int*", "y", ""), ("const T (&z)[3]", "", "")]),
        ("void f(at::Tensor x,  // [n, m]\n       double eps /* small */ = 1e-5);", "void",
         [("at::Tensor", "x", ""), ("double", "eps", "1e-5")]),
    ],
)  # fmt: skip
def test_types_names_and_defaults(text: str, return_type: str, parameters: list[tuple[str, str, str]]) -> None:
    function = only(text)
    assert function.return_type == return_type
    assert [(p.type_text, p.name, p.default) for p in function.parameters] == parameters


@pytest.mark.parametrize(
    "text",
    [
        "[[nodiscard]] TORCH_API static inline int64_t f(int64_t n) noexcept;",
        "MY_EXPORT int64_t f(int64_t n) __attribute__((noinline));",
        "template <typename T, int N = (3 > 2)>\nint64_t f(int64_t n) { return n; }",
        "SOME_MACRO(x)\nint64_t f(int64_t n);",
        "__host__ __device__ __forceinline__ int64_t f(int64_t n) { return n; }",
        "struct S { int64_t g(int64_t n); };\nint64_t f(int64_t n);",
        "S::S(int64_t a) : b(a) {}\nint64_t f(int64_t n);",
        "using g = int64_t (*)(int64_t);\nint64_t f(int64_t n);",
        "int64_t table[] = {f(1), f(2)};\nint64_t f(int64_t n);",
        "template int64_t g<3>(int64_t n);\nint64_t f(int64_t n);",
    ],
)
def test_what_stands_around_a_function(text: str) -> None:
    function = only(text)
    assert (function.name, function.return_type) == ("f", "int64_t")
    assert [p.name for p in function.parameters] == ["n"]


def test_a_line_that_goes_on_behind_a_backslash() -> None:
    function = only("void g(int a, \\\n    const float* b) {\n}\n")
    assert [parameter.name for parameter in function.parameters] == ["a", "b"]
    assert function.is_definition


def test_kernels_are_device_functions() -> None:
    kernel, launcher = read("__global__ void __launch_bounds__(256, 4) k(float* x) {}\nvoid f() { k<<<1, 2>>>(0); }\n")
    assert (kernel.name, kernel.is_device) == ("k", True)
    assert (launcher.name, launcher.is_device) == ("f", False)


def test_namespaces_and_linkage() -> None:
    functions = read(
        'namespace a { namespace b::c { void f(); } namespace { void g(); } }\nvoid a::h() {}\nextern "C" { int i(void); }\n'
        "static void j() {}\n"
    )
    assert [f.qualified for f in functions] == ["a::b::c::f", "a::g", "a::h", "i", "j"]
    assert [f.is_local for f in functions] == [False, True, False, False, True]
    assert functions[0].answers_to("c::f")
    assert not functions[0].answers_to("d::f")


def test_a_member_is_not_meant_by_its_bare_name() -> None:
    member = only("void Net::f(int n) {}")
    assert member.answers_to("Net::f")
    assert not member.answers_to("f")


def test_conditions_are_the_lines_that_would_open_them() -> None:
    functions = read(
        """
        #ifdef USE_ROCM
        void f();
        #else
        void g();
        #  if defined(WIDE) && VERSION > 2
        void h();
        #  endif
        #endif
        void i();
        """
    )
    assert [f.conditions for f in functions] == [
        ("#ifdef USE_ROCM",),
        ("#ifndef USE_ROCM",),
        ("#ifndef USE_ROCM", "#if defined(WIDE) && VERSION > 2"),
        (),
    ]


def test_an_include_guard_is_no_condition() -> None:
    assert only("#ifndef A_H\n#define A_H\nvoid f();\n#endif  // A_H\n").conditions == ()


def test_alternatives_that_share_a_body_or_close_a_namespace() -> None:
    shared = read("#ifdef A\nvoid f(int a) {\n#else\nvoid f(double a) {\n#endif\n}\nvoid g();\n")
    assert [f.name for f in shared] == ["f", "g"]
    closed = read("namespace n {\n#ifdef A\n}\nvoid f(int a);\n#else\n}\nvoid f(double a);\n#endif\nvoid g();\n")
    assert [(f.name, f.parameters[0].type_text if f.parameters else "") for f in closed] == [
        ("f", "int"), ("f", "double"), ("g", "")
    ]  # fmt: skip


def test_spans_hold_the_text() -> None:
    text = "// about f\nvoid f(int a) {\n  g(a);\n}\n\nint h(int b);\n"
    document = Document("a.cpp", text.encode())
    defined, declared = read_signatures(document)
    assert document.text(defined.span) == b"void f(int a) {\n  g(a);\n}"
    assert document.text(defined.head) == b"void f(int a)"
    assert defined.body is not None
    assert document.text(defined.body) == b"{\n  g(a);\n}"
    assert document.text(declared.span) == b"int h(int b);"
    assert declared.body is None
