"""Random legacy functions: forms of expressions and statements put together, with calls of every op there is."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from torch_stabilize.surface.schemas import Argument, Op

from tests.twins import forms, statements
from tests.twins.api import KINDS, callable_ops
from tests.twins.program import BLOCK, LEAVES, Function, Node

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
_RESULTS = ("at::Tensor",) * 8 + ("int64_t", "double", "bool", "std::string", "std::tuple<at::Tensor, at::Tensor>")
_HOLES = {
    "t": "tensor", "i": "int", "d": "double", "b": "bool", "l": "list", "s": "sizes", "z": "shape", "n": "size",
    "v": "variable list",
}  # fmt: skip
_HOLE = re.compile(r"\$(block|[a-z])|\b(NEW|LOC|NUM|EACH)(\d?)\b|\bVAR\b")
EXPRESSIONS = {"tensor": forms.TENSOR, "int": forms.INT, "double": forms.DOUBLE, "bool": forms.BOOL, "list": forms.LIST}
_CHOICES = {
    "sizes": ("{-1}", "x.sizes()", "{x.numel()}", "{1, -1}", "{2, 3}"),
    "shape": ("{2}", "{2, 3}", "x.sizes()", "{}", "{x.size(0)}"),
    "size": ("3", "x.dim()", "4", "x.numel()"),
    "variable list": ("l0",),
}
# How often each family of statements is taken.
STATEMENTS = (
    (statements.DECLARED, 3), (statements.RESULTS, 1), (statements.WRITES, 4), (statements.CHECKS, 3), (statements.FLOW, 4),
    (statements.NUMBERS, 2), (statements.OPTIONS, 3), (statements.POINTERS, 3), (statements.ACCESSORS, 1),
    (statements.GUARDS, 1), (statements.NAMES, 3),
)  # fmt: skip
_FAMILIES = tuple(family for family, weight in STATEMENTS for _ in range(weight))


class Writer:
    """Writes one function; `pick` decides everything."""

    def __init__(self, name: str, pick: random.Random) -> None:
        self.name, self.pick = name, pick
        self.tensors, self.ints = ["x", "y"], ["n"]
        self.count = 0

    def fresh(self, stem: str) -> str:
        """A name that was not used."""
        self.count += 1
        return f"{stem}{self.count}"

    # expressions -----------------------------------------------------------------------------------------------------

    def leaf(self, kind: str) -> Node:
        """The smallest expression of a kind, of the variables there are."""
        choices = {
            "tensor": self.tensors,
            "int": [*self.ints, "0", "1", "2", "x.dim()"],
            "double": ["a", "0.5", "2.0", "1e-3"],
            "bool": ["true", "false", "n > 0", "x.dim() == 2", "x.is_contiguous()"],
        }.get(kind) or _CHOICES.get(kind, (LEAVES.get(kind, "1"),))
        return Node(kind, self.pick.choice(choices))

    def expression(self, kind: str, depth: int) -> Node:
        """An expression of a kind."""
        if depth <= 0 or kind not in EXPRESSIONS or self.pick.random() < 0.15:
            return self.leaf(kind)
        how = self.pick.random() if kind == "tensor" else 1
        if how < 0.3:
            op = self.pick.choice(callable_ops())
            return self.result_of(op, self.call(op, depth - 1))
        if how < 0.4:
            return self.operator(depth - 1)
        return self.formed(kind, self.pick.choice(EXPRESSIONS[kind]), depth - 1)

    def operator(self, depth: int) -> Node:
        """An operator with a tensor on one side."""
        other = self.expression(self.pick.choice(["tensor", "int", "double"]), depth)
        parts = (self.expression("tensor", depth), other)
        if other.kind == "int" and self.pick.random() < 0.5:
            parts = (other, parts[0])
        return Node("tensor", f"(@ {self.pick.choice(_BINARY)} @)", parts)

    def formed(self, kind: str, form: str, depth: int) -> Node:
        """`form` with what its holes ask for. Variables that it makes are there afterwards, others end with their block."""
        parts: list[Node] = []
        made: list[str] = []
        local: dict[str, str] = {}
        each = self.fresh("e") if "EACH" in form else ""

        def filled(match: re.Match[str]) -> str:
            hole, word, number = match[1], match[2], match[3]
            if hole == "block":
                parts.append(self.block(depth - 1, each))
                return "@"
            if hole:
                parts.append(self.expression(_HOLES[hole], depth))
                return "@"
            if word == "NEW" and number:
                return made[int(number) - 1]
            if word == "NEW":
                made.append(self.fresh("t"))
                return made[-1]
            if word == "EACH":
                return each
            if word in ("LOC", "NUM"):
                return local.setdefault(
                    match[0], self.fresh("v" if word == "LOC" else "k") + ("_NAME" if word == "LOC" else "")
                )
            return self.pick.choice(self.tensors)

        text = _HOLE.sub(filled, form)
        self.tensors += made
        self.ints += [local["NUM"]] if "NUM" in local else []
        return Node(kind, text, tuple(parts))

    def block(self, depth: int, each: str) -> Node:
        """Statements whose variables end with them."""
        kept = (list(self.tensors), list(self.ints))
        self.tensors += [each] if each else []
        body = tuple(self.statement(depth) for _ in range(self.pick.choice([1, 2])))
        self.tensors, self.ints = kept
        return Node(BLOCK, "", body)

    def statement(self, depth: int) -> Node:
        """A statement, of any family."""
        if self.pick.random() < 0.08:
            return self.in_place(depth)
        form = self.pick.choice(self.pick.choice(_FAMILIES))
        while depth <= 0 and "$block" in form:
            form = self.pick.choice(self.pick.choice(_FAMILIES))
        return self.formed("statement", "  " + form, depth)

    def in_place(self, depth: int) -> Node:
        """A call that writes to a variable."""
        op = self.pick.choice([op for op in callable_ops() if op.name.endswith("_")])
        call = self.call(op, depth, receiver=Node("tensor", self.pick.choice(self.tensors)))
        return Node("statement", f"  {call.text};", call.parts)

    # calls of ops ----------------------------------------------------------------------------------------------------

    def argument(self, argument: Argument, depth: int) -> Node:
        """What is handed to an op for one argument of its schema."""
        kind, pick = KINDS[argument.type], self.pick
        if argument.type.endswith("?") and pick.random() < 0.2:
            none = pick.choice(["std::nullopt", "c10::nullopt", "{}"])
            return Node("none", none if kind != "dims" else "at::OptionalIntArrayRef()")
        if kind == "scalar":
            return pick.choice([self.leaf("int"), self.leaf("double"), Node("double", "2"), Node("bool", "true")])
        if kind == "dim":
            return Node("int", pick.choice(["0", "1", "-1", "0", "n"]))
        if kind == "dims":
            dims = ["{0}", "{-1}", "{0, 1}", "x.sizes()", "{1, 0}", "{2, 3}"] + (["1"] if argument.length else [])
            return Node("sizes", pick.choice(dims))
        if kind == "dtype":
            return Node("dtype", pick.choice(_DTYPES))
        return self.expression(kind, depth)

    def call(self, op: Op, depth: int, receiver: Node | None = None) -> Node:
        """A call of an op, as a method or as a function; one that writes does so to `receiver` or to a copy."""
        given = [a for a in op.arguments if a.default is None]
        optional = [a for a in op.arguments if a.default is not None and not a.keyword_only]
        if optional and len(given) == sum(a.default is None for a in op.arguments if not a.keyword_only):
            for argument in optional[: self.pick.choice([0, 0, 1, 2])]:
                if argument.type not in KINDS:
                    break
                given.append(argument)
        names = [a for a in op.arguments if a in given]
        parts = [self.argument(a, depth) for a in names]
        is_method = op.is_method and (not op.is_function or self.pick.random() < 0.6)
        if op.name.endswith("_") and any(a.name == "self" for a in names):
            is_method = is_method or (op.is_method and receiver is None)
            place = next(i for i, a in enumerate(names) if a.name == "self")
            parts[place] = receiver or Node("tensor", "@.clone()", (parts[place],))
        if is_method:
            place = next(i for i, a in enumerate(names) if a.name == "self")
            on = parts.pop(place)
            on = self.leaf("tensor") if on.kind == "none" else on
            return Node("call", f"@.{op.cpp_name}(" + ", ".join("@" for _ in parts) + ")", (on, *parts))
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


def random_function(name: str, seed: int) -> Function:
    """A function of a few statements."""
    w = Writer(name, random.Random(seed))
    pick = w.pick
    body = [Node("statement", "  std::vector<at::Tensor> l0 = {x, y};")]
    body += [w.statement(2) for _ in range(pick.choice([0, 1, 1, 2, 3]))]
    returns = pick.choice(_RESULTS)
    kinds = {"at::Tensor": "tensor", "int64_t": "int", "double": "double", "bool": "bool"}
    if returns in kinds:
        result = Node("statement", "  return @;", (w.expression(kinds[returns], 3),))
    elif returns == "std::string":
        result = Node("statement", "  return std::to_string(@);", (w.expression(pick.choice(["int", "double"]), 2),))
    else:
        both = (w.expression("tensor", 2), w.expression("tensor", 1))
        result = Node("statement", "  return std::make_tuple(at::Tensor(@), at::Tensor(@));", both)
    return Function(name, returns, Node(BLOCK, "", (*body, result)), tuple(forms.OWN.values()))


def random_functions(stem: str, seed: int, count: int, first: int = 0) -> Sequence[Function]:
    """`count` functions called `stem` and a number, from the one with the number `first` on."""
    return [random_function(f"{stem}{number}", seed * 100_003 + number) for number in range(first, first + count)]
