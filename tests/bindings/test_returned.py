"""Which arguments a function returns."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.effects.returned import Callee, returned_arguments

ONE = {
    "return x;": "x",
    "return (x);": "x",
    "return std::move(x);": "x",
    "return x.mul_(2);": "x",
    "return x.add_(y).mul_(g(2));": "x",
    "return at::mul_out(x, y, y);": "x",
    "return ::torch::add_out(y, x, x);": "y",
    "{ if (c) return x; return x; }": "x",
    "auto f = [&](at::Tensor z) { return z; }; f(y); return x;": "x",
    "struct S { int g() { return 1; } }; return x;": "x",
    "if (c) return x; return y;": "",
    "return x.mul(2);": "",
    "return x + y;": "",
    "return own_out(x);": "",
    "return z;": "",
    "return x.__call__();": "",
    "return;": "",
    "x.zero_();": "",
}
TWO = {
    "return {x, y};": ("x", "y"),
    "return std::make_tuple(x, std::move(y));": ("x", "y"),
    "return std::tuple<at::Tensor, at::Tensor>(y, x);": ("y", "x"),
    "return std::tuple<at::Tensor, at::Tensor>{y, x.clone()};": ("y", ""),
    "return std::tie(x.add_(1), z);": ("x", ""),
    "return std::make_pair(x /* first */, y);": ("x", "y"),
    "return g(x, y);": ("", ""),
    "return {x};": ("", ""),
    "return x;": ("", ""),
}


FUNCTIONS = {
    "kept": Callee(("a", "by"), b"{ a.mul_(by); return a; }"),
    "swapped": Callee(("a", "b"), b"{ return {b, a}; }"),
    "made": Callee(("a",), b"{ auto b = a.clone(); return b; }"),
    "around": Callee(("a",), b"{ return kept(a, 2); }"),
    "endless": Callee(("a",), b"{ return endless(a); }"),
    "unnamed": Callee(("", "a"), b"{ return a; }"),
}
THROUGH_CALLS = {
    "return kept(x, 2);": "x",
    "return detail::kept(y, 2);": "y",
    "return around(x);": "x",
    "auto z = kept(x, 2); return z;": "x",
    "auto& z = x; z.zero_(); return z;": "x",
    "const at::Tensor z = std::move(x); return z;": "x",
    "auto z = kept(x, 2); z = y; return z;": "",
    "if (c) { auto z = x; return z; } auto z = y; return z;": "",
    "return kept(x + 1, 2);": "",
    "return kept(x);": "",
    "return made(x);": "",
    "return endless(x);": "",
    "return unnamed(y, x);": "x",
    "return s.kept(x, 2);": "",
    "return unknown(x, 2);": "",
    "auto z = z; return z;": "",
}


@pytest.mark.parametrize("body", THROUGH_CALLS)
def test_functions_that_are_called(body: str) -> None:
    """What a function of the project gives back of its arguments, and variables that are given one value."""
    assert returned_arguments(body.encode(), {"x", "y"}, 1, FUNCTIONS.get) == (THROUGH_CALLS[body],)


def test_functions_that_are_called_for_two_values() -> None:
    """A pair that another function makes, and one that is kept in a variable."""
    assert returned_arguments(b"{ return swapped(x, y); }", {"x", "y"}, 2, FUNCTIONS.get) == ("y", "x")
    body = b"{ auto both = swapped(x, y.clone()); return both; }"
    assert returned_arguments(body, {"x", "y"}, 2, FUNCTIONS.get) == ("", "x")


@pytest.mark.parametrize("body", ONE)
def test_one_value(body: str) -> None:
    assert returned_arguments(body.encode(), {"x", "y"}, 1) == (ONE[body],)


@pytest.mark.parametrize("body", TWO)
def test_two_values(body: str) -> None:
    assert returned_arguments(body.encode(), {"x", "y"}, 2) == TWO[body]
