"""The header of helpers: what needs CUDA does not reach the units of a CPU build."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from torch_stabilize.migration.helper_files import plan_helpers
from torch_stabilize.model import Change
from torch_stabilize.source.edits import apply

from tests.repository.conftest import MakeRepository

HEADER = "csrc/stable/torch_utils.h"
LAYOUT = cast(Any, SimpleNamespace(stable_root="csrc/stable", stable_helpers=HEADER, stable_dispatch="csrc/stable/d.h"))
MADE = cast(
    Any,
    SimpleNamespace(
        project=SimpleNamespace(helpers=SimpleNamespace(names={}, headers={}), dispatch={}, headers="2.11"),
        translation=SimpleNamespace(needed=lambda names: []),
    ),
)


def plan(make_repository: MakeRepository, files: dict[str, str | bytes], *roles: str) -> tuple[Change, Any]:
    snapshot = make_repository({"a.cpp": "", **files})
    return plan_helpers(snapshot, LAYOUT, MADE, frozenset(roles)), snapshot


def seen_on_the_cpu(text: str) -> str:
    """What is left without the blocks of CUDA builds."""
    lines, hidden = [], False
    for line in text.splitlines():
        hidden = hidden or line.startswith("#ifdef USE_CUDA")
        if not hidden:
            lines.append(line)
        hidden = hidden and not line.startswith("#endif")
    return "\n".join(lines)


def test_a_new_header_hides_cuda(make_repository: MakeRepository) -> None:
    change, _ = plan(make_repository, {}, "get_current_cuda_stream", "storage_nbytes")
    text = change.created[0].content.decode()
    on_cpu = seen_on_the_cpu(text)
    assert "get_current_cuda_stream" in text
    assert "storage_nbytes" in on_cpu
    assert "cuda" not in on_cpu


def test_an_existing_header_is_extended_with_a_hidden_block(make_repository: MakeRepository) -> None:
    before = b"#pragma once\n#include <cuda_runtime.h>\n"
    change, _ = plan(make_repository, {HEADER: before}, "get_current_cuda_stream", "storage_nbytes")
    text = apply(before, [edit.edit for edit in change.edits]).decode()
    assert text.count("<cuda_runtime.h>") == 1  # what is there already is not included again
    assert "get_current_cuda_stream" not in seen_on_the_cpu(text)
    assert "storage_nbytes" in seen_on_the_cpu(text)


def test_what_the_host_needs_is_included_outside_of_the_hidden_block(make_repository: MakeRepository) -> None:
    before = b"#pragma once\n#include <cstdint>\n\n#ifdef USE_CUDA\n#include <torch/csrc/stable/tensor.h>\n#endif\n"
    change, _ = plan(make_repository, {HEADER: before}, "storage_nbytes")
    text = apply(before, [edit.edit for edit in change.edits]).decode()
    assert "#include <torch/csrc/stable/tensor.h>" in seen_on_the_cpu(text)


def test_what_an_earlier_group_wrote_is_not_written_again(make_repository: MakeRepository) -> None:
    roles = ("accessor", "device_guard", "dtype_constants", "tensor_of", "check_comparisons")
    change, _ = plan(make_repository, {}, *roles)
    written = change.created[0].content
    reformatted = written.replace(b"(\n    ", b"(").replace(b",\n", b", ")  # a formatter has been over it since
    for before in (written, reformatted):
        again, _ = plan(make_repository, {HEADER: before}, *roles)
        assert (again.edits, again.created) == ((), ())
    more, _ = plan(make_repository, {HEADER: written}, *roles, "storage_nbytes")
    text = apply(written, [edit.edit for edit in more.edits]).decode()
    assert text.count(" accessor_of(") == 1
    assert text.count("class OptionalDeviceGuard") == 1
    assert "storage_nbytes" in text


def test_a_namesake_of_the_project_s_own_is_another_function(make_repository: MakeRepository) -> None:
    before = b"#pragma once\ninline long ceil_div(long a, long b) { return a / b; }\nlong round_up(long a, long b);\n"
    change, _ = plan(make_repository, {HEADER: before}, "ceil_div")
    text = apply(before, [edit.edit for edit in change.edits]).decode()
    assert "HIDDEN_NAMESPACE_BEGIN(stable_helpers)" in text


def test_a_helper_with_a_namesake_has_a_namespace_that_nothing_opens(make_repository: MakeRepository) -> None:
    change, _ = plan(make_repository, {}, "apart:get_thread_num", "storage_nbytes")
    text = change.created[0].content.decode()
    apart = text[text.index("HIDDEN_NAMESPACE_BEGIN(stable_helpers_apart)") : text.index("stable_helpers_apart)\n\n")]
    assert "get_thread_num" in text
    assert "using namespace stable_helpers_apart" not in text
    assert "storage_nbytes" not in apart
    again, _ = plan(make_repository, {HEADER: text}, "apart:get_thread_num", "storage_nbytes")
    assert not again.edits
    assert not again.created
    plain, _ = plan(make_repository, {HEADER: text}, "apart:get_thread_num", "apart:parallel_for")
    assert "get_thread_num" not in b"".join(edit.edit.replacement for edit in plain.edits).decode()
