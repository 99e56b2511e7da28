from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.sample.references.registry import reference

HEAD, ROPE, BLOCK = 512, 64, 64
NOPE = HEAD - ROPE
TOKEN_BYTES, SCALE_BYTES = NOPE + 2 * ROPE, 8
FP8_MAX = 448.0


def _rotated(x: Tensor, cos_sin: Tensor) -> Tensor:
    """The last elements rotated: neighbours are the two parts of a complex number."""
    cosine, sine = cos_sin.chunk(2, -1)
    pairs = torch.view_as_complex(x[..., NOPE:].unflatten(-1, (-1, 2)).contiguous())
    turned = torch.view_as_real(pairs * torch.complex(cosine, sine)).flatten(-2)
    return torch.cat([x[..., :NOPE], turned], -1)


@reference("_C::fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert")
def fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert(
    q: Tensor,
    kv: Tensor,
    cache: Tensor,
    slots: Tensor,
    positions: Tensor,
    cos_sin_cache: Tensor,
    padded_heads: int,
    epsilon: float,
    block_size: int,
) -> Tensor:
    cos_sin = cos_sin_cache[positions]
    query = _rotated(F.rms_norm(q.float(), (HEAD,), eps=epsilon), cos_sin.unsqueeze(1)).to(q.dtype)
    key = _rotated(kv.float(), cos_sin)
    largest = key[:, :NOPE].unflatten(1, (-1, BLOCK)).abs().amax(-1)
    exponents = (largest / FP8_MAX).log2().ceil()
    codes = (key[:, :NOPE] / torch.exp2(exponents).repeat_interleave(BLOCK, 1)).to(torch.float8_e4m3fn)
    for token, slot in enumerate(slots.tolist()):
        if slot < 0:
            continue
        block, offset = cache[slot // block_size], slot % block_size
        data = block[offset * TOKEN_BYTES :]
        data[:NOPE] = codes[token].view(torch.uint8)
        data[NOPE:TOKEN_BYTES] = key[token, NOPE:].to(kv.dtype).view(torch.uint8)
        scales = block[block_size * TOKEN_BYTES + offset * SCALE_BYTES :]
        scales[: NOPE // BLOCK] = (exponents[token] + 127).to(torch.uint8)
    return F.pad(query, (0, 0, 0, padded_heads - q.shape[1]))
