from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference


@reference("_C::apply_repetition_penalties_")
def apply_repetition_penalties(logits: Tensor, prompt: Tensor, output: Tensor, penalties: Tensor) -> None:
    x, penalty = logits.float(), penalties.float().unsqueeze(1)
    logits.copy_(torch.where(prompt | output, torch.where(x > 0, x / penalty, x * penalty), x))


def _top_k(out: Tensor, row: Tensor) -> None:
    """The indices of the largest of `row` into `out`, ascending; of equal ones the first."""
    best = row.argsort(descending=True, stable=True)[: len(out)].sort().values
    out.fill_(-1)
    out[: len(best)] = best


@reference("_C::top_k_per_row_prefill")
def top_k_per_row_prefill(
    logits: Tensor, starts: Tensor, ends: Tensor, indices: Tensor, rows: int, stride0: int, stride1: int, k: int
) -> None:
    for row in range(rows):
        _top_k(indices[row], logits[row, int(starts[row]) : int(ends[row])])


@reference("_C::top_k_per_row_decode")
def top_k_per_row_decode(
    logits: Tensor, next_n: int, seq_lens: Tensor, indices: Tensor, rows: int, stride0: int, stride1: int, k: int
) -> None:
    lengths = seq_lens.unsqueeze(1) - torch.arange(next_n - 1, -1, -1)
    for row, length in enumerate(lengths.flatten().tolist()):
        _top_k(indices[row], logits[row, :length])


@reference("_C::persistent_topk")
def persistent_topk(
    logits: Tensor, lengths: Tensor, output: Tensor, workspace: Tensor, k: int, max_seq_len: int
) -> None:
    for row, length in enumerate(lengths.tolist()):
        _top_k(output[row], logits[row, :length])
