"""Unstable names that do not look like it: using-directives, namespaces, aliases, lambdas."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite, rewritten

STABLE = "torch::stable::Tensor"
CASES = {
    "options that functions give": (
        "int calls;\nat::TensorOptions far(int);\n"
        "struct C { at::TensorOptions o; at::TensorOptions get() const { return o; } at::TensorOptions value() { ++calls; return o; } };\n"
        "void f(int n, C c, std::vector<at::TensorOptions> os) { at::zeros({2}, far(n)); at::empty({n}, far(n).dtype(at::kInt)); "
        "at::zeros({2}, c.get()); at::ones({2}, c.value()); at::empty({2}, os[n]); }\n",
        "int calls;\nTensorOptions far(int);\n"
        "struct C { TensorOptions o; TensorOptions get() const { return o; } TensorOptions value() { ++calls; return o; } };\n"
        "void f(int n, C c, std::vector<TensorOptions> os) { "
        "[&](auto&& self) { return torch::stable::full({2}, 0, self.dtype_opt(), self.layout_opt(), self.device_opt(), "
        "self.pinned_memory_opt()); }(far(n)); "
        "[&](auto&& self) { return torch::stable::empty({n}, torch::headeronly::ScalarType::Int, self.layout_opt(), "
        "self.device_opt(), self.pinned_memory_opt()); }(far(n)); "
        "torch::stable::full({2}, 0, c.get().dtype_opt(), c.get().layout_opt(), c.get().device_opt(), "
        "c.get().pinned_memory_opt()); "
        "[&](auto&& self) { return torch::stable::full({2}, 1, self.dtype_opt(), self.layout_opt(), self.device_opt(), "
        "self.pinned_memory_opt()); }(c.value()); "
        "torch::stable::empty({2}, os[n].dtype_opt(), os[n].layout_opt(), os[n].device_opt(), os[n].pinned_memory_opt()); }\n",
    ),
    "numbers and options that may have no dtype": (
        "at::TensorOptions far();\nvoid f(at::Tensor x, double d, float g, std::vector<float> v) { auto o = far(); "
        "at::full({1}, 3, o); at::full({1}, d, o); x.new_full({1}, 3, o); torch::tensor({d, 2 * d}); at::tensor(g); torch::tensor(g); "
        "at::tensor(v); torch::tensor({1, 2}, o); torch::tensor({g, g}, at::kDouble); }\n",
        f"TensorOptions far();\nvoid f({STABLE} x, double d, float g, std::vector<float> v) {{ auto o = far(); "
        "torch::stable::full({1}, 3, o.dtype_opt().value_or(torch::headeronly::ScalarType::Long), o.layout_opt(), "
        "o.device_opt(), o.pinned_memory_opt()); "
        "torch::stable::full({1}, d, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt()); "
        "torch::stable::full({1}, 3, o.dtype_opt().value_or(x.scalar_type()), std::nullopt, "
        "o.device_opt().value_or(x.device())); "
        "tensor_of<double>({d, 2 * d}, torch::stable::empty({0}).scalar_type()); "
        "torch::stable::full({}, g, torch::headeronly::ScalarType::Float); torch::stable::full({}, g); "
        "tensor_of<float>(v, torch::headeronly::ScalarType::Float); "
        "tensor_of<int64_t>({1, 2}, o.dtype_opt().value_or(torch::headeronly::ScalarType::Long), o.layout_opt(), "
        "o.device_opt()); tensor_of<float>({g, g}, torch::headeronly::ScalarType::Double); }\n",
    ),
    "types that are worked out of a tensor's": (
        "int f(const at::Tensor& x, std::vector<at::Tensor> v, int n) { std::decay_t<decltype(x)> d = x; "
        "typename std::decay<decltype(v[0])>::type e = d; using E = std::remove_reference_t<decltype(v[0])>; E g = e; "
        "using N = decltype(n); N m = n; std::vector<at::Tensor>::value_type h = g; "
        "return d.exp().dim() + e.exp().dim() + g.exp().dim() + h.exp().dim() + m; }\n",
        f"int f(const {STABLE}& x, std::vector<{STABLE}> v, int n) {{ std::decay_t<decltype(x)> d = x; "
        "typename std::decay<decltype(v[0])>::type e = d; using E = std::remove_reference_t<decltype(v[0])>; E g = e; "
        f"using N = decltype(n); N m = n; std::vector<{STABLE}>::value_type h = g; "
        "return stable_aten::exp(d).dim() + stable_aten::exp(e).dim() + stable_aten::exp(g).dim() + "
        "stable_aten::exp(h).dim() + m; }\n",
    ),
    "the arrow of a class of the project that has no star": (
        "template <class T> struct Box { T v; const T* operator->() const { return &v; } };\n"
        "at::Tensor f(Box<at::Tensor> b, std::vector<Box<at::Tensor>> l) { return b->t() + (l[0])->t(); }\n"
        "struct Own { at::Tensor v; at::Tensor* operator->() { return &v; } };\n"
        "at::Tensor g(Own o) { auto& y = o->relu_(); return y + o->numel(); }\n",
        f"template <class T> struct Box {{ T v; const T* operator->() const {{ return &v; }} }};\n"
        f"{STABLE} f(Box<{STABLE}> b, std::vector<Box<{STABLE}>> l) {{ return "
        "stable_aten::add(stable_aten::t(*b.operator->()), stable_aten::t(*(l[0]).operator->())); }\n"
        f"struct Own {{ {STABLE} v; {STABLE}* operator->() {{ return &v; }} }};\n"
        f"{STABLE} g(Own o) {{ auto& y = (stable_aten::relu_(*o.operator->()), *o.operator->()); "
        "return stable_aten::add(y, o->numel()); }\n",
    ),
    "the arrow of what has both": (
        "struct Both { at::Tensor* operator->(); at::Tensor& operator*(); };\n"
        "at::Tensor f(Both b, at::Tensor* p, std::shared_ptr<at::Tensor> s) { b->t(); p->t(); return s->t(); }\n",
        f"struct Both {{ {STABLE}* operator->(); {STABLE}& operator*(); }};\n"
        f"{STABLE} f(Both b, {STABLE}* p, std::shared_ptr<{STABLE}> s) {{ stable_aten::t(*b); stable_aten::t(*p); "
        "return stable_aten::t(*s); }\n",
    ),
    "questions through a pointer, and of a choice": (
        "bool f(at::Tensor* p, at::Tensor x, bool c) { auto n = p->dtype().name(); auto m = (c ? x : *p).dtype().name(); "
        "auto d = (c ? x : *p).options().device(); return p->type().is_cuda() && (c ? x : *p).type().is_cuda(); }\n",
        f"bool f({STABLE}* p, {STABLE} x, bool c) {{ auto n = torch::headeronly::toString((*p).scalar_type()); "
        "auto m = torch::headeronly::toString((c ? x : *p).scalar_type()); "
        "auto d = (c ? x : *p).device(); return (*p).is_cuda() && (c ? x : *p).is_cuda(); }\n",
    ),
    "a device that is waited for, whose errors are raised": (
        "void f(int n) { c10::cuda::device_synchronize(); if (n) at::cuda::device_synchronize(); else c10::cuda::set_device(n); }\n",
        "void f(int n) { STD_CUDA_CHECK(cudaDeviceSynchronize()); if (n) STD_CUDA_CHECK(cudaDeviceSynchronize()); "
        "else STD_CUDA_CHECK(cudaSetDevice(n)); }\n",
    ),
    "a using-directive": (
        "using namespace at;\nTensor f(const Tensor& a) { return zeros({2}, kInt); }\n",
        f"{STABLE} f(const {STABLE}& a) {{ return torch::stable::full({{2}}, 0, torch::headeronly::ScalarType::Int); }}\n",
    ),
    "using-declarations of functions and constants": (
        "using torch::full;\nusing torch::round;\nusing torch::kInt32;\nusing at::cuda::getCurrentCUDAStream;\n"
        "at::Tensor f(const at::Tensor& a, float b) { k(getCurrentCUDAStream(), round(b)); return round(full({2}, 1, kInt32)); }\n",
        f"{STABLE} f(const {STABLE}& a, float b) {{ k(get_current_cuda_stream(), round(b)); "
        "return stable_aten::round(torch::stable::full({2}, 1, torch::headeronly::ScalarType::Int)); }\n",
    ),
    "members of what a using-directive shows": (
        "using namespace at;\nbool f(const Tensor& a) { k(cuda::getCurrentCUDAStream()); "
        "return a.scalar_type() == ScalarType::Half && a.layout() == Layout::Strided; }\n",
        f"bool f(const {STABLE}& a) {{ k(get_current_cuda_stream()); return a.scalar_type() == "
        "torch::headeronly::ScalarType::Half && a.layout() == torch::headeronly::Layout::Strided; }\n",
    ),
    "members of a namespace and a type of the project's own": (
        "using namespace at;\nnamespace cuda { void set_device(int); }\nenum class Layout { Rows };\n"
        "void f(const Tensor& a) { cuda::set_device(0); k(Layout::Rows, std::max(1, 2)); }\n",
        "namespace cuda { void set_device(int); }\nenum class Layout { Rows };\n"
        f"void f(const {STABLE}& a) {{ cuda::set_device(0); k(Layout::Rows, std::max(1, 2)); }}\n",
    ),
    "a local variable with the name of a constant": (
        "using namespace at;\nint f(const Tensor& a) { int kSparse = 3; return kSparse + a.dim(); }\n",
        f"int f(const {STABLE}& a) {{ int kSparse = 3; return kSparse + a.dim(); }}\n",
    ),
    "a namespace of the project's own called at": (
        "namespace mine { namespace at { inline int empty(int n) { return n; } }\nint f() { return at::empty(2) + 1; } }\n"
        "at::Tensor g() { return at::empty({2}); }\n",
        "namespace mine { namespace at { inline int empty(int n) { return n; } }\nint f() { return at::empty(2) + 1; } }\n"
        f"{STABLE} g() {{ return torch::stable::empty({{2}}); }}\n",
    ),
    "a class of the project's own called at": (
        "namespace mine { struct at { static int zeros(int n); };\nint f() { return at::zeros(2); } }\n",
        "namespace mine { struct at { static int zeros(int n); };\nint f() { return at::zeros(2); } }\n",
    ),
    "functions that an argument brings along": (
        "at::Tensor f(const at::Tensor& a) { return exp(a) + ones_like(a); }\nfloat g(float b) { return exp(b); }\n",
        f"{STABLE} f(const {STABLE}& a) {{ return stable_aten::add(stable_aten::exp(a), "
        "torch::stable::fill_(torch::stable::empty_like(a), 1)); }\nfloat g(float b) { return exp(b); }\n",
    ),
    "leading colons": (
        "::at::Tensor f(const ::at::Tensor& a) { return ::at::exp(a) + ::torch::zeros({2}); }\n",
        f"{STABLE} f(const {STABLE}& a) {{ return stable_aten::add(stable_aten::exp(a), "
        "torch::stable::full({2}, 0)); }\n",
    ),
    "the tensors of autograd's early years": (
        "#include <vector>\ntorch::autograd::variable_list f(torch::autograd::Variable a) { return {a.exp(), a}; }\n",
        f"#include <vector>\nstd::vector<{STABLE}> f({STABLE} a) {{ return {{stable_aten::exp(a), a}}; }}\n",
    ),
    "the same, made visible without their namespace": (
        "#include <vector>\nusing torch::autograd::Variable;\nusing torch::autograd::variable_list;\n"
        "Variable f(const variable_list& a) { return a[0].exp() * a[1]; }\n",
        f"#include <vector>\nusing {STABLE};\n"
        f"{STABLE} f(const std::vector<{STABLE}>& a) {{ return stable_aten::mul(stable_aten::exp(a[0]), a[1]); }}\n",
    ),
    "a class of the project's own called Variable": (
        "struct Variable { Variable exp() const; };\nVariable f(const Variable& a) { return a.exp(); }\n",
        "struct Variable { Variable exp() const; };\nVariable f(const Variable& a) { return a.exp(); }\n",
    ),
    "devices and layouts by their types": (
        "bool f(const at::Tensor& a) { auto k = at::kStrided; return a.to(at::kMeta).layout() == k; }\n"
        "at::Tensor g(const at::Tensor& a) { return a.to(c10::DeviceType::CPU, at::kHalf); }\n",
        f"bool f(const {STABLE}& a) {{ auto k = torch::headeronly::kStrided; "
        "return torch::stable::to(a, torch::headeronly::kMeta).layout() == k; }\n"
        f"{STABLE} g(const {STABLE}& a) {{ return torch::stable::to(a, torch::headeronly::ScalarType::Half, std::nullopt, "
        "torch::headeronly::DeviceType::CPU); }\n",
    ),
    "a using-declaration of a type that a helper stands in for": (
        "using torch::TensorOptions;\nstruct S { TensorOptions options; };\n",
        "struct S { TensorOptions options; };\n",
    ),
    "functions of a namespace of torch": (
        "auto f(const at::Tensor& a) { return torch::fft::irfftn(a, {4}).size(0); }\n",
        f"auto f(const {STABLE}& a) {{ return stable_aten::fft_irfftn(a, {{4}}).size(0); }}\n",
    ),
    "what is asked of dtypes, layouts and devices": (
        "void f(at::Tensor x) { x.is_floating_point(); x.is_complex(); x.dtype().itemsize(); x.dtype().name(); x.is_sparse(); "
        "x.is_meta(); x.item<float>(); x.item().toDouble(); float z = x.item().to<float>(); x.storage().nbytes(); x.ndimension(); "
        "x.is_contiguous(at::MemoryFormat::Contiguous); x.options().dtype(); int i = x.get_device(); auto j = x.device().index(); }\n",
        f"void f({STABLE} x) {{ is_floating_type(x.scalar_type()); is_complex_type(x.scalar_type()); x.element_size(); "
        "torch::headeronly::toString(x.scalar_type()); x.layout() == torch::headeronly::Layout::Sparse; "
        "x.device().type() == torch::headeronly::DeviceType::Meta; item<float>(x); item<double>(x); float z = item<float>(x); "
        "storage_nbytes(x); x.dim(); x.is_contiguous(); x.scalar_type(); int i = x.get_device_index(); "
        "auto j = x.device().index(); }\n",
    ),
    "factories with all that they take": (
        "#include <vector>\nvoid f(at::Tensor x, void* p, std::vector<float> v, int n) { at::from_blob(p, {2}, at::kFloat); "
        "at::from_blob(p, {2, 3}, {3, 1}, x.options()); at::from_blob(p, {2}, [](void*) {}, at::kInt); torch::tensor(v); "
        "torch::tensor(3, x.options()); at::scalar_tensor(n, x.options()); x.new_ones({n}); x.new_full({n}, 2); "
        "at::empty_like(x, at::MemoryFormat::Contiguous); at::full_like(x, 2, at::kInt, at::MemoryFormat::Contiguous); "
        "at::zeros({n}, at::TensorOptions().dtype(at::kInt).device(x.device())); }\n",
        f"#include <vector>\nvoid f({STABLE} x, void* p, std::vector<float> v, int n) {{ "
        "torch::stable::from_blob(p, {2}, contiguous_strides({2}), torch::stable::Device(torch::headeronly::kCPU), "
        "torch::headeronly::ScalarType::Float); torch::stable::from_blob(p, {2, 3}, {3, 1}, x.device(), x.scalar_type()); "
        "torch::stable::from_blob(p, {2}, contiguous_strides({2}), torch::stable::Device(torch::headeronly::kCPU), "
        "torch::headeronly::ScalarType::Int, [](void*) {}); tensor_of<float>(v, torch::stable::empty({0}).scalar_type()); "
        "torch::stable::full({}, 3, x.scalar_type(), std::nullopt, x.device()); "
        "torch::stable::full({}, n, x.scalar_type(), std::nullopt, x.device()); "
        "torch::stable::full({n}, 1, x.scalar_type(), std::nullopt, x.device()); "
        "torch::stable::full({n}, 2, x.scalar_type(), std::nullopt, x.device()); torch::stable::new_empty(x, x.sizes()); "
        "torch::stable::fill_(torch::stable::new_empty(x, x.sizes(), torch::headeronly::ScalarType::Int), 2); "
        "torch::stable::new_zeros(x, {n}, torch::headeronly::ScalarType::Int); }\n",
    ),
    "sizes in bytes beside signed numbers": (
        "int64_t f(at::Tensor x, int i) { auto e = x.element_size(); size_t u = x.nbytes(); "
        "if (x.element_size() > i) i = 1; auto r = x.nbytes() / -2; return e + x.element_size() % i; }\n",
        f"int64_t f({STABLE} x, int i) {{ auto e = static_cast<int64_t>(x.element_size()); "
        "size_t u = x.numel() * x.element_size(); if (static_cast<int64_t>(x.element_size()) > i) i = 1; "
        "auto r = static_cast<size_t>(x.numel() * x.element_size()) / -2; "
        "return e + static_cast<int64_t>(x.element_size()) % i; }\n",
    ),
    "streams kept, guarded and handed on": (
        "void f(at::Tensor x, int n) { auto v = c10::cuda::getStreamFromPool(true, n); at::cuda::CUDAStreamGu"
        "ard g(v); auto s = at::cuda::getCurrentCUDAStream(x.device().index()); at::cuda::setCurrentCUDAStrea"
        "m(v); auto e = at::cuda::getStreamFromExternal(s.stream(), 0); c10::cuda::CUDAStream t = at::cuda::g"
        "etCurrentCUDAStream(); }\n",
        "void f(torch::stable::Tensor x, int n) { auto v = get_cuda_stream_from_pool(true, n); CudaStreamGuar"
        "d g(v, n); auto s = get_current_cuda_stream(x.get_device_index()); set_current_cuda_stream(v); auto "
        "e = s; cudaStream_t t = get_current_cuda_stream(); }\n",
    ),
    "devices made and asked": (
        "void f(at::Tensor x) { auto d = x.device(); int i = d.index(); at::Device e(at::kCUDA, 1); auto h = "
        "at::Device(at::kCPU); c10::Device k = at::kCUDA; auto p = at::cuda::getDeviceProperties(x.get_device"
        "()); int m = at::cuda::current_device(); int c = c10::cuda::device_count(); bool a = at::cuda::is_av"
        "ailable(); auto q = at::cuda::getCurrentDeviceProperties()->major; cublasHandle_t b = at::cuda::getC"
        "urrentCUDABlasHandle(); at::cuda::set_device(1); }\n",
        "void f(torch::stable::Tensor x) { auto d = x.device(); int i = d.index(); torch::stable::Device e(to"
        "rch::headeronly::kCUDA, 1); auto h = torch::stable::Device(torch::headeronly::kCPU); torch::stable::"
        "Device k = torch::headeronly::kCUDA; auto p = get_device_prop(x.get_device_index()); int m = torch::"
        "stable::accelerator::getCurrentDeviceIndex(); int c = cuda_device_count(); bool a = (cuda_device_cou"
        "nt() > 0); auto q = get_device_prop()->major; cublasHandle_t b = get_current_cuda_blas_handle(); STD"
        "_CUDA_CHECK(cudaSetDevice(1)); }\n",
    ),
    "indices": (
        "void f(at::Tensor x, at::Tensor m, int i) { using namespace torch::indexing; x.index({0}); x.index({"
        'Slice(), 1}); x.index({"...", 0}); x.index({Slice(1, 3)}); x.index({m}); x.index({None, i}); x.index'
        "_put_({0}, m); x.index_put_({m}, 1); x.index({Ellipsis, Slice(None, 2)}); x.index({Slice(0, None, 2)"
        ", m}); }\n",
        "void f(torch::stable::Tensor x, torch::stable::Tensor m, int i) {  torch::stable::select(x, 0, 0); t"
        "orch::stable::select(x, 1, 1); torch::stable::select(x, -1, 0); stable_aten::slice(x, 0, 1, 3); stab"
        "le_aten::index(x, {m}); torch::stable::select(torch::stable::unsqueeze(x, 0), 1, i); stable_aten::co"
        "py_(torch::stable::select(x, 0, 0), without_leading_ones(m)); stable_aten::index_put_(x, {m}, torch::stable::full({}, 1, x"
        ".scalar_type(), std::nullopt, x.device())); stable_aten::slice(x, -1, std::nullopt, 2); stable_aten:"
        ":index(stable_aten::slice(x, 0, 0, std::nullopt, 2), {std::nullopt, m}); }\n",
    ),
    "sizes that stay unsigned or become signed": (
        "int64_t f(at::Tensor x, int i) { size_t a = x.element_size(); auto b = x.itemsize() * 2; unsigned c "
        "= x.element_size() << 1; return i < x.element_size() ? -1 : x.nbytes() > 3 ? x.element_size() - 8 : "
        "-x.itemsize(); }\n",
        "int64_t f(torch::stable::Tensor x, int i) { size_t a = x.element_size(); auto b = static_cast<size_t"
        ">(x.element_size()) * 2; unsigned c = x.element_size() << 1; return i < static_cast<int64_t>(x.eleme"
        "nt_size()) ? -1 : (x.numel() * x.element_size()) > 3 ? x.element_size() - 8 : -(x.element_size()); }"
        "\n",
    ),
    "in a macro": (
        "using namespace at;\n#define ROWS PackedTensorAccessor32<float, 2>\nvoid f(ROWS x);\n",
        "#define ROWS torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<float, 2, "
        "torch::headeronly::DefaultPtrTraits, int32_t>\nvoid f(ROWS x);\n",
    ),
    "a function that its argument brings along": (
        "std::string f(const at::Device& d) { return DeviceTypeName(d.type(), true); }\n",
        "std::string f(const torch::stable::Device& d) { return device_type_name(d.type(), true); }\n",
    ),
    "functions of a tensor, and others of the same name": (
        "using namespace torch;\nauto f(const Tensor& a, float b) { return max(b, 2.f) + exp(a).numel(); }\n",
        f"auto f(const {STABLE}& a, float b) {{ return max(b, 2.f) + stable_aten::exp(a).numel(); }}\n",
    ),
    "a function of the project under a name of torch": (
        "using namespace at;\nvoid exp(const Tensor& a);\nvoid f(const Tensor& a) { exp(a); }\n",
        f"void exp(const {STABLE}& a);\nvoid f(const {STABLE}& a) {{ exp(a); }}\n",
    ),
    "inside of the namespace": (
        "namespace at { Tensor f(const Tensor& a) { return a.contiguous(); } }\n",
        f"namespace at {{ {STABLE} f(const {STABLE}& a) {{ return torch::stable::contiguous(a); }} }}\n",
    ),
    "a type of the project under a name of torch": (
        "using namespace at;\nstruct Layout { int n; };\nint f(Layout l) { return l.n; }\n",
        "struct Layout { int n; };\nint f(Layout l) { return l.n; }\n",
    ),
    "an alias": (
        "using Matrix = at::Tensor;\nMatrix f(Matrix a, std::vector<Matrix> v) { return v[0].contiguous(); }\n",
        f"using Matrix = {STABLE};\nMatrix f(Matrix a, std::vector<Matrix> v) {{ return torch::stable::contiguous(v[0]); }}\n",
    ),
    "an alias of a namespace": (
        "namespace F = torch::nn::functional;\nat::Tensor f(at::Tensor a) { return F::pad(a, F::PadFuncOptions({0, 1})); }\n",
        f"{STABLE} f({STABLE} a) {{ return torch::stable::pad(a, {{0, 1}}); }}\n",
    ),
    "an alias of at": (
        "namespace aten = at;\nbool f(aten::Tensor a) { return a.scalar_type() == aten::ScalarType::Half; }\n",
        f"bool f({STABLE} a) {{ return a.scalar_type() == torch::headeronly::ScalarType::Half; }}\n",
    ),
    "the result of a function of the project": (
        "at::Tensor g(int n);\nauto f() { return g(3).argmax(); }\n",
        f"{STABLE} g(int n);\nauto f() {{ return stable_aten::argmax(g(3)); }}\n",
    ),
    "the result of a lambda, written": (
        "void f(at::Tensor a) { auto g = [&](int i) -> at::Tensor { return a; }; auto b = g(1).contiguous(); }\n",
        f"void f({STABLE} a) {{ auto g = [&](int i) -> {STABLE} {{ return a; }}; auto b = torch::stable::contiguous(g(1)); }}\n",
    ),
    "the result of a lambda, read off its return": (
        "void f(at::Tensor a) { auto g = [&](int i) { return a; }; auto b = g(1).contiguous(); }\n",
        f"void f({STABLE} a) {{ auto g = [&](int i) {{ return a; }}; auto b = torch::stable::contiguous(g(1)); }}\n",
    ),
    "a condition": (
        "void f(at::Tensor a, bool c) { auto b = (c ? a.contiguous() : a).view({-1}); }\n",
        f"void f({STABLE} a, bool c) {{ auto b = torch::stable::view(c ? torch::stable::contiguous(a) : a, {{-1}}); }}\n",
    ),
    "a structured binding": (
        "void f(at::Tensor a) { auto [v, i] = at::sort(a, 0, true); auto b = i.contiguous(); }\n",
        f"void f({STABLE} a) {{ auto [v, i] = stable_aten::sort(a, 0, true); auto b = torch::stable::contiguous(i); }}\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_becomes_after(name: str) -> None:
    before, after = CASES[name]
    assert rewritten(before) == after


def test_names_that_a_header_makes_visible() -> None:
    head = '#include "../other0.h"\n'
    header = "#pragma once\nusing namespace at;\nstruct Layout { int n; };\n"
    before = head + "Tensor f(const Tensor& a, Layout l) { return zeros({l.n}, kInt); }\n"
    after = head + (
        "torch::stable::Tensor f(const torch::stable::Tensor& a, Layout l) { return "
        "torch::stable::full({l.n}, 0, torch::headeronly::ScalarType::Int); }\n"
    )
    assert rewritten(before, others=[header]) == after
    assert rewritten(before.removeprefix(head), others=[header]) == before.removeprefix(head)


def test_functions_and_constants_that_a_header_makes_visible() -> None:
    header = "#pragma once\nusing at::zeros;\nusing at::kInt;\nusing at::Tensor;\n"
    before = '#include "other0.h"\nTensor f(int n) { return zeros({n}, kInt); }\n'
    assert rewritten(before, others=[header]) == (
        '#include "other0.h"\nTensor f(int n) { return torch::stable::full({n}, 0, torch::headeronly::ScalarType::Int); }\n'
    )


# Code of a unit that moves, and the codes it is reported under, in order.
REPORTED = {
    "types that are worked out in other ways": (
        "void f(std::vector<at::Tensor> v, std::tuple<at::Tensor, int> t) { using E = typename decltype(v)::value_type; "
        "E e = v[0]; e.exp(); std::tuple_element_t<0, decltype(t)> x = e; x.exp(); "
        "std::conditional_t<true, at::Tensor, int> y = x; y.exp(); std::conditional_t<true, float, int> z = 1; k(z + 1); }\n"
        "__global__ void g(float* p) { using T = decltype(p[0] + 1); T t = p[0]; std::common_type_t<T, decltype(t)> u = t + 1; "
        "p[0] = t * u; }\n",
        ["TSA903", "TSA903", "TSA903"],
    ),
    "views that a macro or a template compares, with numbers elsewhere": (
        '#define SAME(a, b) TORCH_CHECK((a) == (b), "no")\ntemplate <class A> bool same(const A& a) { return a != a; }\n'
        "void f(at::Tensor x, int n) { SAME(x.sizes(), x.sizes()); SAME(n, 1); same(x.strides()); same(n); }\n"
        "#define OTHER(a, b) ((a) == (b))\ntemplate <class A> bool other(const A& a) { return a != a; }\n"
        "bool g(at::Tensor x, int n) { return OTHER(x.dim(), n) && OTHER(x.sizes()[0], 'c') && other(n) && other(x.dim()); }\n",
        ["TSA123", "TSA123"],
    ),
    "a braced conversion that the grammar cannot read": (
        "at::Tensor f(at::Tensor x) { auto y = decltype(x)(x).exp(); return decltype(x){x}.exp(); }\n",
        ["TSA902", "TSA902"],
    ),
    "errors of torch behind functions that take tensors": (
        "void g(at::Tensor);\nint f(at::Tensor x) { try { g(x); } catch (const std::exception& e) { return e.what()[0]; } return 0; }\n"
        "int h(at::Tensor x) { try { g(x); } catch (const std::logic_error& e) { return 1; } return 0; }\n",
        ["TSA174"],
    ),
    "clauses in which errors of torch arrive now": (
        "int f(at::Tensor x) { try { TORCH_CHECK_VALUE(x.dim()); } catch (std::invalid_argument& e) { return 1; } return 0; }\n"
        "int g(at::Tensor x) { try { x.view({1}); } catch (std::runtime_error& e) { return 1; } return 0; }\n"
        "int h(at::Tensor x) { try { x.view({1}); } catch (std::exception&) { return 2; } catch (std::runtime_error& e) { return 1; } }\n",
        ["TSA175", "TSA175"],
    ),
    "clauses in which errors of a lambda or a function arrive now": (
        'int f(at::Tensor x) { auto v = [&] { TORCH_CHECK_VALUE(x.dim(), "d"); }; try { v(); } '
        "catch (std::logic_error& e) { return 1; } return 0; }\n"
        'void deep(int n) { TORCH_CHECK_VALUE(n, "d"); }\nvoid flat(int n) { deep(n); }\n'
        "int g(int n) { try { deep(n); } catch (std::logic_error& e) { return 1; } return 0; }\n"
        "void other(int);\nint h(int n) { try { other(n); } catch (std::logic_error& e) { return 1; } return 0; }\n",
        ["TSA175", "TSA175"],
    ),
    "what has no stable form, behind a using-directive": (
        "using namespace at;\nvoid f() { Scalar s = 1; Storage t; manual_seed(1); IValue v; native::resize_output(0, {1}); }\n",
        ["TSA101", "TSA101", "TSA104", "TSA501", "TSA190"],
    ),
    "modules behind a using-directive": (
        "using namespace torch;\nstruct Net : nn::Module {};\nvoid f(jit::Module& m);\n",
        ["TSA190", "TSA190"],
    ),
    "own names behind a using-directive": (
        "using namespace at;\ntemplate <typename Scalar> Scalar f(Scalar s, int Stream) { return s + Stream; }\n"
        "struct Storage { int n; };\nint g(Storage s) { return s.n; }\nint rand(int n);\nint h() { return rand(3); }\n",
        [],
    ),
    "checks of other kinds": (
        'void f(at::Tensor x, int n) { TORCH_CHECK_ARG(n, 1, "a"); TORCH_CHECK_TYPE(n, "t"); TORCH_CHECK_NOT_'
        'IMPLEMENTED(n); AT_ASSERTM(n, "m"); TORCH_WARN_ONCE("w"); TORCH_WARN_DEPRECATION("d"); TORCH_CHECK_W'
        'ITH(OwnError, n, "w"); CHECK(n) << "streamed"; TORCH_CHECK_EQ(n, 1) << "more"; throw c10::ValueErr'
        'or(c10::SourceLocation{}, "m"); }\n',
        ["TSA204", "TSA203", "TSA203", "TSA202"],
    ),
    "what a stream is asked": (
        "void f() { auto s = at::cuda::getCurrentCUDAStream(); s.query(); s.device_index(); s.id(); s.priority(); s.stream(); }\n",
        ["TSA402"] * 4,
    ),
    "where a stream is": (
        "void f() { auto s = at::cuda::getCurrentCUDAStream(); auto d = s.device(); s.device_type(); "
        "at::cuda::getStreamFromPool().device().index(); }\n",
        ["TSA402"] * 3,
    ),
    "algorithms that apply an operator to tensors": (
        "void f(std::vector<at::Tensor> l, std::vector<at::Tensor> r, at::Tensor x) { "
        "std::accumulate(l.begin(), l.end(), x); std::reduce(l.begin(), l.end()); std::plus<at::Tensor> p; "
        "std::partial_sum(l.begin(), l.end(), r.begin()); std::inner_product(l.begin(), l.end(), r.begin(), x); "
        "std::transform(l.begin(), l.end(), r.begin(), std::negate<>()); std::transform(l.begin(), l.end(), "
        "r.begin(), std::plus<>{}); using namespace std; accumulate(l.begin(), l.end(), x); }\n",
        ["TSA180"] * 8,
    ),
    "algorithms that apply none, or one to numbers": (
        "int64_t accumulate(at::TensorList l, int, int);\nvoid f(std::vector<at::Tensor> l, at::TensorList t, std::vector<int> n) { "
        "std::accumulate(n.begin(), n.end(), 0, std::plus<>()); std::plus<int64_t> p; accumulate(t, 1, 2); "
        "std::accumulate(l.begin(), l.end(), 0, [](int s, const at::Tensor& t) { return s + t.dim(); }); "
        "std::vector<at::Tensor> r(std::move_iterator(l.begin()), std::move_iterator(l.end())); }\n",
        [],
    ),
    "what options are asked": (
        "bool f(at::Tensor x) { auto o = x.options(); o.device_index(); o.type_equal(x.options()); o.memory_format_opt(); "
        "o.has_pinned_memory(); return o.requires_grad(); }\n",
        ["TSA121"] * 5,
    ),
    "what options are asked and what replaces them knows": (
        "bool f(at::Tensor x, int requires_grad) { auto o = x.options(); o.dtype(); o.device(); o.layout(); o.pinned_memory(); "
        "o.dtype_opt(); o = o.device_index(1); struct { bool type_equal(int); } k; return k.type_equal(requires_grad); }\n",
        [],
    ),
    "optional views that are kept, of numbers": (
        "at::Tensor m(at::Tensor x, at::OptionalIntArrayRef d) { return x.mean(d); }\nvoid g(at::OptionalIntArrayRef e = {0});\n"
        "at::Tensor f(at::Tensor x, int64_t n) { at::OptionalIntArrayRef a{0}, b = n; at::OptionalIntArrayRef c; c = {1}; "
        "return m(x, {0}); }\n",
        ["TSA181"] * 4,
    ),
    "optional views of what lives on": (
        "at::Tensor m(at::Tensor x, at::OptionalIntArrayRef d = at::nullopt) { return x.mean(d); }\n"
        "at::Tensor f(at::Tensor x, std::vector<int64_t> v) { at::OptionalIntArrayRef a = x.sizes(), b{v}, c; c = x.sizes(); "
        "return m(x, v); }\n",
        [],
    ),
    "what others are asked by the same names": (
        "struct Task { int query(); int id(); int priority(); };\nint f(at::Tensor x, Task t) { return t.query() + t.id() + t.priority(); }\n",
        [],
    ),
    "what a guard cannot be asked": (
        "void f(at::Tensor x) { at::cuda::CUDAGuard g(x.device()); g.current_device(); g.original_device(); }\n",
        ["TSA408", "TSA408"],
    ),
    "what a tensor cannot be asked": (
        "void f(at::Tensor x) { x.item(); x.storage(); x.is_same(x); x.use_count(); x.suggest_memory_format(); x.is_leaf(); "
        "x.unsafeGetTensorImpl(); x.is_alias_of(x); x.requires_grad(); x.toString(); }\n",
        ["TSA113", "TSA115", "TSA116", "TSA190", "TSA116", "TSA116", "TSA190", "TSA116", "TSA116", "TSA190"],
    ),
    "factories that cannot be taken apart": (
        "void f(at::Tensor x, void* p) { at::from_blob(p, {2}); torch::tensor({true, false}); x.new_tensor({1}); "
        "at::empty({2}, x.options(), at::MemoryFormat::ChannelsLast); }\n",
        ["TSA120"] * 4,
    ),
    "tensors without a value on some way": (
        "bool a(bool c, at::Tensor x) { at::Tensor t; if (c) t = x; return t.dtype() == at::kFloat; }\n"
        "bool b(std::optional<at::Tensor> x) { auto t = x.value_or(at::Tensor()); return t.is_cuda(); }\n"
        "bool d(at::Tensor x, int n) { at::Tensor t; for (int i = 0; i < n; ++i) t = x; return t.is_cpu(); }\n"
        "bool e() { at::Tensor t; return t.is_cuda(); }\n",
        ["TSA176"] * 4,
    ),
    "tensors with a value on every way": (
        "bool a(bool c, at::Tensor x) { at::Tensor t; if (!c) return false; t = x; return t.is_cuda(); }\n"
        "bool b(int c, at::Tensor x) { at::Tensor t; switch (c) { case 0: t = x; break; default: t = x; } return t.is_cuda(); }\n"
        "bool d(at::Tensor x) { at::Tensor t, u; std::tie(t, u) = x.max(0); return t.is_cuda(); }\n"
        "void fill(at::Tensor& t);\nbool e() { at::Tensor t; fill(t); return t.is_cuda(); }\n"
        "bool g(bool c, at::Tensor x) { at::Tensor t; if (c) { t = x; } else { TORCH_CHECK(false, 1); } return t.is_cuda(); }\n"
        "bool h(bool c, at::Tensor x) { at::Tensor t; if (c) t = x; if (t.defined()) { return t.is_cuda(); } return c; }\n"
        "bool i(bool c, at::Tensor x) { at::Tensor t; if (c) t = x; if (!t.defined()) t = x; return t.is_cuda(); }\n"
        "bool j(at::Tensor x) { at::Tensor t; auto g = [&] { t = x; }; g(); return t.is_cuda(); }\n"
        "bool k(at::Tensor x) { at::Tensor t(x); at::Tensor u{x}; return t.is_cuda() && u.is_cuda(); }\n",
        [],
    ),
}


@pytest.mark.parametrize("name", REPORTED)
def test_what_is_reported(name: str) -> None:
    before, codes = REPORTED[name]
    assert [diagnostic.code for diagnostic in rewrite(before, "kernel.cpp")[1].diagnostics] == codes


def test_calls_of_the_cuda_runtime_bring_its_header() -> None:
    for name in ("device_synchronize()", "set_device(1)"):
        assert {"cuda_runtime.h", "torch/csrc/stable/macros.h"} <= rewrite(f"void f() {{ c10::cuda::{name}; }}")[
            1
        ].includes


def test_slices_that_no_index_takes_apart_are_reported() -> None:
    """The index of another class gets what it got: there is a line where that holds a Slice of torch."""
    text = "struct Book {{ int index(torch::indexing::Slice s); }};\nat::Tensor f({0} b) {{ return b.index({{torch::indexing::Slice(1)}}); }}"
    assert [[one.code for one in rewrite(text.format(kind))[1].diagnostics] for kind in ("at::Tensor", "Book")] == [
        ["TSA132"],
        ["TSA132", "TSA132"],
    ]
