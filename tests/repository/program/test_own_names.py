"""What the plan's check takes for a name of torch, and what is the project's own."""

from __future__ import annotations

from torch_stabilize.program.own_names import OwnNames
from torch_stabilize.program.scan import scan_document
from torch_stabilize.source.document import Document

CODE = """\
namespace paint {
namespace at { inline int empty(int n) { return n; } }
struct Canvas { Canvas contiguous(); bool is_cuda() const; template <class T> T* data_ptr(); };
inline int draw(Canvas canvas, torch::stable::Tensor image) {
  canvas.contiguous();
  canvas.data_ptr<float>();
  image.contiguous();
  strange.zero_();
  return at::empty(1) + ::at::zeros(2);
}
}  // namespace paint
inline int other() { return at::empty(3); }
"""


def test_own_namespaces_and_classes_are_told_from_torch() -> None:
    document = Document("paint.cpp", CODE.encode())
    own = OwnNames((document,))
    found = {(site.line, site.name): own.have(site, document) for site in scan_document(document)}
    assert found == {
        (5, "contiguous"): True, (6, "data_ptr"): True, (7, "contiguous"): False, (8, "zero_"): False,
        (9, "at::empty"): True, (9, "at::zeros"): False, (12, "at::empty"): False,
    }  # fmt: skip


def test_a_container_has_its_own_methods() -> None:
    """`.` is of the container or optional itself, and `->` reaches the tensor in it."""
    code = """\
void f(std::map<int, torch::stable::Tensor> kept, std::optional<torch::stable::Tensor> one) {
  kept.emplace(1, kept[0]);
  one.emplace(kept[0]);
  one->contiguous();
  kept[0].contiguous();
}
"""
    document = Document("a.cpp", code.encode())
    own = OwnNames((document,))
    found = {site.line: own.have(site, document) for site in scan_document(document)}
    assert found == {2: True, 3: True, 4: False, 5: False}
