"""Every op of the sample against plain PyTorch, on the inputs of the golden cases: right, not only equal to itself."""

from __future__ import annotations

import builtins
import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_stabilize.verify.golden.cases import Case, find_case_files, load_cases  # noqa: E402
from torch_stabilize.verify.golden.inputs import make_arguments  # noqa: E402
from torch_stabilize.verify.golden.run import find_op  # noqa: E402

from tests.sample.building import ROOT  # noqa: E402
from tests.sample.references import load_references  # noqa: E402
from tests.sample.references.registry import REFERENCES  # noqa: E402

pytestmark = [
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.xdist_group("sample"),
    pytest.mark.usefixtures("samplex"),
]

load_references()

CASES = [
    case for path in find_case_files(ROOT / "golden") for case in load_cases(path).on("cpu") if case.mode == "eager"
]
# Their arguments are addresses, which cases.toml cannot say: test_all_reduce.py.
TAKE_ADDRESSES = {
    f"_C_custom_ar::{name}"
    for name in (
        "init_custom_ar",
        "all_reduce",
        "register_buffer",
        "get_graph_buffer_ipc_meta",
        "register_graph_buffers",
    )
}
NAMESPACES = sorted({case.namespace for case in CASES})


# What ops say that only a build with CUDA can answer.
WITHOUT_CUDA = "built without CUDA"


def _id(case: Case) -> str:
    return f"{case.group}/{case.id}"


@pytest.mark.parametrize("case", [case for case in CASES if case.raises is None], ids=_id)
def test_op_does_what_its_reference_does(case: Case) -> None:
    wanted = REFERENCES[f"{case.namespace}::{case.op}"]
    actual_args, actual_kwargs = make_arguments(case, torch)
    expected_args, expected_kwargs = make_arguments(case, torch)

    actual = find_op(case, torch)(*actual_args, **actual_kwargs)
    expected = wanted.function(*expected_args, **expected_kwargs)

    def check(got: Any, want: Any) -> None:
        torch.testing.assert_close(got, want, rtol=wanted.rtol, atol=wanted.atol, equal_nan=True)

    check(actual, expected)
    for got, want in zip(
        [*actual_args, *actual_kwargs.values()], [*expected_args, *expected_kwargs.values()], strict=True
    ):
        if isinstance(got, torch.Tensor):
            check(got, want)


@pytest.mark.parametrize("case", [case for case in CASES if case.raises is not None], ids=_id)
def test_wrong_arguments_are_refused(case: Case) -> None:
    args, kwargs = make_arguments(case, torch)
    with pytest.raises(getattr(builtins, str(case.raises)), match=case.message or None):
        find_op(case, torch)(*args, **kwargs)


def test_every_op_that_runs_on_the_cpu_has_cases_and_a_reference() -> None:
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    keys = ("CPU", "CompositeImplicitAutograd", "CompositeExplicitAutograd")
    registered = {
        name
        for name in torch._C._dispatch_get_all_op_names()
        if name.partition("::")[0] in NAMESPACES and any(has_kernel(name, key) for key in keys)
    } - TAKE_ADDRESSES
    answering = {f"{case.namespace}::{case.op}" for case in CASES if case.raises is None}
    refusing = {f"{case.namespace}::{case.op}" for case in CASES if case.message == WITHOUT_CUDA}
    assert registered == answering | refusing, re.sub("::", ".", f"{registered ^ (answering | refusing)}")
    assert answering == set(REFERENCES), re.sub("::", ".", f"{answering ^ set(REFERENCES)}")
