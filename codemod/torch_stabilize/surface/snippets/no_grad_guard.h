#include <torch/csrc/inductor/aoti_torch/c/shim.h>

// Switches gradient mode off for as long as it lives.
class NoGradGuard {
 public:
  explicit NoGradGuard(bool wanted = true)
      : was_enabled_(aoti_torch_grad_mode_is_enabled()) {
    aoti_torch_grad_mode_set_enabled(was_enabled_ && !wanted);
  }
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;
  ~NoGradGuard() { aoti_torch_grad_mode_set_enabled(was_enabled_); }

 private:
  bool was_enabled_;
};
