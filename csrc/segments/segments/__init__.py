"""Reductions over segments of rows and a soft threshold, with their gradients."""

import torch  # noqa: F401  # loads what the library is linked with

from segments._C import row_max
from segments.functional import segment_mean, weighted_sum
from segments.layers import RowScale, SoftThreshold

__all__ = ["RowScale", "SoftThreshold", "row_max", "segment_mean", "weighted_sum"]
