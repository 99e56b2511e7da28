"""TensorOptions: followed from where it is made to where it is used, and gone afterwards."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite, rewritten

HEAD = "void f(at::Tensor a, at::Tensor b) {\n"
AFTER = "void f(torch::stable::Tensor a, torch::stable::Tensor b) {\n"
EMPTY = "torch::stable::empty"
INT = "torch::headeronly::ScalarType::Int"

CASES = {
    "a variable": (
        "  auto o = torch::TensorOptions().dtype(a.dtype()).device(a.device());\n  auto x = torch::empty({2}, o);\n",
        f"  auto x = {EMPTY}({{2}}, a.scalar_type(), std::nullopt, a.device());\n",
    ),
    "a variable that is used twice": (
        "  auto o = a.options().dtype(torch::kInt32);\n  auto x = torch::empty({2}, o);\n  auto y = torch::empty({3}, o);\n",
        f"  auto x = {EMPTY}({{2}}, {INT}, std::nullopt, a.device());\n  auto y = {EMPTY}({{3}}, {INT}, std::nullopt, a.device());\n",
    ),
    "a variable that is set anew": (
        "  auto o = torch::TensorOptions().dtype(a.dtype()).device(b.device());\n  auto x = torch::empty({2}, o);\n"
        "  o = torch::TensorOptions().dtype(torch::kInt32).device(b.device());\n  auto y = torch::empty({3}, o);\n",
        f"  auto x = {EMPTY}({{2}}, a.scalar_type(), std::nullopt, b.device());\n"
        f"  auto y = {EMPTY}({{3}}, {INT}, std::nullopt, b.device());\n",
    ),
    "in place, begun by a dtype": (
        "  auto x = torch::empty({2}, torch::dtype(torch::kInt32).device(a.device()));\n",
        f"  auto x = {EMPTY}({{2}}, {INT}, std::nullopt, a.device());\n",
    ),
    "braces": (
        "  torch::TensorOptions o{torch::kInt32};\n  auto x = torch::empty({2}, o);\n"
        "  auto y = torch::empty({3}, torch::TensorOptions{}.dtype(torch::kInt32));\n",
        f"  auto x = {EMPTY}({{2}}, {INT});\n  auto y = {EMPTY}({{3}}, {INT});\n",
    ),
    "a tensor's options": (
        "  auto x = torch::empty({2}, a.options());\n",
        "  auto x = torch::stable::new_empty(a, {2});\n",
    ),
    "a tensor's options with another dtype": (
        "  auto x = torch::empty({2}, a.options().dtype(torch::kInt));\n",
        f"  auto x = {EMPTY}({{2}}, {INT}, std::nullopt, a.device());\n",
    ),
    "a device by type": (
        "  auto x = torch::empty({2}, torch::TensorOptions().dtype(torch::kInt).device(torch::kCPU));\n",
        f"  auto x = {EMPTY}({{2}}, {INT}, std::nullopt, torch::stable::Device(torch::headeronly::kCPU));\n",
    ),
    "a lone dtype": ("  auto x = torch::empty({2}, torch::kInt);\n", f"  auto x = {EMPTY}({{2}}, {INT});\n"),
    "zeros of a tensor's dtype and device": (
        "  auto o = torch::TensorOptions().dtype(a.dtype()).device(a.device());\n  auto x = torch::zeros({2}, o);\n",
        "  auto x = torch::stable::new_zeros(a, {2});\n",
    ),
    "zeros of another dtype on a tensor's device": (
        "  auto x = torch::zeros({2}, torch::dtype(torch::kInt).device(a.device()));\n"
        "  auto y = torch::zeros({2}, b.options().dtype(torch::kInt));\n",
        f"  auto x = torch::stable::new_zeros(a, {{2}}, {INT});\n"
        f"  auto y = torch::stable::new_zeros(b, {{2}}, {INT});\n",
    ),
    "zeros without a dtype have the default dtype, which Python sets": (
        "  auto x = torch::zeros({2}, torch::device(a.device()));\n",
        "  auto x = torch::stable::full({2}, 0, std::nullopt, std::nullopt, a.device());\n",
    ),
    "full of an integer is long": (
        "  auto x = torch::full({2}, 7);\n",
        "  auto x = torch::stable::full({2}, 7, torch::headeronly::ScalarType::Long);\n",
    ),
    "a method of the tensor": (
        "  auto x = a.new_empty({2}, a.options().dtype(torch::kInt));\n",
        f"  auto x = torch::stable::new_empty(a, {{2}}, {INT}, std::nullopt, a.device());\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_becomes_after(name: str) -> None:
    before, after = CASES[name]
    assert rewritten(HEAD + before + "}\n") == AFTER + after + "}\n"


def test_options_that_leave_the_function_become_an_object() -> None:
    after, found = rewrite(HEAD + "  auto o = torch::TensorOptions().dtype(a.dtype());\n  use(o);\n}\n")
    assert not found.diagnostics
    assert "auto o = TensorOptions().dtype(a.scalar_type());\n  use(o);" in after
    assert "tensor_options" in found.helpers


MAY_NOT_HAVE_RUN = {
    "in a block": "if (a.numel()) { o = o.dtype(torch::kInt); }",
    "without braces": "if (a.numel()) o = o.dtype(torch::kInt);",
    "in the other branch": "if (a.numel()) use(a); else o = o.dtype(torch::kInt);",
    "a case": "switch (a.dim()) { case 1: o = o.dtype(torch::kInt); break; }",
    "one of two values": "o = a.numel() ? o.dtype(torch::kInt) : o;",
    "under a condition of the preprocessor": "\n#ifdef INTEGERS\n  o = o.dtype(torch::kInt);\n#endif",
}


@pytest.mark.parametrize("change", MAY_NOT_HAVE_RUN.values(), ids=MAY_NOT_HAVE_RUN)
def test_an_assignment_that_may_not_have_run_is_not_followed(change: str) -> None:
    start = HEAD + "  auto o = torch::TensorOptions().dtype(a.dtype());\n  "
    after = rewrite(f"{start}{change}\n  auto x = torch::empty({{2}}, o);\n}}\n")[0]
    assert f"o.dtype({INT})" in after
    assert "torch::stable::empty({2}, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt())" in after


def test_a_lambda_that_captures_the_options_alone_keeps_them() -> None:
    text = HEAD + "  auto o = a.options();\n  auto f = [&o](int n) { return torch::empty({n}, o); };\n}\n"
    after = rewrite(text)[0]
    assert (
        "[&o](int n) { return torch::stable::empty({n}, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt()); }"
        in after
    )


def test_an_assignment_behind_the_use_is_seen_in_a_loop() -> None:
    loop = "  auto o = a.options();\n  while (more()) {\n    use(torch::empty({2}, o));\n    o = o.dtype(torch::kInt);\n  }\n}\n"
    after = rewrite(HEAD + loop)[0]
    assert f"    o = o.dtype({INT});\n" in after
    assert "torch::stable::empty({2}, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt())" in after


def test_an_assignment_that_has_run_is_followed_out_of_its_block() -> None:
    block = "  auto o = a.options();\n  {\n    o = o.dtype(torch::kInt);\n  }\n  auto x = torch::empty({2}, o);\n}\n"
    assert f"torch::stable::empty({{2}}, {INT}, std::nullopt, a.device())" in rewritten(HEAD + block)


def test_what_the_object_does_not_hold_is_a_diagnostic() -> None:
    found = rewrite(HEAD + "  use(torch::TensorOptions().requires_grad(true));\n}\n")[1]
    assert [d.code for d in found.diagnostics] == ["TSA121"]


def test_an_assignment_to_itself_ends() -> None:
    text = HEAD + "  auto o = a.options();\n  o = o.dtype(torch::kInt);\n  auto x = torch::empty({2}, o);\n}\n"
    after, found = rewrite(text)
    assert not found.diagnostics
    assert f"  auto x = torch::stable::empty({{2}}, {INT}, std::nullopt, a.device());\n" in after
    assert "options" not in after


FORMATS = {
    "contiguous, like another": (
        "  auto x = at::empty_like(a, at::MemoryFormat::Contiguous);\n",
        "  auto x = torch::stable::new_empty(a, a.sizes());\n",
    ),
    "contiguous, with options": (
        "  auto x = at::ones_like(a, a.options(), at::MemoryFormat::Contiguous);\n",
        "  auto x = torch::stable::fill_(torch::stable::new_empty(a, a.sizes()), 1);\n",
    ),
    "preserved": (
        "  auto x = at::empty_like(a, at::MemoryFormat::Preserve);\n",
        "  auto x = torch::stable::empty_like(a);\n",
    ),
    "type() as options": ("  auto x = at::empty({2}, a.type());\n", "  auto x = torch::stable::new_empty(a, {2});\n"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_memory_formats(name: str) -> None:
    before, after = FORMATS[name]
    assert rewritten(HEAD + before + "}\n") == AFTER + after + "}\n"


def test_another_memory_format_is_a_diagnostic() -> None:
    _, found = rewrite(HEAD + "  auto x = at::empty_like(a, at::MemoryFormat::ChannelsLast);\n}\n")
    assert [d.code for d in found.diagnostics] == ["TSA120"]


def test_a_variable_that_a_macro_without_arguments_uses_stays_as_a_holder_of_options() -> None:
    text = (
        "#define MAKE torch::empty({2}, o)\n"
        "void f(at::Tensor a) { auto o = torch::dtype(torch::kInt32).device(a.device()); g(MAKE); g(MAKE); }\n"
    )
    after, found = rewrite(text)
    assert (
        f"#define MAKE {EMPTY}({{2}}, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt())\n" in after
    )
    assert "tensor_options" in found.helpers
    assert not found.diagnostics
