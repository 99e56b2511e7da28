"""Which arguments a function returns."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.effects.returned import returned_arguments

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


@pytest.mark.parametrize("body", ONE)
def test_one_value(body: str) -> None:
    assert returned_arguments(body.encode(), {"x", "y"}, 1) == (ONE[body],)


@pytest.mark.parametrize("body", TWO)
def test_two_values(body: str) -> None:
    assert returned_arguments(body.encode(), {"x", "y"}, 2) == TWO[body]
