"""What statements of random functions look like; see forms.py. NEW is a variable made here, LOC one that no other sees.

`$block` is a block of more statements, in which EACH is a tensor.
"""

from __future__ import annotations

_FLOATS = "at::Tensor NEW = $t.to(at::kFloat).clone(at::MemoryFormat::Contiguous); "

DECLARED = (
    "auto NEW = $t;", "at::Tensor NEW = $t;", "const auto& NEW = $t;", "auto&& NEW = $t;", "const at::Tensor NEW = $t;",
    "decltype(auto) NEW = $t;", "torch::Tensor NEW = $t;", "at::Tensor NEW; NEW1 = $t;", "at::Tensor NEW{$t};", "torch::Tensor NEW($t);",
    "using LOC = at::Tensor; LOC NEW = $t;", "std::optional<at::Tensor> LOC = $t; at::Tensor NEW = *LOC;",
)  # fmt: skip

RESULTS = (
    "auto [NEW, NEW] = $t.max(0);", "auto [NEW, NEW] = $t.sort(0);", "at::Tensor NEW, NEW; std::tie(NEW1, NEW2) = $t.max(0);",
    "auto [NEW, NEW] = at::topk($t, 1);", "auto LOC = $t.min(0); auto NEW = std::get<0>(LOC);",
)  # fmt: skip

WRITES = (
    "VAR += $t;", "VAR *= $i;", "VAR -= $d;", "VAR /= $t;", "VAR = $t;", "VAR[0] = $d;", "VAR[0] = $t;", "VAR[0] += $i;",
    "VAR.select(0, 0) = $t;", "VAR.narrow(0, 0, 1) = $d;", "VAR.copy_($t);", "VAR.index_put_({0}, $d);", "VAR[0].copy_($t);",
    "VAR.zero_();", "(VAR[0]) = $t;", "row_NAME(VAR, 0) = $t;", "std::swap(x, y); VAR = $t;", "VAR.add_(1).mul_(2);",
    "auto NEW = VAR.add_(1).mul(VAR.sum());", "auto& NEW = VAR.add_($d);", "auto NEW = (VAR += 1) * 2;", "at::Tensor NEW; auto NEW = -(NEW1 = $t);",
    "std::vector<at::Tensor> LOC{VAR.add_(1), VAR.mul(2)}; auto NEW = LOC[1];", "at::add_out(VAR, $t, $t);", "VAR.masked_fill_($t > 0, $d);",
    "VAR.index_put_({torch::indexing::Slice(0, 1)}, $t);", "VAR.data().fill_($d);", "VAR.slice(0, 0, 1).fill_($i);", "VAR.t_();",
    "auto NEW = -(VAR = $t);", "auto NEW = (VAR = VAR + 1).exp();", "auto NEW = at::exp(VAR = $t);", "auto NEW = (VAR += $i).sum();",
    "auto NEW = 2 * (VAR *= 2);", "auto NEW = (VAR -= 1)[0];", "int64_t NUM = (VAR = $t).dim();", "VAR = VAR = $t;", "at::Tensor NEW, NEW; NEW1 = NEW2 = $t;", "if ((VAR = $t).dim() > 1) x = x + 1;", "auto NEW = (VAR = $t);", "const auto& NEW = (VAR += $i);",
    "VAR += VAR.slice(0, 0, 1);", "VAR -= VAR[0];", "VAR *= VAR.t();", "VAR[0] = VAR[-1];", "VAR.index_put_({torch::indexing::Slice(0, 1)}, VAR.slice(0, 1, 2));",
    "VAR.index_put_({0}, $t.unsqueeze(0).slice(-1, 0, 1));", "VAR.index_put_({VAR > 0}, $i);", "VAR.index_put_({torch::indexing::Slice(), 0}, $t.sum());",
    "VAR[0] = kWide_NAME;", "VAR.fill_(kWide_NAME);", "VAR.index_put_({0}, kWide_NAME);", "VAR += kWide_NAME;",
    "auto NEW = std::move(VAR); VAR = NEW1 + 1;", "at::Tensor NEW = $t; VAR = std::move(NEW1); NEW1 = VAR;", "at::Tensor NEW = std::exchange(VAR, $t);", "std::swap(l0[0], l0[1]); VAR = l0[0];",
    "VAR[0][0] = $i;", "VAR[0].zero_();", "auto NEW = VAR[0]; NEW1 += $d;", "auto NEW = VAR.view({-1}); NEW1.mul_($d);",
)  # fmt: skip

CHECKS = (
    'TORCH_CHECK($b, "tw: ", n, " and ", a);', 'TORCH_CHECK($b, "tw: ", $t.sizes());', "TORCH_CHECK($b);",
    'AT_ASSERTM($b, "tw: ", n);', "TORCH_CHECK_EQ($i, $i);", 'TORCH_CHECK_LT($i, $i);', 'TORCH_CHECK_VALUE($b, "tw: value ", n);',
    'TORCH_CHECK_INDEX($b, "tw: index ", $i);', 'TORCH_CHECK_TYPE($b, "tw: type");', 'TORCH_CHECK_NOT_IMPLEMENTED($b, "tw: not");',
    'TORCH_INTERNAL_ASSERT($b, "tw: internal");', "TORCH_INTERNAL_ASSERT_DEBUG_ONLY($b);", 'if (!$b) { AT_ERROR("tw: ", $i); }',
    'if ($b) C10_THROW_ERROR(ValueError, "tw: thrown");', 'if ($b) throw std::invalid_argument("tw: own");', "CHECK_NAME(VAR);",
    'CHECK2_NAME($b, n, " ", a);', "SHAPE_NAME(VAR, 2);", 'TORCH_CHECK(VAR.scalar_type() == at::kFloat, "tw: got ", VAR.scalar_type());',
    'TORCH_CHECK($b, "tw: ", VAR.dtype(), " on ", VAR.device());', 'TORCH_CHECK_WITH(IndexError, $b, "tw: with");',
    'TORCH_CHECK(VAR.dim() == 2, "tw: dim");', 'TORCH_CHECK(VAR.sizes() == VAR.sizes(), "tw: ", VAR.sizes(), " ", VAR.strides());',
)  # fmt: skip

FLOW = (
    "if ($b) {\n$block\n  }", "for (int64_t i = 0; i < 2; ++i) {\n$block\n  }", "for (auto& EACH : $v) {\n$block\n  }",
    "for (const auto& EACH : $l) {\n$block\n  }", "[&] {\n$block\n  }();", "{\n$block\n  }", "if ($b) {\n$block\n  } else {\n$block\n  }",
    "try {\n$block\n  } catch (const std::exception& e) { x = x + 1; }", "try {\n$block\n  } catch (const c10::Error& e) { x = x + 2; }",
    "try {\n$block\n  } catch (const c10::Error& e) { x = x + 2; } catch (const std::exception& e) { x = x + 3; }",
    "try {\n$block\n  } catch (const c10::ValueError& e) { x = x + 4; }", "try {\n$block\n  } catch (...) { x = x + 5; }",
    "try {\n$block\n  } catch (const c10::IndexError& e) { x = x + 4; } catch (const c10::Error& e) { x = x + 6; }",
    'try {\n$block\n  } catch (const c10::Error& e) { if (std::string(e.what_without_backtrace()).find("tw: ") == 0) x = x + 7; }',
    'try {\n$block\n  } catch (const c10::Error& e) { if (e.msg().find("tw: ") != std::string::npos) x = x + 8; }',
    'try {\n$block\n  } catch (const std::exception& e) { if (std::string(e.what()).find("tw: ") == 0) x = x + 9; }',
    'try {\n$block\n  } catch (const std::exception& e) { TORCH_CHECK(false, "tw: again ", n); }',
    'try {\n$block\n  } catch (const std::exception& e) { x = x + 1; try { throw; } catch (const c10::Error&) { x = x + 2; } catch (...) { x = x + 3; } }',
    'try {\n$block\n  } catch (const std::runtime_error& e) { x = x + 10; } catch (const std::exception& e) { x = x + 11; }',
    'try {\n$block\n    throw Bad_NAME("tw: bad"); } catch (const Bad_NAME& e) { x = x + e.code; } catch (const c10::Error&) { x = x + 12; }',
    'try {\n$block\n  } catch (c10::Error& e) { e.add_context("tw: context"); x = x + 13; }',
    'std::exception_ptr LOC; try {\n$block\n  } catch (...) { LOC = std::current_exception(); } if (LOC) x = x + 14;',
    'auto LOC = [&]() { $block\n if ($b) throw std::out_of_range("tw: range"); return 1; }; try { x = x + LOC(); } catch (const std::out_of_range&) { x = x + 15; } catch (const std::logic_error&) { x = x + 16; }',
    'try {\n$block\n    VAR = must_NAME($t); } catch (const c10::Error& e) { x = x + 17; }',
    'try {\n$block\n  } catch (const c10::TypeError&) { x = x + 18; } catch (const c10::NotImplementedError&) { x = x + 19; } catch (const c10::Error&) { throw; }',
    'try {\n$block\n  } catch (const std::exception& e) { throw std::runtime_error(std::string("tw: over ") + std::to_string(x.dim())); }',
    "do {\n$block\n  } while (false);", "for (int64_t i = x.dim(); i-- > 0;) {\n$block\n    if ($b) break; }", "while (x.dim() > 3) { x = x[0]; }",
    "for (auto it = l0.begin(); it != l0.end(); ++it) { auto& EACH = *it;\n$block\n  }", "for (size_t k = 0; k < l0.size(); ++k) { const auto& EACH = l0[k];\n$block\n  }",
    "if (const auto EACH = $t; !EACH.defined()) { x = x + 1; } else {\n$block\n  }", "std::for_each(l0.begin(), l0.end(), [&](at::Tensor& EACH) {\n$block\n  });",
    "c10::List<at::Tensor> LOC; LOC.push_back($t); for (const at::Tensor& EACH : LOC) {\n$block\n  }",
    "for (const auto LOC : c10::irange(2)) { x = x + static_cast<int64_t>(LOC);\n$block\n  }",
    "at::parallel_for(0, 1, 1, [&](int64_t b, int64_t e) {\n$block\n  });", "switch ($i) { case 1: {\n$block\n  } break; default: x = x.neg(); }",
    "auto LOC = [&](auto EACH) {\n$block\n  return EACH.sum(); };\n  auto NEW = LOC($t);", "if (auto EACH = $t; EACH.dim() > 1) {\n$block\n  }",
    "std::map<int, at::Tensor> LOC{{1, $t}}; for (auto& [key, EACH] : LOC) {\n$block\n  }",
)  # fmt: skip

NUMBERS = ("int64_t NUM = $i;", "const auto NUM = $i;", "int NUM = $i;", "auto LOC = VAR.sizes(); int64_t NUM = LOC[0];",
    "const auto LOC = VAR.sizes().vec(); int64_t NUM = LOC.back();", "auto LOC2 = VAR.sizes(); c10::SmallVector<int64_t, 4> LOC(LOC2.begin(), LOC2.end()); int64_t NUM = LOC[0];",
    "at::DimVector LOC(VAR.sizes()); int64_t NUM = LOC.size();", "int64_t NUM = 0; for (auto d : VAR.sizes()) NUM += d;",
    "std::vector<int64_t> LOC = VAR.sizes().vec(); LOC.push_back(1); int64_t NUM = LOC.size(); VAR = VAR.reshape(LOC);",
    "std::array<int64_t, 2> LOC = {2, 3}; int64_t NUM = LOC[1]; x = at::zeros(LOC);", "int64_t NUM = kSizes_NAME[1]; x = at::ones(kSizes_NAME);",
    "static int64_t LOC = 0; int64_t NUM = ++LOC;", "double LOC = $d; int64_t NUM = static_cast<int64_t>(LOC);",
)  # fmt: skip

OPTIONS = (
    "auto LOC = $t.options(); auto NEW = at::ones({2}, LOC);", "auto LOC = VAR.options().dtype(at::kLong); x = x.to(at::kDouble); auto NEW = at::zeros({2}, LOC);",
    "auto LOC = at::TensorOptions().dtype(at::kDouble).device(VAR.device()); auto NEW = at::ones({2}, LOC);",
    "auto LOC = VAR.scalar_type(); auto NEW = at::ones({2}, LOC);", "auto LOC = VAR.dtype(); auto NEW = at::ones({2}, LOC);",
    "auto LOC = VAR.device(); auto NEW = at::ones({2}, LOC);", "at::TensorOptions LOC; LOC = LOC.dtype(at::kInt); auto NEW = at::zeros({2}, LOC);",
    "auto LOC = at::dtype(at::kInt).device(at::kCPU); auto NEW = at::full({2}, $i, LOC);", "const auto LOC = VAR.options(); VAR = VAR.to(at::kDouble); auto NEW = at::zeros({1}, LOC.dtype(VAR.scalar_type()));",
    "auto LOC = VAR.options().requires_grad(false); if ($b) LOC = LOC.dtype(at::kLong); auto NEW = at::empty({2}, LOC).fill_(1);",
    "auto LOC = VAR.options(); auto NEW = [&] { return at::ones({2}, LOC); }();", "at::ScalarType LOC = $b ? at::kFloat : at::kDouble; auto NEW = at::zeros({2}, LOC);",
    "auto NEW = VAR.to(kTypes_NAME[0]);", "auto LOC = VAR.options(); TORCH_CHECK(LOC.dtype() == at::kFloat, \"tw: \", LOC.dtype());",
    "auto LOC = VAR.options(); auto LOC2 = LOC.dtype(); auto NEW = at::zeros({2}, LOC2);", "auto LOC = VAR.options().device(); auto NEW = at::ones({2}, at::TensorOptions(LOC));",
    "auto LOC = c10::optTypeMetaToScalarType(VAR.options().dtype_opt()); auto NEW = at::zeros({2}, LOC.value_or(at::kInt));",
    "at::TensorOptions LOC = at::kDouble; auto NEW = at::ones({2}, LOC);", "auto LOC = [](at::TensorOptions o) { return at::ones({2}, o); }; auto NEW = LOC(VAR.options());",
    "std::optional<at::ScalarType> LOC; if ($b) LOC = at::kDouble; auto NEW = VAR.to(LOC.value_or(VAR.scalar_type()));", "c10::optional<at::Device> LOC = VAR.device(); auto NEW = at::zeros({2}, at::TensorOptions().device(LOC));",
    "auto LOC = c10::typeMetaToScalarType(VAR.dtype()); auto NEW = VAR.to(LOC);", "c10::Device LOC(at::kCPU); auto NEW = at::zeros({2}, LOC);",
)  # fmt: skip

POINTERS = tuple(
    _FLOATS + "{ " + body + " }"
    for body in (
        "auto* p = NEW1.data_ptr<float>(); for (int64_t k = 0; k < NEW1.numel(); ++k) p[k] += $d;",
        "float* p = NEW1.data_ptr<float>(); for (int64_t k = 0; k < NEW1.numel(); ++k) *p++ = k;",
        "auto p = NEW1.data_ptr<float>(); auto n_ = NEW1.numel(); while (n_-- > 0) *p++ *= 2;",
        "float* p = NEW1.data_ptr<float>(); auto& r = p[0]; r = 2;", "float* p = NEW1.data_ptr<float>(); (*p)++; ++*p;",
        "Ptr_NAME LOC{NEW1.data_ptr<float>(), NEW1.numel()}; LOC.set(0, 3); LOC.p[LOC.n - 1] = 4;",
        "at::Tensor u = at::zeros_like(NEW1); Params_NAME LOC; LOC.in = NEW1.data_ptr<float>(); LOC.out = u.data_ptr<float>(); LOC.n = NEW1.numel(); run_NAME(LOC); NEW1 = u;",
        "fill_NAME(NEW1.data_ptr<float>(), NEW1.numel(), 1.5f);", "fill_NAME<float>(NEW1.data_ptr<float>(), 1, $d);",
        "at::Tensor u = at::empty_like(NEW1); std::memcpy(u.data_ptr<float>(), NEW1.data_ptr<float>(), NEW1.nbytes()); NEW1 = u;",
        "std::memset(NEW1.data_ptr(), 0, NEW1.nbytes());", "std::fill(NEW1.data_ptr<float>(), NEW1.data_ptr<float>() + NEW1.numel(), 2.f);",
        "auto f = [p = NEW1.data_ptr<float>()](int64_t k, float v) { p[k] = v; }; f(0, $d);",
        "float s = 0; const auto* p = NEW1.data_ptr<float>(); for (int64_t k = 0; k < NEW1.numel(); ++k) s += p[k]; NEW1 = NEW1 * s;",
        "void* v = NEW1.data_ptr(); static_cast<float*>(v)[0] = 5;", "auto* p = reinterpret_cast<int32_t*>(NEW1.data_ptr<float>()); p[0] = 0;",
        "auto p = NEW1.mutable_data_ptr<float>(); p[0] = $d;", "float* p[] = {NEW1.data_ptr<float>()}; p[0][0] = 7;",
        "std::vector<float> c(NEW1.data_ptr<float>(), NEW1.data_ptr<float>() + NEW1.numel()); c[0] = 1; NEW1 = NEW1 + c[0];",
        "AT_DISPATCH_FLOATING_TYPES(NEW1.scalar_type(), \"tw\", [&] { auto* p = NEW1.data_ptr<scalar_t>(); p[0] = p[0] + 1; });",
        "AT_DISPATCH_ALL_TYPES(VAR.scalar_type(), \"tw\", [&] { NEW1 = NEW1 + static_cast<int64_t>(sizeof(scalar_t)); });",
        "AT_DISPATCH_FLOATING_TYPES_AND_HALF(VAR.scalar_type(), \"tw\", ([&] { fill_NAME<scalar_t>(VAR.data_ptr<scalar_t>(), 1, static_cast<scalar_t>(2)); }));",
        "AT_DISPATCH_INTEGRAL_TYPES(VAR.scalar_type(), \"tw\", [&] { VAR.data_ptr<scalar_t>()[0] = 9; });",
        "AT_DISPATCH_SWITCH(VAR.scalar_type(), \"tw\", AT_DISPATCH_CASE(at::kFloat, [&] { NEW1 = NEW1 + 1; }) AT_DISPATCH_CASE(at::kLong, [&] { NEW1 = NEW1 + 2; }));",
    )
)  # fmt: skip

ACCESSORS = tuple(
    _FLOATS + "{ " + body + " }"
    for body in (
        "auto r = NEW1.accessor<float, 2>(); for (int64_t i = 0; i < r.size(0); ++i) for (int64_t j = 0; j < r.size(1); ++j) r[i][j] += i * 10 + j;",
        "auto r = NEW1.accessor<float, 2>(); auto row = r[0]; row[1] = 3;", "auto r = NEW1.accessor<float, 1>(); r[0] = $d;",
        "at::TensorAccessor<float, 2> r = NEW1.accessor<float, 2>(); float s = 0; for (int64_t j = 0; j < r.size(1); ++j) s += r[0][j]; NEW1 = NEW1 + s;",
        "auto r = NEW1.packed_accessor32<float, 2>(); r[0][0] = 4;", "auto r = NEW1.packed_accessor64<float, 2>(); NEW1 = NEW1 + r.stride(0);",
        "auto r = NEW1.accessor<double, 2>(); r[0][0] = 1;", "auto r = NEW1.accessor<float, 2>(); NEW1 = NEW1 + r.size(1) * 100 + r.stride(0);",
        "auto r = NEW1.accessor<float, 2>(); auto* p = r.data(); p[0] = 8;", "const auto r = NEW1.accessor<const float, 2>(); NEW1 = NEW1 * r[0][0];",
        "auto r = NEW1.accessor<float, 2>(); auto f = [&](int64_t i) { r[i][0] = i; }; f(0);",
    )
)  # fmt: skip

GUARDS = (
    "c10::DeviceGuard LOC(VAR.device()); VAR = VAR + 1;", "const at::DeviceGuard LOC(VAR.device()); VAR.mul_(2);",
    "c10::OptionalDeviceGuard LOC(at::device_of(VAR)); VAR = VAR + 1;", "c10::OptionalDeviceGuard LOC; LOC.reset_device(VAR.device()); VAR = VAR + 1;",
    "at::NoGradGuard LOC; VAR = VAR * 2;", "torch::NoGradGuard LOC; auto NEW = VAR + $d;", "c10::OptionalDeviceGuard LOC(VAR.device()); auto NEW = VAR.exp();",
    "{ c10::DeviceGuard LOC(c10::Device(c10::kCPU)); x = x.neg(); }",
)  # fmt: skip

NAMES = (
    "at::Tensor NEW; { using namespace at; Tensor s = add(VAR, $t); NEW1 = s.to(kDouble); }", "using at::Tensor; Tensor NEW = $t;",
    "namespace LOC = at; LOC::Tensor NEW = LOC::exp($t);", "at::Tensor NEW; { using namespace torch; NEW1 = zeros({2, 1}, kDouble) + ones({2}, kInt32); }",
    "auto NEW = zeros_like(VAR) + ones_like(VAR);", "::at::Tensor NEW = ::at::abs($t);", "int kFloat = 3; auto NEW = VAR + kFloat;",
    "auto contiguous = [](int64_t k) { return k + 1; }; auto NEW = VAR + contiguous(1);", "typedef at::Tensor LOC; LOC NEW = $t; NEW1 = NEW1.exp();",
    "using LOC = std::vector<at::Tensor>; LOC LOC2 = {$t}; auto NEW = LOC2[0] * 2;", "at::Tensor NEW = at::empty({0}); for (auto sum : {1, 2}) NEW1 = at::ones({sum});",
    "c10::ArrayRef<at::Tensor> LOC(l0); auto NEW = LOC[0] + static_cast<int64_t>(LOC.size());", "std::optional<at::Tensor> LOC; if ($b) LOC = $t; auto NEW = LOC.value_or(VAR);",
    "std::optional<int64_t> LOC; if ($b) LOC = $i; auto NEW = VAR + LOC.value_or(7);", "auto LOC = std::make_shared<at::Tensor>($t); auto NEW = *LOC + 1;",
    "std::unordered_map<std::string, at::Tensor> LOC; LOC[\"k\"] = $t; auto NEW = LOC.at(\"k\").neg();", "std::pair<at::Tensor, int64_t> LOC{$t, 2}; auto NEW = LOC.first * LOC.second;",
    "auto LOC = l0.begin(); auto NEW = LOC->exp(); auto NEW = *LOC + 1;", "struct LOC { at::Tensor w; int64_t k; }; LOC LOC2{$t, 2}; auto NEW = LOC2.w * LOC2.k;",
    "std::tuple<at::Tensor, double> LOC{$t, $d}; auto& [NEW, LOC2] = LOC; NEW1 = NEW1 * LOC2;", "std::stringstream LOC; LOC << VAR.sizes() << VAR.scalar_type(); auto NEW = VAR + static_cast<int64_t>(LOC.str().size());",
    "static const at::Tensor LOC = at::ones({1}); auto NEW = VAR + LOC;", "static std::map<at::ScalarType, int64_t> LOC = {{at::kFloat, 1}, {at::kLong, 2}}; auto NEW = VAR + LOC[VAR.scalar_type()];",
    "l0.push_back($t); auto NEW = at::cat(l0);", "auto LOC = std::move(l0); l0 = {x, y}; auto NEW = LOC.back();", "std::array<at::Tensor, 2> LOC = {VAR, $t}; auto NEW = LOC[1] - LOC[0];",
    "auto LOC = std::make_unique<at::Tensor>($t); auto NEW = LOC->exp() + *LOC;", "const auto* LOC = &VAR; auto NEW = (*LOC)[0] + LOC->sum();", "auto& LOC = l0.front(); LOC = $t; auto NEW = l0[0];",
    "Base_NAME LOC{$t}; auto NEW = -LOC.w; auto NEW = 2 * LOC.w; auto NEW = LOC.all[0] + LOC.scaled(2);", "Child_NAME LOC($t); at::Tensor NEW = LOC; auto NEW = *LOC + LOC->size(0); auto NEW = LOC(2)[0];",
    "Pair_NAME<at::Tensor, int> LOC($t, 3); auto& [NEW, LOC2] = LOC; NEW1 = NEW1 * LOC2;", "auto LOC = std::tie(x, y); auto NEW = std::get<0>(LOC) + 1;", "auto LOC = std::ref(VAR); auto NEW = LOC.get().exp(); LOC.get() = NEW1;",
    "std::variant<int, at::Tensor> LOC = $t; auto NEW = std::get<at::Tensor>(LOC) + 1;", "std::vector<std::vector<at::Tensor>> LOC{{x, $t}, {y}}; auto NEW = LOC[0][1] * 2;", "at::Tensor LOC[2] = {$t, VAR}; auto NEW = LOC[0] - LOC[1];",
    "auto LOC = [&]() -> std::pair<at::Tensor, at::Tensor> { return {$t, VAR}; }; auto [NEW, NEW] = LOC();", "std::vector<at::Tensor> LOC; std::transform(l0.begin(), l0.end(), std::back_inserter(LOC), [](const at::Tensor& t) { return t * 2; }); auto NEW = LOC[0];",
    "auto LOC = [v = std::vector<at::Tensor>{$t}](size_t k) { return v[k].neg(); }; auto NEW = LOC(0);", "std::function<at::Tensor(const at::Tensor&)> LOC = [](const at::Tensor& t) { return t + 1; }; auto NEW = LOC($t) * 2;",
    "auto LOC = at::Scalar($d); auto NEW = VAR.mul(LOC);", "at::Scalar LOC = 2; auto NEW = at::add(VAR, VAR, LOC);",
)  # fmt: skip
