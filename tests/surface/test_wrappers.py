"""The wrappers of stable_aten.h: what they look like, and that they compute what torch computes."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch_stabilize.surface.aten import derived_entries, render_header, wrapper
from torch_stabilize.surface.entry import TableError
from torch_stabilize.surface.headers import target_macro
from torch_stabilize.surface.numbers import TWINS

from .library import NAMESPACE, Function, build

EXPAND = """\
// aten::expand
inline torch::stable::Tensor expand(
    const torch::stable::Tensor& self,
    torch::headeronly::IntHeaderOnlyArrayRef size,
    bool implicit = false) {
  std::array<StableIValue, 3> ivalues{
      torch::stable::detail::from(self),
      torch::stable::detail::from(size),
      torch::stable::detail::from(implicit)};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(
      "aten::expand", "", ivalues.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<torch::stable::Tensor>(ivalues[0]);
}
"""


def test_a_wrapper_hands_over_every_argument_with_its_exact_type() -> None:
    assert wrapper("expand") == EXPAND


def test_out_variants_take_the_output_first_as_at_does() -> None:
    text = wrapper("cumsum", "out")
    assert "inline torch::stable::Tensor cumsum_out(\n    const torch::stable::Tensor& out,\n" in text
    assert text.index("from(self)") < text.index("from(out)")  # the schema has it last


def test_a_generator_is_left_out_and_handed_over_empty() -> None:
    text = wrapper("uniform_")
    assert "generator" not in text
    assert "from(std::nullopt)" in text


def test_results_become_tuples_and_vectors() -> None:
    assert "inline std::tuple<torch::stable::Tensor, torch::stable::Tensor> topk(" in wrapper("topk")
    assert "inline std::vector<torch::stable::Tensor> unbind(" in wrapper("unbind", "int")
    assert "inline void _foreach_sqrt_(" in wrapper("_foreach_sqrt_")


@pytest.mark.parametrize(
    ("op", "overload", "message"),
    [
        ("addmm", "", "aten::addmm cannot be called: no stable form for Scalar beta, Scalar alpha"),
        ("linspace", "", "Scalar start"),
        ("record_stream", "", "Stream s"),
        ("set_", "source_Storage", "Storage source"),
        ("no_such_op", "", "torch has no op aten::no_such_op"),
        ("expand", "no_such_overload", "torch has no op aten::expand.no_such_overload"),
    ],
)
def test_what_cannot_be_called_is_refused(op: str, overload: str, message: str) -> None:
    with pytest.raises(TableError) as caught:
        wrapper(op, overload)
    assert message in str(caught.value)


def test_the_header_is_the_same_whatever_the_order_and_has_each_op_once() -> None:
    header = render_header(["topk", "expand", "topk"])
    assert header == render_header(["expand", "topk"])
    assert header.count(b"// aten::expand") == 1
    assert header.endswith(b"HIDDEN_NAMESPACE_END(stable_aten)\n")


def test_the_header_has_what_its_wrappers_call_before_them() -> None:
    header = render_header(["add_.Scalar"])
    needed = [b"class Scalar", b"// aten::mul.Tensor", b"// aten::mul.Scalar", b"// aten::add.Tensor", b"// aten::add_"]
    places = [header.index(text) for text in needed]
    assert places == sorted(places)


def test_every_method_and_function_that_claims_a_wrapper_has_one() -> None:
    rows = [entry for kind in ("method", "function") for entry in derived_entries(kind) if entry.form == "dispatcher"]
    assert len(rows) > 1000
    for entry in rows:
        name, _, overload = entry.stable.partition(".")
        wrapper(name, overload)


@pytest.mark.compile
def test_functions_that_torch_adds_later_do_not_get_in_the_way(
    stable_tree: Path, compiler: str, tmp_path: Path
) -> None:
    """Calls between wrappers name their namespace: a torch::stable::mul of tomorrow would be found by its argument."""
    header = render_header([*BY_NUMBER, *BY_TENSOR]).decode()
    direct = re.findall(r"^// aten::\S+\n(inline [^{]+\)) \{\n  std::array", header, re.MULTILINE)
    assert len(direct) > 30
    declared = "".join(f"{signature};\n" for signature in direct if "torch::stable::Tensor " in signature)
    declared = re.sub(r"^inline (.* )(sort|bitwise_\w+|floor_divide)\((.|\n)*?;\n", "", declared, flags=re.MULTILINE)
    (tmp_path / "stable_aten.h").write_text(header)
    unit = tmp_path / "later.cpp"
    unit.write_text(
        "#include <torch/csrc/stable/ops.h>\n#include <tuple>\n"
        f"namespace torch::stable {{\n{declared}}}\n"
        '#include "stable_aten.h"\n'
    )
    command = [
        compiler,
        "-std=c++17",
        "-fsyntax-only",
        f"-DTORCH_TARGET_VERSION={target_macro('2.10')}",
        f"-I{stable_tree}",
    ]
    done = subprocess.run([*command, str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Case:
    """A C++ expression of the tensors x, y (3 by 4) and index, and the same in Python; `t` is torch."""

    name: str
    ops: tuple[str, ...]
    cpp: str
    python: Callable[[Any, Any, Any, Any], Any]


CASES = (
    Case("expand", ("expand",), "expand(x, {2, 3, 4})", lambda t, x, y, i: x.expand(2, 3, 4)),
    Case("cumsum", ("cumsum",), "cumsum(x, 1)", lambda t, x, y, i: x.cumsum(1)),
    Case("a_tensor_or_a_number", ("eq.Scalar", "eq.Tensor"), "eq(stable_aten::eq(x, y), 0)", lambda t, x, y, i: (x == y) == 0),
    Case(
        "a_number_of_a_narrow_type",
        ("gt.Scalar", "gt.Tensor"),
        "gt(x, torch::headeronly::Half(0.5f))",
        lambda t, x, y, i: x > 0.5,
    ),
    Case("arange", ("arange",), "arange(x.size(0))", lambda t, x, y, i: t.arange(x.size(0))),
    Case("arange_empty", ("arange",), "arange(0)", lambda t, x, y, i: t.arange(0)),
    Case(
        "arange_between",
        ("arange.start",),
        "arange(2, 9, torch::headeronly::ScalarType::Float)",
        lambda t, x, y, i: t.arange(2, 9, dtype=t.float32),
    ),
    Case("arange_steps", ("arange.start_step",), "arange(2, 9, 3)", lambda t, x, y, i: t.arange(2, 9, 3)),
    Case("arange_down", ("arange.start_step",), "arange(5, -4, -2)", lambda t, x, y, i: t.arange(5, -4, -2)),
    Case("slice", ("slice.Tensor",), "slice(x, 1, 1, std::nullopt, 2)", lambda t, x, y, i: x[:, 1::2]),
    Case("cat", ("cat",), "cat({x, y}, -1)", lambda t, x, y, i: t.cat((x, y), -1)),
    Case("split", ("split.Tensor",), "split(x, 2, 1)", lambda t, x, y, i: x.split(2, 1)),
    Case("topk", ("topk",), "topk(x, 2)", lambda t, x, y, i: x.topk(2)),
    Case("mean", ("mean.dim",), "mean(x, {0, 1}, true)", lambda t, x, y, i: x.mean([0, 1], True)),
    Case("mean_of_one", ("mean.dim",), "mean(x, -1)", lambda t, x, y, i: x.mean(-1)),
    Case("mean_of_all", ("mean.dim",), "mean(x, std::nullopt)", lambda t, x, y, i: x.mean()),
    Case("fftn", ("fft_fftn",), "fft_fftn(x, x.sizes())", lambda t, x, y, i: t.fft.fftn(x)),
    Case("softmax", ("softmax.int",), "softmax(x, -1)", lambda t, x, y, i: x.softmax(-1)),
    Case("gt", ("gt.Tensor",), "gt(x, y)", lambda t, x, y, i: x > y),
    Case("index", ("index.Tensor",), "index(x, {std::nullopt, std::optional<Tensor>(index)})",
         lambda t, x, y, i: x[:, i]),
    Case("zeros", ("zeros",), "zeros({2, 3}, ScalarType::Half)", lambda t, x, y, i: t.zeros(2, 3, dtype=t.float16)),
    Case("div_mode", ("div.Tensor_mode",), 'div(x, y, "floor")', lambda t, x, y, i: x.div(y, rounding_mode="floor")),
    Case("gelu", ("gelu",), 'gelu(x, "tanh")', lambda t, x, y, i: t.nn.functional.gelu(x, approximate="tanh")),
    Case("cumsum_out", ("cumsum.out",), "cumsum_out(y, x, 0)", lambda t, x, y, i: t.cumsum(x, 0, out=y)),
    Case("linear", ("linear",), "linear(x, y, std::nullopt)", lambda t, x, y, i: x @ y.T),
    Case("as_strided", ("as_strided",), "as_strided(x, {2, 2}, {4, 2}, 1)",
         lambda t, x, y, i: x.as_strided((2, 2), (4, 2), 1)),
    Case("sort", ("sort.stable",), "sort(x, true, 1, true)",
         lambda t, x, y, i: x.sort(dim=1, descending=True, stable=True)),
    Case("rfft", ("fft_rfft",), "fft_rfft(x)", lambda t, x, y, i: t.fft.rfft(x)),
    Case("flip", ("flip",), "flip(x, {0, 1})", lambda t, x, y, i: x.flip(0, 1)),
    Case("masked_fill", ("masked_fill.Scalar", "gt.Scalar"), "masked_fill(x, stable_aten::gt(x, 0), -1.5)",
         lambda t, x, y, i: x.masked_fill(x > 0, -1.5)),
    Case("index_fill", ("index_fill.int_Scalar",), "index_fill(x, 1, index, 7)",
         lambda t, x, y, i: x.index_fill(1, i, 7)),
    Case("clamp", ("clamp",), "clamp(x, -0.25, 1)", lambda t, x, y, i: x.clamp(-0.25, 1)),
    Case("div_scalar_mode", ("div.Scalar_mode",), 'div(x, 0.3, "trunc")',
         lambda t, x, y, i: x.div(0.3, rounding_mode="trunc")),
)  # fmt: skip
# Every op of a tensor and a number, and those that are written out.
BY_NUMBER = (*(op for op in TWINS if not op.startswith(("masked_fill", "index_fill", "div.Scalar_", "div_.Scalar_"))),
             "mul_.Scalar", "fill_.Scalar", "add.Scalar", "add_.Scalar", "sub.Scalar", "sub_.Scalar")  # fmt: skip
BY_TENSOR = ("add.Tensor", "add_.Tensor", "sub.Tensor", "sub_.Tensor")

needs_torch = [pytest.mark.compile, pytest.mark.torch, pytest.mark.xdist_group("surface_wrappers")]


@pytest.fixture(scope="module")
def ops(installed_tree: Path, torch_include: Path, compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`torch.ops` of a library that has each case as an op."""
    import torch

    folder = tmp_path_factory.mktemp("wrappers")
    header = folder / "stable_aten.h"
    header.write_bytes(render_header([*(op for case in CASES for op in case.ops), *BY_NUMBER, *BY_TENSOR]))
    using = "using torch::headeronly::ScalarType; (void)sizeof(ScalarType);"
    functions = [
        Function(f"case_{case.name}(Tensor x, Tensor y, Tensor index) -> Tensor[]",
                 f"{using} return all(stable_aten::{case.cpp});")
        for case in CASES
    ]  # fmt: skip
    for op in (*BY_NUMBER, *BY_TENSOR):
        kinds = ("Tensor",) if op in BY_TENSOR else ("float", "int", "bool")
        functions += [
            Function(
                f"{named(op)}_{kind.lower()}(Tensor x, {kind} v) -> Tensor", f"return stable_aten::{base(op)}(x, v);"
            )
            for kind in kinds
        ]
    torch.set_num_threads(1)
    functions.append(Function("add_alpha(Tensor x, Tensor y) -> Tensor", "return stable_aten::add(x, y, 3);"))
    torch.ops.load_library(build(functions, [header], installed_tree, torch_include.parent / "lib", folder))
    return getattr(torch.ops, NAMESPACE)


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return str(request.param)


def base(op: str) -> str:
    return op.partition(".")[0]


def named(op: str) -> str:
    return "number_" + op.replace(".", "_")


def same(torch: Any, ours: Any, theirs: Any) -> bool:
    """Whether two tensors are of one dtype and shape and hold the same bits."""
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return False
    return bool(
        torch.equal(ours.contiguous().view(-1).view(torch.uint8), theirs.contiguous().view(-1).view(torch.uint8))
    )


class TestAgainstTorch:
    """Run against the torch that is installed, on the CPU and on a GPU where there is one."""

    pytestmark = needs_torch

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_a_wrapper_computes_what_torch_computes(self, ops: Any, device: str, case: Case) -> None:
        import torch

        torch.manual_seed(0)
        x, y, index = (t.to(device) for t in (torch.randn(3, 4), torch.randn(3, 4), torch.tensor([2, 0])))
        ours = getattr(ops, f"case_{case.name}")(x, y.clone(), index)
        theirs = case.python(torch, x, y.clone(), index)
        expected = [theirs] if isinstance(theirs, torch.Tensor) else list(theirs)
        assert len(ours) == len(expected)
        assert all(same(torch, a, b.to(a.device)) for a, b in zip(ours, expected, strict=True))

    @pytest.mark.parametrize("op", BY_NUMBER)
    def test_a_number_counts_as_it_does_in_torch(self, ops: Any, device: str, op: str) -> None:
        import torch

        overload = op.partition(".")[2] or "default"
        reference = getattr(getattr(torch.ops.aten, base(op)), overload)
        values = [(0.1, "float"), (-2.5, "float"), (3, "int"), (-2, "int"), (True, "bool")]
        values += [(2**60 + 1, "int"), (-(2**60) - 1, "int"), (-300, "int")] if op == "fill_.Scalar" else []
        # libtorch clamps bools between tensors, but not between numbers
        dtypes = [dtype for dtype in DTYPES if not (op.startswith("clamp") and dtype == "bool")]
        for dtype, shape, (value, kind) in itertools.product(dtypes, ((5,), ()), values):
            x = sample(torch, dtype, shape).to(device)
            function = getattr(ops, f"{named(op)}_{kind}")
            compare(torch, function, reference, x, value)

    @pytest.mark.parametrize("op", BY_TENSOR)
    def test_sums_are_those_of_torch(self, ops: Any, device: str, op: str) -> None:
        import torch

        reference = getattr(torch.ops.aten, base(op)).Tensor
        shapes = (((5,), (5,)), ((2, 1), (3,)), ((3,), ()), ((), ()))
        for left, right, (one, other) in itertools.product(DTYPES, DTYPES, shapes):
            x, y = sample(torch, left, one).to(device), sample(torch, right, other).to(device)
            compare(torch, getattr(ops, f"{named(op)}_tensor"), reference, x, y)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "int64"])
    def test_alpha_scales_the_second_term(self, ops: Any, device: str, dtype: str) -> None:
        import torch

        x, y = sample(torch, dtype, (5,)).to(device), sample(torch, dtype, (5,)).to(device) * 2
        assert same(torch, ops.add_alpha(x, y), torch.add(x, y, alpha=3))


DTYPES = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint8", "bool", "complex64")


def sample(torch: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    torch.manual_seed(1)
    return (torch.rand(shape) * 60 + 1).to(getattr(torch, dtype))


def compare(torch: Any, ours: Any, theirs: Any, x: Any, other: Any) -> None:
    """Both give the same bits, or both refuse."""
    mine, yours = x.clone(), x.clone()
    try:
        expected = theirs(yours, other)
    except (RuntimeError, NotImplementedError):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ours(mine, other)
        return
    result = ours(mine, other)
    about = (x.dtype, tuple(x.shape), other)
    assert same(torch, result, expected), (about, result, expected)
    assert same(torch, mine, yours), about


def test_a_lone_integer_is_a_dimension_for_what_aten_says_so() -> None:
    for name in ("var", "std", "var_mean", "std_mean"):
        assert f"{name}(const torch::stable::Tensor& self, int dim)" in wrapper(name, "dim")
    assert "int dim)" not in wrapper("var")


@pytest.mark.parametrize("name", ["clamp_min", "clamp_min_", "clamp_max", "clamp_max_"])
def test_a_number_does_not_clamp_bool(name: str) -> None:
    number = name.rstrip("_").removeprefix("clamp_")
    assert f"STD_TORCH_CHECK(!({number}.is_boolean() &&" in wrapper(name)
    assert "is_boolean" not in wrapper("clamp")


@pytest.mark.parametrize("first", sorted({*TWINS})[::7])
def test_a_header_is_written_the_same_again(first: str) -> None:
    once = render_header({first, "mul.Scalar"}).decode()
    there = re.findall(r"^// aten::(\w+(?:\.\w+)?)", once, re.MULTILINE)
    assert first in there
    assert render_header(there).decode() == once
    assert render_header(reversed(there)).decode() == once
