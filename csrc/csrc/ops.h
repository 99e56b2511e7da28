#pragma once

#include <torch/types.h>

// Activations. The gated ones read [..., 2 * d] and write [..., d].
void silu_and_mul(torch::Tensor& out, const torch::Tensor& input);

void silu_and_mul_clamp(torch::Tensor& out, const torch::Tensor& input,
                        double limit);

void mul_and_silu(torch::Tensor& out, const torch::Tensor& input);

void gelu_and_mul(torch::Tensor& out, const torch::Tensor& input);

void gelu_tanh_and_mul(torch::Tensor& out, const torch::Tensor& input);

void fatrelu_and_mul(torch::Tensor& out, const torch::Tensor& input,
                     double threshold);

void gelu_new(torch::Tensor& out, const torch::Tensor& input);

void gelu_fast(torch::Tensor& out, const torch::Tensor& input);

void gelu_quick(torch::Tensor& out, const torch::Tensor& input);

void silu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input);

void silu_and_mul_clamp_cpu(torch::Tensor& out, const torch::Tensor& input,
                            double limit);

void mul_and_silu_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_tanh_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input);

void fatrelu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input,
                         double threshold);

void gelu_new_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_fast_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_quick_cpu(torch::Tensor& out, const torch::Tensor& input);

// Layer normalisation
void rms_norm(torch::Tensor& out, const torch::Tensor& input,
              const torch::Tensor& weight, double epsilon);

void fused_add_rms_norm(torch::Tensor& input, torch::Tensor& residual,
                        const torch::Tensor& weight, double epsilon);

void rms_norm_cpu(torch::Tensor& out, const torch::Tensor& input,
                  const torch::Tensor& weight, double epsilon);

void fused_add_rms_norm_cpu(torch::Tensor& input, torch::Tensor& residual,
                            const torch::Tensor& weight, double epsilon);
