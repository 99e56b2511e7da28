"""What the type of an expression is, as far as it can be read."""

from __future__ import annotations

import re

import pytest
from torch_stabilize.model import Span
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import TypeFinder

HEAD = """
torch::Tensor distance(torch::Tensor x, int64_t i);
namespace ns { const at::Tensor& pick(const at::Tensor& x, bool first = true); float pick(int n, int m, int k); }
template <typename T> T root(T x);
int64_t over(int n);
float over(float n);
struct Parts {
  const at::Tensor& key;
  static int count;
  int64_t size() const { return key.size(0); }
  bool is_empty() const;
  std::optional<at::Tensor> mask, *other;
  void (*launch)(int);
};
"""
CASES = {
    "a function of the project": ("distance(x, 0)", "Tensor"),
    "a function of the project, by its namespace": ("ns::pick(x)", "Tensor"),
    "overloads with other numbers of arguments": ("ns::pick(1, 2, 3)", "float"),
    "overloads that differ": ("over(1)", ""),
    "a method whose overloads return different things": ("x.min()", "Tensor"),
    "the same with a dimension": ("std::get<1>(x.min(0))", "Tensor"),
    "a function of torch with overloads": ("std::get<0>(torch::max(x, 1))", "Tensor"),
    "an element of a pair": ("std::get<1>(std::make_pair(x, 3))", "int64_t"),
    "through a pointer": ("p->sizes()", "IntArrayRef"),
    "through an optional": ("o->scalar_type()", "ScalarType"),
    "a copy of a view": ("x.sizes().vec()", "vector"),
    "a member in a structured binding": ("key", "Tensor"),
    "members declared together": ("mask", "optional"),
    "a member after functions and static ones": ("launch", "void"),
    "sizes of what nobody says the type of": ("unknown().sizes()", "IntArrayRef"),
    "a part of a view": ("x.sizes().slice(1)", "IntArrayRef"),
}


@pytest.mark.parametrize("name", CASES)
def test_type_of(name: str) -> None:
    expression, expected = CASES[name]
    given = "at::Tensor x, at::Tensor* p, std::optional<at::Tensor> o, const Parts& parts"
    taken = "const auto& [key, mask, other, launch] = parts;"
    text = f"{HEAD}void f({given}) {{ {taken} use({expression}); }}\n".encode()
    document = Document("unit.cpp", text)
    finder = TypeFinder((document,), known_returns())
    match = re.search(re.escape(expression.encode()) + rb"(?=\); \})", text)
    assert match is not None
    node = document.whole.node_at(Span(*match.span()))
    assert node is not None
    assert finder.type_of(node, document.whole, document).name == expected
