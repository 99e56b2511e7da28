"""The types of expressions: the standard library, own classes and functions, lambdas, templates, macros."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Span
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.arguments import argument_spans
from torch_stabilize.source.definitions import things_defined
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.spans import Spans, line_end, merged, whole_lines, with_line
from torch_stabilize.source.types import CppType

HEAD = """\
#include <ATen/ATen.h>
struct Grid {
  at::Tensor cells; std::vector<at::Tensor> layers; int rows;
  static at::Tensor blank(); at::Tensor at_row(int i) const; Grid next(); at::Tensor operator()(int i);
  at::Tensor operator[](int i) const; Grid operator+(const Grid& o) const; Grid operator-() const;
  at::Tensor& operator*(); at::Tensor* operator->(); static const at::Tensor unit; std::function<at::Tensor(int)> load;
};
template <class T> struct Box { T held; T get() const; std::vector<T> all; };
template <int N> struct Slots { static at::Tensor made(at::Tensor x); template <typename U> U run(U u) { return u; } };
using Boxes = std::vector<Box<at::Tensor>>;
at::Tensor load(int n); float load(at::Tensor x);
auto doubled(at::Tensor x) { return x + x; }
auto trailing(int n) -> at::Tensor { return load(n); }
template <typename T> T same(T x) { return x; }
template <typename T, typename U> T told(U x);
template <typename... Args> at::Tensor sum_of(at::Tensor x, Args... rest); int sum_of(at::Tensor x);
template <typename T> T in_box(Box<T> b);
at::Tensor kept; std::map<std::string, at::Tensor> named;
#define FIRST(v) (v)[0]
#define COUNT 3
#define MADE load(1)
namespace own { namespace at { int zeros(int n); } int sum() { return at::zeros(2); } }
"""
BEFORE = """\
  auto lam = [](int i) { return load(i); }; auto twice = [] { return [] { return load(2); }; };
  std::function<at::Tensor(int)> fn; at::Tensor (*pf)(int); auto it = v.begin(); auto [a, b] = pair;
  Box<at::Tensor> box; Boxes boxes; Grid* pg = &grid; auto e = {1, 2}; auto shared = std::make_shared<at::Tensor>(x);
  std::reference_wrapper<at::Tensor> rw(x); std::array<at::Tensor, 2> arr; decltype(x) like; auto q = x; auto* pq = &x;
  std::weak_ptr<at::Tensor> weak; std::string text; std::optional<at::Tensor> opt;
  auto member = &Grid::cells; c10::cuda::CUDAStream stream = other(); std::variant<int, at::Tensor> either;
"""
# An expression, and the name of its type with a star for each pointer; "" where it cannot be told.
TYPES = {
    # literals and operators
    "1": "int64_t", "1.5f": "double", "0x1F": "int64_t", "'c'": "char", '"s"': "char*", '"a" "b"': "char*", "true": "bool",
    "sizeof(x)": "size_t", "!n": "bool", "-n": "int", "n < 2": "bool", "n && n": "bool", "n + 1": "int", "n * 1.5": "double", "x + 1": "Tensor",
    "(n, x)": "Tensor", "n ? x : x": "Tensor", "(float)n": "float", "at::Tensor{x}": "Tensor", "new Grid": "Grid*",
    "q = x": "Tensor", "++n": "int", "&x": "Tensor*", "*pq": "Tensor", "pq->dim()": "int64_t", "x[0]": "Tensor",
    # the standard library
    "v[0]": "Tensor", "v.front()": "Tensor", "v.size()": "size_t", "v.empty()": "bool", "v.data()": "Tensor*", "*it": "Tensor",
    "it->dim()": "int64_t", "v.begin()[0]": "Tensor", "*v.insert(v.begin(), x)": "Tensor", "v.foo()": "",
    "m[1]": "Tensor", "m.at(1)": "Tensor", "m.find(1)->second": "Tensor", "m.size()": "size_t", "m.count(1)": "size_t",
    "m.insert({1, x}).second": "bool", "m.begin()->first": "int", "m.contains(1)": "bool", "m.insert_or_assign(1, x)": "",
    "pair.first": "Tensor", "pair.second": "int", "a": "Tensor", "b": "int", "std::get<0>(pair)": "Tensor",
    "std::get<7>(pair)": "", "std::get<0>(arr)": "Tensor", "arr[1]": "Tensor", "std::move(x)": "Tensor",
    "std::exchange(x, y)": "Tensor", "*std::begin(v)": "Tensor", "*std::max_element(v.begin(), v.end())": "Tensor",
    "std::make_tuple(x, n)": "tuple", "std::make_optional(x).value()": "Tensor", "*shared": "Tensor", "shared->dim()": "int64_t",
    "shared.get()": "Tensor*", "shared.use_count()": "size_t", "weak.lock()": "shared_ptr", "*weak.lock()": "Tensor",
    "rw.get()": "Tensor", "std::ref(x).get()": "Tensor", "std::addressof(x)": "Tensor*", "std::size(v)": "size_t",
    "std::to_string(n)": "string", "text.substr(1)": "string", "text.length()": "size_t", "text.empty()": "bool",
    "std::any_cast<at::Tensor>(n)": "Tensor", "opt.value()": "Tensor", "*opt": "Tensor", "opt->dim()": "int64_t",
    "opt.has_value()": "bool", "std::vector<at::Tensor>{x}[0]": "Tensor", "x.sizes().vec()[0]": "int64_t",
    "std::distance(v.begin(), v.end())": "int64_t", "std::make_unique<at::Tensor>(x)->dim()": "int64_t",
    # what is called
    "lam(1)": "Tensor", "twice()()": "Tensor", "fn(1)": "Tensor", "pf(1)": "Tensor", "(*pf)(1)": "Tensor",
    "[&] { return x; }()": "Tensor", "[]() -> at::Tensor { return load(1); }()": "Tensor", "std::invoke(fn, 1)": "Tensor",
    "std::invoke(lam, 1)": "Tensor", "std::invoke()": "", "load(1)": "Tensor", "load(x)": "float", "doubled(x)": "Tensor",
    "trailing(1)": "Tensor", "same(x)": "Tensor", "same<at::Tensor>(y)": "Tensor", "told<at::Tensor>(1)": "Tensor",
    "unknown(1)": "", "exp(x)": "Tensor", "at::max(x, 0)": "tuple", "::at::exp(x)": "Tensor", "own::sum()": "int",
    # own classes
    "grid.cells": "Tensor", "grid.layers[0]": "Tensor", "grid.rows": "int", "pg->cells": "Tensor", "(*pg).next().cells": "Tensor",
    "Grid::blank()": "Tensor", "grid.at_row(1)": "Tensor", "grid(1)": "Tensor", "grid[1]": "Tensor", "(grid + grid).cells": "Tensor",
    "(-grid).cells": "Tensor", "*grid": "Tensor", "grid->dim()": "int64_t", "Grid().cells": "Tensor", "Grid{}.rows": "int",
    "grid.nothing": "", "box.held": "Tensor", "box.get()": "Tensor",
    "box.all[0]": "Tensor", "boxes[0].held": "Tensor", "boxes.front().get()": "Tensor",
    "Slots<3>::made(x)": "Tensor", "Box<at::Tensor>::none()": "", "Slots<3>().run(x)": "",
    # numbers that have names
    "std::numeric_limits<float>::max()": "float", "-std::numeric_limits<int64_t>::min()": "int64_t", "-INFINITY": "float",
    "INT_MAX": "int", "at::OptionalIntArrayRef()": "OptionalIntArrayRef",
    # names
    "Grid::unit": "Tensor", "grid.*member": "Tensor",
    "x.options().dtype<float>()": "TensorOptions", "x.options().dtype(at::kFloat)": "TensorOptions",
    "x.options().dtype()": "ScalarType", "x.options().device().index()": "int64_t", "x.options().device().type()": "DeviceType",
    "x.options().has_device()": "bool", "x.device().is_cuda()": "bool", "x.item<float>()": "float",
    "x.data_ptr<int64_t>()": "int64_t*", "made.data_ptr<float>()": "float*", "grid.load(1)": "Tensor",
    "stream.stream()": "cudaStream_t", "stream.id()": "", "std::get<at::Tensor>(either)": "Tensor",
    "std::get<at::Tensor>(pair)": "Tensor", "std::get<at::Tensor>(n)": "", "std::cend(v)[0]": "Tensor",
    "std::accumulate(v.begin(), v.end(), x)": "Tensor", "sum_of(x, x, x)": "Tensor", "in_box(box)": "Tensor",
    "kept": "Tensor", 'named["a"]': "Tensor", "like": "Tensor", "e": "int64_t", "FIRST(v)": "Tensor", "COUNT": "int64_t",
    "MADE": "Tensor", "at::kFloat": "ScalarType", "at::kCUDA": "DeviceType", "nowhere": "",
    "c10::CppTypeToScalarType<float>::value": "ScalarType",
}  # fmt: skip


def type_of(expression: str, head: str = HEAD, before: str = BEFORE) -> str:
    """The type of an expression in a function after `head`, its variables declared by `before`."""
    parameters = (
        "at::Tensor x, at::Tensor y, int n, std::vector<at::Tensor> v, std::map<int, at::Tensor> m, "
        "std::pair<at::Tensor, int> pair, Grid grid"
    )
    text = f"{head}void f({parameters}) {{\n{before}  sink(({expression}));\n}}\n"
    document = Document("a.cpp", text.encode())
    finder = TypeFinder((document,), known_returns())
    start = text.rindex("sink((") + 6
    node = document.whole.node_at(Span(start, start + len(expression.encode())))
    assert node is not None
    kind = finder.type_of(node, document.whole, document)
    return kind.name + "*" * kind.pointers


@pytest.mark.parametrize("expression", TYPES)
def test_the_type_of_an_expression(expression: str) -> None:
    assert type_of(expression) == TYPES[expression]


# What stands before the function `f`, or in it, and an expression whose type that decides.
CONTEXTS = {
    "a generic lambda": ("auto use = [](auto t) { MARK(t); }; void g(at::Tensor x) { use(x); }", "t", "Tensor"),
    "a function template": ("template <class T> void use(T t) { MARK(t); } void g(at::Tensor x) { use(x); }", "t", "Tensor"),
    "a template of two types": (
        "template <class T> void use(T t) { MARK(t); } void g(at::Tensor x) { use(x); use(1); }", "t", ""),
    "a parameter of a macro": ("#define USE(t) MARK(t)\nvoid g(at::Tensor x) { USE(x); }", "t", "Tensor"),
    "a free name in a macro": ("#define USE() MARK(x)\nvoid g(at::Tensor x) { USE(); }", "x", "Tensor"),
    "two uses of a macro": ("#define USE(t) MARK(t)\nvoid g(at::Tensor x, int n) { USE(x); USE(n); }", "t", ""),
    "a variable that a macro declares": (
        "#define DECLARE(name, value) auto name = value\nvoid g(at::Tensor x) { DECLARE(z, x); MARK(z); }", "z", "Tensor"),
    "this": ("struct S { at::Tensor t; void g() { MARK(this->t); } };", "this->t", "Tensor"),
    "a member": ("struct S { at::Tensor t; void g(); };\nvoid S::g() { MARK(t); }", "t", "Tensor"),
    "a range of maps": ("void g(std::map<int, at::Tensor> m) { for (auto& [k, t] : m) { MARK(t); } }", "t", "Tensor"),
    "a range of braces": ("void g(at::Tensor x) { for (auto t : {x, x}) { MARK(t); } }", "t", "Tensor"),
    "a capture": ("void g(at::Tensor x) { auto l = [t = x] { MARK(t); }; }", "t", "Tensor"),
    "a Tensor of another library": ("namespace cute { struct Tensor {}; } void g(Tensor t) { MARK(t); }", "t", ""),
    "a using-declaration": ("using at::Tensor;\nvoid g(Tensor t) { MARK(t); }", "t", "Tensor"),
    "an own namespace called at": (
        "namespace own { namespace at { int zeros(int n); } void g() { MARK(at::zeros(2)); } }", "at::zeros(2)", "int"),
    "a constant of a using-directive": ("using namespace torch;\nvoid g() { MARK(kHalf); }", "kHalf", "ScalarType"),
    "static auto": ("static auto made() { return at::empty({1}); }\nvoid g() { MARK(made()); }", "made()", "Tensor"),
    "a member of a class template": (
        "template <class T> struct S { T t; void g() { MARK(t); } };\nvoid h() { S<at::Tensor> s; }", "t", "Tensor"),
    "a class template whose uses differ": (
        "template <class T> struct S { T t; void g() { MARK(t); } };\nvoid h() { S<at::Tensor> s; S<int> i; }", "t", ""),
    "a class template in a class template": (
        "template <class T> struct In { T t; void g() { MARK(t); } };\ntemplate <class U> struct Out { In<U> in; };\n"
        "void h() { Out<at::Tensor> o; }", "t", "Tensor"),
    "this of a class template": (
        "template <class T> struct S { T t; void g() { MARK(this->t); } };\nvoid h() { S<at::Tensor> s; }", "this->t", "Tensor"),
    "a function of a class template, outside of it": (
        "template <class T> struct S { T t; void g(); };\ntemplate <class T> void S<T>::g() { MARK(t); }\n"
        "void h() { S<at::Tensor> s; }", "t", "Tensor"),
    "a template with its argument written out": (
        "template <class T> void use() { T t; MARK(t); } void g() { use<at::Tensor>(); }", "t", "Tensor"),
    "a vector of a template's type": (
        "template <class T> void use(std::vector<T> v) { MARK(v[0]); } void g(std::vector<at::Tensor> l) { use(l); }",
        "v[0]", "Tensor"),
    "a template that gets what nothing tells": (
        "template <class T> void use(T t) { MARK(t); } void g(at::Tensor x) { use(x); use(unknown()); }", "t", ""),
    "a template that returns a pointer": (
        "template <class T> T* use(T t) { MARK(t); } void g(at::Tensor x) { use(x); }", "t", "Tensor"),
    "a template of device code": (
        "template <class T> __device__ void use(T t) { MARK(t); } void g(at::Tensor x) { use(x); }", "t", "T"),
    "a template that nothing calls": ("template <class T> void use(T t) { MARK(t); }", "t", "T"),
    "a lambda that is called at once": ("void g(at::Tensor x) { [](auto t) { MARK(t); }(x); }", "t", "Tensor"),
    "a lambda of an algorithm": (
        "void g(std::vector<at::Tensor> v) { std::for_each(v.begin(), v.end(), [](auto& t) { MARK(t); }); }", "t", "Tensor"),
    "a lambda of parallel_for": ("void g() { at::parallel_for(0, 9, 1, [](auto b, auto e) { MARK(b); }); }", "b", "int64_t"),
    "a lambda that is called with two types": (
        "void g(at::Tensor x) { auto use = [](auto t) { MARK(t); }; use(x); use(1); }", "t", ""),
    "a lambda that is given away": ("void g(at::Tensor x) { later([](auto t) { MARK(t); }); }", "t", ""),
    "a lambda of two parameters": (
        "void g(at::Tensor x) { auto use = [](int n, auto t) { MARK(t); }; use(1, x); }", "t", "Tensor"),
    "a lambda in a lambda": (
        "void g(at::Tensor x) { auto use = [](auto t) { auto in = [&] { MARK(t); }; in(); }; use(x); }", "t", "Tensor"),
    "a base class that is a template": (
        "template <class T> struct B { T t; }; struct S : B<at::Tensor> { void g() { MARK(t); } };", "t", "Tensor"),
    "a class of the project that is called Tensor": (
        "namespace own { struct Tensor { int n; }; void g(Tensor t) { MARK(t); } }", "t", "own::Tensor"),
    "torch's Tensor where the project has its own": (
        "namespace own { struct Tensor { int n; }; void g(::at::Tensor t) { MARK(t); } }", "t", "Tensor"),
    "what a method of an own Tensor returns": (
        "namespace own { struct Tensor { Tensor next(); }; void g(Tensor t) { MARK(t.next()); } }", "t.next()", "own::Tensor"),
    "a base class": ("struct B { at::Tensor t; }; struct S : B { void g() { MARK(t); } };", "t", "Tensor"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_type_of_a_name_by_what_is_around(name: str) -> None:
    code, expression, expected = CONTEXTS[name]
    document = Document("a.cpp", code.encode())
    start = code.index("MARK(") + 5
    fragment = document.fragment_at(start)
    node = fragment.node_at(Span(start, start + len(expression)))
    assert node is not None
    assert TypeFinder((document,), known_returns()).type_of(node, fragment, document).name == expected


def test_all_types_that_a_template_parameter_means() -> None:
    """What a rule asks that must know of every call, also where they differ."""
    code = (
        "template <class T, class U> void use(T t, U u) { MARK(t); }\n"
        "void f(at::Tensor x, float s) { use(x, 1); use(s, 1); use(x, 2.0); }\n"
    )
    document = Document("a.cpp", code.encode())
    start = code.index("MARK(") + 5
    node = document.whole.node_at(Span(start, start + 1))
    assert node is not None
    instances = TypeFinder((document,), known_returns()).instances
    assert {kind.name for kind in instances.kinds_of(CppType("T"), node, document)} == {"Tensor", "float"}
    assert {kind.name for kind in instances.kinds_of(CppType("U"), node, document)} == {"int64_t", "double"}
    assert instances.kinds_of(CppType("Grid"), node, document) == frozenset()


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("f(a, b)", ["a", "b"]),
        ("f()", []),
        ("f(g(a, b), {c, d}, e[1, 2])", ["g(a, b)", "{c, d}", "e[1, 2]"]),
        ("f(g<a, b>(c), d)", ["g<a, b>(c)", "d"]),
        ("f(a < b, c > d)", ["a < b", "c > d"]),
        ("f(a, \\\n  b)", ["a", "b"]),
    ],
)
def test_arguments_by_brackets(call: str, arguments: list[str]) -> None:
    document = Document("a.cpp", call.encode())
    assert [call[span.start : span.end] for span in argument_spans(document, 1)] == arguments


def test_spans_and_lines() -> None:
    data = b"one\n  two\nthree"
    assert line_end(data, 0) == 4
    assert line_end(data, 12) == len(data)
    assert whole_lines(data, Span(1, 6)) == Span(0, 10)
    assert with_line(data, Span(6, 9)) == Span(4, 10)
    assert with_line(data, Span(6, 8)) == Span(6, 8)
    assert merged([Span(5, 7), Span(0, 2), Span(2, 4), Span(6, 9)]) == [Span(0, 4), Span(5, 9)]


def test_spans_that_hold_others() -> None:
    spans = Spans([Span(20, 25), Span(2, 10), Span(4, 6)])
    assert spans.hold(Span(2, 10))
    assert spans.hold(Span(7, 9)), "by the outer one, which began before the last that begins in front of it"
    assert not spans.hold(Span(9, 21))
    assert not spans.hold(Span(0, 3))
    assert not Spans([]).hold(Span(0, 0))


def test_what_a_header_defines() -> None:
    code = b"#define N 3\n#define EMPTY\nstruct S { int n; };\nenum class E { A };\nusing T = int;\n" \
           b"constexpr int K = 2;\nint g();\nint f() { return 1; }\n"  # fmt: skip
    assert things_defined(Document("a.h", code)) == {b"N", b"S", b"E", b"T", b"K", b"f"}
