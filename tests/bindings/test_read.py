"""Every form of registration is read into the same model."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.reading.functions import dispatch_key
from torch_stabilize.bindings.reading.model import BlockKind, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.read import binding_spans, read_bindings
from torch_stabilize.source.document import Document


def read(text: str) -> tuple[Statement, ...]:
    return read_bindings(Document("b.cpp", text.encode()), {"TORCH_EXTENSION_NAME": "_C"}).statements


def inside(statement: str, block: str = "TORCH_LIBRARY(my, m)") -> Statement:
    (found,) = read(f"{block} {{\n  {statement}\n}}\n")
    return found


@pytest.mark.parametrize(
    ("head", "kind", "namespace", "key", "side"),
    [
        ("TORCH_LIBRARY(my, m)", BlockKind.LIBRARY, "my", "", Side.LEGACY),
        ("TORCH_LIBRARY_FRAGMENT(my, m)", BlockKind.FRAGMENT, "my", "", Side.LEGACY),
        ("TORCH_LIBRARY_IMPL(my, CUDA, m)", BlockKind.IMPL, "my", "CUDA", Side.LEGACY),
        ("TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m)", BlockKind.LIBRARY, "_C", "", Side.LEGACY),
        ("TORCH_LIBRARY_EXPAND(CONCAT(TORCH_EXTENSION_NAME, _cache_ops), m)", BlockKind.LIBRARY, "_C_cache_ops", "", Side.LEGACY),
        ("TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CPU, m)", BlockKind.IMPL, "_C", "CPU", Side.LEGACY),
        ("PYBIND11_MODULE(TORCH_EXTENSION_NAME, m)", BlockKind.PYBIND, "_C", "", Side.LEGACY),
        ("STABLE_TORCH_LIBRARY_FRAGMENT(_C, m)", BlockKind.FRAGMENT, "_C", "", Side.STABLE),
        ("STABLE_TORCH_LIBRARY_IMPL(_C, CompositeExplicitAutograd, m)", BlockKind.IMPL, "_C", "CompositeExplicitAutograd", Side.STABLE),
    ],
)  # fmt: skip
def test_blocks(head: str, kind: BlockKind, namespace: str, key: str, side: Side) -> None:
    document = Document("b.cpp", f"{head} {{\n}}\n".encode())
    (block,) = read_bindings(document, {"TORCH_EXTENSION_NAME": "_C"}).blocks
    assert (block.kind, block.namespace, block.key, block.side) == (kind, namespace, key, side)
    assert block.variable == "m"
    assert binding_spans(document) == (block.span,)


def test_a_define_of_the_file_wins() -> None:
    (found,) = read(
        '#define TORCH_EXTENSION_NAME _other\nTORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {\n  m.def("f() -> ()");\n}\n'
    )
    assert found.namespace == "_other"


def test_wrapper_macros_are_no_registrations() -> None:
    assert read("#define TORCH_LIBRARY_EXPAND(NAME, M) TORCH_LIBRARY(NAME, M)\n// TORCH_LIBRARY(a, m) {}\n") == ()


@pytest.mark.parametrize(
    ("text", "name", "schema", "key", "function"),
    [
        ('m.def("f(Tensor x) -> Tensor");', "f", "(Tensor x) -> Tensor", "", None),
        ('m.def("f.out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)");', "f.out", "(Tensor x, *, Tensor(a!) out) -> Tensor(a!)", "", None),
        ('m.def("f(Tensor x, "  // first\n        "int n) -> ()");', "f", "(Tensor x, int n) -> ()", "", None),
        ('m.def(R"(f(Tensor x) -> ())");', "f", "(Tensor x) -> ()", "", None),
        ('m.def(torch::schema("f(Tensor x) -> ()", c10::AliasAnalysisKind::FROM_SCHEMA));', "f", "(Tensor x) -> ()", "", None),
        ('m.def("f(Tensor x) -> Tensor", &ns::f);', "f", "(Tensor x) -> Tensor", "", "ns::f"),
        ('m.def("f", f);', "f", None, "", "f"),
        ('m.impl("f", torch::kCUDA, &f);', "f", None, "CUDA", "f"),
        ('m.impl("f", &f<float, 4>);', "f", None, "", "f"),
        ('m.impl("f", c10::DispatchKey::PrivateUse1, TORCH_FN(f));', "f", None, "PrivateUse1", "f"),
        ('m.impl("f", torch::dispatch(c10::DeviceType::CPU, &f));', "f", None, "CPU", "f"),
        ('m.impl(TORCH_SELECTIVE_NAME("f"), TORCH_FN(f));', "f", None, "", "f"),
        ('m.impl("f", TORCH_BOX(&f));', "f", None, "", "f"),
        ('m.impl("f", TORCH_BOX((&f<int, 3>)));', "f", None, "", "f"),
        ('m.impl("f", torch::kCUDA, with_wide_types(&ns::f));', "f", None, "CUDA", "ns::f"),
    ],
)  # fmt: skip
def test_definitions_and_implementations(
    text: str, name: str, schema: str | None, key: str, function: str | None
) -> None:
    found = inside(text)
    assert (found.full_name, found.schema, found.key) == (name, schema, key)
    assert (found.function.name if found.function else None) == function


def test_a_name_may_bring_its_namespace() -> None:
    found = inside('m.impl("aten::add", &f);', "TORCH_LIBRARY_IMPL(_, CPU, m)")
    assert (found.namespace, found.name, found.key) == ("aten", "add", "CPU")


def test_a_function_that_is_handed_to_another_one() -> None:
    found = inside('m.impl("f", ns::with_wide_types<2>(&f<float>));').function
    assert found is not None
    assert (found.name, found.template_arguments, found.wrapper) == ("f", "<float>", "ns::with_wide_types")
    assert not found.is_plain


def test_tags() -> None:
    assert inside('m.def("f() -> ()", {at::Tag::pt2_compliant_tag});').tags == "{at::Tag::pt2_compliant_tag}"


def test_lambdas_name_what_they_call() -> None:
    found = inside('m.def("f(Tensor x) -> Tensor", [](at::Tensor x) { return ns::g(x.add(1), 2); });')
    assert found.function is not None
    assert found.function.is_lambda
    assert found.function.calls == ("ns::g",)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('m.class_<Foo>("Foo").def(torch::init<>());', StatementKind.CLASS),
        ("m.fallback(torch::CppFunction::makeFallthrough());", StatementKind.FALLBACK),
        ("for (int i = 0; i < 3; ++i) { m.impl(names[i], &f); }", StatementKind.OTHER),
        ("m.impl(NAME, &f);", StatementKind.OTHER),
    ],
)
def test_what_has_no_stable_form_is_seen(text: str, kind: StatementKind) -> None:
    assert inside(text).kind is kind


def test_python_modules() -> None:
    statements = read(
        """
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("f", &f, "Says what it does", py::arg("x"), py::arg("n") = 3, "eps"_a = 1e-5);
  m.def("g", py::overload_cast<at::Tensor>(&g));
  m.def("g", static_cast<at::Tensor (*)(at::Tensor, int64_t)>(&g));
  m.def("g", [](double x) { return x; });
}
"""
    )
    assert [(a.name, a.default) for a in statements[0].arguments] == [("x", ""), ("n", "3"), ("eps", "1e-5")]
    assert statements[0].doc == "Says what it does"
    assert [s.full_name for s in statements] == ["f", "g", "g.Tensor_int", "g.float"]


def test_register_operators() -> None:
    statements = read(
        """
static auto registry = torch::RegisterOperators("my::f", &f)
    .op("my::g(Tensor x) -> Tensor", &g)
    .op("my::h", torch::RegisterOperators::options()
                     .schema("my::h(int n) -> int")
                     .kernel<decltype(h), &h>(c10::DispatchKey::CPU));
"""
    )
    assert [(s.namespace, s.name, s.schema, s.key) for s in statements] == [
        ("my", "f", None, ""), ("my", "g", "(Tensor x) -> Tensor", ""), ("my", "h", "(int n) -> int", "CPU"),
    ]  # fmt: skip
    assert [s.function.name for s in statements if s.function] == ["f", "g", "h"]


def test_conditions_and_comments_belong_to_a_statement() -> None:
    text = """TORCH_LIBRARY(my, m) {
  // About everything.

  // About f.
  m.def("f() -> ()");
  // Registered elsewhere.

#ifndef USE_ROCM
  m.def("g() -> ()");  // about g
  // About h.
  m.def("h() -> ()");
#else
  m.def("i() -> ()");
#endif
}
"""
    document = Document("b.cpp", text.encode())
    f, g, h, i = read_bindings(document).statements
    assert document.text(f.comments) == b"  // About f.\n"
    assert document.text(f.trailing) == b"  // Registered elsewhere.\n"
    assert b"About everything" in document.text(f.heading)
    assert [s.conditions for s in (f, g, h, i)] == [
        (),
        ("#ifndef USE_ROCM",),
        ("#ifndef USE_ROCM",),
        ("#ifdef USE_ROCM",),
    ]
    assert document.text(g.trailing) == b""
    assert document.text(h.comments) == b"  // About h.\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [("torch::kCUDA", "CUDA"), ("at::kMeta", "Meta"), ("c10::DispatchKey::CPU", "CPU"), ("DispatchKey::Autograd", "Autograd"),
     ("f", None), ("&ns::kernel", None)],
)  # fmt: skip
def test_dispatch_keys(text: str, key: str | None) -> None:
    assert dispatch_key(text) == key


@pytest.mark.parametrize("text", ["kTags", "kMode", "my::kCUDA", "kCUDAFlag"])
def test_a_constant_of_the_project_is_no_key(text: str) -> None:
    """Only what torch calls a key is one."""
    assert dispatch_key(text) is None
    assert dispatch_key("kCUDA") == "CUDA"
