"""Groups keep to one library each, and keep their names and units while others migrate."""

from __future__ import annotations

from collections.abc import Callable

from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.program.groups import suggest_groups
from torch_stabilize.program.planned import planned_tree
from torch_stabilize.repository.snapshot import Snapshot

MakeRepository = Callable[..., Snapshot]
_KERNEL = '#include "{header}"\nvoid {name}(at::Tensor& x) {{ TORCH_CHECK(x.dim() == 1); {calls}}}\n'
_CALLING = "#include <ATen/ATen.h>\nvoid {callee}(at::Tensor& x);\nvoid {name}(at::Tensor& x) {{ {callee}(x); }}\n"


def _groups(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    found = suggest_groups(snapshot, layout, config)
    return {group.name: frozenset(map(layout.origin, group.units)) for group in found}


def _bindings(*names: str, library: str = "TORCH_EXTENSION_NAME") -> str:
    lines = "".join(f'  m.def("{n}(Tensor(a!) x) -> ()");\n  m.impl("{n}", torch::kCPU, &{n});\n' for n in names)
    declared = "".join(f"void {n}(at::Tensor& x);\n" for n in names)
    return f"#include <torch/library.h>\n#include <ATen/ATen.h>\n{declared}TORCH_LIBRARY({library}, m) {{\n{lines}}}\n"


def _kernel(name: str, header: str = "ATen/ATen.h", calls: str = "") -> str:
    return _KERNEL.format(name=name, header=header, calls=calls)


def test_names_stay_while_other_groups_migrate(make_repository: MakeRepository) -> None:
    names = ("scale", "far_scale", "pack", "pack_rows", "paged_one_v1", "paged_one_v2", "stage", "gather")
    sources = ("scale", "far/scale", "pack", "pack_rows", "paged_one_v1", "paged_one_v2", "stage", "gather")
    listed = " ".join(f"csrc/{name}.cpp" for name in (*sources, "bind"))
    files = {f"csrc/{path}.cpp": _kernel(name) for path, name in zip(sources, names, strict=True)}
    files["csrc/paged_one_v1.cpp"] = _CALLING.format(name="paged_one_v1", callee="paged_one_v2")
    files["csrc/bind.cpp"] = _bindings(*names)
    files["CMakeLists.txt"] = f"project(t)\nPython_add_library(_C MODULE {listed})\n"
    files["pkg/__init__.py"] = "from . import _C\n"
    snapshot = make_repository(files)
    first = _groups(snapshot)
    assert {"scale", "far/scale", "paged_one"} <= first.keys()
    left = dict(first)
    for name in sorted(first):
        config = load_config(snapshot)
        layout = detect_layout(snapshot, config)
        group = next(one for one in suggest_groups(snapshot, layout, config) if one.name == name)
        plan = plan_migration(snapshot, layout, group, Options(format=False), config)
        assert not [one for one in plan.diagnostics if one.severity.value == "error"]
        snapshot = planned_tree(snapshot, plan)
        del left[name]
        assert not left or _groups(snapshot) == left, name


def test_what_is_left_of_a_group_keeps_its_name(make_repository: MakeRepository) -> None:
    names = ("paged_one_v1", "paged_one_v2", "other")
    files = {f"csrc/{name}.cpp": _kernel(name) for name in names}
    files["csrc/paged_one_v1.cpp"] = _CALLING.format(name="paged_one_v1", callee="paged_one_v2")
    files["csrc/libtorch_stable/paged_one_v2.cpp"] = (
        "#include <torch/csrc/stable/tensor.h>\nvoid paged_one_v2(torch::stable::Tensor& x) {}\n"
    )
    del files["csrc/paged_one_v2.cpp"]
    files["csrc/bind.cpp"] = _bindings(*names)
    listed = "csrc/bind.cpp csrc/paged_one_v1.cpp csrc/other.cpp"
    files["CMakeLists.txt"] = (
        f"project(t)\nPython_add_library(_C MODULE {listed})\n"
        "Python_add_library(_C_stable_libtorch MODULE csrc/libtorch_stable/paged_one_v2.cpp)\n"
    )

    assert _groups(make_repository(files))["paged_one"] == {"csrc/paged_one_v1.cpp"}


def test_units_of_two_libraries_are_never_one_group(make_repository: MakeRepository) -> None:
    files = {
        "csrc/scale.cpp": _kernel("scale"),
        "csrc/scale_cpu.cpp": _kernel("scale_cpu"),
        "csrc/bind.cpp": _bindings("scale"),
        "csrc/bind_cpu.cpp": _bindings("scale_cpu"),
        "CMakeLists.txt": (
            "project(t)\nPython_add_library(_C MODULE csrc/bind.cpp csrc/scale.cpp)\n"
            "Python_add_library(_C_cpu MODULE csrc/bind_cpu.cpp csrc/scale_cpu.cpp)\n"
        ),
    }

    groups = _groups(make_repository(files))

    assert sorted(groups.values(), key=sorted) == [{"csrc/scale.cpp"}, {"csrc/scale_cpu.cpp"}]


def test_a_unit_that_two_libraries_build_may_join_those_of_either(make_repository: MakeRepository) -> None:
    files = {
        "csrc/scale.cpp": _kernel("scale"),
        "csrc/scale_cpu.cpp": _kernel("scale_cpu"),
        "csrc/bind.cpp": _bindings("scale", "scale_cpu"),
        "CMakeLists.txt": (
            "project(t)\nPython_add_library(_C MODULE csrc/bind.cpp csrc/scale.cpp csrc/scale_cpu.cpp)\n"
            "Python_add_library(_C_AVX2 MODULE csrc/bind.cpp csrc/scale_cpu.cpp)\n"
        ),
    }

    assert _groups(make_repository(files)) == {"scale": {"csrc/scale.cpp", "csrc/scale_cpu.cpp"}}
