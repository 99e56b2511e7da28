"""What a linker would find in a file, read from its tokens."""

from __future__ import annotations

import pytest
from torch_stabilize.source.document import Document, Macro
from torch_stabilize.source.expansion import expand
from torch_stabilize.source.symbols import Declaration, Definition, Linkage, SymbolKind, read_symbols

DEFINED = [
    ("int f(int x) { return x; }", "function f(int) external"),
    ("namespace a::b { void g() {} }", "function a::b::g() external"),
    ("void a::b::g() {}", "method a::b::g() external"),  # a namespace or a class: the linker does not tell either
    ("static void f() {}", "function f() local"),
    ("namespace { void f() {} }", "function f() local"),
    ("inline float f() { return 1; }", "function f() inline"),
    ("__device__ float f() { return 1; }", "function f() device"),
    ("__global__ void f(int* p) {}", "function f(int*) external"),
    ('extern "C" void f() {}', "function f() external C"),
    ('extern "C" { void f() {} }', "function f() external C"),
    ("template <typename T> void f(T t) {}", "template f(T) inline"),
    ("template <> void f<float, 64>(float* p) {}", "specialisation f<float, 64>(float*) external"),
    ("template void f<int>(int*);", "specialisation f<int>(int*) external"),
    ("template class Cache<int>;", "specialisation Cache<int> external"),
    ("int counter = 0;", "variable counter external"),
    ("int counter;", "variable counter external"),
    ("std::map<std::string, int> table{{}};", "variable table external"),
    ("static int counter = 0;", "variable counter local"),
    ("const int kSize = 4;", "variable kSize local"),
    ("constexpr int kSize = 4;", "variable kSize local"),
    ('const char* name = "x";', "variable name external"),
    ("inline int counter = 0;", "variable counter inline"),
    ("__constant__ float weights[4];", "variable weights device"),
    ("int Net::count = 3;", "variable Net::count external"),
    ("void Net::run(int n) const { go(n); }", "method Net::run(int) external"),
    ("Net::Net(int n) : n_(n) {}", "method Net::Net external"),
    ("Net::~Net() {}", "method Net::~Net external"),
    ("PyMODINIT_FUNC PyInit__C(void) { return nullptr; }", "init PyInit__C external C"),
    ("CHECKED_API void f(int) {}", "function f(int) external"),
    ("bool operator==(const A& a, const A& b) { return true; }", ""),
    ("struct A { int size() { return 1; } };", ""),
    ("using Row = std::vector<int>;", ""),
    ("enum class Kind : int { A, B };", ""),
    ("int f(int x);", ""),
]

DECLARED = [
    ("int f(int x);", "function f(int) external"),
    ("int f(int x, int y = 1);", "function f(int,int) external"),
    ("template <typename T> void f(T t);", "template f(T) inline"),
    ("template <> void f<int>(int t);", "specialisation f<int>(int) external"),
    ("extern template void f<int>(int);", "specialisation f<int>(int) external"),
    ("extern int counter;", "variable counter external"),
    ("struct Net { Net(int n); };", "method Net::Net external"),
    ("class Net { public: void run(int n) const; };", "method Net::run(int) external"),
    ("struct Net { static int count; };", "variable Net::count external"),
    ("struct Net { virtual void run() = 0; };", ""),
    ("struct Net { Net() = default; };", ""),
    ("template <typename T> struct Net { void run(); };", ""),
    ("class Net;", ""),
    ("int f(int x) { return x; }", ""),
]


def _shown(found: Definition | Declaration) -> str:
    symbol = found.symbol
    types = "" if symbol.types is None else f"({','.join(symbol.types)})"
    return f"{symbol.kind.value} {symbol}{types} {found.linkage.value}{' C' * symbol.is_c}"


def _read(text: str) -> Document:
    return Document("a.cu", text.encode())


@pytest.mark.parametrize(("text", "shown"), DEFINED)
def test_definitions(text: str, shown: str) -> None:
    assert ", ".join(map(_shown, read_symbols(_read(text)).definitions)) == shown


@pytest.mark.parametrize(("text", "shown"), DECLARED)
def test_declarations(text: str, shown: str) -> None:
    assert ", ".join(map(_shown, read_symbols(_read(text)).declarations)) == shown


def test_conditions_and_places() -> None:
    document = _read("#ifdef A\nvoid f() {}\n#else\nvoid g() {}\n#endif\n")
    found = read_symbols(document).definitions
    assert [(d.symbol.name, d.when) for d in found] == [("f", ("#ifdef A",)), ("g", ("#ifndef A",))]
    assert document.text(found[0].span) == b"void f()"


def _expand(text: str) -> tuple[list[str], frozenset[str]]:
    document = _read(text)
    macros: dict[str, tuple[Document, Macro]] = {macro.name: (document, macro) for macro in document.macros}
    found = expand(read_symbols(document).uses, macros.get)
    return [f"{_shown(d)} via {d.via}" for d in found.definitions], found.hidden


MADE = [
    ("#define DEF(name, T) T name##_cuda(T x) { return x; }\nDEF(relu, float)\n", "function relu_cuda(float) external"),
    ("#define DEF(name) void name(int n)\nDEF(relu) { go(n); }\n", "function relu(int) external"),
    ("#define ONE(T) template void f<T>(T);\n#define ALL() ONE(int)\nALL()\n", "specialisation f<int>(int) external"),
    ("#define CAT(a, b) a##b\n#define INIT(n) PyMODINIT_FUNC CAT(PyInit_, n)(void) { }\nINIT(_C)\n",
     "init PyInit__C external C"),
    ("#define DEF(name, ...) void name(__VA_ARGS__) {}\nnamespace a { DEF(f, int x, int y) }\n",
     "function a::f(int,int) external"),
    ("#define BOTH(name) void name() {} void name##_out(int n) {}\n#define ALL(x) BOTH(x##_cuda)\nALL(relu)\n",
     "function relu_cuda() external, function relu_cuda_out(int) external"),
    ('#define NAMED(name) const char* name##_text = #name\nNAMED(relu)\n', "variable relu_text external"),
    ("#define TYPE float\n#define DEF(name) TYPE name(TYPE x) { return x; }\nDEF(relu)\n", "function relu(float) external"),
    ("#define CALL(f) f\n#define DEF(name) void name() { CALL; }\nDEF(relu)\n", "function relu() external"),
    ("#define DEF(name, T) T name() {}\nDEF(relu)\n", ""),  # an argument that is missing is nothing
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), MADE)
def test_macros_that_make_functions(text: str, shown: str) -> None:
    made, hidden = _expand(text)
    assert ", ".join(one.partition(" via ")[0] for one in made) == shown
    assert not hidden


def test_macros_that_announce_functions() -> None:
    """The macro is in a header: what it declares is seen where it is used."""
    document = _read("#define OP(name) at::Tensor name(at::Tensor x)\nnamespace ops { OP(relu); OP(gelu); }\n")
    macros: dict[str, tuple[Document, Macro]] = {macro.name: (document, macro) for macro in document.macros}
    found = expand(read_symbols(document).uses, macros.get)
    assert [_shown(d) for d in found.declarations] == [
        "function ops::relu(at::Tensor) external",
        "function ops::gelu(at::Tensor) external",
    ]
    assert [document.text(d.span) for d in found.declarations] == [b"OP(relu)", b"OP(gelu)"]


def test_a_macro_that_nobody_sees_hides_its_arguments() -> None:
    made, hidden = _expand("DEFINE_KERNEL(relu, float)\nvoid f() {}\n")
    assert not made
    assert hidden == {"relu", "float"}
    assert not _expand("TORCH_LIBRARY(relu, m) {}\n")[1]


def test_a_macro_in_front_of_a_function() -> None:
    document = _read("REGISTER(a)\nint f() { return 1; }\n")
    found = read_symbols(document)
    assert [use.name for use in found.uses] == ["REGISTER"]
    assert [d.symbol.name for d in found.definitions] == ["f"]
    assert found.definitions[0].linkage is Linkage.EXTERNAL
    assert found.definitions[0].symbol.kind is SymbolKind.FUNCTION
