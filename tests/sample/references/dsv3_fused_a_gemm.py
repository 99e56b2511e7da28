from __future__ import annotations

from torch import Tensor

from tests.sample.references.registry import reference


@reference("_C::dsv3_fused_a_gemm")
def dsv3_fused_a_gemm(output: Tensor, mat_a: Tensor, mat_b: Tensor) -> None:
    output.copy_(mat_a.double() @ mat_b.double())
