"""The cases are data; what is wrong with them is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.replay.cases import CASES, read_cases


def test_every_case_is_complete() -> None:
    cases, how = read_cases()
    assert list(cases) == ["pr05", "pr06", "pr08", "pr09", "pr10b"]
    assert all(case.units and case.title and case.before < case.after for case in cases.values())
    assert sum(len(case.units) for case in cases.values()) == 25
    assert how.headers["nvidia-cutlass"]


def test_renamed_folders_count_for_the_maintainers_alone() -> None:
    case = read_cases()[0]["pr08"]
    unit = "mamba/mamba_ssm/selective_scan_fwd.cu"
    assert case.landing(unit) == f"libtorch_stable/{unit}"
    assert case.by_hand(unit) == "libtorch_stable/mamba/selective_scan_fwd.cu"
    assert case.by_hand("topk.cu") == "libtorch_stable/topk.cu"


@pytest.mark.parametrize(
    ("line", "message"), [('colour = "red"', "unknown keys: colour"), ('blackwell = ["x.cu"]', "has no unit x.cu")]
)
def test_a_wrong_case_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(CASES.read_text().replace('title = "9/n', f'{line}\ntitle = "9/n'))
    with pytest.raises(TypeError, match=message):
        read_cases(path)
