"""Operators for the CPU: their code before and after, a case for each, and what goes wrong when the defect is in."""

from __future__ import annotations

from typing import NamedTuple

from torch_stabilize.verify import codes


class Planted(NamedTuple):
    """One operator. `legacy` and `stable` are functions, `defect` replaces a text of `stable` or of its registration.

    `caught` is the code of the finding and words of it. `{op}` in a text is the operator's name.
    """

    schema: str
    legacy: str
    stable: str
    case: str
    defect: tuple[str, str]
    caught: tuple[str, str]
    key: str = "CPU"


X = "args = [{ tensor = { shape = [3, 4] } }]"
FINE = '\n\n[[case]]\nop = "{op}"\nid = "{op}-fine"\nargs = [{ int = 1 }]'  # what a check lets pass
LOOP = "for (int64_t i = 0; i < x.numel(); ++i)"
OLD = "at::Tensor {op}(const at::Tensor& x)"
NEW = "Tensor {op}(const Tensor& x)"


def mapped(what: str, case: str = X, schema: str = "{op}(Tensor x) -> Tensor") -> tuple[str, str, str, str]:
    """An operator that computes each element by itself: the same code on both sides."""
    body = f"""{{
  {{T}} out = {{like}}(x);
  const float* from = x.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  {LOOP} to[i] = {what};
  return out;
}}"""
    old = body.replace("{T}", "at::Tensor").replace("{like}", "at::empty_like")
    new = body.replace("{T}", "Tensor").replace("{like}", "torch::stable::empty_like")
    return schema, f"{OLD} {old}", f"{NEW} {new}", case


HOST: dict[str, Planted] = {
    "a result off by a rounding": Planted(
        *mapped("from[i] * 3.0f"),
        ("from[i] * 3.0f", "from[i] * 3.0000002f"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 differs in"),
    ),
    "the sign of a zero": Planted(
        *mapped("-from[i]", "args = [{ tensor = { shape = [2], fill = 0.0 } }]"),
        ("-from[i]", "0.0f - from[i]"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 differs in 2 of 2"),
    ),
    "a NaN that becomes a number": Planted(
        *mapped("from[i] < 0 ? 0 : from[i]", 'args = [{ tensor = { shape = [2], fill = "nan" } }]'),
        ("from[i] < 0 ? 0 : from[i]", "from[i] > 0 ? from[i] : 0"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 differs in 2 of 2"),
    ),
    "the last element left out": Planted(
        "{op}(Tensor! x) -> ()",
        f"void {{op}}(at::Tensor& x) {{ {LOOP} x.mutable_data_ptr<float>()[i] = 1; }}",
        f"void {{op}}(Tensor& x) {{ {LOOP} x.mutable_data_ptr<float>()[i] = 1; }}",
        X,
        ("i < x.numel()", "i < x.numel() - 1"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: argument 0 differs in 1 of 12"),
    ),
    "an integer that overflows": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n * 3; }",
        "int64_t {op}(int64_t n) { return n * 3; }",
        "args = [{ int = 2000000000 }]",
        ("return n * 3", "return static_cast<int32_t>(n) * int64_t{3} % 4294967296"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 is 1705032704 instead of 6000000000"),
        "CompositeExplicitAutograd",
    ),
    "a float of less precision": Planted(
        "{op}(float f) -> float",
        "double {op}(double f) { return f / 3; }",
        "double {op}(double f) { return f / 3; }",
        "args = [{ float = 1.0 }]",
        ("return f / 3", "return static_cast<float>(f) / 3.0f"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 is 0x1.55555"),
        "CompositeExplicitAutograd",
    ),
    "a truth turned round": Planted(
        "{op}(int n) -> bool",
        "bool {op}(int64_t n) { return n > 0; }",
        "bool {op}(int64_t n) { return n > 0; }",
        "args = [{ int = 0 }]",
        ("n > 0", "n >= 0"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 is True instead of False"),
        "CompositeExplicitAutograd",
    ),
    "results in another order": Planted(
        "{op}(Tensor x) -> (Tensor, Tensor)",
        "std::tuple<at::Tensor, at::Tensor> {op}(const at::Tensor& x) { return {x.clone(), at::zeros_like(x)}; }",
        "std::tuple<Tensor, Tensor> {op}(const Tensor& x) { return {torch::stable::clone(x), zeros(x)}; }",
        X,
        ("{torch::stable::clone(x), zeros(x)}", "{zeros(x), torch::stable::clone(x)}"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 1 differs in"),
    ),
    "other strides": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return at::zeros({4, 3}, x.options()).t(); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::transpose(zeros(x, {4, 3}), 0, 1); }",
        X,
        ("torch::stable::transpose(zeros(x, {4, 3}), 0, 1)", "zeros(x, {3, 4})"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has strides (4, 1) instead of (1, 3)"),
    ),
    "another memory format": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { at::Tensor out = at::empty_like(x); out.zero_(); return out; }",
        "Tensor {op}(const Tensor& x) { Tensor out = torch::stable::empty_like(x); torch::stable::zero_(out); return out; }",
        "args = [{ tensor = { shape = [1, 2, 3, 3], strides = [18, 1, 6, 2] } }]",
        ("torch::stable::empty_like(x)", "torch::stable::new_empty(x, {1, 2, 3, 3})"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has strides (18, 9, 3, 1) instead of (18, 1, 6, 2)"),
    ),
    "another dtype": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return at::zeros_like(x).to(at::kDouble); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::to(zeros(x), ScalarType::Double); }",
        X,
        ("torch::stable::to(zeros(x), ScalarType::Double)", "zeros(x)"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has dtype float32 instead of float64"),
    ),
    "another promotion of dtypes": Planted(
        "{op}(Tensor x, Tensor y) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x, const at::Tensor& y) {"
        " return at::zeros({2}, x.options().dtype(at::result_type(x, y))); }",
        "Tensor {op}(const Tensor& x, const Tensor& y) {"
        " return torch::stable::to(zeros(x, {2}), x.scalar_type() == ScalarType::Long ? y.scalar_type() :"
        " x.scalar_type()); }",
        'args = [{ tensor = { shape = [2], dtype = "int64" } }, { tensor = { shape = [2], dtype = "float16" } }]',
        ("y.scalar_type() :", "ScalarType::Float :"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has dtype float32 instead of float16"),
    ),
    "another shape": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.amax({1}, true); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::amax(x, 1, true); }",
        X,
        ("1, true", "1, false"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has shape (3,) instead of (3, 1)"),
    ),
    "a copy instead of a view": Planted(
        "{op}(Tensor(a) x) -> Tensor(a)",
        "at::Tensor {op}(const at::Tensor& x) { return x.transpose(0, 1); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::transpose(x, 0, 1); }",
        X,
        ("return torch::stable::transpose(x, 0, 1)", "return torch::stable::clone(torch::stable::transpose(x, 0, 1))"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has alias None instead of 0"),
    ),
    "the input itself instead of a copy": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.clone(); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::clone(x); }",
        X,
        ("return torch::stable::clone(x)", "return x"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 has alias 0 instead of None"),
    ),
    "a write that moves no version on": Planted(
        "{op}(Tensor! x) -> ()",
        "void {op}(at::Tensor& x) { x.zero_(); }",
        "void {op}(Tensor& x) { torch::stable::zero_(x); }",
        X,
        ("torch::stable::zero_(x)", f"{LOOP} x.mutable_data_ptr<float>()[i] = 0"),
        (codes.VERSION_DIFFERS, "{op}[cpu]: the version counter of argument 0 is still"),
    ),
    "an input written to": Planted(
        *mapped("from[i] + 1"),
        ("to[i] = from[i] + 1", "to[i] = const_cast<float*>(from)[i] += 1"),
        (codes.UNDECLARED_WRITE, "{op}[cpu]: writes to argument 0, which its schema does not say"),
    ),
    "strides of the input ignored": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.contiguous().clone(); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::clone(torch::stable::contiguous(x)); }",
        "args = [{ tensor = { shape = [2, 3], strides = [1, 2] } }]",
        ("torch::stable::clone(torch::stable::contiguous(x))", "copied(x)"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 differs in"),
    ),
    "an absent tensor taken for an empty one": Planted(
        "{op}(Tensor? x) -> int",
        "int64_t {op}(const std::optional<at::Tensor>& x) { return x.has_value() ? x->numel() : -1; }",
        "int64_t {op}(const std::optional<Tensor>& x) { return x.has_value() ? x->numel() : -1; }",
        "args = [{ none = true }]",
        (": -1", ": 0"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 is 0 instead of -1"),
        "CompositeExplicitAutograd",
    ),
    "a list read backwards": Planted(
        "{op}(Tensor[] x) -> int",
        "int64_t {op}(at::TensorList x) { return x[0].numel(); }",
        "int64_t {op}(const std::vector<Tensor>& x) { return x.front().numel(); }",
        "args = [{ list = [{ tensor = { shape = [1] } }, { tensor = { shape = [2] } }] }]",
        ("x.front()", "x.back()"),
        (codes.OUTPUT_DIFFERS, "{op}[cpu]: return 0 is 2 instead of 1"),
    ),
    "a check that is gone": Planted(
        "{op}(int n) -> int",
        'int64_t {op}(int64_t n) { TORCH_CHECK(n > 0, "n must be positive"); return n; }',
        'int64_t {op}(int64_t n) { STD_TORCH_CHECK(n > 0, "n must be positive"); return n; }',
        'args = [{ int = 0 }]\nraises = "RuntimeError"' + FINE,
        ('STD_TORCH_CHECK(n > 0, "n must be positive");', ""),
        (codes.ERROR_DIFFERS, "{op}[cpu]: the stable library raises nothing"),
        "CompositeExplicitAutograd",
    ),
    "a check of something else": Planted(
        "{op}(int n) -> int",
        'int64_t {op}(int64_t n) { TORCH_CHECK(n > 0, "n must be positive"); return n; }',
        'int64_t {op}(int64_t n) { STD_TORCH_CHECK(n > 0, "n must be positive"); return n; }',
        "args = [{ int = 1 }]",
        ("n > 0", "n > 1"),
        (codes.ERROR_DIFFERS, "{op}[cpu]: the stable library raises RuntimeError: n must be positive"),
        "CompositeExplicitAutograd",
    ),
    "another message": Planted(
        "{op}(int n) -> int",
        'int64_t {op}(int64_t n) { TORCH_CHECK(n > 0, "n must be positive, got ", n); return n; }',
        'int64_t {op}(int64_t n) { STD_TORCH_CHECK(n > 0, "n must be positive, got ", n); return n; }',
        'args = [{ int = -7 }]\nraises = "RuntimeError"\nmessage = "got -7"' + FINE,
        ('got ", n)', 'got ", n + 1)'),
        (codes.ERROR_DIFFERS, "{op}[cpu]: the stable library's text has no match for 'got -7'"),
        "CompositeExplicitAutograd",
    ),
    "another message, of which the case says nothing": Planted(
        "{op}(int n) -> int",
        'int64_t {op}(int64_t n) { TORCH_CHECK(n > 0, "too small"); return n; }',
        'int64_t {op}(int64_t n) { STD_TORCH_CHECK(n > 0, "too small"); return n; }',
        'args = [{ int = -7 }]\nraises = "RuntimeError"' + FINE,
        ("too small", "too tiny"),
        (codes.ERROR_TEXT_DIFFERS, "{op}[cpu]: text of the error: legacy 'too small', stable 'too tiny'"),
        "CompositeExplicitAutograd",
    ),
    "a dtype taken that was refused": Planted(
        "{op}(Tensor x) -> int",
        'int64_t {op}(const at::Tensor& x) { TORCH_CHECK(x.scalar_type() == at::kFloat, "floats"); return 1; }',
        'int64_t {op}(const Tensor& x) { STD_TORCH_CHECK(x.scalar_type() == ScalarType::Float, "floats"); return 1; }',
        'args = [{ tensor = { shape = [2], dtype = "float64" } }]\nraises = "RuntimeError"'
        + FINE.replace("{ int = 1 }", "{ tensor = { shape = [2] } }"),
        ("x.scalar_type() == ScalarType::Float", "x.scalar_type() >= ScalarType::Float"),
        (codes.ERROR_DIFFERS, "{op}[cpu]: the stable library raises nothing"),
    ),
    "a default changed": Planted(
        "{op}(int n=3) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = []",
        ("{op}(int n=3)", "{op}(int n=4)"),
        (codes.SCHEMA_DIFFERS, "planted::{op}(int n=4) -> int, and was planted::{op}(int n=3) -> int"),
        "CompositeExplicitAutograd",
    ),
    "an argument renamed": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 1 }]",
        ("{op}(int n)", "{op}(int count)"),
        (codes.SCHEMA_DIFFERS, "planted::{op}(int count) -> int, and was planted::{op}(int n) -> int"),
        "CompositeExplicitAutograd",
    ),
    "a type changed": Planted(
        "{op}(int n) -> ()",
        "void {op}(int64_t n) {}",
        "void {op}(int64_t n) {}",
        "args = [{ int = 1 }]",
        ("void {op}(int64_t n)", "void {op}(double n)"),
        (codes.SCHEMA_DIFFERS, "planted::{op}(float n) -> ()"),
        "CompositeExplicitAutograd",
    ),
    "a write that the schema does not say any more": Planted(
        "{op}(Tensor! x) -> ()",
        f"void {{op}}(at::Tensor& x) {{ {LOOP} x.mutable_data_ptr<float>()[i] = 2; }}",
        f"void {{op}}(Tensor& x) {{ {LOOP} x.mutable_data_ptr<float>()[i] = 2; }}",
        X,
        ("{op}(Tensor! x)", "{op}(Tensor x)"),
        (codes.UNDECLARED_WRITE, "{op}[cpu]: writes to argument 0"),
    ),
    "another key": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 1 }]",
        ("CompositeExplicitAutograd", "CPU"),
        (codes.KEYS_DIFFER, "planted::{op} has kernels for CPU, and had for CompositeExplicitAutograd"),
        "CompositeExplicitAutograd",
    ),
    "an operator that is gone": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 1 }]",
        ('m.def("{op}(', 'if (false) m.def("{op}('),
        (codes.OPERATOR_LOST, "planted::{op} is registered by no library any more"),
        "CompositeExplicitAutograd",
    ),
    "a fake that says another shape": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.clone(); }",
        "Tensor {op}(const Tensor& x) { return copy_of(x); }",
        X,
        ("meta_of(x, {3, 4})", "meta_of(x, {4, 3})"),
        (codes.CALLS_DIFFER, "{op}[cpu], with fake tensors: 'torch.float32 (4, 3) (3, 1)'"),
        "CPU+Meta",
    ),
    "a gradient that is gone": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.transpose(0, 1); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::transpose(x, 0, 1); }",
        X,
        ("return torch::stable::transpose(x, 0, 1)", "return detached(torch::stable::transpose(x, 0, 1))"),
        (codes.CALLS_DIFFER, "{op}[cpu], with gradients: "),
        "CompositeImplicitAutograd",
    ),
    "a gradient that is gone under a compiler": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.transpose(0, 1); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::transpose(x, 0, 1); }",
        X,
        ("return torch::stable::transpose(x, 0, 1)", "return detached(torch::stable::transpose(x, 0, 1))"),
        (codes.CALLS_DIFFER, "{op}[cpu], with gradients under a compiler: "),
        "CompositeImplicitAutograd",
    ),
    "what opcheck finds": Planted(
        "{op}(Tensor x) -> Tensor",
        "at::Tensor {op}(const at::Tensor& x) { return x.clone(); }",
        "Tensor {op}(const Tensor& x) { return torch::stable::clone(x); }",
        X,
        ("return torch::stable::clone(x)", "return torch::stable::transpose(torch::stable::transpose(x, 0, 1), 0, 1)"),
        (codes.CALLS_DIFFER, "{op}[cpu], by torch.library.opcheck: "),
    ),
    "memory that is not given back": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 64 }]",
        ("return n;", "static void* volatile kept; kept = std::malloc(n); return n;"),
        (codes.LEAKS, "{op}[cpu]: a call leaves "),
        "CompositeExplicitAutograd",
    ),
    "a tensor's handle that is not given back": Planted(
        "{op}(Tensor x) -> int",
        "int64_t {op}(const at::Tensor& x) { return x.dim(); }",
        "int64_t {op}(const Tensor& x) { return x.dim(); }",
        X,
        ("return x.dim();", "AtenTensorHandle handle; aoti_torch_new_tensor_handle(x.get(), &handle); return x.dim();"),
        (codes.LEAKS, "{op}[cpu]: a call leaves "),
    ),
    "a call that takes longer": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 1 }]",
        ("return n;", "std::this_thread::sleep_for(std::chrono::microseconds(200)); return n;"),
        (codes.SLOWER, "{op}[cpu]: a call takes "),
        "CompositeExplicitAutograd",
    ),
    "a crash": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 1 }]",
        ("return n;", "std::abort();"),
        (codes.CASE_CRASHED, "{op}[cpu]: stable: the process died of SIGABRT"),
        "CompositeExplicitAutograd",
    ),
    "a symbol that is not stable": Planted(
        "{op}(int n) -> int",
        "int64_t {op}(int64_t n) { return n; }",
        "int64_t {op}(int64_t n) { return n; }",
        "args = [{ int = 1 }]",
        ("return n;", "return n + 0 * at::get_num_threads();"),
        (codes.UNSTABLE_SYMBOL, "_C_stable_libtorch needs at::get_num_threads()"),
        "CompositeExplicitAutograd",
    ),
}

LEGACY_HEAD = """\
#include <ATen/ATen.h>
#include <torch/library.h>

#include <tuple>
"""
STABLE_HEAD = """\
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

namespace at { int get_num_threads(); }  // declared by hand: what no header gives

namespace {

Tensor zeros(const Tensor& x, std::vector<int64_t> sizes = {3, 4}) { return torch::stable::new_zeros(x, sizes); }

Tensor copied(const Tensor& x) {
  Tensor out = torch::stable::new_empty(x, {x.size(0), x.size(1)});
  std::memcpy(out.mutable_data_ptr(), x.const_data_ptr(), x.numel() * x.element_size());
  return out;
}

[[maybe_unused]] Tensor detached(const Tensor& x) {
  Tensor out = torch::stable::empty_like(x);
  std::memcpy(out.mutable_data_ptr(), x.const_data_ptr(), x.numel() * x.element_size());
  return out;
}

Tensor copy_of(const Tensor& x) { return torch::stable::clone(x); }

Tensor meta_of(const Tensor& x, std::vector<int64_t> sizes) { return torch::stable::new_empty(x, sizes); }

}  // namespace
"""


def name_of(index: int) -> str:
    """The operator of a defect, by its place in HOST."""
    return f"op{index:02}"


def legacy_text() -> str:
    """The unit before the migration."""
    parts, registered = [LEGACY_HEAD], []
    keyed: dict[str, list[str]] = {}
    for index, one in enumerate(HOST.values()):
        op = name_of(index)
        parts.append(one.legacy.replace("{op}", op))
        registered.append(f'  m.def("{one.schema.replace("{op}", op)}");')
        for key in one.key.split("+"):
            function = op if key != "Meta" else f"{op}_meta"
            keyed.setdefault(key, []).append(f'  m.impl("{op}", &{function});')
            if key == "Meta":
                parts.append(f"at::Tensor {function}(const at::Tensor& x) {{ return at::empty_like(x); }}")
    parts.append("TORCH_LIBRARY(planted, m) {\n" + "\n".join(registered) + "\n}")
    parts += [f"TORCH_LIBRARY_IMPL(planted, {key}, m) {{\n" + "\n".join(lines) + "\n}" for key, lines in keyed.items()]
    return "\n\n".join(parts) + "\n"


def stable_text(defects: frozenset[str] = frozenset()) -> str:
    """The unit after the migration, with the `defects` planted."""
    parts, registered = [STABLE_HEAD], []
    keyed: dict[str, list[str]] = {}
    for index, (name, one) in enumerate(HOST.items()):
        op = name_of(index)
        old, new = (text.replace("{op}", op) for text in one.defect)

        def planted(text: str, name: str = name, old: str = old, new: str = new) -> str:
            return text.replace(old, new) if name in defects else text

        function = planted(one.stable.replace("{op}", op))
        schema = one.schema.replace("{op}", op)
        if name == "a type changed" and name in defects:
            schema = schema.replace("int n", "float n")
        line = planted(f'  m.def("{schema}");')
        used = [function, line]
        for key in one.key.split("+"):
            key = planted(key) if key == old else key
            impl = f'  m.impl("{op}", TORCH_BOX(&{op}{"_meta" if key == "Meta" else ""}));'
            if name == "an operator that is gone" and name in defects:
                impl = ""
            keyed.setdefault(key, []).append(impl)
            if key == "Meta":
                function += planted(f"\n\nTensor {op}_meta(const Tensor& x) {{ return meta_of(x, {{3, 4}}); }}")
                used.append(function)
        assert name not in defects or any(new in text for text in used) or new == "CPU", f"{name} is not planted"
        parts.append(function)
        registered.append(line)
    parts.append("STABLE_TORCH_LIBRARY(planted, m) {\n" + "\n".join(registered) + "\n}")
    parts += [
        f"STABLE_TORCH_LIBRARY_IMPL(planted, {key}, m) {{\n" + "\n".join(filter(None, lines)) + "\n}"
        for key, lines in keyed.items()
    ]
    return "\n\n".join(parts) + "\n"


def cases_text() -> str:
    """The golden cases: one for each operator."""
    tables = (
        f'[[case]]\nop = "{name_of(index)}"\n{one.case.replace("{op}", name_of(index))}\n'
        for index, one in enumerate(HOST.values())
    )
    return 'group = "host"\nlibrary = "planted"\n\n' + "\n".join(tables)
