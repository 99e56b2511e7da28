"""Functions over what segments._C has; the gradient of segment_mean is put together here."""

import torch

from segments import _C


class _SegmentMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, offsets):
        mean, length = _C.segment_mean_forward(x, offsets)
        ctx.save_for_backward(offsets, length)
        ctx.rows = x.size(0)
        return mean

    @staticmethod
    def backward(ctx, grad):
        offsets, length = ctx.saved_tensors
        return _C.segment_mean_backward(grad.contiguous(), offsets, length, ctx.rows), None


def segment_mean(x, offsets):
    """The mean of the rows `offsets[s]` to `offsets[s + 1]` of `x`, for each s; 0 for no rows."""
    return _SegmentMean.apply(x, offsets)


def weighted_sum(parts, weights=None):
    """The sum of `parts`, each times its element of `weights`."""
    return _C.weighted_sum(list(parts), weights=weights)
