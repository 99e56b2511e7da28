from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch_stabilize.config import KEYS, Allowed, Config, load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot

MakeRepository = Callable[..., Snapshot]


def refusal(snapshot: Snapshot) -> str:
    with pytest.raises(Refusal) as caught:
        load_config(snapshot)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_configuration_is_a_configuration(make_repository: MakeRepository) -> None:
    assert load_config(make_repository({"a.cu": ""})) == Config()


def test_every_key_is_read(make_repository: MakeRepository) -> None:
    text = """
source_root = "./src/"
stable_root = "src/stable"
legacy_library = "_ext"
stable_library = "_ext_stable"
legacy_bindings = ["src/bind.cpp"]
stable_bindings = "src/stable/bind.cpp"
stable_declarations = "src/stable/ops.h"
stable_helpers = "src/stable/utils.h"
stable_dispatch = "src/stable/dispatch.h"
python_roots = ["ext"]
target = "2.11"
exclude = ["src/generated/*"]
allow = ["src/debug.cu:at::print", "src/old/**"]

[groups]
norms = ["src/norm_*.cu"]
"""
    config = load_config(make_repository({"torch-stabilize.toml": text}))
    assert config == Config(
        source="torch-stabilize.toml",
        source_root="src",
        stable_root="src/stable",
        legacy_library="_ext",
        stable_library="_ext_stable",
        legacy_bindings=("src/bind.cpp",),
        stable_bindings="src/stable/bind.cpp",
        stable_declarations="src/stable/ops.h",
        stable_helpers="src/stable/utils.h",
        stable_dispatch="src/stable/dispatch.h",
        python_roots=("ext",),
        target="2.11",
        groups={"norms": ("src/norm_*.cu",)},
        allow=(Allowed("src/debug.cu", "at::print", 14), Allowed("src/old/**", "", 14)),
        exclude=("src/generated/*",),
    )


def test_pyproject_is_read_where_there_is_no_file_of_our_own(make_repository: MakeRepository) -> None:
    files = {"pyproject.toml": '[project]\nname = "x"\n\n[tool.torch-stabilize]\ntarget = "2.10"\n'}
    assert load_config(make_repository(files)).target == "2.10"
    own = make_repository({**files, "torch-stabilize.toml": 'target = "2.12"\n'})
    assert load_config(own).target == "2.12"


def test_the_nearest_configuration_counts(make_repository: MakeRepository) -> None:
    root = make_repository(
        {"torch-stabilize.toml": 'target = "2.10"\n', "ext/torch-stabilize.toml": 'target = "2.12"\n', "ext/a.cu": ""}
    ).root
    assert load_config(open_snapshot(root)).target == "2.10"
    assert load_config(open_snapshot(root / "ext")).target == "2.12"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('target = "2.11"\nstable_rot = "x"\n', 2, "did you mean `stable_root`?"),
        ("\nfrobnicate = 1\n", 2, "known keys"),
        ("target = 2.11\n", 1, "must be a string, not a number"),
        ('target = "newest"\n', 1, "such as"),
        ('\n\nexclude = "a"\n', 3, "must be a list of strings, not a string"),
        ("exclude = [1]\n", 1, "every entry of exclude"),
        ('source_root = "../elsewhere"\n', 1, "not a path below"),
        ('source_root = "/usr"\n', 1, "not a path below"),
        ('legacy_library = "a-b"\n', 1, "name of a module"),
        ('groups = ["a.cu"]\n', 1, "must be a table"),
        ('[groups]\nnorms = ["a.cu"]\nempty = []\n', 3, "names no file"),
        ("allow = true\n", 1, "not true or false"),
    ],
)
def test_mistakes_are_named_with_their_line(make_repository: MakeRepository, text: str, line: int, words: str) -> None:
    message = refusal(make_repository({"torch-stabilize.toml": text}))
    assert message.startswith(f"torch-stabilize.toml:{line}: ")
    assert words in message


def test_the_line_is_one_of_our_table(make_repository: MakeRepository) -> None:
    text = "[tool.other]\ntarget = 1\n\n[tool.torch-stabilize]\nexclude = []\ntarget = 1\n"
    assert refusal(make_repository({"pyproject.toml": text})).startswith("pyproject.toml:6: ")


def test_broken_toml_is_refused(make_repository: MakeRepository) -> None:
    assert "line 2" in refusal(make_repository({"torch-stabilize.toml": 'target = "2.11"\n= 3\n'}))


def test_not_utf_8_is_refused(make_repository: MakeRepository) -> None:
    assert "not UTF-8" in refusal(make_repository({"torch-stabilize.toml": b'# caf\xe9\ntarget = "2.11"\n'}))


def test_a_byte_order_mark_does_not_matter(make_repository: MakeRepository) -> None:
    assert load_config(make_repository({"torch-stabilize.toml": b'\xef\xbb\xbftarget = "2.11"\n'})).target == "2.11"


def test_not_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.cu").write_text("int x;")
    for start in (tmp_path, tmp_path / "a.cu", tmp_path / "missing"):
        with pytest.raises(Refusal) as caught:
            open_snapshot(start)
        assert caught.value.exit_code == 2


def test_every_key_is_documented_and_the_example_is_valid(make_repository: MakeRepository) -> None:
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    documented = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(documented) == sorted(KEYS)
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert load_config(make_repository({"torch-stabilize.toml": example})).groups.keys() == {"norms"}


_SEVERAL = {
    "setup.py": """
from setuptools import setup
from torch.utils.cpp_extension import CppExtension
setup(name="pots", ext_modules=[
    CppExtension("pots._clay", ["csrc/clay/bind.cpp", "csrc/clay/fire.cpp"]),
    CppExtension("pots._iron", ["csrc/iron/bind.cpp", "csrc/iron/cast.cpp"]),
])
""",
    "csrc/clay/bind.cpp": '#include <torch/library.h>\nTORCH_LIBRARY(clay, m) { m.def("fire(Tensor x) -> ()"); }\n',
    "csrc/clay/fire.cpp": "#include <torch/all.h>\nvoid fire(at::Tensor x) {}\n",
    "csrc/iron/bind.cpp": '#include <torch/library.h>\nTORCH_LIBRARY(iron, m) { m.def("cast(Tensor x) -> ()"); }\n',
    "csrc/iron/cast.cpp": "#include <torch/all.h>\nvoid cast(at::Tensor x) {}\n",
}
_OWN = """
[libraries._iron]
stable_library = "_iron_abi3"
stable_bindings = "csrc/iron/stable/bindings.cpp"
op_namespace = "forge"
"""


def test_a_library_has_settings_of_its_own(make_repository: MakeRepository) -> None:
    snapshot = make_repository({**_SEVERAL, "torch-stabilize.toml": _OWN})
    layout = detect_layout(snapshot, load_config(snapshot))
    named = {one.name: (one.stable_name, one.stable_bindings, one.op_namespace) for one in layout.libraries}
    assert named["_iron"] == ("_iron_abi3", "csrc/iron/stable/bindings.cpp", "forge")
    assert named["_clay"][0] == "_clay_stable_libtorch"
    assert named["_clay"][2] == ""
    for units, space in ((["csrc/iron/cast.cpp"], "forge"), (["csrc/clay/fire.cpp"], "")):
        assert layout.for_units(units).op_namespace == space


def test_bindings_of_a_library_that_no_build_file_names(make_repository: MakeRepository) -> None:
    text = """
[libraries._iron]
legacy_bindings = ["csrc/iron.cpp"]
[libraries._steam]
legacy_bindings = ["csrc/steam.cpp"]
"""
    block = '#include <torch/library.h>\nint64_t {0}(int64_t n) {{ return n; }}\nTORCH_LIBRARY({0}, m) {{ m.def("{0}", &{0}); }}\n'
    files = {"torch-stabilize.toml": text, "setup.py": "from setuptools import setup\nsetup(ext_modules=make())\n"}
    files |= {f"csrc/{name}.cpp": block.format(name) for name in ("iron", "steam")}
    snapshot = make_repository(files)
    layout = detect_layout(snapshot, load_config(snapshot))
    assert {one.name: one.bindings for one in layout.libraries} == {
        "_iron": ("csrc/iron.cpp",),
        "_steam": ("csrc/steam.cpp",),
    }
    assert layout.legacy_library == "_iron"


def test_bindings_of_a_library_that_are_not_there(make_repository: MakeRepository) -> None:
    files = {"torch-stabilize.toml": '[libraries._C]\nlegacy_bindings = ["csrc/gone.cpp"]\n', "csrc/a.cpp": "int a;\n"}
    snapshot = make_repository(files)
    with pytest.raises(Refusal, match=r"names csrc/gone\.cpp, which is not there"):
        detect_layout(snapshot, load_config(snapshot))


def test_the_keys_of_the_repository_mean_its_only_library(make_repository: MakeRepository) -> None:
    files = {path: text for path, text in _SEVERAL.items() if "iron" not in path}
    files["setup.py"] = files["setup.py"].replace(
        '    CppExtension("pots._iron", ["csrc/iron/bind.cpp", "csrc/iron/cast.cpp"]),\n', ""
    )
    snapshot = make_repository({**files, "torch-stabilize.toml": 'stable_library = "_abi3"\n'})
    assert detect_layout(snapshot, load_config(snapshot)).stable_library == "_abi3"
    (library,) = detect_layout(snapshot, load_config(snapshot)).libraries
    assert (library.name, library.stable_name) == ("_clay", "_abi3")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('libraries = "x"\n', 1, "must be a table"),
        ('[libraries]\n_C = "x"\n', 2, "`libraries._C` must be a table, not a string"),
        ('[libraries._C]\nstable = "x"\n', 2, "unknown key `libraries._C.stable`"),
        ('[libraries._C]\nstable_library = "a.b"\n', 2, "must be the name of a module"),
        ('[libraries."pkg._C"]\nstable_library = "b"\n', 1, "without its package"),
    ],
)
def test_mistakes_in_settings_of_a_library(make_repository: MakeRepository, text: str, line: int, words: str) -> None:
    message = refusal(make_repository({"torch-stabilize.toml": text}))
    assert message.startswith(f"torch-stabilize.toml:{line}: ")
    assert words in message
