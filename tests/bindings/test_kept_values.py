"""What `saved_data` keeps, as the Python of `setup_context` works it out."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.autograd.model import Reason
from torch_stabilize.bindings.autograd.values import ValuesOf


def kept(
    before: str, value: str, after: str = "", results: dict[str, str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """The Python of `value` behind the statements `before`, in a forward of the arguments x, dim and other."""
    head = f"{{ {before} keep = "
    body = f"{head}{value}; {after} }}".encode()
    return ValuesOf(body, ("x", "dim", "other"), results or {}).python(len(head), len(head) + len(value))


@pytest.mark.parametrize(
    ("before", "value", "written"),
    [
        ("", "x.size(0) * 2", "x.size(0) * 2"),
        ("", "!x.is_contiguous()", "not x.is_contiguous()"),
        ("", "other.has_value() ? other.value() : 1", "(other if (other is not None) else 1)"),
        ("const int64_t n = x.size(0) * dim;", "n + 1", "n = x.size(0) * dim; n + 1"),
        ("const auto& m = x.sizes();", "m[0]", "m = x.shape; m[0]"),
        ("dim = dim < 0 ? x.dim() + dim : dim;", "x.size(dim)",
         "dim = (x.dim() + dim if dim < 0 else dim); x.size(dim)"),
        ("x = x.contiguous();", "x.numel()", "x.numel()"),  # has the same sizes
    ],
)  # fmt: skip
def test_sizes_and_numbers(before: str, value: str, written: str) -> None:
    """The locals that a value is put together from come with it."""
    text, lines = kept(before, value)
    assert "; ".join([*lines, text]) == written


@pytest.mark.parametrize(
    ("before", "value", "lines"),
    [
        ("auto a = x.size(0); auto b = a * 2;", "a - b", ("a = x.size(0)", "b = a * 2")),
        ("dim = x.dim() - 1; const int64_t n = x.size(dim);", "n", ("dim = x.dim() - 1", "n = x.size(dim)")),
        ("const int64_t n = x.size(dim); dim = dim - 1;", "n + dim", ("n = x.size(dim)", "dim = dim - 1")),
        ("const int64_t n = x.dim(); dim = n - 1;", "x.size(dim)", ("n = x.dim()", "dim = n - 1")),
        ("other = 3; auto n = x.size(other); dim = n;", "dim + 1", ("other = 3", "n = x.size(other)", "dim = n")),
    ],
)
def test_statements_keep_their_order(before: str, value: str, lines: tuple[str, ...]) -> None:
    """A local has the value of an argument at its own place, whatever is assigned to it later."""
    assert kept(before, value)[1] == lines


def test_a_result_has_the_name_it_has_in_setup_context() -> None:
    assert kept("auto y = x + 1;", "y.size(0)", results={"y": "output[0]"}) == ("output[0].size(0)", ())


@pytest.mark.parametrize(
    ("before", "value", "after", "reason"),
    [
        ("if (dim < 0) dim += 2;", "dim - 1", "", "dim, which gets other values, cannot be worked out in Python"),
        ("", "dim - 1", "dim = 3;", "dim, which gets other values,"),
        ("dim = other; other = 3;", "dim + 1", "", "dim, which depends on what gets other values,"),
        ("int64_t n = 3; n = dim;", "n * 2", "", "n cannot be worked out"),
        ("if (dim) { int64_t n = 3; }", "n * 2", "", "n cannot be worked out"),
        ("", "n * 2", "int64_t n = 3;", "n cannot be worked out"),
        ("", "std::exp(dim)", "", "std::exp(dim) cannot be worked out"),
        ("", "table.size(0)", "", "table cannot be worked out"),
        ("", "x.size(", "", "which cannot be read"),
    ],
)
def test_what_may_be_another_value_is_not_guessed(before: str, value: str, after: str, reason: str) -> None:
    """The message names the expression and what of it is in the way."""
    with pytest.raises(Reason) as found:
        kept(before, value, after)
    assert f"it keeps `{value}`" in str(found.value)
    assert reason in str(found.value)
