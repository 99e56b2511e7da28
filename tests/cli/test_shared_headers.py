"""Headers that migrated and legacy units both include: they hold both worlds side by side."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Ran, Run, commit_all, make_repository

FILES = {
    "setup.py": (
        "CUDAExtension(name='pkg._C', sources=['csrc/bindings.cpp', 'csrc/scale_kernels.cu', 'csrc/shift_kernels.cu'])\n"
    ),
    "csrc/bindings.cpp": """\
#include <torch/library.h>

#include "ops.h"

TORCH_LIBRARY(_C, ops) {
  ops.def("scale(Tensor! x) -> ()");
  ops.impl("scale", torch::kCUDA, &scale);
  ops.def("shift(Tensor! x) -> ()");
  ops.impl("shift", torch::kCUDA, &shift);
}
""",
    "csrc/ops.h": "#pragma once\n#include <torch/all.h>\nvoid scale(torch::Tensor& x);\nvoid shift(torch::Tensor& x);\n",
    "csrc/dispatch.h": """\
#pragma once
#include <ATen/Dispatch.h>

#define PKG_DISPATCH_HALF(TYPE, NAME, ...) \\
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE(at::ScalarType::Half, __VA_ARGS__))
""",
    "csrc/shared/cache.h": """\
#pragma once

#include <torch/all.h>
#include "../dispatch.h"

inline bool is_half(const torch::Tensor& x) { return x.scalar_type() == at::kHalf; }

#define PKG_DISPATCH_CACHE(TYPE, NAME, BODY) \\
  PKG_DISPATCH_HALF(TYPE, NAME, [&] { BODY(); })
""",
    "csrc/scale_kernels.cu": """\
#include <torch/all.h>
#include "shared/cache.h"

void scale(torch::Tensor& x) {
  PKG_DISPATCH_CACHE(x.scalar_type(), "scale", [&] { x.data_ptr<scalar_t>(); });
}
""",
    "csrc/shift_kernels.cu": """\
#include <torch/all.h>
#include "shared/cache.h"

void shift(torch::Tensor& x) {
  PKG_DISPATCH_CACHE(x.scalar_type(), "shift", [&] { x.data_ptr<scalar_t>(); });
}
""",
}

# The stable build has the translated macros and never sees the header of the legacy ones.
BOTH_WORLDS = """\
#pragma once

#ifdef TORCH_TARGET_VERSION
  #include "../libtorch_stable/dispatch_utils.h"
  #include <torch/csrc/stable/tensor.h>
#else
  #include <torch/all.h>
  #include "../dispatch.h"
#endif

#ifdef TORCH_TARGET_VERSION
inline bool is_half(const torch::stable::Tensor& x) { return x.scalar_type() == torch::headeronly::ScalarType::Half; }
#else
inline bool is_half(const torch::Tensor& x) { return x.scalar_type() == at::kHalf; }
#endif

#ifdef TORCH_TARGET_VERSION
#define PKG_DISPATCH_CACHE(TYPE, NAME, BODY) \\
  PKG_STABLE_DISPATCH_HALF(TYPE, NAME, [&] { BODY(); })
#else
#define PKG_DISPATCH_CACHE(TYPE, NAME, BODY) \\
  PKG_DISPATCH_HALF(TYPE, NAME, [&] { BODY(); })
#endif
"""


def test_a_macro_over_a_dispatch_macro_stands_there_twice(run_cli: Run, tmp_path: Path) -> None:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "csrc/shared/cache.h").write_text(FILES["csrc/shared/cache.h"].rstrip("\n"))  # no newline at the end
    commit_all(tmp_path, "Legacy")

    ran = run_cli("migrate", "scale", "--write", cwd=tmp_path)

    assert ran.code in (0, 1)
    assert (tmp_path / "csrc/shared/cache.h").read_text() == BOTH_WORLDS


TYPES = """\
#pragma once

#include <torch/all.h>

template <typename T>
constexpr bool is_short = std::is_same_v<T, at::Half> || std::is_same_v<T, c10::BFloat16>;

inline bool is_float(at::ScalarType dtype) { return dtype == at::ScalarType::Float; }

inline int64_t first(c10::IntArrayRef sizes) { return sizes[0]; }
"""

# The stable headers know c10::BFloat16, and nothing of at::. The list of numbers is another type there.
TYPES_OF_BOTH_WORLDS = """\
#pragma once

#ifdef TORCH_TARGET_VERSION
  #include <torch/headeronly/core/ScalarType.h>
  #include <torch/headeronly/util/HeaderOnlyArrayRef.h>
  #include <type_traits>
#else
  #include <torch/all.h>
#endif

template <typename T>
constexpr bool is_short = std::is_same_v<T, torch::headeronly::Half> || std::is_same_v<T, c10::BFloat16>;

inline bool is_float(torch::headeronly::ScalarType dtype) { return dtype == torch::headeronly::ScalarType::Float; }

#ifdef TORCH_TARGET_VERSION
inline int64_t first(torch::headeronly::IntHeaderOnlyArrayRef sizes) { return sizes[0]; }
#else
inline int64_t first(c10::IntArrayRef sizes) { return sizes[0]; }
#endif
"""


def test_a_header_of_macros_over_dispatch_macros_alone(run_cli: Run, tmp_path: Path) -> None:
    """No name of torch stands in it, and its legacy half would bring the legacy dispatch header all the same."""
    header = """\
#pragma once

#include "../dispatch.h"

#define PKG_DISPATCH_CACHE(TYPE, NAME, BODY) \\
  PKG_DISPATCH_HALF(TYPE, NAME, [&] { BODY(); })
"""
    for path, text in {**FILES, "csrc/shared/cache.h": header}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    commit_all(tmp_path)

    assert run_cli("migrate", "csrc/scale_kernels.cu", "--write", cwd=tmp_path).code in (0, 1)

    text = (tmp_path / "csrc/shared/cache.h").read_text()
    stable, _, rest = text.partition("#else")
    assert '#include "../libtorch_stable/dispatch_utils.h"' in stable
    assert '#include "../dispatch.h"' in rest
    assert '#include "../dispatch.h"' not in stable


def test_header_only_types_are_the_same_in_both_worlds_where_the_stable_headers_name_them(
    run_cli: Run, tmp_path: Path
) -> None:
    for path, text in {**FILES, "csrc/shared/cache.h": TYPES}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    commit_all(tmp_path, "Legacy")

    ran = run_cli("migrate", "scale", "--write", cwd=tmp_path)

    assert ran.code in (0, 1)
    assert (tmp_path / "csrc/shared/cache.h").read_text() == TYPES_OF_BOTH_WORLDS


def test_what_a_header_makes_visible_stays_so_for_legacy_units(run_cli: Run, tmp_path: Path) -> None:
    header = "#pragma once\n#include <torch/all.h>\n\nusing namespace at;\n"
    unit = '#include "shared/cache.h"\n\nvoid {0}(Tensor& x) {{ TORCH_CHECK(x.dim() == 1); }}\n'
    units = {f"csrc/{name}_kernels.cu": unit.format(name) for name in ("scale", "shift")}
    for path, text in {**FILES, "csrc/shared/cache.h": header, **units}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    commit_all(tmp_path, "Legacy")

    run_cli("migrate", "scale", "--write", cwd=tmp_path)

    after = (tmp_path / "csrc/shared/cache.h").read_text()
    assert after.endswith("#ifndef TORCH_TARGET_VERSION\nusing namespace at;\n#endif\n")
    migrated = (tmp_path / "csrc/libtorch_stable/scale_kernels.cu").read_text()
    assert "void scale(torch::stable::Tensor& x) { STD_TORCH_CHECK(x.dim() == 1, " in migrated


POOL = """\
#pragma once
#include <torch/all.h>

inline int& level() {
  static int value = 0;
  return value;
}
inline std::vector<torch::Tensor> kept;
inline int width() {
  static const int known = 4;
  static int asked = known + 1;
  return asked;
}
void take(torch::nn::Module& module, const torch::Tensor& x);
torch::nn::Module& open_module(const torch::Tensor& x);
"""


def test_state_that_would_exist_twice_is_told(run_cli: Run, tmp_path: Path) -> None:
    result = _migrated_with(tmp_path, run_cli, POOL, "open_module(x); level(); kept.push_back(x);")
    told = [line for line in result.out.splitlines() if "TSA905" in line]
    assert [word for line in told for word in ("value", "kept", "known", "asked") if f" {word} would" in line] == [
        "value",
        "kept",
    ]
    assert result.code == 1


def test_what_cannot_migrate_in_a_shared_header_is_told_or_left_to_the_legacy_build(
    run_cli: Run, tmp_path: Path
) -> None:
    result = _migrated_with(tmp_path, run_cli, POOL, "open_module(x);")
    text = (tmp_path / "csrc/pool.h").read_text()
    assert "#ifndef TORCH_TARGET_VERSION\nvoid take(torch::nn::Module& module, const torch::Tensor& x);\n#endif" in text
    assert result.out.count("torch::nn::Module has no stable form") == 1  # of open_module, which is used
    assert result.code == 1


def _migrated_with(folder: Path, run_cli: Run, header: str, use: str) -> Ran:
    """The result of migrating one of two units that include `header`; it says `use`."""
    unit = '#include <torch/all.h>\n#include "pool.h"\n\nvoid {}(torch::Tensor& x) {{ {} }}\n'
    files = {
        "csrc/pool.h": header,
        "csrc/scale_kernels.cu": unit.format("scale", use),
        "csrc/shift_kernels.cu": unit.format("shift", "level();"),
    }
    make_repository(folder, {**FILES, **files})
    return run_cli("migrate", "csrc/scale_kernels.cu", "--write", cwd=folder)
