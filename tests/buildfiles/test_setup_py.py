"""setup.py: lists, the stable extension on first use, CMakeExtension entries, and what is computed."""

from __future__ import annotations

from textwrap import dedent

import pytest
from torch_stabilize.model import Severity

from tests.buildfiles.trees import plan

HEAD = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

"""
MACROS = """\
        define_macros=[
            ("TORCH_TARGET_VERSION", "0x020b000000000000ULL"),
        ],
"""


def migrated(body: str, *units: str, created: tuple[str, ...] = (), **files: str) -> str:
    text = plan({"setup.py": HEAD + dedent(body), **files}, units, created=created).text("setup.py")
    assert text.startswith(HEAD)
    compile(text, "setup.py", "exec")
    return text[len(HEAD) :]


def test_the_sources_in_the_call() -> None:
    after = migrated(
        """\
        setup(
            ext_modules=[
                CppExtension(
                    name="pkg._C",
                    sources=["csrc/bindings.cpp", "csrc/norm.cpp"],
                    extra_compile_args=["-O3"],
                ),
            ],
            cmdclass={"build_ext": BuildExtension},
        )
        """,
        "csrc/norm.cpp",
        created=("csrc/stable/bindings.cpp",),
    )
    assert after == dedent("""\
        setup(
            ext_modules=[
                CppExtension(
                    name="pkg._C",
                    sources=["csrc/bindings.cpp"],
                    extra_compile_args=["-O3"],
                ),
                CppExtension(
                    name="pkg._C_stable",
                    sources=["csrc/stable/bindings.cpp", "csrc/stable/norm.cpp"],
                    extra_compile_args=["-O3"],
                    py_limited_api=True,
                    define_macros=[
                        ("TORCH_TARGET_VERSION", "0x020b000000000000ULL"),
                    ],
                ),
            ],
            cmdclass={"build_ext": BuildExtension},
        )
        """)


def test_lists_in_variables_are_mirrored_statement_by_statement() -> None:
    """`stable_sources` takes in `stable_cuda_sources` where `sources` takes in `cuda_sources`."""
    after = migrated(
        """\
        sources = ["csrc/bindings.cpp", "csrc/norm.cpp"]
        cuda_sources = [
            "csrc/norm.cu",
            "csrc/act.cu",
        ]
        if WITH_CUDA:
            sources += cuda_sources
        ext_modules = [CUDAExtension("pkg._C", sources)]
        """,
        "csrc/norm.cpp",
        "csrc/norm.cu",
    )
    assert after.startswith(
        dedent("""\
        sources = ["csrc/bindings.cpp"]
        stable_sources = ["csrc/stable/norm.cpp"]
        cuda_sources = [
            "csrc/act.cu",
        ]
        stable_cuda_sources = [
            "csrc/stable/norm.cu",
        ]
        if WITH_CUDA:
            sources += cuda_sources
            stable_sources += stable_cuda_sources
        """)
    )
    assert '("USE_CUDA", None)' in after
    assert '"pkg._C_stable",\n    stable_sources,' in after


def test_a_class_chosen_at_run_time_decides_about_use_cuda() -> None:
    after = migrated(
        """\
        extension = CUDAExtension if WITH_CUDA else CppExtension
        ext_modules = [
            extension(name="pkg._C", sources=["csrc/bindings.cpp", "csrc/norm.cpp"]),
        ]
        """,
        "csrc/norm.cpp",
    )
    assert '*([("USE_CUDA", None)] if extension is CUDAExtension else []),' in after


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ('sources.append("csrc/norm.cu")', 'stable_sources.append("csrc/stable/norm.cu")'),
        ('sources += ["csrc/norm.cu"]', 'stable_sources += ["csrc/stable/norm.cu"]'),
        ('sources.extend(["csrc/norm.cu"])', 'stable_sources += ["csrc/stable/norm.cu"]'),
        (
            'sources += [os.path.join("csrc", "norm.cu")]',
            'stable_sources += [os.path.join("csrc", "stable/norm.cu")]',
        ),
        ('sources += [f"{ROOT}/norm.cu"]', 'stable_sources += [f"{ROOT}/stable/norm.cu"]'),
    ],
)
def test_a_conditional_source_keeps_its_statement(statement: str, expected: str) -> None:
    after = migrated(
        f"""\
        ROOT = "csrc"
        sources = ["csrc/bindings.cpp"]
        if WITH_CUDA:
            {statement}
        ext = CUDAExtension("pkg._C", sources)
        setup(ext_modules=[ext])
        """,
        "csrc/norm.cu",
    )
    assert f'sources = ["csrc/bindings.cpp"]\nstable_sources = []\nif WITH_CUDA:\n    {expected}\n' in after
    assert "\nstable_extensions = []\next = CUDAExtension(" in after
    assert "\nif stable_sources:\n    stable_extensions.append(CUDAExtension(\n" in after
    assert "setup(ext_modules=[ext, *stable_extensions])" in after


def test_an_existing_stable_extension_gets_the_source_under_its_condition() -> None:
    after = migrated(
        """\
        sources = ["csrc/bindings.cpp", "csrc/norm.cpp"]
        stable_sources = ["csrc/stable/bindings.cpp"]
        if WITH_CUDA:
            sources += ["csrc/norm.cu", "csrc/act.cu"]
        ext_modules = [
            CUDAExtension("pkg._C", sources),
            CUDAExtension("pkg._C_stable", stable_sources, define_macros=[("TORCH_TARGET_VERSION", "0x020b")]),
        ]
        """,
        "csrc/norm.cpp",
        "csrc/norm.cu",
    )
    assert 'stable_sources = ["csrc/stable/bindings.cpp", "csrc/stable/norm.cpp"]\n' in after
    assert '    sources += ["csrc/act.cu"]\n    stable_sources += ["csrc/stable/norm.cu"]\n' in after


def test_the_lowest_python_comes_from_the_project() -> None:
    after = migrated(
        """\
        setup(ext_modules=[Extension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cpp"])], python_requires=">=3.12")
        """,
        "csrc/norm.cpp",
    )
    assert '("Py_LIMITED_API", "0x030C0000")' in after


def test_a_macro_that_torch_defines_itself_is_not_written() -> None:
    after = migrated('ext_modules = [CppExtension("pkg._C", ["csrc/b.cpp", "csrc/norm.cpp"])]\n', "csrc/norm.cpp")
    assert "py_limited_api=True" in after
    assert "Py_LIMITED_API" not in after


def test_macros_that_were_there_are_kept() -> None:
    after = migrated(
        """\
        ext_modules = [
            CppExtension("pkg._C", ["csrc/b.cpp", "csrc/norm.cpp"], define_macros=[("FAST", "1")]),
        ]
        """,
        "csrc/norm.cpp",
    )
    assert 'define_macros=[\n            ("FAST", "1"),\n            ("TORCH_TARGET_VERSION"' in after


@pytest.mark.parametrize(
    "sources",
    [
        '[name for name in NAMES if "cuda" not in name]',
        "glob.glob(PATTERN)",
        "find_sources()",
        '[os.path.join(here(), "csrc/norm.cpp")]',
    ],
)
def test_a_computed_list_is_left_alone_with_the_lines_to_add(sources: str) -> None:
    body = f'import os\next_modules = [CppExtension("pkg._C", {sources})]\n'
    planned = plan({"setup.py": HEAD + body}, ["csrc/norm.cpp"], created=["csrc/stable/bindings.cpp"])
    assert planned.text("setup.py") == HEAD + body
    (found,) = planned.diagnostics("TSA622")
    assert found.severity is Severity.ERROR
    assert '"csrc/stable/norm.cpp"' in found.help
    assert "TORCH_TARGET_VERSION" in found.help


def test_a_list_that_is_computed_in_part() -> None:
    """What is written out moves; of the rest only the lines are named, and no second stable extension."""
    setup = HEAD + (
        'sources = ["csrc/norm.cpp"] + [os.path.join("csrc", n) for n in NAMES]\n'
        'ext_modules = [CppExtension("pkg._C", sources)]\n'
    )
    done = plan({"setup.py": setup}, ["csrc/norm.cpp", "csrc/act.cpp"])
    assert done.text("setup.py").count("pkg._C_stable") == 1
    (found,) = done.diagnostics("TSA622")
    assert found.help.endswith('add them to _C_stable:\n"csrc/stable/act.cpp"')


def test_an_extension_built_in_a_function() -> None:
    after = migrated(
        """\
        def extensions():
            sources = ["csrc/bindings.cpp", "csrc/norm.cpp"]
            return [CppExtension("pkg._C", sources)]
        """,
        "csrc/norm.cpp",
    )
    assert '    stable_sources = ["csrc/stable/norm.cpp"]\n' in after
    assert 'CppExtension("pkg._C", sources), CppExtension(' in after


def test_extensions_of_a_loop_are_not_guessed() -> None:
    body = 'for name, sources in TABLE.items():\n    ext_modules.append(CppExtension(f"pkg.{name}", sources))\n'
    planned = plan({"setup.py": HEAD + body}, ["csrc/norm.cpp"])
    assert planned.text("setup.py") == HEAD + body
    assert planned.codes & {"TSA607", "TSA622"}


EMPTIED = (
    HEAD
    + """
ext_modules = [
    CUDAExtension(
        name="pkg._C",
        sources=[
            "csrc/norm.cu",  # norms
        ],
        include_dirs=INCLUDES,
    )
]
"""
)


def test_an_extension_of_which_nothing_stays_becomes_the_stable_one() -> None:
    planned = plan({"setup.py": EMPTIED}, ["csrc/norm.cu"], created=["csrc/stable/bindings.cpp"])
    assert (
        planned.text("setup.py")
        == HEAD
        + """
ext_modules = [
    CUDAExtension(
        name="pkg._C_stable",
        sources=[
            "csrc/stable/norm.cu",  # norms
            "csrc/stable/bindings.cpp",
        ],
        include_dirs=INCLUDES,
        py_limited_api=True,
        define_macros=[
            ("TORCH_TARGET_VERSION", "0x020b000000000000ULL"),
            ("USE_CUDA", None),
        ],
    )
]
"""
    )
    assert not planned.diagnostics("TSA606")


def test_its_macros_are_kept() -> None:
    call = 'CppExtension("pkg._C", ["csrc/norm.cpp"], define_macros=[("A", "1")], py_limited_api=False)'
    after = plan({"setup.py": HEAD + f"ext_modules = [{call}]\n"}, ["csrc/norm.cpp"]).text("setup.py")
    assert 'CppExtension("pkg._C_stable", ["csrc/stable/norm.cpp"], define_macros=[\n' in after
    assert '("A", "1"),' in after
    assert "py_limited_api=True)" in after
    compile(after, "setup.py", "exec")


def test_an_emptied_extension_beside_a_stable_one_is_reported() -> None:
    calls = 'CppExtension("pkg._C", ["csrc/norm.cpp"]), CppExtension("pkg._C_stable", ["csrc/stable/a.cpp"])'
    planned = plan({"setup.py": HEAD + f"ext_modules = [{calls}]\n"}, ["csrc/norm.cpp"])
    (found,) = planned.diagnostics("TSA606")
    assert "pkg._C has no source left" in found.message


CMAKE = """
function(add_ext NAME)
  add_library(${NAME} MODULE ${ARGN})
endfunction()
add_ext(_C csrc/bindings.cpp csrc/norm.cpp)
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'ext_modules = [CMakeExtension(name="pkg._C")]\n',
            'ext_modules = [CMakeExtension(name="pkg._C"), CMakeExtension(name="pkg._C_stable")]\n',
        ),
        (
            'if build():\n    ext_modules.append(CMakeExtension(name="pkg._C", optional=True))\n',
            'if build():\n    ext_modules.append(CMakeExtension(name="pkg._C", optional=True))\n'
            '    ext_modules.append(CMakeExtension(name="pkg._C_stable", optional=True))\n',
        ),
    ],
)
def test_cmake_is_asked_for_the_stable_library_too(before: str, after: str) -> None:
    planned = plan({"setup.py": before, "CMakeLists.txt": CMAKE}, ["csrc/norm.cpp"])
    assert planned.text("setup.py") == after


def test_a_widened_target_is_asked_for_on_the_new_device() -> None:
    from tests.buildfiles.test_cmake_create import MACRO, WIDE

    setup = dedent("""\
        def is_cuda(): ...
        def is_hip(): ...
        ext_modules = [CMakeExtension(name="pkg._C")]
        # also is_hip() once it works
        if is_cuda():
            ext_modules.append(CMakeExtension(name="pkg._C_stable"))
        """)
    planned = plan({"setup.py": setup, "CMakeLists.txt": WIDE, "macros.cmake": MACRO}, ["csrc/norm.cu"])
    assert "if is_cuda() or is_hip():" in planned.text("setup.py")
    assert "once it works" not in planned.text("setup.py")


def test_a_statement_that_moves_whole_goes_to_an_existing_stable_extension() -> None:
    after = migrated(
        """\
        sources = ["csrc/bindings.cpp"]
        stable_sources = ["csrc/stable/bindings.cpp"]
        if WITH_CUDA:
            sources += ["csrc/norm.cu"]
        ext_modules = [
            CUDAExtension("pkg._C", sources),
            CUDAExtension("pkg._C_stable", stable_sources, define_macros=[("TORCH_TARGET_VERSION", "0x020b")]),
        ]
        """,
        "csrc/norm.cu",
    )
    assert '"csrc/norm.cu"' not in after
    assert '    stable_sources += ["csrc/stable/norm.cu"]\n' in after


def test_a_tuple_of_one_stays_a_tuple() -> None:
    after = migrated('modules = [CppExtension("pkg._C", ("csrc/norm.cpp", "csrc/b.cpp"))]', "csrc/norm.cpp")
    assert '("csrc/b.cpp",)' in after
    after = migrated('modules = [CppExtension("pkg._C", ("csrc/b.cpp", "csrc/norm.cpp"))]', "csrc/norm.cpp")
    assert '("csrc/b.cpp",)' in after


def test_the_stable_headers_need_a_newer_standard() -> None:
    """Where the call asks for an older one itself the stable extension does not; a variable is left to its reader."""
    body = """\
        flags = {flags}
        sources = ["csrc/bindings.cpp", "csrc/norm.cpp"]
        setup(ext_modules=[CppExtension("pkg._C", sources, extra_compile_args={arguments})])
        """
    written = dedent(body).format(flags=[], arguments='{"cxx": ["-O3", "-std=c++14"]}')
    stable = migrated(written, "csrc/norm.cpp").partition("pkg._C_stable")[2]
    assert 'extra_compile_args={"cxx": ["-O3", "-std=c++17"]}' in stable

    named = HEAD + dedent(body).format(flags='["-std=c++11"]', arguments="flags")
    done = plan({"setup.py": named}, ["csrc/norm.cpp"])
    assert 'flags = ["-std=c++11"]' in done.text("setup.py")
    assert any(d.severity is Severity.WARNING and "need C++17" in d.message for d in done.diagnostics("TSA621"))
