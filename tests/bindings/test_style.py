"""Generated C++ in the repository's layout: several blocks in one run, each as if it were alone."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.writing.style import Braced, formatted_together

WIDE = b"{BasedOnStyle: Google, ColumnLimit: 80, DerivePointerAlignment: false}\n"
FOUR = b"{BasedOnStyle: LLVM, IndentWidth: 4, SeparateDefinitionBlocks: Always}\n"
SHORT = Braced("STABLE_TORCH_LIBRARY_IMPL(my_ops, CUDA, m) {", 'm.impl("f",TORCH_BOX(&f));')
CONDITIONAL = Braced(
    "STABLE_TORCH_LIBRARY_FRAGMENT(my_ops, m) {", '#ifdef USE_F\nm.def("f(Tensor x) -> Tensor");\n#endif'
)
COMMENTED = Braced("STABLE_TORCH_LIBRARY_FRAGMENT(my_ops, m) {", '//!\n//! Adds.\nm.def("g(Tensor x) -> ()");')


def test_a_short_body_stays_apart_from_its_head() -> None:
    (block,) = formatted_together([SHORT], WIDE)
    assert block.text == f'{SHORT.head}\n  m.impl("f", TORCH_BOX(&f));\n}}'


@pytest.mark.parametrize("style", [WIDE, FOUR])
def test_blocks_do_not_see_each_other(style: bytes) -> None:
    blocks = [SHORT, CONDITIONAL, COMMENTED, SHORT]
    assert formatted_together(blocks, style) == [formatted_together([block], style)[0] for block in blocks]


def test_a_comment_like_the_marks_stays() -> None:
    (block,) = formatted_together([COMMENTED], WIDE)
    assert block.body == '  //!\n  //! Adds.\n  m.def("g(Tensor x) -> ()");'
