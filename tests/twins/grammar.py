"""Random legacy functions. What can be called comes from torch's schemas; how it is put together, from here."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence

from codemod.surface.schemas import Argument, Op, find_op, op_names, overloads
from tests.twins.program import BLOCK, LEAVES, Function, Node

# Ops whose results are not the same twice, or which need other inputs than these: random ones, other layouts, devices.
_LEFT_OUT = (
    "rand", "dropout", "bernoulli", "multinomial", "normal", "uniform", "exponential", "geometric", "cauchy", "random",
    "poisson", "binomial", "empty", "resize", "set_", "sparse", "quantize", "mkldnn", "cudnn", "miopen", "cuda", "_",
    "record_stream", "pin_memory", "is_pinned", "to_", "lstm", "gru", "rnn", "names", "rename", "align", "refine",
    "fbgemm", "backward", "from_file", "special_", "linalg_", "fft_", "batch_norm", "grid_sampler", "ctc_loss", "svd",
    "qr", "geqrf", "lu_", "ormqr", "orgqr", "cholesky", "nested", "log_normal", "rrelu", "conj", "retain", "data",
    "resolve_", "crow", "ccol", "col_ind", "row_ind", "values", "indices", "coalesce", "dense_dim", "hspmm", "smm",
    "sspaddmm", "q_", "int_repr", "dequantize", "qscheme", "output_nr", "requires_grad", "is_leaf", "_version", "index",
    "rnn_", "result_type", "can_cast", "promote_types", "hash_tensor", "histogram", "vdot", "det", "inverse",
    "stft", "istft", "affine", "embedding", "sym_", "chalf", "native_", "pinverse", "matrix_exp", "triangular_solve",
)  # fmt: skip
_KINDS = {
    "Tensor": "tensor", "Tensor?": "tensor", "Scalar": "scalar", "Scalar?": "scalar", "int": "dim", "int?": "dim",
    "float": "double", "float?": "double", "bool": "bool", "bool?": "bool", "int[]": "dims", "int[]?": "dims",
    "ScalarType?": "dtype", "ScalarType": "dtype", "Tensor[]": "list",
}  # fmt: skip
_BINARY = ("+", "-", "*", "/", "==", "<", ">=", "!=", "<=", ">")
_DTYPES = (
    "at::kFloat",
    "at::kDouble",
    "at::kLong",
    "at::kInt",
    "at::kBool",
    "torch::kFloat32",
    "at::kHalf",
    "c10::kByte",
)
RESULTS = ("at::Tensor",) * 8 + ("int64_t", "double", "bool", "std::string", "std::tuple<at::Tensor, at::Tensor>")


@functools.cache
def callable_ops() -> tuple[Op, ...]:
    """The overloads that a random function may call, of methods and of functions."""
    found = []
    for name in op_names():
        if any(name.startswith(word) if word == "_" else word in name for word in _LEFT_OUT):
            continue
        for op in overloads(name):
            required = [a for a in op.arguments if a.default is None]
            if op.is_out or "Dimname" in str(op.arguments) or any(a.type not in _KINDS for a in required):
                continue
            if op.returns and all(result in ("Tensor", "Tensor[]", "bool", "int") for result in op.returns):
                found.append(op)
    return tuple(found)


class Writer:
    """Writes one function; `pick` decides everything."""

    def __init__(self, name: str, pick: random.Random) -> None:
        self.name, self.pick = name, pick
        self.tensors, self.ints, self.lists = ["x", "y"], ["n"], list[str]()
        self.before: list[str] = []
        self.count = 0

    def fresh(self, stem: str) -> str:
        """A name that was not used."""
        self.count += 1
        return f"{stem}{self.count}"

    # expressions -----------------------------------------------------------------------------------------------------

    def leaf(self, kind: str) -> Node:
        """The smallest expression of a kind, of the variables there are."""
        pick = self.pick
        if kind == "tensor":
            return Node(kind, pick.choice(self.tensors))
        if kind == "int":
            return Node(kind, pick.choice([*self.ints, "0", "1", "2", "x.dim()"]))
        if kind == "double":
            return Node(kind, pick.choice(["a", "0.5", "2.0", "1e-3"]))
        if kind == "bool":
            return Node(kind, pick.choice(["true", "false", "n > 0", "x.dim() == 2", "x.is_contiguous()"]))
        if kind == "sizes":
            return Node(kind, pick.choice(["{-1}", "x.sizes()", "{x.numel()}", "{1, -1}", "{2, 3}"]))
        return Node(kind, LEAVES.get(kind, "1"))

    def expression(self, kind: str, depth: int) -> Node:
        """An expression of a kind."""
        if depth <= 0 or self.pick.random() < 0.15:
            return self.leaf(kind)
        return self.pick.choice(_FORMS[kind])(self, depth - 1)

    def argument(self, argument: Argument, depth: int) -> Node:
        """What is handed to an op for one argument of its schema."""
        kind, pick = _KINDS[argument.type], self.pick
        if argument.type.endswith("?") and pick.random() < 0.2:
            return Node(
                "none",
                pick.choice(["std::nullopt", "c10::nullopt", "{}"]) if kind != "dims" else "at::OptionalIntArrayRef()",
            )
        if kind == "scalar":
            return pick.choice(
                [self.expression("int", 0), self.expression("double", 0), Node("double", "2"), Node("bool", "true")]
            )
        if kind == "dim":
            return Node("int", pick.choice(["0", "1", "-1", "0", "n"]))
        if kind == "dims":
            return Node(
                "sizes",
                pick.choice(
                    ["{0}", "{-1}", "{0, 1}", "x.sizes()", "{1, 0}", "{2, 3}"] + (["1"] if argument.length else [])
                ),
            )
        if kind == "dtype":
            return Node("dtype", pick.choice(_DTYPES))
        return self.expression(kind, depth)

    def call(self, op: Op, depth: int, *, method: bool | None = None) -> Node:
        """A call of an op, as a method or as a function."""
        method = op.is_method if method is None and not op.is_function else method
        method = self.pick.random() < 0.6 if method is None else method
        method = method and op.is_method
        given = [a for a in op.arguments if a.default is None]
        optional = [a for a in op.arguments if a.default is not None and not a.keyword_only]
        if optional and len(given) == sum(a.default is None for a in op.arguments if not a.keyword_only):
            for argument in optional[: self.pick.choice([0, 0, 1, 2])]:
                if argument.type not in _KINDS:
                    break
                given.append(argument)
        names = [a for a in op.arguments if a in given]
        parts = [self.argument(a, depth) for a in names]
        if method:
            place = next(i for i, a in enumerate(names) if a.name == "self")
            receiver = parts.pop(place)
            if receiver.text in ("std::nullopt", "c10::nullopt", "{}"):
                receiver = self.leaf("tensor")
            text = f"@.{op.cpp_name}(" + ", ".join("@" for _ in parts) + ")"
            return Node("call", text, (receiver, *parts))
        space = self.pick.choice(["at", "at", "torch"])
        return Node("call", f"{space}::{op.cpp_name}(" + ", ".join("@" for _ in parts) + ")", tuple(parts))

    def result_of(self, op: Op, call: Node) -> Node:
        """The call as a tensor: of several results, one."""
        if len(op.returns) == 1 and op.returns[0] == "Tensor":
            return call._replace(kind="tensor")
        if op.returns[0] == "Tensor[]":
            return Node("tensor", "at::Tensor(@[0])", (call,))
        if op.returns[0] in ("bool", "int"):
            return Node("tensor", "(x + (@ ? 1 : 0))", (call,))
        return Node("tensor", f"at::Tensor(std::get<{self.pick.randrange(len(op.returns))}>(@))", (call,))


def _two(text: str, kind: str = "tensor", *kinds: str) -> Callable[[Writer, int], Node]:
    def form(w: Writer, depth: int) -> Node:
        return Node(kind, text, tuple(w.expression(k, depth) for k in kinds))

    return form


def _op(w: Writer, depth: int) -> Node:
    op = w.pick.choice(callable_ops())
    return w.result_of(op, w.call(op, depth))


def _operator(w: Writer, depth: int) -> Node:
    return Node(
        "tensor",
        f"(@ {w.pick.choice(_BINARY)} @)",
        (w.expression("tensor", depth), w.expression(w.pick.choice(["tensor", "int", "double"]), depth)),
    )


def _number_first(w: Writer, depth: int) -> Node:
    return Node(
        "tensor",
        f"(@ {w.pick.choice(_BINARY[:7])} @)",
        (w.expression(w.pick.choice(["int", "double"]), 0), w.expression("tensor", depth)),
    )


def _own(text: str, definition: str, *kinds: str) -> Callable[[Writer, int], Node]:
    def form(w: Writer, depth: int) -> Node:
        if definition not in w.before:
            w.before.append(definition)
        return Node("tensor", text, tuple(w.expression(k, depth) for k in kinds))

    return form


_BUMP = "static at::Tensor bump_NAME(at::Tensor t) { t.add_(1); return t; }"
_ROW = "static at::Tensor row_NAME(const at::Tensor& t, int64_t i) { return t.select(0, i); }"
_HOLD = "struct Hold_NAME { at::Tensor w; std::vector<at::Tensor> all; at::Tensor get() const { return w; } };"
_TMPL = "template <typename T> static T twice_NAME(const T& t) { return t * 2; }"
_PICK = "static at::Tensor pick_NAME(bool c, at::Tensor s, at::Tensor t) { return c ? s : t; }"
_COUNT = "static int64_t count_NAME = 0;\nstatic int64_t next_NAME() { return ++count_NAME; }"

_FORMS: dict[str, tuple[Callable[[Writer, int], Node], ...]] = {
    "tensor": (
        _op, _op, _op, _op, _op, _operator, _operator, _number_first,
        _two("(-@)", "tensor", "tensor"),
        _two("@[0]", "tensor", "tensor"),
        _two("@.select(0, 0)", "tensor", "tensor"),
        _two("@.to(at::kDouble)", "tensor", "tensor"),
        _two("@.to(@.scalar_type())", "tensor", "tensor", "tensor"),
        _two("@.to(@.options())", "tensor", "tensor", "tensor"),
        _two("@.type_as(@)", "tensor", "tensor", "tensor"),
        _two("@.contiguous()", "tensor", "tensor"),
        _two("@.clone()", "tensor", "tensor"),
        _two("@.t()", "tensor", "tensor"),
        _two("@.view(@)", "tensor", "tensor", "sizes"),
        _two("@.reshape(@)", "tensor", "tensor", "sizes"),
        _two("(@ ? @ : @)", "tensor", "bool", "tensor", "tensor"),
        _two("std::move(@)", "tensor", "tensor"),
        _two("at::zeros(@, @.options())", "tensor", "sizes0", "tensor"),
        _two("at::ones(@, @.options().dtype(at::kLong))", "tensor", "sizes0", "tensor"),
        _two("torch::full({2}, @)", "tensor", "int"),
        _two("torch::full({2}, @, @.options())", "tensor", "double", "tensor"),
        _two("torch::full({2}, @)", "tensor", "bool"),
        _two("at::full_like(@, @)", "tensor", "tensor", "double"),
        _two("at::zeros_like(@)", "tensor", "tensor"),
        _two("at::ones_like(@)", "tensor", "tensor"),
        _two("at::zeros_like(@, at::kInt)", "tensor", "tensor"),
        _two("at::empty_like(@).fill_(@)", "tensor", "tensor", "double"),
        _two("at::arange(@)", "tensor", "size"),
        _two("at::arange(@, at::kFloat)", "tensor", "size"),
        _two("at::scalar_tensor(@)", "tensor", "int"),
        _two("at::scalar_tensor(@, @.options())", "tensor", "double", "tensor"),
        _two("torch::tensor({1, 2})", "tensor"),
        _two("torch::tensor(@)", "tensor", "double"),
        _two("@.index({0})", "tensor", "tensor"),
        _two('@.index({"...", 0})', "tensor", "tensor"),
        _two("@.index({torch::indexing::Slice(0, 1)})", "tensor", "tensor"),
        _two("@.new_zeros(@)", "tensor", "tensor", "sizes0"),
        _two("@.new_full({2}, @)", "tensor", "tensor", "double"),
        _two("at::cat({@, @})", "tensor", "tensor", "tensor"),
        _two("at::stack({@, @}, 0)", "tensor", "tensor", "tensor"),
        _two("@.add(@, 2)", "tensor", "tensor", "tensor"),
        _two("@.sub(@)", "tensor", "tensor", "tensor"),
        _two("at::where(@ > 0, @, @)", "tensor", "tensor", "tensor", "tensor"),
        _two("@.clone().add_(@)", "tensor", "tensor", "tensor"),
        _two("@.mul_(@)", "tensor", "tensor", "int"),
        _two("[&] { return @; }()", "tensor", "tensor"),
        _two("[&](const at::Tensor& t) { return t.add(@); }(@)", "tensor", "int", "tensor"),
        _two("at::Tensor(std::vector<at::Tensor>{@, @}[1])", "tensor", "tensor", "tensor"),
        _two("std::make_pair(@, 1).first", "tensor", "tensor"),
        _two("at::Tensor(std::optional<at::Tensor>(@).value())", "tensor", "tensor"),
        _two("@.max()", "tensor", "tensor"),
        _two("@.fill_(@.min())", "tensor", "tensor", "tensor"),
        _own("bump_NAME(@)", _BUMP, "tensor"),
        _own("row_NAME(@, 0)", _ROW, "tensor"),
        _own("Hold_NAME{@, {x, y}}.get()", _HOLD, "tensor"),
        _own("at::Tensor(Hold_NAME{@, {x, y}}.all[0])", _HOLD, "tensor"),
        _own("twice_NAME(@)", _TMPL, "tensor"),
        _own("pick_NAME(@, @, @)", _PICK, "bool", "tensor", "tensor"),
    ),
    "int": (
        _two("(@ + @)", "int", "int", "int"), _two("@.numel()", "int", "tensor"), _two("@.dim()", "int", "tensor"),
        _two("@.size(0)", "int", "tensor"), _two("at::zeros({2, 3}).sizes()[@ ? 1 : 0]", "int", "bool"), _two("@.stride(-1)", "int", "tensor"),
        _two("@.nbytes()", "int", "tensor"), _two("@.element_size()", "int", "tensor"),
        _two("@.item<int64_t>()", "int", "tensor"), _two("at::zeros({2, 3}).strides()[@ ? 1 : 0]", "int", "bool"),
        _two("@.item().toLong()", "int", "tensor"), _two("static_cast<int64_t>(@.sizes().size())", "int", "tensor"),
        _two("@.storage_offset()", "int", "tensor"), _two("@.itemsize()", "int", "tensor"),
    ),
    "double": (
        _two("(@ * @)", "double", "double", "double"), _two("@.item<double>()", "double", "tensor"),
        _two("@.item<float>()", "double", "tensor"), _two("@.sum().item().toDouble()", "double", "tensor"),
        _two("@.data_ptr<float>()[0]", "double", "tensor"),
    ),
    "bool": (
        _two("@.is_contiguous()", "bool", "tensor"), _two("(@ < @)", "bool", "int", "int"), _two("@.defined()", "bool", "tensor"),
        _two("@.scalar_type() == at::kFloat", "bool", "tensor"), _two("@.dtype() == @.dtype()", "bool", "tensor", "tensor"),
        _two("@.sizes() == @.sizes()", "bool", "tensor", "tensor"), _two("!@", "bool", "bool"), _two("@.is_cuda()", "bool", "tensor"),
        _two("@.is_floating_point()", "bool", "tensor"), _two("at::equal(@, @)", "bool", "tensor", "tensor"),
        _two("@.item<bool>()", "bool", "tensor"), _two("@.device() == @.device()", "bool", "tensor", "tensor"),
        _two("@.is_contiguous(at::MemoryFormat::ChannelsLast)", "bool", "tensor"), _two("@.device().is_cpu()", "bool", "tensor"),
        _two("@.is_same_size(@)", "bool", "tensor", "tensor"), _two("at::isIntegralType(@.scalar_type(), false)", "bool", "tensor"),
    ),
    "sizes": (lambda w, d: w.leaf("sizes"),),
    "sizes0": (lambda w, d: Node("sizes", w.pick.choice(["{2}", "{2, 3}", "x.sizes()", "{}", "{x.size(0)}"])),),
    "size": (lambda w, d: Node("int", w.pick.choice(["3", "x.dim()", "4", "x.numel()"])),),
    "list": (_two("std::vector<at::Tensor>{@, @}", "list", "tensor", "tensor"), _two("@.unbind(0)", "list", "tensor"), _two("@.split(1, 0)", "list", "tensor")),
}  # fmt: skip
_FORMS["sizes0"] = (_FORMS["sizes0"][0],)


# statements ----------------------------------------------------------------------------------------------------------


def _declared(w: Writer, depth: int) -> Node:
    name, value = w.fresh("t"), w.expression("tensor", depth)
    how = w.pick.choice([
        "auto NAME = @;", "at::Tensor NAME = @;", "const auto& NAME = @;", "auto&& NAME = @;", "at::Tensor NAME{@};",
        "torch::Tensor NAME(@);", "const at::Tensor NAME = @;", "decltype(auto) NAME = @;", "at::Tensor NAME; NAME = @;",
    ])  # fmt: skip
    w.tensors.append(name)
    return Node("statement", "  " + how.replace("NAME", name), (value,))


def _two_results(w: Writer, depth: int) -> Node:
    first, second = w.fresh("t"), w.fresh("t")
    value = w.expression("tensor", depth)
    w.tensors += [first, second]
    return Node("statement", w.pick.choice([
        f"  auto [{first}, {second}] = @.max(0);", f"  auto [{first}, {second}] = @.sort(0);",
        f"  at::Tensor {first}, {second}; std::tie({first}, {second}) = @.max(0);",
        f"  auto [{first}, {second}] = at::topk(@, 1);",
    ]), (value,))  # fmt: skip


def _statement(text: str, *kinds: str) -> Callable[[Writer, int], Node]:
    def form(w: Writer, depth: int) -> Node:
        return Node("statement", "  " + text, tuple(w.expression(k, depth) for k in kinds))

    return form


def _on_variable(text: str, *kinds: str) -> Callable[[Writer, int], Node]:
    def form(w: Writer, depth: int) -> Node:
        name = w.pick.choice(w.tensors)
        return Node("statement", "  " + text.replace("VAR", name), tuple(w.expression(k, depth) for k in kinds))

    return form


def _nested(text: str, *kinds: str) -> Callable[[Writer, int], Node]:
    """A statement with a block in it, whose variables end there."""

    def form(w: Writer, depth: int) -> Node:
        parts = [w.expression(k, depth) for k in kinds]
        kept = (list(w.tensors), list(w.ints), list(w.lists))
        name = w.fresh("e")
        if "VAR" in text:
            w.tensors.append(name)
        body = Node(BLOCK, "", tuple(w.pick.choice(_STATEMENTS)(w, depth - 1) for _ in range(w.pick.choice([1, 2]))))
        w.tensors, w.ints, w.lists = kept
        return Node("statement", "  " + text.replace("VAR", name), (*parts, body))

    return form


def _in_place(w: Writer, depth: int) -> Node:
    ops = [op for op in callable_ops() if op.name.endswith("_") and op.is_method]
    op = w.pick.choice(ops)
    call = w.call(op, depth, method=True)
    receiver = Node("tensor", w.pick.choice(w.tensors))
    return Node("statement", f"  {call.text};", (receiver, *call.parts[1:]))


def _listed(w: Writer, depth: int) -> Node:
    name, value = w.fresh("l"), w.expression("list", depth)
    w.tensors.append(f"{name}[0]")
    return Node("statement", w.pick.choice([f"  auto {name} = @;", f"  std::vector<at::Tensor> {name} = @;"]), (value,))


def _number(w: Writer, depth: int) -> Node:
    name, value = w.fresh("k"), w.expression("int", depth)
    w.ints.append(name)
    return Node(
        "statement",
        w.pick.choice([f"  int64_t {name} = @;", f"  const auto {name} = @;", f"  int {name} = @;"]),
        (value,),
    )


def _options(w: Writer, depth: int) -> Node:
    name, other = w.fresh("o"), w.fresh("t")
    w.tensors.append(other)
    value = w.expression("tensor", 0)
    how = w.pick.choice([
        f"  auto {name} = @.options();\n  auto {other} = at::ones({{2}}, {name});",
        f"  auto {name} = @.options().dtype(at::kLong);\n  x = x.to(at::kDouble);\n  auto {other} = at::zeros({{2}}, {name});",
        f"  auto {name} = at::TensorOptions().dtype(at::kDouble).device(@.device());\n  auto {other} = at::ones({{2}}, {name});",
        f"  auto {name} = @.scalar_type();\n  auto {other} = at::ones({{2}}, {name});",
    ])  # fmt: skip
    return Node("statement", how, (value,))


_STATEMENTS: tuple[Callable[[Writer, int], Node], ...] = (
    _declared, _declared, _declared, _two_results, _in_place, _in_place, _listed, _number, _options,
    _on_variable("VAR += @;", "tensor"), _on_variable("VAR *= @;", "int"), _on_variable("VAR -= @;", "double"),
    _on_variable("VAR = @;", "tensor"), _on_variable("VAR[0] = @;", "double"), _on_variable("VAR[0] = @;", "tensor"),
    _on_variable("VAR[0] += @;", "int"), _on_variable("VAR.select(0, 0) = @;", "tensor"),
    _on_variable("VAR.copy_(@);", "tensor"), _on_variable("VAR.index_put_({0}, @);", "double"),
    _on_variable("VAR[0].copy_(@);", "tensor"), _on_variable("VAR.zero_();"),
    _on_variable("std::swap(x, y); VAR = @;", "tensor"),
    _statement('TORCH_CHECK(@, "tw: ", n, " and ", a);', "bool"),
    _statement('TORCH_CHECK(@, "tw: ", @.sizes());', "bool", "tensor"),
    _statement("TORCH_CHECK(@);", "bool"),
    _statement("AT_ASSERTM(@, \"tw: \", n);", "bool"),
    _statement("TORCH_CHECK_EQ(@, @);", "int", "int"),
    _nested("if (@) {\n@\n  }", "bool"),
    _nested("for (int64_t i = 0; i < 2; ++i) {\n@\n  }"),
    _nested("for (auto& VAR : @) {\n@\n  }", "list0"),
    _nested("for (const auto& VAR : @) {\n@\n  }", "list"),
    _nested("try {\n@\n  } catch (const std::exception& e) { x = x + 1; }"),
    _nested("[&] {\n@\n  }();"),
    _nested("{\n@\n  }"),
    _statement('AT_DISPATCH_FLOATING_TYPES(@.scalar_type(), "tw", [&] { auto* p = y.data_ptr<scalar_t>(); p[0] = p[0] + 1; });', "tensor"),
    _statement("{ auto r = @.accessor<float, 2>(); y = y + r[0][0]; }", "tensor"),
    _statement("{ auto* p = x.data_ptr<float>(); for (int64_t i = 0; i < x.numel(); ++i) p[i] += @; }", "double"),
)  # fmt: skip
_FORMS["list0"] = (lambda w, d: Node("list", "(l0)"),)


def random_function(name: str, seed: int) -> Function:
    """A function of a few statements."""
    w = Writer(name, random.Random(seed))
    pick = w.pick
    statements = [Node("statement", "  std::vector<at::Tensor> l0 = {x, y};")]
    statements += [pick.choice(_STATEMENTS)(w, 2) for _ in range(pick.choice([0, 1, 1, 2, 3]))]
    returns = pick.choice(RESULTS)
    kinds = {"at::Tensor": "tensor", "int64_t": "int", "double": "double", "bool": "bool"}
    if returns in kinds:
        result = Node("statement", "  return @;", (w.expression(kinds[returns], 3),))
    elif returns == "std::string":
        result = Node("statement", "  return std::to_string(@);", (w.expression(pick.choice(["int", "double"]), 2),))
    else:
        result = Node(
            "statement", "  return std::make_tuple(@, @);", (w.expression("tensor", 2), w.expression("tensor", 1))
        )
    body = Node(BLOCK, "", (*statements, result))
    return Function(name, returns, _renamed(body, name), "\n".join(w.before))


def _renamed(node: Node, name: str) -> Node:
    return Node(node.kind, node.text.replace("NAME", name), tuple(_renamed(part, name) for part in node.parts))


_SETTINGS = (
    "  return @;", "  auto f = [&](const at::Tensor& t) { return @; };\n  return f(x);",
    "  auto f = [&](auto t) { return @; };\n  return f(x);",
)  # fmt: skip


def sweep_function(name: str, op: Op, seed: int) -> Function:
    """A function that calls one op: plainly, in a lambda, in a macro, in a template or on a member."""
    w = Writer(name, random.Random(seed))
    call = w.result_of(op, w.call(op, 0))
    setting = w.pick.randrange(6)
    if setting < 3:
        body, before = Node("statement", _SETTINGS[setting], (call,)), ""
    elif setting == 3:
        before = f"#define OP_{name}(x, y) ({call.written()})"
        body = Node("statement", f"  return OP_{name}(x, y);")
    elif setting == 4:
        before = f"template <typename T> static at::Tensor in_{name}(T x, T y, int64_t n, double a) {{ return {call.written()}; }}"
        body = Node("statement", f"  return in_{name}(x, y, n, a);")
    else:
        before = f"struct In_{name} {{ at::Tensor x, y; at::Tensor run(int64_t n, double a) {{ return {call.written()}; }} }};"
        body = Node("statement", f"  return In_{name}{{x, y}}.run(n, a);")
    return Function(name, "at::Tensor", Node(BLOCK, "", (body,)), "\n".join([*w.before, before]).replace("NAME", name))


def random_functions(stem: str, seed: int, count: int, first: int = 0) -> Sequence[Function]:
    """`count` functions called `stem` and a number, from the one with the number `first` on."""
    return [random_function(f"{stem}{number}", seed * 100_003 + number) for number in range(first, first + count)]


def sweep(stem: str, seed: int) -> Sequence[Function]:
    """A function for each overload."""
    return [sweep_function(f"{stem}{number}", op, seed * 7919 + number) for number, op in enumerate(callable_ops())]


__all__ = ["callable_ops", "find_op", "random_function", "random_functions", "sweep"]
