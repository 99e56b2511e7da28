from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

FP8_MAX = 448.0


@reference("_C::merge_attn_states")
def merge_attn_states(
    output: Tensor,
    output_lse: Tensor | None,
    prefix: Tensor,
    prefix_lse: Tensor,
    suffix: Tensor,
    suffix_lse: Tensor,
    prefill_tokens_with_context: int | None,
    output_scale: Tensor | None = None,
) -> None:
    lse = torch.stack([prefix_lse, suffix_lse])
    lse = torch.where(lse.isinf(), -torch.inf, lse)
    if prefill_tokens_with_context is not None:
        lse[0, :, prefill_tokens_with_context:] = -torch.inf
    # softmax over the parts; NaN, and so nothing, where neither part attended to anything
    weights = lse.softmax(0).nan_to_num(0.0).transpose(1, 2).unsqueeze(-1)
    parts = torch.stack([prefix, suffix]).float()
    merged = torch.where(weights == 0, 0.0, weights * parts).sum(0)
    if output_scale is None:
        output.copy_(merged)
    else:
        output.copy_((merged / output_scale).clamp(-FP8_MAX, FP8_MAX))
    if output_lse is not None:
        output_lse.copy_(lse.logsumexp(0))
