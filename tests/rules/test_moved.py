"""Tensors that are used after they were moved from are reported, and those that are not used are not."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite

USED = {
    "behind it": "at::Tensor z = std::move(x); return x.defined() ? x : z;",
    "behind a lambda that is called": "auto m = [&] { return std::move(x); }; auto z = m(); return x.defined() ? x : z;",
    "behind a lambda that names what it changes": "at::Tensor z; auto m = [&x, &z] { z = std::move(x); }; m(); return x.exp();",
    "behind a lambda that is called where it is made": "at::Tensor z; [&] { z = std::move(x); }(); return x.exp();",
    "behind a function that is handed a lambda": "at::Tensor z; each([&](int) { z = std::move(x); }); return x.exp();",
    "behind a capture": "auto m = [z = std::move(x)] { return z; }; return x.defined() ? x : m();",
    "behind a function that moves it": "at::Tensor z; take(x, z); return x.exp();",
    "behind a lambda that moves its argument": "at::Tensor z; auto m = [&](at::Tensor& t) { z = std::move(t); }; m(x); return x.exp();",
    "behind a label": "at::Tensor z; if (n) { z = std::move(x); goto end; } x.zero_(); end: return x.defined() ? x : z;",
    "where a jump leads back to": "at::Tensor z; again: if (x.defined()) ++n; z = std::move(x); if (n < 3) goto again; return z;",
}
UNUSED = {
    "it has a new value": "at::Tensor z = std::move(x); x = z; return x.exp();",
    "it is written to": "std::move(x) = y; return x.exp();",
    "the lambda is called last": "auto m = [&] { return std::move(x); }; if (n) { x.zero_(); return m(); } return m();",
    "the lambda has a copy": "auto m = [x]() mutable { return std::move(x); }; auto z = m(); return x.exp();",
    "the lambda has copies of all but another": "at::Tensor z; auto m = [=, &z]() mutable { z = std::move(x); }; m(); return x.exp();",
    "the lambda is never called": "at::Tensor z; auto m = [&] { z = std::move(x); }; return x.exp();",
    "the lambda has one of that name": "auto m = [](at::Tensor x) { return std::move(x); }; auto z = m(x); return x.exp();",
    "the function gives it another": "at::Tensor z; renew(x, z); return x.exp();",
    "another is handed over": "at::Tensor z; take(y, z); return x.exp();",
    "the label has no use": "at::Tensor z; if (n) { z = std::move(x); goto end; } return x; end: return z;",
    "the use is passed over": "at::Tensor z; if (n) { z = std::move(x); goto end; } x.zero_(); end: return z;",
}
FUNCTIONS = """\
template <class F> void each(F f);
void take(at::Tensor& t, at::Tensor& kept) { kept = std::move(t); }
void renew(at::Tensor& t, at::Tensor& kept) { kept = std::move(t); t = at::ones({1}); }
at::Tensor f(at::Tensor x, at::Tensor y, int n) { """


def _is_reported(body: str) -> bool:
    return any(one.code == "TSA178" for one in rewrite(f"{FUNCTIONS}{body} }}")[1].diagnostics)


ELEMENTS = """\
struct Pair { at::Tensor first, second; };
at::Tensor f(std::vector<at::Tensor> v, std::vector<at::Tensor> w, std::optional<at::Tensor> o, Pair p, int n) { """
ELEMENT_USED = {
    "of a list": "at::Tensor t = std::move(v[0]); return v[0].defined() ? v[0] : t;",
    "the first": "at::Tensor t = std::move(v.front()); return v.front();",
    "a member": "at::Tensor t = std::move(p.first); return p.first + t;",
    "of an optional": "at::Tensor t = std::move(*o); return *o;",
    "in one loop, used in the next": (
        "for (int i = 0; i < n; ++i) w.push_back(std::move(v[i])); for (int i = 0; i < n; ++i) w[0].add_(v[i]); return w[0];"
    ),
    "all of them": "for (auto& t : v) w.push_back(std::move(t)); return v[0];",
    "all of them, by iterators": (
        "w.insert(w.end(), std::make_move_iterator(v.begin()), std::make_move_iterator(v.end())); return v.at(0);"
    ),
    "all of them, run through again": "for (auto&& t : v) w.push_back(std::move(t)); for (auto& t : v) t.zero_(); return w[0];",
    "the same in the next turn": "for (int i = 0; i < n; ++i) w.push_back(std::move(v[0])); return w[0];",
}
ELEMENT_UNUSED = {
    "it is another": "at::Tensor t = std::move(v[0]); return v[1] + t;",
    "it is another member": "at::Tensor t = std::move(p.first); return p.second + t;",
    "it has a new value": "at::Tensor t = std::move(v[0]); v[0] = t * 2; return v[0];",
    "the list has new ones": "at::Tensor t = std::move(v[0]); v = w; return v[0];",
    "the list is cleared": "for (auto& t : v) w.push_back(std::move(t)); v.clear(); v.push_back(w[0]); return v[0];",
    "each turn has another": "for (int i = 0; i < n; ++i) w.push_back(std::move(v[i])); return w[0];",
    "each turn has a copy": "for (auto t : v) w.push_back(std::move(t)); return v[0];",
    "it is only looked at": "auto n0 = std::move(v[0]).numel(); return v[0];",
    "it is asked how many": "for (auto& t : v) w.push_back(std::move(t)); return at::ones({int64_t(v.size())});",
}


@pytest.mark.parametrize("body", ELEMENT_USED.values(), ids=ELEMENT_USED.keys())
def test_a_use_of_an_element_is_reported(body: str) -> None:
    assert any(one.code == "TSA178" for one in rewrite(f"{ELEMENTS}{body} }}")[1].diagnostics)


@pytest.mark.parametrize("body", ELEMENT_UNUSED.values(), ids=ELEMENT_UNUSED.keys())
def test_nothing_is_reported_of_an_element_where(body: str) -> None:
    assert not any(one.code == "TSA178" for one in rewrite(f"{ELEMENTS}{body} }}")[1].diagnostics)


@pytest.mark.parametrize("where", USED)
def test_a_use_is_reported(where: str) -> None:
    assert _is_reported(USED[where])


@pytest.mark.parametrize("why", UNUSED)
def test_nothing_is_reported_where(why: str) -> None:
    assert not _is_reported(UNUSED[why])


def test_functions_of_the_project_in_a_namespace_of_torch_may_take_it() -> None:
    """`torch::ext::keep` is none of torch's, and takes what it is handed by value."""
    text = "namespace torch { namespace ext { void keep(at::Tensor t); } }\nat::Tensor f(at::Tensor x) { %s; return x.exp(); }"
    codes = [
        [one.code for one in rewrite(text % call)[1].diagnostics]
        for call in ("torch::ext::keep(std::move(x))", "at::relu(std::move(x))")
    ]
    assert ["TSA178" in found for found in codes] == [True, False]
