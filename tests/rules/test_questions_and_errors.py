"""What tensors, dtypes, streams and exceptions are asked, and what is thrown and caught: before and after."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite, rewritten

X, T = "at::Tensor x", "torch::stable::Tensor x"
D = "torch::headeronly::ScalarType::"

CASES = {
    "a memory format that is the usual one": (
        f"bool f({X}) {{ return x.is_contiguous(at::MemoryFormat::Contiguous); }}",
        f"bool f({T}) {{ return x.is_contiguous(); }}",
    ),
    "the last channels of five dimensions": (
        f"bool f({X}) {{ return x.is_contiguous(at::MemoryFormat::ChannelsLast3d); }}",
        f"bool f({T}) {{ return is_channels_last(x, 5); }}",
    ),
    "a device by way of the type": (
        f"bool f({X}) {{ return x.type().is_cuda(); }}",
        f"bool f({T}) {{ return x.is_cuda(); }}",
    ),
    "the size of a dtype that is a tensor's": (
        f"auto f({X}) {{ auto t = x.scalar_type(); return at::elementSize(t) + c10::elementSize(x.scalar_type()); }}",
        f"auto f({T}) {{ auto t = x.scalar_type(); return x.element_size() + x.element_size(); }}",
    ),
    "the size of a dtype that is none": (
        "auto f(at::ScalarType t) { auto d = c10::scalarTypeToTypeMeta(t); return d.itemsize() + at::elementSize(t); }",
        f"auto f({D[:-2]} t) {{ auto d = t; return element_size(d) + element_size(t); }}",
    ),
    "the name of a dtype": (
        f"auto f({X}) {{ auto t = x.dtype(); return t.name() == x.dtype().name(); }}",
        f"auto f({T}) {{ auto t = x.scalar_type(); return torch::headeronly::toString(t) == "
        "torch::headeronly::toString(x.scalar_type()); }",
    ),
    "a check of an argument": (
        'void f(int n) { TORCH_CHECK_ARG(n > 0, 2, "negative"); }',
        'void f(int n) { STD_TORCH_CHECK(n > 0, "invalid argument ", 2, ": ", "negative"); }',
    ),
    "an error of this check alone": (
        'void f(int n) { try { TORCH_CHECK_VALUE(n > 0, "v"); } catch (const c10::ValueError& e) { } }',
        'void f(int n) { try { STD_TORCH_CHECK_VALUE(n > 0, "v"); } catch (const std::invalid_argument& e) { } }',
    ),
    "references to what in-place methods give back": (
        "at::Tensor& f(at::Tensor& x) { auto& y = x.add_(1); at::Tensor* p = &x.mul_(2); return x.zero_(); }",
        "torch::stable::Tensor& f(torch::stable::Tensor& x) { auto& y = (stable_aten::add_(x, 1), x); "
        "torch::stable::Tensor* p = &(stable_aten::mul_(x, 2), x); return (torch::stable::zero_(x), x); }",
    ),
    "and of lambdas that give one back": (
        f"auto f({X}) {{ return [&]() -> at::Tensor& {{ return x.zero_(); }}; }}",
        f"auto f({T}) {{ return [&]() -> torch::stable::Tensor& {{ return (torch::stable::zero_(x), x); }}; }}",
    ),
    "texts that are put together": (
        f'#include <string>\nstd::string f({X}) {{ return c10::str("got ", x.sizes(), x.device()); }}',
        f'#include <string>\nstd::string f({T}) {{ return concatenate("got ", sizes_to_string(x.sizes()), '
        "device_to_string(x.device())); }",
    ),
    "streams from elsewhere, and the default one": (
        "void f(at::cuda::CUDAStream s) { at::cuda::setCurrentCUDAStream(s); auto p = at::cuda::getStreamFromPool(true); "
        "auto e = at::cuda::getStreamFromExternal(nullptr, 0); auto d = at::cuda::getDefaultCUDAStream(); s.synchronize(); }",
        "void f(cudaStream_t s) { set_current_cuda_stream(s); auto p = get_cuda_stream_from_pool(true); "
        "auto e = nullptr; auto d = cudaStream_t{}; STD_CUDA_CHECK(cudaStreamSynchronize(s)); }",
    ),
    "what is put at places that a tensor names": (
        f"void f({X}, at::Tensor y) {{ x.index_put_({{y}}, 1.5); }}",
        f"void f({T}, torch::stable::Tensor y) {{ stable_aten::index_put_(x, {{y}}, torch::stable::full({{}}, 1.5, "
        "x.scalar_type(), std::nullopt, x.device())); }",
    ),
    "memory of others": (
        f"void f({X}) {{ auto a = at::from_blob(x.data_ptr(), {{2, 3}}, {{3, 1}}, x.options()); }}",
        f"void f({T}) {{ auto a = torch::stable::from_blob(x.data_ptr(), {{2, 3}}, {{3, 1}}, x.device(), x.scalar_type()); }}",
    ),
    "another dtype, without waiting": (
        f"auto f({X}) {{ return x.to(at::kHalf, true).to(x, true); }}",
        f"auto f({T}) {{ return torch::stable::to(torch::stable::to(x, {D}Half, std::nullopt, std::nullopt, std::nullopt, true), "
        "x.scalar_type(), std::nullopt, x.device(), std::nullopt, true); }",
    ),
    "a condition that asks for a check": (
        "#ifdef TORCH_CHECK\nint a;\n#endif\n",
        "#ifdef STD_TORCH_CHECK\nint a;\n#endif\n",
    ),
}
REPORTED = {
    f"bool f({X}, at::MemoryFormat m) {{ return x.is_contiguous(m); }}": ["TSA116"],
    "#ifdef TORCH_CHECK_NOTNULL\nint b;\n#endif\n": ["TSA202"],
    'void f(int n) { TORCH_WARN_DEPRECATION("old"); }': ["TSA204"],
    'void f(int n) { try { TORCH_CHECK_VALUE(n > 0, "v"); } catch (const c10::Error& e) { } }': ["TSA209"],
    "void g();\nvoid f() { try { g(); } catch (const c10::Error&) { } catch (const std::exception&) { } }": ["TSA209"],
    f"void f({X}) {{ try {{ x.zero_(); }} catch (const c10::ValueError& e) {{ }} }}": ["TSA209"],
    f"void f({X}) {{ try {{ x.zero_(); }} catch (const c10::Error& e) {{ e.backtrace(); e.context(); }} }}": ["TSA208"]
    * 2,
    "at::Tensor next();\nvoid f() { auto& y = next().add_(1); }": ["TSA136"],
    "void f() { auto q = &at::cuda::getCurrentCUDAStream; auto p = &c10::cuda::set_device; }": ["TSA402", "TSA403"],
    f"auto f({X}, int n) {{ return x.index({{n, true}}); }}": ["TSA132"],
    f"void f({X}) {{ auto q = x.dtype().id(); }}": ["TSA112"],
    "#define LIST AT_DISPATCH_FLOATING_TYPES\n": ["TSA302"],
    f"void f({X}) {{ AT_DISPATCH_FLOATING_TYPES(x.scalar_type()); AT_DISPATCH_CASE_FLOATING_TYPES(); }}": ["TSA302"]
    * 2,
    f'void f({X}) {{ AT_DISPATCH_V2(x.scalar_type(), "f"); }}': ["TSA301"],
    "void f() { c10::cuda::CUDACachingAllocator::emptyCache(); }": ["TSA405"],
    f"void f({X}) {{ g(device_of(x)); }}": ["TSA401"],
}


@pytest.mark.parametrize("name", CASES)
def test_before_becomes_after(name: str) -> None:
    before, after = CASES[name]
    assert rewritten(before) == after


@pytest.mark.parametrize("text", REPORTED)
def test_what_is_reported(text: str) -> None:
    assert [found.code for found in rewrite(text)[1].diagnostics] == REPORTED[text]


def test_a_check_of_cuda_of_a_header_that_stays_gives_way() -> None:
    header = "#define CUDA_CHECK(e) do { if ((e) != cudaSuccess) abort(); } while (0)\n"
    assert rewritten("void f() { CUDA_CHECK(g()); }", others=(header,)) == "void f() { STD_CUDA_CHECK(g()); }"


def test_one_that_does_something_else_stays() -> None:
    header = "#define CUDA_CHECK(e) log(e)\n"
    assert rewritten("void f() { CUDA_CHECK(g()); }", others=(header,)) == "void f() { CUDA_CHECK(g()); }"


@pytest.mark.parametrize(
    "text",
    [
        "void f(int n) { constexpr bool CHECK = false; if constexpr (CHECK) n++; }",
        "template <bool CHECK> void f(int n) { if constexpr (CHECK) n++; }",
        "void f(bool CHECK) { if (CHECK) return; }",
    ],
)
def test_a_variable_may_have_the_name_of_a_check(text: str) -> None:
    """A macro that takes arguments is a plain word where none follow."""
    text = f"#include <torch/all.h>\n{text}\n"
    after, found = rewrite(text)
    assert after.partition("\n")[2] == text.partition("\n")[2]
    assert not found.diagnostics


def test_the_name_of_a_check_alone_is_reported() -> None:
    found = rewrite("void f() { APPLY(TORCH_CHECK_VALUE); }")[1]
    assert [one.code for one in found.diagnostics] == ["TSA203"]
