"""setup(): the Pythons that the wheel is tagged for, and the torch that it asks for."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Severity

from tests.buildfiles.trees import plan

WHOLE = (
    'from torch.utils.cpp_extension import CppExtension\next_modules = [CppExtension("pkg._C", ["csrc/norm.cpp"])]\n'
)
PART = WHOLE.replace('["csrc/norm.cpp"]', '["csrc/bindings.cpp", "csrc/norm.cpp"]')
OPTION = '{"bdist_wheel": {"py_limited_api": "cp310"}}'


def test_the_wheel_of_nothing_but_stable_extensions_is_tagged_for_every_python() -> None:
    done = plan({"setup.py": f"{WHOLE}setup(\n    name='pkg',\n    ext_modules=ext_modules,\n)\n"}, ["csrc/norm.cpp"])
    assert done.text("setup.py").endswith(f"    ext_modules=ext_modules,\n    options={OPTION},\n)\n")
    (said,) = done.diagnostics("TSA623")
    assert "from cp310 on" in said.message
    assert (
        said.help
        == "Free-threaded Python has no limited API: a wheel for it is built without py_limited_api and the tag."
    )
    newer = plan({"setup.py": f"{WHOLE}setup(name='pkg', python_requires='>=3.12')\n"}, ["csrc/norm.cpp"])
    assert '"cp312"' in newer.text("setup.py")


@pytest.mark.parametrize(
    "setup",
    [
        PART + "setup(ext_modules=ext_modules)\n",
        WHOLE + 'ext_modules.append(CppExtension("pkg._other", ["csrc/other.cpp"]))\nsetup(ext_modules=ext_modules)\n',
        WHOLE + "setup(ext_modules=ext_modules, options={})\n",
        WHOLE + "setup(**arguments)\n",
    ],
)
def test_a_wheel_with_other_extensions_or_options_is_left_to_its_author(setup: str) -> None:
    done = plan({"setup.py": setup}, ["csrc/norm.cpp"])
    (said,) = done.diagnostics("TSA623")
    assert OPTION in said.help
    assert "bdist_wheel" not in done.text("setup.py")


def test_a_wheel_that_has_its_tag_keeps_it() -> None:
    setup = WHOLE + 'setup(options={"bdist_wheel": {"py_limited_api": "cp311"}})\n'
    assert not plan({"setup.py": setup}, ["csrc/norm.cpp"]).diagnostics("TSA623")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"torch"', '"torch>=2.11"'),
        ('"torch>=2.4"', '"torch>=2.11"'),
        ("'torch >= 2.4, <3'", "'torch >=2.11, <3'"),
        ('"torch~=2.4"', '"torch~=2.11"'),
        ('"torch<3"', '"torch>=2.11,<3"'),
        ("\"torch>2; python_version >= '3.10'\"", "\"torch>=2.11; python_version >= '3.10'\""),
        ('"torch>=2.12"', '"torch>=2.12"'),
        ('"torchvision>=0.2"', '"torchvision>=0.2"'),
        ('"torch @ https://example.org/torch.whl"', '"torch @ https://example.org/torch.whl"'),
    ],
)
def test_an_old_torch_is_not_enough(before: str, after: str) -> None:
    for body in (
        f'setup(ext_modules=ext_modules, install_requires=["numpy", {before}])\n',
        f'needed = [\n    "numpy",\n    {before},\n]\nsetup(ext_modules=ext_modules, install_requires=needed)\n',
    ):
        done = plan({"setup.py": PART + body}, ["csrc/norm.cpp"])
        assert done.text("setup.py").endswith(body.replace(before, after))
        assert bool(done.diagnostics("TSA626")) is (before != after)


def test_a_pinned_torch_is_for_its_author() -> None:
    body = "setup(ext_modules=ext_modules, install_requires=['torch==2.4.1'])\n"
    done = plan({"setup.py": PART + body}, ["csrc/norm.cpp"])
    assert done.text("setup.py").endswith(body)
    (said,) = done.diagnostics("TSA627")
    assert said.severity is Severity.ERROR
    assert done.place(said) == "'torch==2.4.1'"
