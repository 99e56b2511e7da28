"""Functions that go through the tables one by one: every overload in every setting, every form of the grammar."""

from __future__ import annotations

import random
from collections.abc import Sequence

from torch_stabilize.surface.schemas import Op

from tests.twins import forms
from tests.twins.api import callable_ops
from tests.twins.grammar import EXPRESSIONS, STATEMENTS, Writer
from tests.twins.program import BLOCK, Function, Node

# Where a call stands: what is in front of the function, and its body. `@` is the call.
SETTINGS = {
    "plain": ("", "  return @;"),
    "lambda": ("", "  auto f = [&](const at::Tensor& t) { return @; };\n  return f(x);"),
    "generic lambda": ("", "  auto f = [&](auto t) { return @; };\n  return f(x);"),
    "macro": ("#define OP_NAME(x, y) (@)", "  return OP_NAME(x, y);"),
    "template": (
        "template <typename T> static at::Tensor templated_NAME(T x, T y, int64_t n, double a) { return @; }",
        "  return templated_NAME(x, y, n, a);",
    ),
    "member": (
        "struct In_NAME { at::Tensor x, y; at::Tensor run(int64_t n, double a) { return @; } };",
        "  return In_NAME{x, y}.run(n, a);",
    ),
    "using namespace": (
        "namespace sp_NAME {\nusing namespace at;\nstatic Tensor run(Tensor x, Tensor y, int64_t n, double a) { return @; }\n}",
        "  return sp_NAME::run(x, y, n, a);",
    ),
    "class template": (
        "template <class T> struct In_NAME { T x, y; T run(int64_t n, double a) { return @; } };",
        "  return In_NAME<at::Tensor>{x, y}.run(n, a);",
    ),
}  # fmt: skip


def overload_function(name: str, op: Op, setting: str, seed: int) -> Function:
    """A function that calls one op in a setting; one seed gives the same call in each."""
    w = Writer(name, random.Random(seed))
    call = w.result_of(op, w.call(op, 0))
    before, body = SETTINGS[setting]
    if setting == "using namespace" and call.text.startswith(("at::", "torch::")) and seed % 2:
        call = call._replace(text=call.text.partition("::")[2])
    statement = Node("statement", body, (call,) if "@" in body else ())
    definitions = (*forms.OWN.values(), before.replace("@", call.written()))
    return Function(name, "at::Tensor", Node(BLOCK, "", (statement,)), definitions if before else definitions[:-1])


_RESULT = {
    "tensor": "return @;", "int": "return at::scalar_tensor(@);", "double": "return at::scalar_tensor(@);",
    "bool": "return at::scalar_tensor(@ ? 1 : 0);", "list": "return at::stack(@);",
}  # fmt: skip


def each_form(stem: str, seed: int) -> Sequence[Function]:
    """A function for each form of an expression and of a statement, with as little in it as can be."""
    found: list[Function] = []
    for kind, all_of_kind in EXPRESSIONS.items():
        for form in all_of_kind:
            w = Writer("", random.Random(seed + len(found)))
            result = Node("statement", f"  {_RESULT[kind]}", (w.formed(kind, form, 0),))
            found.append(_with_list(f"{stem}{len(found)}", result))
    for family, _ in STATEMENTS:
        for form in family:
            w = Writer("", random.Random(seed + len(found)))
            statement = w.formed("statement", f"  {form}", 1)
            result = Node("statement", "  return @;", (Node("tensor", w.tensors[-1]),))
            found.append(_with_list(f"{stem}{len(found)}", statement, result))
    return found


def _with_list(name: str, *statements: Node) -> Function:
    first = Node("statement", "  std::vector<at::Tensor> l0 = {x, y};")
    return Function(name, "at::Tensor", Node(BLOCK, "", (first, *statements)), tuple(forms.OWN.values()))


def overloads_in_settings(stem: str, seed: int, settings: Sequence[str] = tuple(SETTINGS)) -> Sequence[Function]:
    """A function for each overload in each of `settings`."""
    return [
        overload_function(f"{stem}{place}_{number}", op, setting, seed * 7919 + number)
        for place, setting in enumerate(settings)
        for number, op in enumerate(callable_ops())
    ]
