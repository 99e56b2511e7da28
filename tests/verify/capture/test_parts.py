"""The parts of a capture that need neither torch nor a compiler."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from torch_stabilize.cli.golden_capture import _Size
from torch_stabilize.model import Refusal, Severity
from torch_stabilize.verify import codes
from torch_stabilize.verify.golden.capture.calls import (
    CAPTURED_FILE,
    Call,
    Captured,
    read_captured,
    to_bytes,
    write_captured,
)
from torch_stabilize.verify.golden.capture.choose import choose, vary
from torch_stabilize.verify.golden.capture.compare import captured_errors, captured_values
from torch_stabilize.verify.golden.capture.functions import find_function
from torch_stabilize.verify.golden.capture.keep import _sorted
from torch_stabilize.verify.golden.capture.lines import _own, _ranges
from torch_stabilize.verify.golden.capture.runtime.signature import features
from torch_stabilize.verify.golden.capture.targets import Target, named_targets
from torch_stabilize.verify.golden.cases import CASES_FILE, load_cases, load_group
from torch_stabilize.verify.golden.outcome import Crash, ErrorOutcome, Outcome, TensorOutcome, from_json
from torch_stabilize.verify.golden.session import Run


def tensor(shape: list[int], **more: Any) -> dict[str, Any]:
    strides = [1] * len(shape)
    for place in range(len(shape) - 2, -1, -1):
        strides[place] = strides[place + 1] * shape[place + 1]
    usual = {
        "storage": 0, "dtype": "float32", "shape": shape, "strides": strides, "offset": 0, "device": "cpu",
        "requires_grad": False, "leaf": True,
    }  # fmt: skip
    return {"tensor": usual | more}


def call(*args: dict[str, Any], name: str = "ns::f", data: bytes = b"\1\2\3\4", rich: int = 9, **more: Any) -> Call:
    key = f"key-{data.hex()}"
    content = {
        "target": name, "args": list(args), "kwargs": {}, "grad": "True", "test": "t.py::a", "rich": rich,
        "storages": [{"start": 0, "bytes": len(data), "shift": 0, "behind": 0, "device": "cpu", "rich": rich, "content": key}],
        "features": list(features(name, list(args), {}, "True")),
    }  # fmt: skip
    return Call((name,), content | more, {key: data})


# name -> two sets of arguments that are alike, and one that is not
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a size": (tensor([7, 5]), tensor([9, 3]), tensor([7, 1])),
    "a multiple of 8": (tensor([8]), tensor([64]), tensor([65])),
    "a rank": (tensor([7]), tensor([9]), tensor([7, 7])),
    "a dtype": (tensor([7]), tensor([7]), tensor([7], dtype="float64")),
    "a layout": (tensor([7, 5]), tensor([7, 5]), tensor([7, 5], strides=[1, 7])),
    "gaps": (tensor([7, 5], strides=[1, 7]), tensor([7, 5], strides=[1, 7]), tensor([7, 5], strides=[1, 9])),
    "an offset": (tensor([7]), tensor([7]), tensor([7], offset=3)),
    "a gradient": (tensor([7]), tensor([7]), tensor([7], requires_grad=True)),
    "a small number": ({"int": 3}, {"int": 3}, {"int": 4}),
    "a large number": ({"int": 1000}, {"int": 1001}, {"int": 5000}),
    "a sign": ({"float": (1.5).hex()}, {"float": (2.5).hex()}, {"float": (-1.5).hex()}),
    "none": ({"none": True}, {"none": True}, {"bool": True}),
    "a text": ({"str": "sum"}, {"str": "sum"}, {"str": "mean"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_alike_in_what_counts(kind: str) -> None:
    one, alike, other = (features("f", [value], {}, "True") for value in KINDS[kind])
    assert one == alike
    assert one != other


def test_a_shared_storage_is_a_feature() -> None:
    apart = features("f", [tensor([3]), tensor([3], storage=1)], {}, "True")
    shared = features("f", [tensor([3]), tensor([3])], {}, "True")
    assert "f 1 in the storage of 0" in set(shared) - set(apart)


def test_few_calls_show_all_pairs_of_features() -> None:
    calls = [
        call(tensor([size], dtype=dtype), {"bool": flag}, data=bytes([size, flag, len(dtype)]))
        for size in (1, 3, 8)
        for dtype in ("float32", "float64")
        for flag in (True, False)
    ]
    kept, refused = choose([*calls, *calls], 1000)
    assert refused == 0
    assert 6 <= len(kept) < len(calls)
    shown = {pair for one in kept for pair in zip(one.features[1:], one.features[2:], strict=False)}
    assert shown == {pair for one in calls for pair in zip(one.features[1:], one.features[2:], strict=False)}


def test_measured_blocks_are_worth_a_call() -> None:
    plain = call(tensor([3]), data=b"a", blocks=["lib+1"])
    deeper = call(tensor([3]), data=b"b", blocks=["lib+1", "lib+2"])
    assert choose([plain, deeper], 1000)[0] == (deeper,)
    other = call(tensor([3]), data=b"c", blocks=["lib+3"])
    assert set(choose([plain, deeper, other], 1000)[0]) == {deeper, other}


def test_a_budget_leaves_every_function_a_call_that_fits() -> None:
    first = [call({"int": number}, data=bytes([number] * 60), name="ns::f") for number in range(4)]
    second = call({"int": 7}, data=b"x" * 60, name="ns::g")
    too_large = call({"int": 8}, data=b"y" * 600, name="ns::h")
    kept, refused = choose([*first, second, too_large], 130)
    assert {one.targets[0] for one in kept} == {"ns::f", "ns::g"}
    assert refused == 4


def test_rich_contents_are_kept_before_poor_ones() -> None:
    poor, rich = call(tensor([3]), data=b"000", rich=1), call(tensor([3]), data=b"abc", rich=30)
    assert choose([poor, rich], 1000)[0] == (rich,)


def test_variations_take_turns_and_change_one_thing() -> None:
    one = call(tensor([3, 4]), {"int": 2}, {"float": (0.5).hex()}, {"bool": True})
    found = vary([one, call(tensor([3]), name="ns::g")], 400)
    texts = [other.change["text"] for other in found if other.change and other.targets == ("ns::f",)]
    assert {"0: ties", "0: specials", "0: transposed in memory", "0: as float64", "0: None", "0: with gradient"} <= {
        *texts
    }
    assert {"1: 3", "1: 1", "1: 0", "1: -1", "2: 1", "2: -0.5", "3: False"} <= {*texts}
    assert len({other.id for other in found}) == len(found)
    assert {other.targets for other in vary([one, call(tensor([3]), name="ns::g")], 2)} == {("ns::f",), ("ns::g",)}
    assert vary([one], 0) == ()


def test_integer_tensors_keep_their_contents() -> None:
    changes = [other.change for other in vary([call(tensor([3], dtype="int64"))], 100)]
    assert not {"ties", "specials", "zeros and ones"} & {change["kind"] for change in changes if change}


def test_the_file_comes_back_as_it_was(tmp_path: Path) -> None:
    one = call(tensor([4]), {"none": True})
    varied = vary([one], 3)
    captured = Captured("g", (one, *varied), ("a note",), {"kept": 1})
    write_captured(tmp_path / CAPTURED_FILE, captured)
    found = read_captured(tmp_path / CAPTURED_FILE)
    assert [other.key for other in found.calls] == [one.key, *(other.key for other in varied)]
    assert (found.notes, found.figures) == (captured.notes, captured.figures)
    assert to_bytes(found) == to_bytes(captured)


@pytest.mark.parametrize("place", [10, 200, -1])
def test_a_changed_file_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / CAPTURED_FILE
    write_captured(path, Captured("g", (call(tensor([4])),)))
    data = bytearray(path.read_bytes())
    data[place] ^= 0x41
    path.write_bytes(bytes(data))
    with pytest.raises(Refusal, match=r"captured|corrupted"):
        read_captured(path)


def test_captured_calls_are_cases_beside_written_ones(tmp_path: Path) -> None:
    home = tmp_path / "g"
    write_captured(home / CAPTURED_FILE, Captured("g", (call(tensor([4]), name="ns::f.out"),), ("a note",)))
    alone = load_group(tmp_path, "g")
    assert [(case.namespace, case.op, case.overload, case.device) for case in alone.cases] == [
        ("ns", "f", "out", "cpu")
    ]
    assert alone.notes == ("a note",)
    (home / CASES_FILE).write_text('library = "ns"\n[[case]]\nop = "f"\nargs = [{int = 1}]\n')
    both = load_cases(home / CASES_FILE)
    assert [case.captured is None for case in both.cases] == [True, False]
    assert both.cases[1].digest == alone.cases[0].digest


def test_a_module_function_is_a_case_of_what_it_becomes(tmp_path: Path) -> None:
    one = replace(call(tensor([4]), name="_C:f"), targets=("_C:f", "ns::f"))
    write_captured(tmp_path / "g" / CAPTURED_FILE, Captured("g", (one,)))
    case = load_group(tmp_path, "g").cases[0]
    assert (case.namespace, case.op) == ("ns", "f")
    assert case.id.startswith("captured/f-")


def test_names_of_callables() -> None:
    assert named_targets(["ns::f", "pkg._C:g", "pkg._C:g=ns::g"]) == (
        Target("ns::f", "ns::f"),
        Target("_C:g", ""),
        Target("_C:g", "ns::g"),
    )
    with pytest.raises(Refusal, match="a callable is"):
        named_targets(["f"])


@pytest.mark.parametrize(
    ("text", "size"), [("2MB", 2 << 20), ("500000", 500000), ("1.5kb", 1536), ("1GiB", 1 << 30), ("3 m", 3 << 20)]
)
def test_sizes(text: str, size: int) -> None:
    assert _Size().convert(text, None, None) == size


def test_no_size() -> None:
    with pytest.raises(click.BadParameter):
        _Size().convert("much", None, None)


def runs(*outcomes: Iterable[Outcome | Crash | None], calls: list[Call]) -> list[Run]:
    return [
        Run("2", {"cpu": "cpu"}, {c.id: o for c, o in zip(calls, each, strict=True) if o is not None}, {})
        for each in outcomes
    ]


def test_what_differs_from_run_to_run_is_left_out() -> None:
    calls = [call({"int": number}) for number in range(4)]
    same, first, second = Outcome(("1",)), Outcome(("2",)), Outcome(("3",))
    found = _sorted(
        calls,
        runs([same, first, Crash("died"), None], [same, first, same, None], [same, second, same, None], calls=calls),
    )
    assert (found.stable, found.unstable) == ((calls[0],), (calls[1],))
    assert found.crashed == {calls[2].id: "died", calls[3].id: "there is no device cpu here"}


def error(kind: str, text: str) -> ErrorOutcome:
    return ErrorOutcome(kind, (kind, "Exception"), text)


# name -> the legacy error, the stable one, the code and severity of what is found
ERRORS: dict[str, tuple[ErrorOutcome | None, ErrorOutcome | None, list[tuple[str, Severity]]]] = {
    "the same": (error("RuntimeError", "too small"), error("RuntimeError", "too small"), []),
    "the same but for the frame of an assertion": (
        error("RuntimeError", "INTERNAL ASSERT FAILED at a.cpp:3, please report a bug to PyTorch. too small"),
        error("RuntimeError", "too small"),
        [],
    ),
    "two bindings that refuse": (
        error("TypeError", "f(): incompatible function arguments. The following"),
        error("RuntimeError", "ns::f() Expected a value of type 'Tensor'"),
        [],
    ),
    "the stable side raises alone": (None, error("RuntimeError", "x"), [(codes.ERROR_DIFFERS, Severity.ERROR)]),
    "the legacy side raises alone": (error("RuntimeError", "x"), None, [(codes.ERROR_DIFFERS, Severity.ERROR)]),
    "a lost cause": (
        error("RuntimeError", "index 7 is too large"),
        error("RuntimeError", "aoti_torch_call_dispatcher(...) API call failed at a.h, line 3"),
        [(codes.CAUSE_LOST, Severity.WARNING)],
    ),
    "another type": (
        error("NotImplementedError", "no"),
        error("RuntimeError", "no"),
        [(codes.ERROR_TEXT_DIFFERS, Severity.WARNING)],
    ),
    "another text": (
        error("RuntimeError", "x has 3"),
        error("RuntimeError", "x has 4"),
        [(codes.ERROR_TEXT_DIFFERS, Severity.WARNING)],
    ),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_compared_in_classes(kind: str) -> None:
    legacy, stable, expected = ERRORS[kind]
    assert [(item.code, item.severity) for item in captured_errors("c", legacy, stable)] == expected


def said(legacy: Outcome, stable: Outcome) -> list[tuple[str, str, str]]:
    found = captured_values("c", legacy, stable, lambda *_: iter(()))
    return [(item.code, item.severity.value, item.message) for item in found]


def test_facts_that_differ_are_told() -> None:
    one = Outcome(facts=(("version steps of argument 0", "1"), ("the result", "a tensor")))
    assert said(one, one) == []
    lost = Outcome(facts=(("the result", "a tensor"),))
    assert said(one, lost) == [(codes.COUNTER_DIFFERS, "error", "c: version steps of argument 0: 0 instead of 1")]
    assert said(lost, one) == [(codes.COUNTER_DIFFERS, "warning", "c: version steps of argument 0: 1 instead of 0")]
    other = Outcome(facts=(("version steps of argument 0", "1"), ("the result", "[a tensor]")))
    assert said(one, other) == [(codes.OUTPUT_DIFFERS, "error", "c: the result is [a tensor] instead of a tensor")]


def test_a_lost_gradient_is_told_once() -> None:
    gradient = TensorOutcome("float32", (1,), (1,), b"\0\0\0\0")
    had = Outcome(facts=(("requires_grad of return 0", "True"),), gradients=(("0", gradient),))
    has_not = Outcome(facts=(("requires_grad of return 0", "False"),))
    assert said(had, has_not) == [(codes.GRADIENT_LOST, "error", "c: no gradient any more for return 0")]


def test_an_outcome_with_gradients_comes_back_from_its_json() -> None:
    gradient = TensorOutcome("float32", (1,), (1,), b"\0\0\0\1")
    outcome = Outcome(("1",), (), None, (), "in", (("0", gradient),), (("a fact", "so"),))
    data = {name: found.data for name, found in outcome.tensors().items()}
    assert from_json(outcome.to_json(), data) == outcome
    assert "facts" not in Outcome().to_json(), "files without captured calls stay as they are"


def test_lines_without_code_do_not_part_a_range() -> None:
    missed = [("a.cpp", 3), ("a.cpp", 5), ("a.cpp", 9), ("b.h", 1)]
    assert _ranges(missed, {*missed, ("a.cpp", 7)}) == ("a.cpp:3-5", "a.cpp:9", "b.h:1")
    many = [("a.cpp", 2 * number) for number in range(50)]
    told = _ranges(many, {*many, *(("a.cpp", 2 * number + 1) for number in range(50))})
    assert (len(told), told[-1]) == (41, "and 10 more places")


def test_lines_of_others_are_not_the_project_s(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("")
    assert _own(f"{tmp_path}/a.cpp:3 (discriminator 1)", tmp_path) == ("a.cpp", 3)
    assert _own("a.cpp:3", tmp_path) == ("a.cpp", 3)
    assert _own("/usr/include/c++/12/vector:3", tmp_path) is None
    assert _own("??:0", tmp_path) is None
    assert _own("gone.cpp:3", tmp_path) is None


def test_a_project_s_module_is_not_the_one_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_C` is the usual name of a module, and torch has one too."""
    for name in ("torch._quux", "pkg._quux", "other._quux"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, ExtensionFileLoader(name, f"{name}.so"))
        monkeypatch.setitem(sys.modules, name, module)
        if name != "other._quux":
            module.forward = lambda origin=name: origin  # type: ignore[attr-defined]
    assert find_function(["_quux:forward"], None)() == "pkg._quux"
    with pytest.raises(LookupError, match="_quux:backward is in no library here"):
        find_function(["_quux:backward"], None)
