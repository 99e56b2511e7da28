"""What expressions of random functions look like: text, in which `$t` stands for a tensor, `$i` for an integer, and so on.

`VAR` is a variable that is a tensor, NAME the function's name. What a form needs at namespace scope stands in OWN.
Nothing here depends on an order of evaluation that C++ leaves open: what writes to a tensor writes to one of its own.
"""

from __future__ import annotations

TENSOR = (
    "(-$t)", "$t[0]", "$t.select(0, 0)", "$t.to(at::kDouble)", "$t.to($t.scalar_type())", "$t.to($t.options())",
    "$t.type_as($t)", "$t.contiguous()", "$t.clone()", "$t.t()", "$t.view($s)", "$t.reshape($s)", "($b ? $t : $t)",
    "std::move($t)", "at::zeros($z, $t.options())", "at::ones($z, $t.options().dtype(at::kLong))",
    "torch::full({2}, $i)", "torch::full({2}, $d, $t.options())", "torch::full({2}, $b)", "torch::full({2}, $i, at::kFloat)",
    "at::full_like($t, $d)", "at::zeros_like($t)", "at::ones_like($t)", "at::zeros_like($t, at::kInt)",
    "at::ones_like($t, $t.options().dtype(at::kDouble))", "at::empty_like($t).fill_($d)", "at::arange($n)",
    "at::arange($n, at::kFloat)", "at::arange(0, $n, $t.options())", "at::linspace(0, 1, $n)", "at::eye($n)",
    "at::scalar_tensor($i)", "at::scalar_tensor($d, $t.options())", "torch::tensor({1, 2})", "torch::tensor($d)",
    "torch::tensor({0.5, 1.5}, at::kDouble)", "torch::tensor($t.sizes(), at::kLong)", "$t.index({0})",
    '$t.index({"...", 0})', "$t.index({torch::indexing::Slice(0, 1)})", "$t.index({torch::indexing::None, 0})",
    "$t.index({torch::indexing::Slice(), -1})", "$t.index({$t > 0})", "$t.new_zeros($z)", "$t.new_full({2}, $d)",
    "$t.new_empty($z).fill_($i)", "at::cat({$t, $t})", "at::stack({$t, $t}, 0)", "at::cat($l, 0)", "$t.add($t, 2)",
    "$t.sub($t)", "$t.add($i)", "at::where($t > 0, $t, $t)", "$t.clone().add_($t)", "$t.clone().mul_($i)",
    "$t.clone().fill_($t.min())", "[&] { return $t; }()", "[&](const at::Tensor& t) { return t.add($i); }($t)",
    "[&](auto t) { return t * 2; }($t)", "[k = $t]() { return k.exp(); }()", "at::Tensor(std::vector<at::Tensor>{$t, $t}[1])",
    "std::make_pair($t, 1).first", "at::Tensor(std::optional<at::Tensor>($t).value())", "$t.max()", "$t.sum(0)",
    "$t.sum({0}, true)", "$t.mean(-1)", "std::get<0>($t.max(0))", "$t.permute({1, 0})", "$t.transpose(0, -1)", "$t.unsqueeze(0)",
    "$t.flatten()", "$t.expand_as($t)", "$t.narrow(0, 0, 1)", "$t.slice(0, 0, 1)", "$t.to(at::kFloat, false, true)",
    "$t.to(at::kCPU)", "$t.to(at::device(at::kCPU).dtype(at::kInt))", "$t.detach()", "$t.index_select(0, at::zeros({1}, at::kLong))",
    "$t.masked_fill($t > 1, $d)", "$t.is_contiguous() ? $t : $t.contiguous()",
    "(at::zeros_like($t) + ones_like(VAR))", "exp(VAR)", "add(VAR, $t)", "sum(VAR)", "::at::exp($t)", "::torch::zeros({2})",
    "at::native::ones_like($t)", "at::Tensor($t)", "static_cast<at::Tensor>($t)", "torch::autograd::Variable($t)",
    "at::Tensor(c10::List<at::Tensor>({$t, $t}).get(1))", "at::Tensor(at::TensorList({VAR, VAR}).front())", "(0, $t)",
    "VAR.view_as(VAR)", "VAR.toType(at::kDouble)", "VAR.cpu()", "VAR.to(VAR.dtype())",
    "at::empty({2}, VAR.options()).copy_(VAR.flatten().slice(0, 0, 2))", "at::zeros({$i & 3}, at::dtype(at::kInt))",
    "at::zeros({2}, at::TensorOptions(at::kDouble))", "at::zeros({2}, torch::dtype(torch::kLong).requires_grad(false))",
    "at::ones({VAR.size(0)}, VAR.scalar_type())", "at::zeros_like(VAR, VAR.options(), at::MemoryFormat::Contiguous)",
    "at::empty_like(VAR, at::MemoryFormat::Preserve).zero_()", "VAR.contiguous(at::MemoryFormat::ChannelsLast)",
    "bump_NAME($t)", "row_NAME($t, 0)", "Hold_NAME{$t, {x, y}}.get()", "at::Tensor(Hold_NAME{$t, {x, y}}.all[0])",
    "twice_NAME($t)", "pick_NAME($b, $t, $t)", "(Box_NAME<at::Tensor>{$t}.value)", "Box_NAME<at::Tensor>{$t}.get()",
    "Own_NAME($t).run($d)", "Own_NAME::made($t)", "(Own_NAME($t) + 1)", "SQ_NAME($t)", "PICK_NAME($b, VAR, VAR)", "in_NAME::shifted($t)",
    "first_NAME({VAR, VAR})", "maybe_NAME(VAR)", "maybe_NAME(std::nullopt)", "table_NAME()[$b ? 0 : 1].to(at::kFloat)",
    "std::get<1>(both_NAME($t))", "(*ref_NAME(VAR))", "apply_NAME([](const at::Tensor& t) { return t.neg(); }, $t)",
    "std::function<at::Tensor(at::Tensor)>([&](at::Tensor t) { return t + $i; })($t)",
    # where a tensor comes from
    "(-Base_NAME{$t}.w)", "(2 * Base_NAME{$t}.w)", "Child_NAME($t).scaled($i)", "(Child_NAME($t).w * 2)", "Child_NAME($t).whole()[0]",
    "(*Child_NAME($t))", "Child_NAME($t)->neg()", "Child_NAME($t)($i)", "(-Child_NAME($t))", "Child_NAME($t)[0]",
    "at::Tensor(Child_NAME($t))", "(2 - Child_NAME::one($t))", "(*std::make_unique<at::Tensor>($t))",
    "ALIAS_NAME(VAR).exp()", "auto_NAME($t)[0]", "(-auto_NAME($t))", "(2 - auto_NAME($t))", "std::as_const(VAR).neg()",
    "std::forward<at::Tensor>($t)", "(*std::max_element(&x, &x + 1, [](const at::Tensor& s, const at::Tensor& t) { return s.numel() < t.numel(); }))",
    "(-std::get<at::Tensor>(std::make_tuple($t, 1)))", "std::invoke([](at::Tensor t) { return t.abs(); }, $t)", "(-VAR)", "(2 / VAR)",
    "[&]() -> decltype(auto) { return ($t); }()", "[t = $t]() mutable { t.add_(1); return t; }()", "std::vector<at::Tensor>(2, $t).back()",
    "(-*l0.rbegin())", "at::Tensor(l0.at(0)).exp()", "(l0.front() - l0.back())", "std::optional<at::Tensor>($t)->neg()",
    "std::optional<at::Tensor>().value_or($t)", "(*std::optional<at::Tensor>($t))", "std::map<int, at::Tensor>{{1, $t}}.begin()->second",
    "std::accumulate(l0.begin(), l0.end(), $t)", "(($b) ? -VAR : 2 * VAR)", "(sizeof(VAR) > 1 ? $t : VAR)",
    # class templates
    "Pair_NAME<at::Tensor, int>{$t, 2}.both()", "Pair_NAME<at::Tensor, double>($t, $d).scaled()", "(-Pair_NAME<at::Tensor, int>{$t, 2}.first)",
    "Of_NAME<3>::made($t)", "Of_NAME<3>().run($t)", "Crtp_NAME($t).twice()", "Kept_NAME<at::Tensor>($t).each([](auto& t) { return t.exp(); })",
    "Spec_NAME<at::Tensor>::of($t)", "Spec_NAME<int>::of($t)", "all_NAME($t, $t, 1)", "made_NAME<at::Tensor>($t)", "Variadic_NAME<at::Tensor, at::Tensor>::sum($t, $t)",
    # numbers that a double does not hold
    "at::full({2}, $i + kWide_NAME)", "at::full_like($t, kWide_NAME)", "$t.new_full({2}, kWide_NAME)", "$t.clone().fill_(kWide_NAME)",
    "at::full({2}, kWide_NAME, $t.options())", "torch::tensor(kWide_NAME)", "at::scalar_tensor(kWide_NAME, at::kLong)", "(kWide_NAME - VAR)",
    "at::where($t > 0, $t, kWide_NAME)", "$t.masked_fill($t > 0, kWide_NAME)", "$t.clamp_max(kWide_NAME)", "(VAR + kWide_NAME)", "(VAR == kWide_NAME)",
    # options
    "at::zeros({2}, at::TensorOptions().dtype<double>())", "at::empty({2}, at::TensorOptions().dtype<float>().device(at::kCPU)).zero_()",
    "at::ones({2}, at::TensorOptions().dtype(VAR.dtype()))", "at::full({}, 1, bump_NAME($t).options())", "at::t($t)", "$t.to($t, true, true)",
    "$t.to(VAR.device(), at::kDouble, false, true)", "at::zeros_like($t, $t.options().dtype<int64_t>())", "torch::arange($i & 7).to($t.options())",
    "at::empty_strided({2, 2}, {1, 2}, $t.options()).fill_($i)", "torch::from_blob(kFloats_NAME, {2}, at::kFloat).clone()",
    "at::tensor({1, 2, 3})", "at::tensor(std::vector<double>{$d, $d})", "torch::tensor({$d, $d}, $t.options())", "at::Tensor($t).set_requires_grad(false)",
)  # fmt: skip

INT = (
    "($i + $i)", "$t.numel()", "$t.dim()", "$t.size(0)", "at::zeros({2, 3}).sizes()[$b ? 1 : 0]", "$t.stride(-1)",
    "static_cast<int64_t>($t.nbytes())", "static_cast<int64_t>($t.element_size())", "$t.item<int64_t>()", "$t.ndimension()",
    "at::zeros({2, 3}).strides()[$b ? 1 : 0]", "$t.item().toLong()", "static_cast<int64_t>($t.sizes().size())",
    "$t.storage_offset()", "static_cast<int64_t>($t.itemsize())", "VAR.sizes().vec()[0]", "VAR.sizes().back()", "VAR.sizes().front()",
    "static_cast<int64_t>(VAR.sizes().slice(1).size())", "at::IntArrayRef({1, 2, 3})[1]", "VAR.size(VAR.dim() - 1)",
    "at::maybe_wrap_dim(-1, 3)", "c10::multiply_integers(VAR.sizes())", "total_NAME(VAR.sizes())", "total_NAME({1, 2})", "next_NAME()",
    "static_cast<int64_t>($t.scalar_type())", "static_cast<int64_t>(c10::elementSize($t.scalar_type()))",
    "static_cast<int64_t>($t.dtype().itemsize())", "static_cast<int64_t>($t.device().index())", "$t.get_device()",
    "static_cast<int64_t>($t.unbind(0).size())", "*std::max_element(x.sizes().begin(), x.sizes().end())",
    "at::sum($t).item<int>()", "static_cast<int64_t>(std::string(c10::toString($t.scalar_type())).size())",
    "static_cast<int64_t>(VAR.device().str().size())", "text_NAME(VAR.scalar_type())", "text_NAME(VAR.device())", "text_NAME(VAR.sizes())", "text_NAME(VAR.layout())",
    "kWide_NAME", "at::Tensor().defined() ? 1 : 0", "caught_NAME([&] { return $t.sum(0); })", "caught_NAME([&] { return VAR[7]; })",
    "static_cast<int64_t>(VAR.layout() == at::kStrided)", "VAR.sizes().equals({2, 3}) ? 1 : 0", "static_cast<int64_t>(VAR.device().type())",
)  # fmt: skip

DOUBLE = (
    "($d * $d)", "$t.item<double>()", "$t.item<float>()", "$t.sum().item().toDouble()", "$t.sum().item<float>()",
    "VAR.contiguous().data_ptr<float>()[0]", "at::Scalar($d).toDouble()", "$t.item().to<double>()", "static_cast<double>($i)",
    "sum_NAME(VAR)", "*VAR.const_data_ptr<float>()", "std::max<double>($d, $d)", "VAR.sum().data_ptr<double>()[0]",
)  # fmt: skip

BOOL = (
    "$t.is_contiguous()", "($i < $i)", "$t.defined()", "($t.scalar_type() == at::kFloat)", "($t.dtype() == $t.dtype())",
    "($t.sizes() == $t.sizes())", "!$b", "$t.is_cuda()", "$t.is_floating_point()", "at::equal($t, $t)", "$t.item<bool>()",
    "($t.device() == $t.device())", "$t.is_contiguous(at::MemoryFormat::ChannelsLast)", "$t.device().is_cpu()",
    "$t.is_same_size($t)", "at::isIntegralType($t.scalar_type(), false)", "(VAR.dtype() == at::kFloat)", "VAR.is_complex()",
    "(VAR.device().type() == at::kCPU)", "(VAR.scalar_type() != c10::ScalarType::Double)", "VAR.is_sparse()", "VAR.is_same(VAR)",
    "at::isFloatingType(VAR.scalar_type())", "(VAR.sizes() != VAR.strides())", "VAR.sizes().empty()", "VAR.is_non_overlapping_and_dense()",
    "std::optional<at::Tensor>(VAR).has_value()", "(VAR.dim() == 2 && VAR.size(0) == 2)", "VAR.dtype().isScalarType(at::kLong)",
    "(VAR.suggest_memory_format() == at::MemoryFormat::Contiguous)", "VAR.requires_grad()", "VAR.is_alias_of(VAR)",
)  # fmt: skip

LIST = (
    "std::vector<at::Tensor>{$t, $t}", "$t.unbind(0)", "$t.split(1, 0)", "$t.chunk(2, 0)", "at::TensorList({VAR, VAR}).vec()",
    "many_NAME($t)", "at::split($t, 1)",
)  # fmt: skip

# Definitions at namespace scope, by the name that a form uses them by.
OWN = {
    "bump_NAME": "static at::Tensor bump_NAME(at::Tensor t) { t = t.clone(); t.add_(1); return t; }",
    "row_NAME": "static at::Tensor row_NAME(const at::Tensor& t, int64_t i) { return t.select(0, i); }",
    "Hold_NAME": "struct Hold_NAME { at::Tensor w; std::vector<at::Tensor> all; at::Tensor get() const { return w; } };",
    "twice_NAME": "template <typename T> static T twice_NAME(const T& t) { return t * 2; }",
    "pick_NAME": "static at::Tensor pick_NAME(bool c, at::Tensor s, at::Tensor t) { return c ? s : t; }",
    "next_NAME": "static int64_t count_NAME = 0;\nstatic int64_t next_NAME() { return ++count_NAME; }",
    "Box_NAME": "template <class T> struct Box_NAME { T value; T get() const { return value.abs(); } };",
    "Own_NAME": (
        "class Own_NAME {\n public:\n  explicit Own_NAME(at::Tensor t) : t_(std::move(t)), s_(t_.options()) {}\n"
        "  at::Tensor run(double d) const { return t_.mul(d) + at::ones({1}, s_); }\n"
        "  static at::Tensor made(const at::Tensor& t) { return t - 1; }\n  at::Tensor operator+(int k) const { return t_ + k; }\n"
        "  const at::Tensor& get() const { return t_; }\n private:\n  at::Tensor t_;\n  at::TensorOptions s_;\n};"
    ),
    "SQ_NAME": "#define SQ_NAME(t) ((t) * (t))",
    "PICK_NAME": "#define PICK_NAME(c, s, t) [&]() -> at::Tensor { if (c) return s.exp(); return t.neg(); }()",
    "in_NAME": (
        "namespace in_NAME {\nusing namespace at;\nstatic Tensor shifted(const Tensor& t) { return abs(t) + ones_like(t, kFloat); }\n}"
    ),
    "first_NAME": "static at::Tensor first_NAME(at::TensorList l) { at::Tensor s = l[0]; for (const auto& t : l.slice(1)) s = s + t; return s; }",
    "maybe_NAME": "static at::Tensor maybe_NAME(const std::optional<at::Tensor>& t) { return t.has_value() ? t->neg() : at::zeros({2}); }",
    "table_NAME": (
        "static const std::vector<at::Tensor>& table_NAME() {\n"
        "  static const std::vector<at::Tensor> all = {at::ones({2}), at::arange(3)};\n  return all;\n}"
    ),
    "both_NAME": "static std::tuple<at::Tensor, at::Tensor> both_NAME(at::Tensor t) { return {t.exp(), t + 1}; }",
    "ref_NAME": "static const at::Tensor* ref_NAME(const at::Tensor& t) { return &t; }",
    "apply_NAME": "template <typename F> static at::Tensor apply_NAME(F f, at::Tensor t) { return f(t); }",
    "total_NAME": "static int64_t total_NAME(at::IntArrayRef s) { int64_t k = 1; for (auto d : s) k *= d; return k; }",
    "sum_NAME": (
        "static double sum_NAME(const at::Tensor& u) {\n  at::Tensor t = u.contiguous();\n  const float* p = t.data_ptr<float>();\n"
        "  double s = 0;\n  for (int64_t k = 0; k < t.numel(); ++k) s += *p++;\n  return s;\n}"
    ),
    "many_NAME": "static std::vector<at::Tensor> many_NAME(at::Tensor t) { std::vector<at::Tensor> l; l.push_back(t); l.emplace_back(t + 1); return l; }",
    "Ptr_NAME": "struct Ptr_NAME { float* p; int64_t n; void set(int64_t k, float v) { p[k] = v; } };",
    "Params_NAME": "struct Params_NAME { const float* in; float* out; int64_t n; };\nstatic void run_NAME(const Params_NAME& q) { for (int64_t k = 0; k < q.n; ++k) q.out[k] = q.in[k] * 2; }",
    "fill_NAME": "template <typename T> static void fill_NAME(T* p, int64_t n, T v) { for (int64_t k = 0; k < n; ++k) p[k] = v; }",
    "CHECK_NAME": '#define CHECK_NAME(t) TORCH_CHECK((t).is_contiguous(), "tw: " #t " must be contiguous")',
    "CHECK2_NAME": '#define CHECK2_NAME(c, ...) do { if (!(c)) { AT_ERROR("tw: " #c " ", __VA_ARGS__); } } while (0)',
    "SHAPE_NAME": '#define SHAPE_NAME(t, d) TORCH_CHECK(t.dim() == d, "tw: " #t " has ", t.dim(), " dimensions, not " #d)',
    "kWide_NAME": "static constexpr int64_t kWide_NAME = (int64_t{1} << 53) + 1;",
    "kFloats_NAME": "static float kFloats_NAME[] = {1.5f, 2.5f};",
    "Base_NAME": "struct Base_NAME { at::Tensor w; std::vector<at::Tensor> all{w}; at::Tensor scaled(int64_t k) const { return w * k; } };",
    "Child_NAME": (
        "struct Child_NAME : Base_NAME {\n  Child_NAME(at::Tensor t) : Base_NAME{t} {}\n  std::vector<at::Tensor> whole() const { return {w, -w}; }\n"
        "  const at::Tensor& operator*() const { return w; }\n  const at::Tensor* operator->() const { return &w; }\n"
        "  at::Tensor operator()(int64_t k) const { return w + k; }\n  at::Tensor operator-() const { return -w; }\n"
        "  at::Tensor operator[](int k) const { return w[k]; }\n  operator at::Tensor() const { return w; }\n"
        "  static auto one(const at::Tensor& t) { return t.mul(3); }\n};"
    ),
    "ALIAS_NAME": "#define ALIAS_NAME at::Tensor",
    "auto_NAME": "static auto auto_NAME(const at::Tensor& t) { return t.add(1); }",
    "Pair_NAME": (
        "template <typename A, typename B> struct Pair_NAME {\n  A first; B second;\n  Pair_NAME(A a, B b) : first(std::move(a)), second(b) {}\n"
        "  A both() const { return first * second; }\n  auto scaled() const { return first.mul(second); }\n};"
    ),
    "Of_NAME": (
        "template <int N> class Of_NAME {\n public:\n  static at::Tensor made(const at::Tensor& t) { return t + N; }\n"
        "  template <typename T> T run(T t) { return kept_.add(t, N); }\n private:\n  at::Tensor kept_ = at::ones({1});\n};"
    ),
    "Crtp_NAME": (
        "template <class D> struct CrtpBase_NAME { at::Tensor twice() { return static_cast<D*>(this)->get() * 2; } };\n"
        "struct Crtp_NAME : CrtpBase_NAME<Crtp_NAME> { at::Tensor w; explicit Crtp_NAME(at::Tensor t) : w(t) {} at::Tensor get() { return w.neg(); } };"
    ),
    "Kept_NAME": (
        "template <class T> struct Kept_NAME {\n  std::vector<T> all;\n  explicit Kept_NAME(T t) { all.push_back(t); all.push_back(t + 1); }\n"
        "  template <class F> T each(F f) { T sum = f(all[0]); for (size_t k = 1; k < all.size(); ++k) sum = sum + f(all[k]); return sum; }\n};"
    ),
    "Spec_NAME": (
        "template <class T> struct Spec_NAME { static at::Tensor of(at::Tensor t) { return t.neg(); } };\n"
        "template <> struct Spec_NAME<int> { static at::Tensor of(at::Tensor t) { return t.to(at::kInt); } };"
    ),
    "all_NAME": "template <typename T, typename... Ts> static at::Tensor all_NAME(T t, Ts... ts) { if constexpr (sizeof...(ts) == 0) return at::scalar_tensor(t); else return t + all_NAME(ts...); }",
    "made_NAME": "template <typename T> static T made_NAME(at::Tensor t) { T other(t.clone()); other.mul_(2); return other; }",
    "Variadic_NAME": "template <class... Ts> struct Variadic_NAME { static at::Tensor sum(Ts... ts) { at::Tensor s = at::zeros({1}); ((s = s + ts), ...); return s; } };",
    "text_NAME": "template <typename T> static int64_t text_NAME(const T& t) { std::ostringstream out; out << t; return out.str().size(); }",
    "caught_NAME": "template <typename F> static int64_t caught_NAME(F f) { try { return f().dim(); } catch (const c10::IndexError&) { return -2; } catch (const std::exception&) { return -1; } }",
    "Bad_NAME": "struct Bad_NAME : std::runtime_error { using std::runtime_error::runtime_error; int code = 7; };",
    "must_NAME": "static at::Tensor must_NAME(const at::Tensor& t) { TORCH_CHECK(t.dim() == 2, \"tw: must have 2, not \", t.dim()); return t.t(); }",
    "kSizes_NAME": "static constexpr int64_t kSizes_NAME[] = {2, 3};",
    "kTypes_NAME": "static const std::array<at::ScalarType, 2> kTypes_NAME = {at::kDouble, at::kInt};",
}  # fmt: skip
