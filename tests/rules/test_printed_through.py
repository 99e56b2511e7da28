"""Sizes and devices that a macro or a function template of the project prints: made text where they are handed over."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite

NUMBER, SIZES, TEXT = "n", "x.sizes()", "sizes_to_string(x.sizes())"
PRINTERS = {
    "the rest of a check's message": "#define NEED(c, ...) TORCH_CHECK(c, __VA_ARGS__)\n",
    "behind a text, with the comma that may be left out": '#define NEED(c, ...) TORCH_CHECK(c, "no: ", ##__VA_ARGS__)\n',
    "a rest with a name": '#define NEED(c, args...) TORCH_CHECK(c, "no: ", args)\n',
    "a parameter of several types": '#define NEED(c, v) TORCH_CHECK(c, "no: ", v)\n',
    "a parameter in brackets": '#define NEED(c, v) TORCH_CHECK(c, "no: ", (v))\n',
    "a stream": "#define NEED(c, v) do { if (!(c)) std::cerr << (v); } while (0)\n",
    "text that is put together": "#define NEED(c, ...) if (!(c)) throw std::runtime_error(c10::str(__VA_ARGS__))\n",
    "another macro": "#define INNER(c, ...) TORCH_CHECK(c, __VA_ARGS__)\n#define NEED(c, ...) INNER(c, 1, __VA_ARGS__)\n",
    "a pack": "template <class... A> void NEED(bool c, const A&... args) { TORCH_CHECK(c, args...); }\n",
    "a pack that is forwarded": (
        "template <class... A> void NEED(bool c, A&&... args) { TORCH_CHECK(c, at::str(std::forward<A>(args)...)); }\n"
    ),
    "a pack that is folded": "template <class... A> void NEED(bool c, const A&... a) { if (!c) (std::cerr << ... << a); }\n",
    "a rest that may be empty": '#define NEED(c, ...) TORCH_CHECK(c, "no: " __VA_OPT__(,) __VA_ARGS__)\n',
    "a message over several lines": '#define NEED(c, v) TORCH_CHECK(c, /* what */ \\\n  "no: ", \\\n  v)\n',
    "a function of the project that prints its pack": (
        "template <class... A> std::string text(const A&... a) { std::ostringstream o; (o << ... << a); return o.str(); }\n"
        "#define NEED(c, ...) if (!(c)) throw std::runtime_error(text(__VA_ARGS__))\n"
    ),
    "a pack that is counted too": (
        "template <class... A> void NEED(bool c, const A&... a) { TORCH_CHECK(c, sizeof...(a), sizeof...(A), a...); }\n"
    ),
    "a pack, one after the other": (
        "template <class... A> void NEED(bool c, A&&... a) { if (!c) ((std::cerr << std::forward<A>(a)), ...); }\n"
    ),
}
OTHERS = {
    "it is a condition": "#define NEED(c, v) TORCH_CHECK(x.sizes() == v, 1)\n",
    "it is not printed": "#define NEED(c, ...) keep(c, __VA_ARGS__)\n",
    "its words are": "#define NEED(c, ...) TORCH_CHECK(c, #__VA_ARGS__)\n",
    "a function of another namespace": "namespace own { namespace at { int str(int, long); } }\n#define NEED(c, v) own::at::str(c, v)\n",
    "a method has that name": "#define NEED(c, v) log.TORCH_WARN(c, v)\n",
    "a function has the name of a helper": "int concatenate(bool c, at::IntArrayRef a);\n#define NEED(c, ...) concatenate(c, __VA_ARGS__)\n",
    "it is behind another operator": "#define NEED(c, v) keep(1 << c, c < v)\n",
    "a function makes something else of it": "#define NEED(c, ...) TORCH_CHECK(c, count(__VA_ARGS__))\n",
    "a pack is in a condition": "template <class... A> void NEED(bool c, const A&... a) { TORCH_CHECK(count(a...) == 1, c); }\n",
    "a number is shifted by it": "template <class... A> void NEED(bool c, const A&... a) { keep((1 << a)...); }\n",
    "a pack is counted": "template <class... A> void NEED(bool c, const A&... a) { TORCH_CHECK(c, sizeof...(A)); }\n",
    "another parameter is printed": "template <class... A> void NEED(int c, const A&... a) { TORCH_CHECK(c, c); keep(a...); }\n",
}


def _written(printer: str) -> str:
    return rewrite(f"{printer}void f(const at::Tensor& x, int n) {{ NEED(n > 1, {SIZES}); NEED(n > 2, {NUMBER}); }}")[0]


@pytest.mark.parametrize("how", PRINTERS)
def test_it_is_made_text_where_it_is_handed_to(how: str) -> None:
    assert f"NEED(n > 1, {TEXT}); NEED(n > 2, {NUMBER});" in _written(PRINTERS[how])


@pytest.mark.parametrize("why", OTHERS)
def test_it_stays_where(why: str) -> None:
    assert f"NEED(n > 1, {SIZES}); NEED(n > 2, {NUMBER});" in _written(OTHERS[why])


def test_a_parameter_of_one_type_is_made_text_in_the_macro() -> None:
    after = rewrite("#define NEED(v) TORCH_CHECK(false, v)\nvoid f(const at::Tensor& x) { NEED(x.sizes()); }")[0]
    assert "STD_TORCH_CHECK(false, sizes_to_string(v))" in after
    assert "NEED(x.sizes())" in after


@pytest.mark.parametrize("printer", ["a pack", "another macro", "a stream"])
def test_the_values_of_a_tensor_are_reported(printer: str) -> None:
    found = rewrite(f"{PRINTERS[printer]}void f(const at::Tensor& x) {{ NEED(true, x); NEED(true, 1); }}")[1]
    assert "TSA124" in [one.code for one in found.diagnostics]


@pytest.mark.parametrize(
    "printer",
    [
        '#define NEED(a, b) TORCH_CHECK((a) == (b), "got ", a)\n',
        '#define NEED(a, b) TORCH_CHECK(keep(a), "got ", a, " of ", (a).size(), b)\n',
        "#define NEED(...) do { keep(__VA_ARGS__); TORCH_CHECK(false, __VA_ARGS__); } while (0)\n",
        "template <class... A> void NEED(const A&... a) { keep(a...); TORCH_CHECK(false, a...); }\n",
    ],
)
def test_what_is_printed_and_used_otherwise_is_reported(printer: str) -> None:
    """Text would change what else is done with it, and where the types differ the macro cannot print it either."""
    found = rewrite(f"{printer}void f(const at::Tensor& x, int n) {{ NEED({SIZES}, 2); NEED(n, 1); }}")[1]
    assert [one.code for one in found.diagnostics if one.code != "TSA123"] == ["TSA124"]
    assert all(TEXT.encode() not in edit.replacement for edit in found.edits)


def test_a_parameter_of_a_template_that_a_check_prints_is_reported() -> None:
    text = "template <class T> void need(const T& v) { TORCH_CHECK(false, v); }\n"
    found = rewrite(f"{text}void f(const at::Tensor& x) {{ need(x.sizes()); need(1); }}")[1]
    assert [one.code for one in found.diagnostics] == ["TSA124"]


def test_a_member_function_prints_its_pack() -> None:
    """Of a template in a class, whatever the object is called."""
    log = "struct Log { template <class... A> void put(int k, const A&... a) { (std::cerr << ... << a); } int n; };\n"
    text = f"{log}void f(const at::Tensor& x, Log& log) {{ log.put(1, {SIZES}, {NUMBER}); log.n = 2; }}"
    assert f"log.put(1, {TEXT}, {NUMBER});" in rewrite(text)[0]


def test_a_member_function_that_keeps_its_pack_prints_nothing() -> None:
    """A pack that is stored is left alone."""
    log = "struct Log { template <class... A> void put(int k, const A&... a) { keep(a...); } };\n"
    assert (
        f"log.put(1, {SIZES});" in rewrite(f"{log}void f(const at::Tensor& x, Log& log) {{ log.put(1, {SIZES}); }}")[0]
    )


SAME = '#define SAME(a, b) TORCH_CHECK((a) == (b), #a " is ", a, ", not ", b)\n'


def test_a_value_that_a_macro_compares_and_prints_is_reported() -> None:
    after, found = rewrite(f"{SAME}void f(const at::Tensor& x, int n) {{ SAME(x.sizes(), x.strides()); SAME(n, 1); }}")
    assert "SAME(x.sizes(), x.strides()); SAME(n, 1);" in after
    assert {one.code for one in found.diagnostics} & {"TSA123", "TSA124"}


def test_one_that_the_macro_tells_the_name_of_is_not() -> None:
    named = '#define SAME(a, b) TORCH_CHECK((a) == (b), #a " is not " #b)\n'
    assert not rewrite(f"{named}void f(const at::Tensor& x) {{ SAME(x.dim(), x.size(0)); }}")[1].diagnostics
