"""What a variable was made from: said again at its use where nothing has changed it, and kept in the variable elsewhere."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewritten

CHANGED = {
    "it is assigned": "x = y;",
    "it is moved from": "consume(std::move(x));",
    "it is swapped": "std::swap(x, y);",
    "it is swapped by a function that is found by its arguments": "swap(x, y);",
    "it is exchanged": "auto z = std::exchange(x, y);",
    "it is tied": "std::tie(x, y) = y.max(0);",
    "a reference to it is assigned": "at::Tensor& z = x; z = y;",
    "its address is taken": "auto* z = &x; *z = y;",
    "a function assigns it": "renew(x);",
    "a lambda assigns it": "auto m = [&] { x = y; }; m();",
    "its method swaps it": "x.swap(y);",
}
SAME = {
    "it is read": "look(x);",
    "it is written to": "x.zero_();",
    "its elements are": "x[0] = y;",
    "another one is assigned": "y = x;",
    "a reference to const is made": "const at::Tensor& z = x;",
    "a copy is assigned": "at::Tensor z = x; z = y;",
    "a loop goes over it": "for (int i = 0; i < x.size(0); ++i) look(x);",
}
FUNCTIONS = "void look(const at::Tensor& x);\nvoid renew(at::Tensor& x) { x = at::ones({1}, at::kInt); }\n"


def made_again(statement: str) -> bool:
    text = (
        f"{FUNCTIONS}at::Tensor f(at::Tensor x, at::Tensor y) "
        f"{{ auto o = x.options(); {statement} return at::empty({{2}}, o); }}"
    )
    after = rewritten(text)
    assert ("auto o = options_of(x);" in after) != ("return torch::stable::new_empty(x, {2});" in after), after
    return "new_empty" in after


@pytest.mark.parametrize("how", CHANGED)
def test_the_variable_stays_where(how: str) -> None:
    assert not made_again(CHANGED[how])


@pytest.mark.parametrize("how", SAME)
def test_the_variable_goes_though(how: str) -> None:
    assert made_again(SAME[how])


@pytest.mark.parametrize(
    ("before", "keeps"),
    [
        # a lambda before it may be called behind it
        ("at::Tensor f(at::Tensor x, at::Tensor y) { auto m = [&] { x = y; }; auto o = x.options(); m(); @ }", True),
        ("at::Tensor f(at::Tensor x, at::Tensor y) { auto m = [&] { y = x; }; auto o = x.options(); m(); @ }", False),
        # elements
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); x[0] = x[1]; @ }", True),
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); x.clear(); @ }", True),
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); x.back() = x[0]; @ }", True),
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); for (auto& e : x) e = x[1]; @ }", True),
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); for (const auto& e : x) g(e); @ }", False),
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); x.push_back(x[0]); @ }", False),
        ("at::Tensor f(std::vector<at::Tensor> x) { auto o = x[0].options(); if (x.size() > 1) g(); @ }", False),
        # members and globals
        (
            "struct S { at::Tensor w; void set() { w = at::ones({1}); }\n"
            "  at::Tensor f() { auto o = w.options(); set(); @ } };",
            True,
        ),
        (
            "struct S { at::Tensor w; int n; void set() { n = 1; }\n"
            "  at::Tensor f() { auto o = w.options(); set(); @ } };",
            False,
        ),
        ("at::Tensor w;\nvoid set();\nat::Tensor f() { auto o = w.options(); set(); @ }", True),
        ("at::Tensor w;\nvoid set() { }\nat::Tensor f() { auto o = w.options(); set(); @ }", False),
        # of the first call
        ("at::Tensor f(at::Tensor x) { static auto o = x.options(); @ }", True),
        # in a loop, also what stands behind
        ("at::Tensor f(at::Tensor x) { auto o = x.options(); for (;;) { @ x = x.to(at::kInt); } }", True),
        ("at::Tensor f(at::Tensor x) { for (;;) { auto o = x.options(); @ x = x.to(at::kInt); } }", False),
        # jumps: what runs again, and what is passed over
        (
            "at::Tensor f(at::Tensor x) { auto o = x.options(); again: x = x.to(at::kInt); if (g()) goto again; @ }",
            True,
        ),
        ("at::Tensor f(at::Tensor x) { auto o = x.options(); again: if (g()) { @ } x = x.exp(); goto again; }", True),
        ("at::Tensor f(at::Tensor x) { again: auto o = x.options(); if (g()) { @ } x = x.exp(); goto again; }", False),
        ("at::Tensor f(at::Tensor x) { auto o = x.options(); again: if (g()) { @ } x.exp(); goto again; }", False),
        ("at::Tensor f(at::Tensor x) { auto o = x.options(); if (g()) goto end; x = x.exp(); end: @ }", True),
        (
            "at::Tensor f(at::Tensor x) { auto o = x.options(); if (g()) goto end; o = o.dtype(at::kInt); end: @ }",
            True,
        ),
        ("void g() { a: goto a; }\nat::Tensor f(at::Tensor x) { auto o = x.options(); @ a: x = x.exp(); }", False),
    ],
)
def test_what_else_may_change_it(before: str, keeps: bool) -> None:
    after = rewritten(before.replace("@", "return at::empty({2}, o);"))
    assert ("auto o = options_of(" in after) is keeps, after


def test_what_a_lambda_was_made_with_is_not_made_again_where_it_runs() -> None:
    after = rewritten(
        "auto f(at::Tensor x) { auto m = [o = x.options()] { return at::empty({2}, o); }; x = x.exp(); return m(); }"
    )
    assert "[o = options_of(x)] { return torch::stable::empty({2}, o.dtype_opt()" in after
