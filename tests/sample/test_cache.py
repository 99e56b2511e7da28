"""swap_blocks_batch takes addresses, which golden cases cannot say."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.xdist_group("sample"),
    pytest.mark.usefixtures("samplex"),
]


def test_pieces_of_memory_are_copied() -> None:
    source = torch.arange(12, dtype=torch.int16)
    first, second = torch.zeros(4, dtype=torch.int16), torch.zeros(3, dtype=torch.int16)

    torch.ops._C_cache_ops.swap_blocks_batch(
        torch.tensor([source.data_ptr(), source[5:].data_ptr()]),
        torch.tensor([first.data_ptr(), second[1:].data_ptr()]),
        torch.tensor([8, 4]),
    )

    assert first.tolist() == [0, 1, 2, 3]
    assert second.tolist() == [0, 5, 6]
