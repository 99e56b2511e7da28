"""Every place that a tensor can come from against everything that is done with one: rewritten or reported, never silent."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite
from tests.rules.tensor_sources import LOOK_ALIKES, REPORTED, SOURCES, USES, program


@pytest.mark.parametrize("name", SOURCES)
def test_no_use_of_a_tensor_passes_in_silence(name: str) -> None:
    source = SOURCES[name]
    silent, reported = [], []
    for use_name, use in USES.items():
        after, found = rewrite(program(source, use))
        if found.diagnostics:
            reported.append(use_name)
        elif use.gone in after:
            silent.append(use_name)
    assert not silent
    assert bool(reported) == (name in REPORTED), reported


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_only_looks_like_a_tensor_is_left_alone(name: str) -> None:
    text = LOOK_ALIKES[name]
    after, found = rewrite(f"void take(at::Tensor x);\n{text}")
    assert after == f"void take(torch::stable::Tensor x);\n{text}"
    assert not found.diagnostics
