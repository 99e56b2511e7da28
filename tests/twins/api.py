"""What random functions may call: the overloads of torch's schemas whose results are the same twice."""

from __future__ import annotations

import functools

from torch_stabilize.surface.schemas import Op, op_names, overloads

# Ops whose results are not the same twice, or which need other inputs than these: random ones, other layouts, devices.
_LEFT_OUT = (
    "rand", "dropout", "bernoulli", "multinomial", "normal", "uniform", "exponential", "geometric", "cauchy", "random",
    "poisson", "binomial", "empty", "resize", "set_", "sparse", "quantize", "mkldnn", "cudnn", "miopen", "cuda", "_",
    "record_stream", "pin_memory", "is_pinned", "to_", "lstm", "gru", "rnn", "names", "rename", "align", "refine",
    "fbgemm", "backward", "from_file", "special_", "linalg_", "fft_", "batch_norm", "grid_sampler", "ctc_loss", "svd",
    "qr", "geqrf", "lu_", "ormqr", "orgqr", "cholesky", "nested", "log_normal", "rrelu", "conj", "retain", "data",
    "resolve_", "crow", "ccol", "col_ind", "row_ind", "values", "indices", "coalesce", "dense_dim", "hspmm", "smm",
    "sspaddmm", "q_", "int_repr", "dequantize", "qscheme", "output_nr", "requires_grad", "is_leaf", "_version", "index",
    "rnn_", "result_type", "can_cast", "promote_types", "hash_tensor", "histogram", "vdot", "det", "inverse",
    "stft", "istft", "affine", "embedding", "sym_", "chalf", "native_", "pinverse", "matrix_exp", "triangular_solve",
)  # fmt: skip
KINDS = {
    "Tensor": "tensor", "Tensor?": "tensor", "Scalar": "scalar", "Scalar?": "scalar", "int": "dim", "int?": "dim",
    "float": "double", "float?": "double", "bool": "bool", "bool?": "bool", "int[]": "dims", "int[]?": "dims",
    "ScalarType?": "dtype", "ScalarType": "dtype", "Tensor[]": "list",
}  # fmt: skip


@functools.cache
def callable_ops() -> tuple[Op, ...]:
    """The overloads that a random function may call, of methods and of functions."""
    found = []
    for name in op_names():
        if any(name.startswith(word) if word == "_" else word in name for word in _LEFT_OUT):
            continue
        for op in overloads(name):
            required = [a for a in op.arguments if a.default is None]
            if op.is_out or "Dimname" in str(op.arguments) or any(a.type not in KINDS for a in required):
                continue
            if op.returns and all(result in ("Tensor", "Tensor[]", "bool", "int") for result in op.returns):
                found.append(op)
    return tuple(found)
