"""Schemas that do not fit their functions are found, and those that do are left in peace."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.effects.returned import may_return
from torch_stabilize.bindings.effects.writes import accesses
from torch_stabilize.bindings.schemas.faults import default_fault, schema_faults
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.uses import Access
from torch_stabilize.surface.schema import parse_schema

from tests.bindings.trees import BINDINGS, migrate

UNIT = "csrc/f.cu"
KINDS = (
    "Tensor",
    "Tensor?",
    "int",
    "int?",
    "float",
    "bool",
    "str",
    "ScalarType",
    "int[]",
    "int[2]",
    "bool[]",
    "Device?",
)
DEFAULTS = ("None", "1", "-1.5", "True", "true", '"a"', "[1, 2]", "[]", "half", "nullopt", "[True]")


def complaints(schema: str, function: str) -> list[tuple[str, str]]:
    """What migrating one op says about its schema."""
    files = {
        UNIT: function,
        BINDINGS: f'TORCH_LIBRARY(my, m) {{\n  m.def("{schema}");\n  m.impl("f", torch::kCUDA, &f);\n}}\n',
    }
    checks = {"TSA506", "TSA507", "TSA508", "TSA509", "TSA510", "TSA525"}
    return [(d.code, d.message) for d in migrate(files, [UNIT]).diagnostics if d.code in checks]


@pytest.mark.parametrize(
    ("schema", "signature"),
    [
        ("f(Tensor! out, Tensor x) -> ()", "void f(at::Tensor& out, const at::Tensor& x)"),
        ("f(SymInt n, int[] sizes, SymInt[] more) -> int", "int64_t f(int64_t n, at::IntArrayRef sizes, std::vector<int64_t> more)"),
        ("f(Tensor? x, str s, str? t) -> Tensor", "at::Tensor f(const std::optional<at::Tensor>& x, std::string s, std::optional<std::string> t)"),
        ("f(Tensor? x) -> Tensor", "at::Tensor f(const at::Tensor& x)"),
        ("f(Tensor[] xs, Tensor(a!)[] ys) -> Tensor[]", "std::vector<at::Tensor> f(at::TensorList xs, const std::vector<at::Tensor>& ys)"),
        ("f(Tensor x) -> (Tensor, int)", "std::tuple<at::Tensor, int64_t> f(at::Tensor x)"),
        ("f(ScalarType? dtype, Device d) -> ()", "void f(std::optional<at::ScalarType> dtype, at::Device d)"),
        ("f((int, int)? shape=None) -> ()", "void f(std::optional<std::tuple<int64_t, int64_t>> shape)"),
        ("f(int kind) -> ()", "void f(my::KindId const& kind)"),
    ],
)  # fmt: skip
def test_what_fits(schema: str, signature: str) -> None:
    assert complaints(schema, f"{signature} {{ return g(); }}\n") == []


@pytest.mark.parametrize(
    ("schema", "function", "code", "words"),
    [
        ("f(Tensor x -> ()", "void f(at::Tensor x) {}", "TSA506", "expected ','"),
        ("f(Tensor x) -> ()", "void f(at::Tensor x, int64_t n) {}", "TSA507", "has 1 arguments and f takes 2"),
        ("f(Tensor x, int n) -> ()", "void f(at::Tensor x, double n) {}", "TSA507", "has `int n` where f takes `double`"),
        ("f(Tensor x) -> Tensor", "void f(at::Tensor x) {}", "TSA507", "returns 1 values and f 0"),
        ("f(Tensor q, Tensor q) -> ()", "void f(at::Tensor q, at::Tensor k) {}", "TSA508", "2 arguments called q"),
        ("f(int!? n) -> ()", "void f(std::optional<int64_t> n) {}", "TSA509", "only tensors can be"),
        ("f(Tensor x) -> int", "int64_t f(at::Tensor& x) { x.zero_(); return 1; }", "TSA509", "writes to `x`"),
        ("f(Tensor x) -> ()", "void f(at::Tensor& x) { x.zero_(); }", "TSA525", "marks nothing as written"),
        ("f(Tensor x) -> ()", "void f(at::Tensor x) { auto y = x[0]; y.fill_(1); }", "TSA525", "returns nothing"),
        ("f(Tensor! x) -> int", "int64_t f(const at::Tensor& x) { return x.size(0); }", "TSA509", "only reads it"),
        ("f(Tensor! x) -> Tensor", "at::Tensor f(at::Tensor& x) { g(x); return x; }", "TSA509", "may return `x`"),
    ],
)  # fmt: skip
def test_what_does_not_fit(schema: str, function: str, code: str, words: str) -> None:
    found = complaints(schema, function + "\n")
    assert [c for c, _ in found] == [code]
    assert words in found[0][1]


@pytest.mark.parametrize(
    ("schema", "function"),
    [
        ("f(Tensor x) -> ()", "void f(at::Tensor x) { g(x.size(0)); }"),  # asks, and writes nothing
        ("f(Tensor x) -> ()", "void f(at::Tensor x) { g(x); }"),  # nobody knows: the schema does
        ("f(Tensor! x) -> ()", "void f(at::Tensor& x) { g(x); }"),
        ("f(Tensor x, Tensor! y) -> ()", "void f(at::Tensor x, at::Tensor y) { y.copy_(x); }"),
        ("f(int n) -> ()", "void f(int64_t n) { g(n); }"),
    ],
)
def test_what_may_be_left_unmarked(schema: str, function: str) -> None:
    assert complaints(schema, function + "\n") == []


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ("f(Tensor x, int64_t n) -> ()", "`int64_t` is no schema type; write int"),
        ("f(Tensor x) -> tensor", "`tensor` is no schema type; write Tensor"),
        ("f(Tensor x, bool up=true) -> ()", "`true` is no default for `bool`; write True"),
        ("f(Tensor x, Tensor? y=nullptr) -> ()", "`nullptr` is no default for `Tensor?`; write None"),
        ("f(Tensor x, int[] n=1) -> ()", "`1` is no default for `int[]`"),
        ("f(Tensor x, int n=1, int m) -> ()", "`m` has no default and is behind `n`, which has one"),
        ("f(Tensor in) -> ()", "an argument cannot be called `in`, which is a keyword"),
    ],
)
def test_schemas_that_read_well_and_that_torch_refuses(schema: str, fault: str) -> None:
    assert ("TSA506", f"f: {fault}") in complaints(schema, "void f(at::Tensor x) {}\n")


@pytest.mark.parametrize(
    ("kind", "default", "is_fine"),
    [
        ("Device", '"cpu"', True), ("Device", "1", False), ("Tensor", "1", False), ("Tensor[]", "[]", False),
        ("int[]", "[1, x]", False), ("int[]", "[1.5]", False), ("float[]", "[1.5, 2]", True), ("bool[]", "[True]", True),
        ("bool[]", "[1]", False), ("bool[2]", "True", True), ("int[2]", "3", True), ("int[]", "None", False),
        ("int?", "None", True), ("str[]", '["a"]', False), ("str", "abc", False), ("(int, int)", "(1, 2)", False),
        ("ScalarType", "half", True), ("ScalarType", "uint16", True), ("ScalarType", "float8_e8m0fnu", True),
        ("ScalarType", "quint8", True), ("ScalarType", "floating", False),
    ],
)  # fmt: skip
def test_defaults_that_torch_takes(kind: str, default: str, is_fine: bool) -> None:
    """One value may be all of a list of known length; a dtype is called by any name it has in torch."""
    fault = default_fault(parse_schema(f"f({kind} x={default}) -> ()").arguments[0])
    assert fault == ("" if is_fine else f"`{default}` is no default for `{kind}`")


@pytest.mark.torch
def test_every_dtype_may_be_a_default() -> None:
    torch = pytest.importorskip("torch")
    names = [name for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype)]
    assert len(names) > 20
    faults = [default_fault(parse_schema(f"f(ScalarType x={name}) -> ()").arguments[0]) for name in names]
    assert set(faults) == {""}


@pytest.mark.parametrize(
    ("first", "second", "is_twice"),
    [
        ("#ifdef WIDE", "#ifndef WIDE", False),
        ("#ifndef WIDE", "#ifdef WIDE", False),
        ("#if WIDE > 1", "#if !(WIDE > 1)", False),
        ("#if !(WIDE > 1)", "#if WIDE > 1", False),
        ("#ifdef WIDE", "#ifdef DEEP", True),
        ("#if WIDE > 1", "#if WIDE > 2", True),
    ],
)
def test_an_operator_of_two_builds_is_defined_once_in_each(first: str, second: str, is_twice: bool) -> None:
    """Conditions that exclude each other; others may hold together, and torch ends the import then."""
    define = '  m.def("f(Tensor x) -> ()", &f);\n#endif\n'
    files = {
        UNIT: "void f(at::Tensor x) {}\n",
        BINDINGS: f"TORCH_LIBRARY(my, m) {{\n{first}\n{define}{second}\n{define}}}\n",
    }
    said = f"my::f is defined twice, the first time in {BINDINGS}"
    assert (said in migrate(files, [UNIT]).messages("TSA510")) == is_twice


@pytest.mark.torch
def test_what_torch_refuses_is_found_and_its_own_defaults_are_fine() -> None:
    torch = pytest.importorskip("torch")
    library = torch.library.Library("schema_faults", "FRAGMENT")
    arguments = [f"{kind} x={default}" for kind in KINDS for default in DEFAULTS]
    for number, argument in enumerate([*KINDS, "Foo", "int64_t", "double", "Tensor[]?", "int[2]", *arguments]):
        text = f"f{number}({argument}{'' if '=' in argument else ' x'}) -> ()"
        faults = list(schema_faults(parse_schema(text)))
        try:
            library.define(text)
        except RuntimeError:
            assert faults, f"torch refuses {text}"
    known = [
        parse_schema(str(schema)) for schema in torch._C._jit_get_all_schemas() if str(schema).startswith("aten::")
    ]
    strange = [str(a) for schema in known for a in schema.arguments if a.type.leaf != "t" and default_fault(a)]
    assert strange == []


def test_one_of_several_functions_has_to_fit() -> None:
    function = "#ifdef OLD\nvoid f(at::Tensor x) {}\n#else\nvoid f(at::Tensor x, int64_t n) {}\n#endif\n"
    assert complaints("f(Tensor x, int n) -> ()", function) == []


def test_an_operator_that_is_defined_twice() -> None:
    twice = 'm.def("f(Tensor x) -> ()");'
    body = f'{{\n  {twice}\n  {twice}\n  m.impl("f", torch::kCUDA, &f);\n}}\n'
    made = migrate({UNIT: "void f(at::Tensor x) {}\n", BINDINGS: f"TORCH_LIBRARY(my, m) {body}"}, [UNIT])
    assert "TSA510" in made.codes
    apart = f'{{\n#ifdef A\n  {twice}\n#else\n  {twice}\n#endif\n  m.impl("f", torch::kCUDA, &f);\n}}\n'
    made = migrate({UNIT: "void f(at::Tensor x) {}\n", BINDINGS: f"TORCH_LIBRARY(my, m) {apart}"}, [UNIT])
    assert "TSA510" not in made.codes
    assert made.lost == ()


def access(body: str, more: str = "") -> Access:
    document = Document("a.cu", f"{more}\nvoid f(at::Tensor& x) {{ {body} }}\n".encode())
    function = next(f for f in read_signatures(document) if f.name == "f")
    return accesses(document, function, Program([document]))["x"]


ACCESSOR_KERNEL = "__global__ void l(torch::PackedTensorAccessor32<float, 1> a) { a[0] = 0; }"
READING_KERNEL = "__global__ void k(const float* a, float* b) { b[0] = a[0]; }"


@pytest.mark.parametrize(
    ("body", "more", "expected"),
    [
        ("int64_t n = x.size(0) * x.numel();", "", Access.READ),
        ("x.copy_(y);", "", Access.WRITE),
        ("k<<<1, 1>>>(x.data_ptr<float>(), y);", READING_KERNEL, Access.READ),
        ("k<<<1, 1>>>(y, x.data_ptr<float>());", READING_KERNEL, Access.WRITE),
        ("k<<<1, 1>>>(y, reinterpret_cast<float*>(x.data_ptr()));", READING_KERNEL, Access.WRITE),
        ("launch(x.data_ptr<float>());", "void launch(float* p) { k(nullptr, p); }\n" + READING_KERNEL, Access.WRITE),
        ("const float* p = x.data_ptr<float>();", "", Access.READ),
        ("float* p = x.data_ptr<float>(); p[3] = 1;", "", Access.WRITE),
        ("float* p = x.data_ptr<float>(); y[0] = p[3];", "", Access.READ),
        ("auto p = x.data_ptr<float>(); *(p + 3) = 2;", "", Access.WRITE),
        ("auto p = reinterpret_cast<uint8_t*>(x.data_ptr()); p[i] |= 2;", "", Access.WRITE),
        ("void* p = x.data_ptr(); if (n) { p = buffer; memcpy(p, q, n); }", "", Access.READ),
        ("sum += x.data_ptr<float>()[i];", "", Access.READ),
        ("*x.data_ptr<int>() = 3;", "", Access.WRITE),
        ("auto a = x.accessor<float, 2>(); a[0][1] = 3;", "", Access.WRITE),
        ("auto a = x.accessor<float, 2>(); y = a[0][1] + a[1][2];", "", Access.READ),
        ("l<<<1, 1>>>(x.packed_accessor32<float, 1>());", ACCESSOR_KERNEL, Access.WRITE),
        ("auto y = x.view({-1}); y.fill_(1);", "", Access.WRITE),
        ("auto y = x.view({-1}); z = y.sum();", "", Access.READ),
        ("auto y = at::empty_like(x); y.fill_(1);", "", Access.READ),
        ("at::add_out(x, y, z);", "", Access.WRITE),
        ("at::add_out(z, x, y);", "", Access.READ),
        ("y.copy_(x, true);", "", Access.READ),
        ("x[0] = 3;", "", Access.WRITE),
        ("CHECK_INPUT(x); z = x.clone();", "#define CHECK_INPUT(t) TORCH_CHECK(t.is_contiguous())", Access.READ),
        ("CHECK_INPUT(x);", '#define CHECK_INPUT(t) TORCH_CHECK(t.is_contiguous(), #t " has gaps")', Access.READ),
        ("at::Tensor y; if (n) { y = x; } y.fill_(1);", "", Access.WRITE),
        ("at::Tensor y; if (n) { y = x; } g(y);", "", Access.UNKNOWN),
        ("fill(x, 3);", "static void fill(at::Tensor t, int n) { t.fill_(n); }", Access.WRITE),
        ("memcpy(p, x.data_ptr(), n);", "", Access.READ),
        ("memcpy(x.data_ptr(), p, n);", "", Access.WRITE),
        ("params.x = x.data_ptr();", "", Access.UNKNOWN),
        ("h(x.data_ptr<float>());", "void h(float* p) { atomicAdd(&p[i], 2.f); }", Access.WRITE),
        ("h(x.data_ptr<float>());", "void h(float* p) { *reinterpret_cast<float4*>(p + 4) = v; }", Access.WRITE),
        ("h(x.data_ptr<float>());", "void h(float* p) { p += blockIdx.x; float v = p[threadIdx.x]; }", Access.READ),
        ("h(x.data_ptr<float>());", "void h(float* p);", Access.UNKNOWN),
        ("auto p = x.const_data_ptr<float>();", "", Access.READ),
        ("g(x);", "", Access.UNKNOWN),
        ("LAUNCH()", "#define LAUNCH() k<<<1, 1>>>(y, x.data_ptr<float>())\n" + READING_KERNEL, Access.WRITE),
        ("", "", Access.UNKNOWN),
    ],
)
def test_reads_and_writes(body: str, more: str, expected: Access) -> None:
    assert access(body, more) is expected


@pytest.mark.parametrize(
    ("body", "returned"),
    [
        ("return x;", ("x",)),
        ("return x.view({-1});", ("x",)),
        ("at::Tensor out = inplace ? x : at::empty_like(x); g(out); return out.reshape(s);", ("x",)),
        ("return at::empty_like(x);", ()),
        ("return x.clone();", ()),
        ("auto y = x.contiguous(); return g(y);", ()),
        ("auto g = [&] { return x; }; return g().clone();", ()),
        ("return n ? x.clone() : x;", ("x",)),
        ("at::Tensor y = x.clone(); if (n) y = x.select(0, 1); return y;", ("x",)),
        ("at::Tensor& y = x; return y.add_(1);", ("x",)),
        ("auto y = x; return y + 1;", ()),
        ("auto y = own(x); x = y; return y;", ()),
    ],
)
def test_returned_arguments(body: str, returned: tuple[str, ...]) -> None:
    document = Document("a.cu", f"at::Tensor f(at::Tensor& x) {{ {body} }}\n".encode())
    assert may_return(document, read_signatures(document)[0]) == returned


def test_an_inferred_schema_says_what_is_written() -> None:
    files = {
        UNIT: "void f(at::Tensor& out, at::Tensor& x, const at::Tensor& y) { out.copy_(y); g(x.size(0)); }\n",
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("f", &f);\n}\n',
    }
    assert migrate(files, [UNIT]).messages("TSA504") == ["inferred `f(Tensor! out, Tensor x, Tensor y) -> ()`"]


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        ("void f(at::Scalar s)", "a Scalar cannot pass the stable boxing"),
        ("void f(float* p)", "a pointer"),
        ("const float* f(at::Tensor x)", "cannot be returned"),
    ],
)
def test_what_cannot_be_boxed(signature: str, problem: str) -> None:
    files = {
        UNIT: f"{signature} {{}}\n",
        BINDINGS: 'TORCH_LIBRARY(my, m) {\n  m.def("f(Tensor x) -> ()");\n  m.impl("f", torch::kCUDA, &f);\n}\n',
    }
    (message,) = migrate(files, [UNIT]).messages("TSA512")
    assert problem in message
