"""cases.toml: what it expands to, and how clearly it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.cases import Case, find_case_files, load_cases, load_group
from torch_stabilize.verify.golden.values import CaseError, GeneratedValue, PlainValue, TensorValue, evaluate

HEAD = 'group = "g"\nlibrary = "_C"\n'


def cases_of(tmp_path: Path, text: str) -> tuple[Case, ...]:
    path = tmp_path / "cases.toml"
    path.write_text(HEAD + text)
    return load_cases(path).cases


def test_one_case_for_each_device_dtype_and_sweep_entry(tmp_path: Path) -> None:
    cases = cases_of(
        tmp_path,
        """
        [[case]]
        op = "gate"
        devices = ["cpu", "cuda"]
        dtypes = ["float32", "float16"]
        sweep = [{m = 1, d = 8}, {m = 7, d = 33}]
        args = [{tensor = {shape = ["m", "2*d"]}}]
        """,
    )
    assert [case.id for case in cases][:3] == [
        "gate[cpu-float32-m=1-d=8]",
        "gate[cpu-float32-m=7-d=33]",
        "gate[cpu-float16-m=1-d=8]",
    ]
    assert len(cases) == 8
    assert cases[1].args == (TensorValue((7, 66), "float32"),)
    assert cases[3].args == (TensorValue((7, 66), "float16"),)


def test_every_kind_of_value(tmp_path: Path) -> None:
    (case,) = cases_of(
        tmp_path,
        """
        [[case]]
        op = "f"
        dtypes = ["bfloat16"]
        sweep = [{n = 4}]
        args = [{int = "n - 1"}, {float = 0.5}, {bool = true}, {str = "auto"}, {none = true}, {scalar_type = "$dtype"},
                {ints = [1, "n"]}, {generator = "block_table", sequences = "n", blocks = "2*n", blocks_per_sequence = 2}]
        kwargs = {device = {device = "$device"}}
        """,
    )
    assert [value.value for value in case.args if isinstance(value, PlainValue)] == [
        3, 0.5, True, "auto", None, "bfloat16", (1, 4),
    ]  # fmt: skip
    generated = GeneratedValue("block_table", (("blocks", 8), ("blocks_per_sequence", 2), ("sequences", 4)))
    assert case.args[-1] == generated
    assert case.kwargs == (("device", PlainValue("device", "cpu")),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[case]]\nargs = []", "op is missing"),
        ('[[case]]\nop = "f"\ndtype = ["float32"]', "unknown key dtype"),
        ('[[case]]\nop = "f"\ndtypes = ["float31"]', "unknown dtype 'float31'"),
        ('[[case]]\nop = "f"\ndevices = ["gpu"]', "not 'gpu'"),
        ('[[case]]\nop = "f"\nwithout = "cpu"', "not 'cpu'"),
        ('[[case]]\nop = "f"\nargs = [3]', "a value is a table"),
        ('[[case]]\nop = "f"\nargs = [{integer = 3}]', "unknown kind of value 'integer'"),
        ('[[case]]\nop = "f"\nargs = [{int = 0.5}]', "0.5 is not an integer"),
        ('[[case]]\nop = "f"\nargs = [{tensor = {dtype = "int8"}}]', "at least a shape"),
        ('[[case]]\nop = "f"\nargs = [{tensor = {shape = ["m"]}}]', "names of the sweep"),
        ('[[case]]\nop = "f"\nargs = [{tensor = {shape = [-1]}}]', "-1 is not a size"),
        ('[[case]]\nop = "f"\nargs = [{tensor = {shape = [2, 3], strides = [1]}}]', "1 strides for 2 dimensions"),
        ('[[case]]\nop = "f"\nargs = [{tensor = {shape = [2], fill = "zero"}}]', "fill is a number or one of"),
        ('[[case]]\nop = "f"\ntolerance = {atol = 0.1}', "a tolerance needs a reason"),
        ('[[case]]\nop = "f"\nraises = "RuntimeError"\nmessage = "("', "not a regular expression"),
        ('[[case]]\nop = "f"\n[[case]]\nop = "f"', "two cases are called f[cpu]"),
        ("case = [", "is not TOML"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Refusal, match=r"cases\.toml") as refusal:
        cases_of(tmp_path, text)
    assert message in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_a_group_without_cases_is_refused_with_those_that_have_some(tmp_path: Path) -> None:
    (tmp_path / "norm").mkdir()
    (tmp_path / "norm/cases.toml").write_text(HEAD)
    with pytest.raises(Refusal, match="groups with cases: norm"):
        load_group(tmp_path, "activation")


def test_the_digest_changes_with_what_decides_the_output_alone(tmp_path: Path) -> None:
    def digest(more: str) -> str:
        return cases_of(tmp_path, f'[[case]]\nop = "f"\n{more}')[0].digest

    plain = digest("")
    assert digest('tolerance = {atol = 0.1, reason = "rounding"}') == plain
    assert digest('without = "cuda"') == plain
    assert digest("seed = 2") != plain
    assert digest("args = [{int = 1}]") != digest("args = [{float = 1.0}]") != plain
    assert digest('raises = "RuntimeError"') != plain


@pytest.mark.parametrize(("text", "value"), [("2*d + 1", 17), ("-d // 3", -3), ("(m + d) * 2", 18)])
def test_expressions(text: str, value: int) -> None:
    assert evaluate(text, {"m": 1, "d": 8}) == value


@pytest.mark.parametrize("text", ["d ** 2", "__import__('os')", "d.real", "x", "d if m else 1", "1 //", "d // 0"])
def test_expressions_know_four_operators_and_names_only(text: str) -> None:
    with pytest.raises(CaseError):
        evaluate(text, {"m": 1, "d": 8})


def test_the_cases_of_this_repository_are_well_formed() -> None:
    files = find_case_files(Path(__file__).parents[2] / "golden")
    assert files
    for path in files:
        assert load_cases(path).cases, path


def test_a_digest_is_the_same_in_every_process(tmp_path: Path) -> None:
    (case,) = cases_of(tmp_path, '[[case]]\nop = "f"\nargs = [{tensor = {shape = [2]}}, {str = "a"}]')
    assert case.digest == "a690af5f069110bb"
