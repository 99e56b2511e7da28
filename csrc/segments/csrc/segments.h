#pragma once

#include <torch/types.h>

#include <optional>
#include <tuple>
#include <vector>

// Segment s has the rows offsets[s] to offsets[s + 1] of a matrix. Gives the mean of each segment and the length by
// which it was divided; an empty segment has the mean 0 and the length 1.
std::tuple<at::Tensor, at::Tensor> segment_mean_forward(const at::Tensor& x, const at::Tensor& offsets);
at::Tensor segment_mean_backward(const at::Tensor& grad, const at::Tensor& offsets, const at::Tensor& length, int64_t rows);

// Multiplies every row of x by its weight, in place, and returns x.
at::Tensor scale_rows_(at::Tensor x, const at::Tensor& weight);

// The sum of all parts, each times its weight where there are weights.
at::Tensor weighted_sum(const std::vector<at::Tensor>& parts, const std::optional<at::Tensor>& weights);

// x moved towards 0 by `by`, and 0 where it is nearer than that; its gradient goes through where it is not 0.
at::Tensor soft_threshold(const at::Tensor& x, double by);

// The largest value of each row and its column, of which the values have a gradient.
std::tuple<at::Tensor, at::Tensor> row_max(at::Tensor x, const std::optional<at::Tensor>& bias);

#ifdef WITH_CUDA
void segment_mean_cuda(const at::Tensor& x, const at::Tensor& offsets, at::Tensor& mean, at::Tensor& length);
void segment_mean_backward_cuda(
    const at::Tensor& grad, const at::Tensor& offsets, const at::Tensor& length, at::Tensor& grad_x);
#endif
