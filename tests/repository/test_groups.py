from __future__ import annotations

from collections.abc import Callable

import pytest
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.model import Refusal
from torch_stabilize.program.clusters import group_key
from torch_stabilize.program.groups import resolve_group, suggest_groups
from torch_stabilize.repository.layout import Group
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot

MakeRepository = Callable[..., Snapshot]
Files = dict[str, "str | bytes"]


def resolve(snapshot: Snapshot, *names: str) -> Group:
    config = load_config(snapshot)
    return resolve_group(snapshot, detect_layout(snapshot, config), config, names)


def suggested(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    config = load_config(snapshot)
    return {group.name: group.units for group in suggest_groups(snapshot, detect_layout(snapshot, config), config)}


SCALE = Group(
    name="scale",
    units=("csrc/scale_kernels.cu",),
    moving_headers=("csrc/scale_math.h",),
    shared_headers=("csrc/helpers.h",),
)


@pytest.mark.parametrize(
    "name",
    [
        "scale",
        "csrc/scale_kernels.cu",
        "./csrc//scale_kernels.cu",
        "scale_kernels.cu",
        "csrc/sc*.cu",
        "csrc/../csrc/scale_kernels.cu",
    ],
)
def test_one_group_by_many_names(extension: Snapshot, name: str) -> None:
    assert resolve(extension, name) == SCALE


def test_an_absolute_path_is_a_name_too(extension: Snapshot) -> None:
    assert resolve(extension, str(extension.root / "csrc/scale_kernels.cu")) == SCALE


def test_a_path_is_relative_to_where_the_run_starts(extension: Snapshot) -> None:
    inside = open_snapshot(extension.root / "pkg")
    assert resolve(inside, "../csrc/scale_kernels.cu") == SCALE


def test_headers_are_sorted_by_who_includes_them(extension: Snapshot) -> None:
    """helpers.h serves both units and must compile in both worlds; scale_math.h moves with its only user; plain.h
    serves both and has nothing unstable, so it stays; ops.h is the bindings' business."""
    assert resolve(extension, "scale") == SCALE
    both = resolve(extension, "scale", "shift")
    assert both.moving_headers == ("csrc/helpers.h", "csrc/plain.h", "csrc/scale_math.h")
    assert both.shared_headers == ()


def test_private_headers_elsewhere_move_where_they_must(make_repository: MakeRepository) -> None:
    """Those beside or below a unit go along; of the others, those with unstable names and those that include one."""
    snapshot = make_repository(
        {
            "csrc/k/a.cu": unit("a", includes=("beside.h", "sub/below.h", "../far_plain.h", "../far_front.h")),
            "csrc/k/beside.h": "int one();\n",
            "csrc/k/sub/below.h": "int two();\n",
            "csrc/far_plain.h": "int three();\n",
            "csrc/far_front.h": '#include "far_unstable.h"\n',
            "csrc/far_unstable.h": "at::Tensor four();\n",
            "csrc/bindings.cpp": library(("a", "CUDA", "a")),
        }
    )
    assert resolve(snapshot, "csrc/k/a.cu").moving_headers == (
        "csrc/far_front.h",
        "csrc/far_unstable.h",
        "csrc/k/beside.h",
        "csrc/k/sub/below.h",
    )


def test_a_header_that_includes_a_moving_one_moves_along(
    make_repository: MakeRepository, extension_files: Files
) -> None:
    snapshot = make_repository(
        {
            **extension_files,
            "csrc/scale_kernels.cu": '#include "front.h"\n',
            "csrc/front.h": '#include "scale_math.h"\n',
        }
    )
    assert resolve(snapshot, "scale_kernels.cu").moving_headers == ("csrc/front.h", "csrc/scale_math.h")


def test_a_header_of_a_stable_unit_is_shared(make_repository: MakeRepository, extension_files: Files) -> None:
    snapshot = make_repository(
        {**extension_files, "csrc/libtorch_stable/done.cu": '#include "../scale_math.h"\ntorch::stable::Tensor f();\n'}
    )
    assert resolve(snapshot, "scale").shared_headers == ("csrc/helpers.h", "csrc/scale_math.h")


def test_a_folder_means_its_units_but_not_the_bindings(extension: Snapshot) -> None:
    assert resolve(extension, "csrc").units == ("csrc/scale_kernels.cu", "csrc/shift_kernels.cu")


def test_several_groups_are_called_by_the_first_and_how_many_more(extension: Snapshot) -> None:
    assert resolve(extension, "scale", "shift", "scale").name == "scale_and_1_more"


def test_names_of_several_units() -> None:
    assert group_key("csrc/activation_kernels.cu") == "activation"
    assert group_key("csrc/cpu/activation.cpp") == "activation"
    assert group_key("lltm_cuda_kernel.cu") == "lltm"
    assert group_key("csrc/ops.cu") == "ops"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scael", "did you mean scale?"),
        ("scale_kernel.cu", "did you mean csrc/scale_kernels.cu"),
        ("zzz", "`torch-stabilize scan` lists the groups"),
        ("csrc/ops.h", "is a header"),
        ("setup.py", "is not a C++ or CUDA file"),
        ("../elsewhere.cu", "outside of the repository"),
        ("/etc/hostname", "outside of the repository"),
    ],
)
def test_a_name_that_means_nothing_is_refused(extension: Snapshot, name: str, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        resolve(extension, "scale", name)
    assert caught.value.exit_code == 2
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_registrations_alone_is_refused_only_by_itself(extension: Snapshot) -> None:
    with pytest.raises(Refusal, match="holds registrations alone"):
        resolve(extension, "csrc/bindings.cpp")
    group = resolve(extension, "csrc/scale_kernels.cu", "csrc/bindings.cpp")
    assert group.units == ("csrc/scale_kernels.cu",)
    assert group.registrations == ("csrc/bindings.cpp",)


def test_a_file_that_registers_and_holds_a_function_is_a_unit(
    make_repository: MakeRepository, extension_files: Files
) -> None:
    path = "csrc/bindings.cpp"
    text = f"#include <torch/extension.h>\nint one() {{ return 1; }}\n{extension_files[path]!s}"
    snapshot = make_repository({**extension_files, path: text})
    assert path in resolve(snapshot, "csrc/scale_kernels.cu", path).units


def test_no_name_is_refused(extension: Snapshot) -> None:
    with pytest.raises(Refusal, match="name a group"):
        resolve(extension)


@pytest.mark.parametrize("name", ["done", "csrc/done_kernels.cu", "csrc/libtorch_stable/done_kernels.cu"])
def test_what_has_migrated_is_said_to_have(make_repository: MakeRepository, extension_files: Files, name: str) -> None:
    path = "csrc/libtorch_stable/done_kernels.cu"
    snapshot = make_repository({**extension_files, path: "torch::stable::Tensor f();\n"})
    assert resolve(snapshot, name) == Group("done", (), migrated=(path,))


@pytest.mark.parametrize("name", ["half", "halves"])
def test_what_has_migrated_by_the_name_of_several(make_repository: MakeRepository, name: str) -> None:
    """The group was called by the words that its units begin with, or by their folder."""
    done = tuple(f"csrc/libtorch_stable/halves/half_{side}.cu" for side in ("left", "right"))
    snapshot = make_repository({"csrc/bindings.cpp": library(("f", "CUDA", "f")), **dict.fromkeys(done, "// done\n")})
    assert resolve(snapshot, name).migrated == done


def test_a_stable_file_with_unstable_names_is_not_done(make_repository: MakeRepository, extension_files: Files) -> None:
    path = "csrc/libtorch_stable/half.cu"
    snapshot = make_repository({**extension_files, path: "at::Tensor f();\n"})
    assert resolve(snapshot, path).units == (path,)


def test_a_configured_group(make_repository: MakeRepository, extension_files: Files) -> None:
    config = '[groups]\nelementwise = ["csrc/s*_kernels.cu"]\ngone = ["csrc/gone/*"]\n'
    snapshot = make_repository({**extension_files, "torch-stabilize.toml": config})
    assert resolve(snapshot, "elementwise").name == "elementwise"
    assert resolve(snapshot, "elementwise").units == ("csrc/scale_kernels.cu", "csrc/shift_kernels.cu")
    assert suggested(snapshot) == {"elementwise": ("csrc/scale_kernels.cu", "csrc/shift_kernels.cu")}
    with pytest.raises(Refusal, match="group `gone` matches no file"):
        resolve(snapshot, "gone")


def test_an_excluded_file_is_nobody_s(make_repository: MakeRepository, extension_files: Files) -> None:
    snapshot = make_repository({**extension_files, "torch-stabilize.toml": 'exclude = ["csrc/shift*"]\n'})
    assert suggested(snapshot) == {"scale": ("csrc/scale_kernels.cu",)}
    assert resolve(snapshot, "scale").shared_headers == ()
    with pytest.raises(Refusal, match="excluded"):
        resolve(snapshot, "csrc/shift_kernels.cu")


def unit(*functions: str, includes: tuple[str, ...] = ()) -> str:
    lines = [f'#include "{name}"\n' for name in includes]
    return "".join([*lines, *(f"void {name}(torch::Tensor& x) {{\n}}\n" for name in functions)])


def library(*pairs: tuple[str, str, str], macro: str = "TORCH_LIBRARY") -> str:
    body = "".join(
        f'  m.def("{op}(Tensor x) -> ()");\n  m.impl("{op}", torch::k{key}, &{function});\n'
        for op, key, function in pairs
    )
    return f"{macro}(_C, m) {{\n{body}}}\n"


@pytest.mark.parametrize(
    ("files", "groups"),
    [
        pytest.param(
            {"csrc/norm_kernels.cu": unit("norm"), "csrc/cpu/norm.cpp": unit("norm_cpu"), "csrc/rope.cu": unit("rope")},
            {"norm": ("csrc/cpu/norm.cpp", "csrc/norm_kernels.cu"), "rope": ("csrc/rope.cu",)},
            id="one stem in two variants",
        ),
        pytest.param(
            {"csrc/gptq/a.cu": unit("a"), "csrc/gptq/b.cu": unit("b"), "csrc/c.cu": unit("c")},
            {"c": ("csrc/c.cu",), "gptq": ("csrc/gptq/a.cu", "csrc/gptq/b.cu")},
            id="a folder of their own",
        ),
        pytest.param(
            {"csrc/q/gptq/a.cu": unit("a"), "csrc/q/x.cu": unit("x"), "csrc/q/y.cu": unit("y")},
            {"a": ("csrc/q/gptq/a.cu",), "x": ("csrc/q/x.cu",), "y": ("csrc/q/y.cu",)},
            id="a folder with subfolders is a category",
        ),
        pytest.param(
            {
                "csrc/attn/v1.cu": unit("v1", includes=("core.cuh",)),
                "csrc/attn/v2.cu": unit("v2", includes=("core.cuh",)),
                "csrc/attn/core.cuh": "at::Tensor core();\n",
                "csrc/attn/mla/m.cu": unit("m"),
            },
            {"attn": ("csrc/attn/v1.cu", "csrc/attn/v2.cu"), "m": ("csrc/attn/mla/m.cu",)},
            id="a header only they include",
        ),
        pytest.param(
            {
                "csrc/fast.cu": unit("quick"),
                "csrc/slow.cpp": unit("steady"),
                "csrc/bindings.cpp": library(("go", "CUDA", "quick"), ("go", "CPU", "steady")),
            },
            {"fast": ("csrc/fast.cu", "csrc/slow.cpp")},
            id="two implementations of one op",
        ),
        pytest.param(
            {
                "csrc/front.cpp": "void back(torch::Tensor& x);\n" + unit("front"),
                "csrc/rear.cu": unit("back"),
            },
            {"front": ("csrc/front.cpp", "csrc/rear.cu")},
            id="a call across units",
        ),
        pytest.param(
            {
                "csrc/left_half.cu": unit("left_on_gpu"),
                "csrc/right_half.cu": unit("right_on_gpu"),
                "csrc/gpu.h": "void left_on_gpu(torch::Tensor& x);\nvoid right_on_gpu(torch::Tensor& x);\n",
                "csrc/halves.h": '#include "gpu.h"\n'
                "inline void left(torch::Tensor& x) { left_on_gpu(x); }\n"
                "inline void right(torch::Tensor& x) { right_on_gpu(x); }\n",
                "csrc/bindings.cpp": '#include "halves.h"\n'
                + library(("left", "CUDA", "left"), ("right", "CUDA", "right")),
            },
            {"left_half": ("csrc/left_half.cu", "csrc/right_half.cu")},
            id="units on top of which one header defines what is registered",
        ),
        pytest.param(
            {"csrc/pure.cu": "__global__ void k() {}\n", "csrc/norm.cu": unit("norm")},
            {"norm": ("csrc/norm.cu",)},
            id="nothing unstable is nothing to migrate",
        ),
        pytest.param(
            {"csrc/act.cu": unit("a"), "csrc/q/act.cu": unit("b"), "csrc/q/r/c.cu": unit("c")},
            {"act": ("csrc/act.cu",), "c": ("csrc/q/r/c.cu",), "q/act": ("csrc/q/act.cu",)},
            id="names are unique",
        ),
    ],
)
def test_what_belongs_together(
    make_repository: MakeRepository, files: Files, groups: dict[str, tuple[str, ...]]
) -> None:
    snapshot = make_repository({"csrc/bindings.cpp": library(("f", "CUDA", "f")), **files})
    assert suggested(snapshot) == groups
    for name, units in groups.items():
        assert resolve(snapshot, name).units == units


def test_another_build_is_not_pulled_in(make_repository: MakeRepository) -> None:
    """The CPU build is an extension of its own: its activation.cpp is not the CUDA build's business."""
    snapshot = make_repository(
        {
            "csrc/bindings.cpp": library(("norm", "CUDA", "norm")),
            "csrc/norm_kernels.cu": unit("norm"),
            "csrc/cpu/bindings.cpp": library(("norm", "CPU", "norm")),
            "csrc/cpu/norm.cpp": unit("norm"),
        }
    )
    assert suggested(snapshot) == {"norm": ("csrc/norm_kernels.cu",)}
    with pytest.raises(Refusal, match=r"another build, whose bindings are csrc/cpu/bindings\.cpp"):
        resolve(snapshot, "csrc/cpu/norm.cpp")


def test_bindings_of_another_build_beside_the_kernels_claim_only_themselves(make_repository: MakeRepository) -> None:
    snapshot = make_repository(
        {
            "csrc/bind_cpu.cpp": library(("norm", "CPU", "norm")),
            "csrc/bind_cuda.cpp": library(("norm", "CUDA", "norm")),
            "csrc/norm_kernels.cu": unit("norm"),
        }
    )
    assert suggested(snapshot) == {"norm": ("csrc/norm_kernels.cu",)}
    with pytest.raises(Refusal, match="another build"):
        resolve(snapshot, "csrc/bind_cpu.cpp")


def test_bindings_that_implement_ops_are_a_unit(make_repository: MakeRepository) -> None:
    snapshot = make_repository({"ext.cpp": unit("f") + library(("f", "CPU", "f")), "ext_cuda.cu": unit("g")})
    assert resolve(snapshot, "ext").units == ("ext.cpp", "ext_cuda.cu")


def test_a_python_module_with_functions_of_its_own_goes_with_those_it_registers(
    make_repository: MakeRepository,
) -> None:
    module = """#include <torch/extension.h>
#include "blur.h"
at::Tensor half(at::Tensor x) { return x; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("half", &half);
  m.def("blur", &blur);
}
"""
    files = {
        "setup.py": "CppExtension('pkg._C', ['csrc/ext.cpp', 'csrc/blur.cpp', 'csrc/rest.cpp'])\n",
        "csrc/ext.cpp": module,
        "csrc/blur.h": "#pragma once\n#include <torch/extension.h>\nat::Tensor blur(at::Tensor x);\n",
        "csrc/blur.cpp": '#include "blur.h"\nat::Tensor blur(at::Tensor x) { return x; }\n',
        "csrc/rest.cpp": "#include <torch/extension.h>\nat::Tensor rest(at::Tensor x) { return x; }\n",
    }
    assert ("csrc/blur.cpp", "csrc/ext.cpp") in suggested(make_repository(files)).values()


def test_an_included_source_is_a_header(make_repository: MakeRepository, extension_files: Files) -> None:
    snapshot = make_repository(
        {
            **extension_files,
            "csrc/scale_kernels.cu": '#include "body.cu"\nat::Tensor f();\n',
            "csrc/body.cu": "at::Tensor g();\n",
        }
    )
    assert resolve(snapshot, "csrc/scale_kernels.cu").moving_headers == ("csrc/body.cu",)


def test_a_header_whose_stable_twin_exists_does_not_move(make_repository: MakeRepository) -> None:
    """The last group to use `dispatch_utils.h` finds the translation that the groups before it wrote."""
    snapshot = make_repository(
        {
            "setup.py": "",
            "csrc/dispatch_utils.h": "#pragma once\n#define CASES(...) AT_DISPATCH_CASE(at::kHalf, __VA_ARGS__)\n",
            "csrc/last_kernels.cu": '#include "dispatch_utils.h"\nvoid last(torch::Tensor& x) {}\n',
            "csrc/libtorch_stable/dispatch_utils.h": "#pragma once\n",
        }
    )
    group = resolve(snapshot, "csrc/last_kernels.cu")
    assert group.moving_headers == ()
    assert group.shared_headers == ("csrc/dispatch_utils.h",)
