"""PTX is compared without what differs from build to build, and with everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.device_code import UnitPair, compare_unit, device_code_step
from torch_stabilize.verify.ptx import read_kernels, read_resources
from torch_stabilize.verify.result import Status
from torch_stabilize.verify.side import BuiltUnit


def ptx(path_hash: str, file: str, constant: str = "0f3FC00000", table: str = "1, 2", more: str = "") -> str:
    private = f"{len(file) + 30}_GLOBAL__N__{path_hash}_{len(file)}_{file}_06824e99"
    return f"""
//
.version 9.0
.target sm_90a
.file 1 "/home/{path_hash}/{file}"
.const .align 4 .u32 _ZN{private}5tableE[2] = {{{table}}};
.global .align 1 .b8 unused{path_hash}[1] = {{7}};
.entry _ZN{private}5scaleEPf(
	.param .u64 p0
)
{{
	.reg .f32 	%f<3>;
	.loc 1 5 7
	mov.f32 	%f1, {constant};  // {path_hash}
	ld.const.u32 	%r1, [_ZN{private}5tableE];
	ret;
}}
{more}"""


MORE = """
.visible .func (.param .b32 r) _Z5extraf(
	.param .b32 a
)
{
	ret;
}
"""


def unit(tmp_path: Path, name: str, text: str, registers: int = 10) -> BuiltUnit:
    path = tmp_path / f"{name}.ptx"
    path.write_text(text)
    kernel = next(line for line in text.splitlines() if line.startswith(".entry"))[len(".entry ") : -1]
    log = f"""ptxas info    : Compiling entry function '{kernel}' for 'sm_90a'
ptxas info    : Function properties for {kernel}
    8 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
ptxas info    : Used {registers} registers, used 0 barriers, 1024 bytes smem
"""
    return BuiltUnit(f"{name}.cu", tmp_path / f"{name}.o", True, log, path)


def test_hashes_paths_and_line_information_do_not_count(tmp_path: Path) -> None:
    old = unit(tmp_path, "old", ptx("8c9e87eb", "scale_kernels_cu"))
    new = unit(tmp_path, "new", ptx("7e1a1ca6", "renamed_cu"))
    result = compare_unit(UnitPair(old, new))
    assert (result.kernels, result.identical, result.diagnostics) == (1, 1, ())


def test_a_changed_constant_is_shown_with_its_kernel(tmp_path: Path) -> None:
    old = unit(tmp_path, "old", ptx("8c9e87eb", "a_cu"))
    new = unit(tmp_path, "new", ptx("7e1a1ca6", "a_cu", constant="0f3FA00000"), registers=12)
    step = device_code_step([UnitPair(old, new)])
    assert step.status is Status.FAILED
    difference, resources = step.diagnostics
    assert difference.code == codes.DEVICE_CODE_DIFFERS
    assert "scale" in difference.message
    assert "-mov.f32 \t%f1, 0f3FC00000;\n+mov.f32 \t%f1, 0f3FA00000;" in difference.help
    assert resources.code == codes.RESOURCES_DIFFER
    assert "registers 10 -> 12" in resources.message


def test_a_changed_table_counts_for_the_kernels_that_read_it(tmp_path: Path) -> None:
    old = unit(tmp_path, "old", ptx("8c9e87eb", "a_cu"))
    new = unit(tmp_path, "new", ptx("7e1a1ca6", "a_cu", table="1, 3"))
    assert [d.code for d in compare_unit(UnitPair(old, new)).diagnostics] == [codes.DEVICE_CODE_DIFFERS]


def test_a_kernel_on_one_side_is_named(tmp_path: Path) -> None:
    old = unit(tmp_path, "old", ptx("8c9e87eb", "a_cu"))
    new = unit(tmp_path, "new", ptx("7e1a1ca6", "a_cu", more=MORE))
    (lost,) = compare_unit(UnitPair(old, new)).diagnostics
    assert lost.code == codes.KERNEL_LOST
    assert "extra" in lost.message
    assert "the stable device code only" in lost.message


def test_functions_and_declarations() -> None:
    declared = ".extern .func vprintf(\n\t.param .b64 a\n)\n;\n"
    kernels = read_kernels(declared + ptx("8c9e87eb", "a_cu", more=MORE))
    assert sorted(kernels) == ["_Z5extraf", "_ZN_GLOBAL__N_5scaleEPf"]


def test_figures_of_ptxas(tmp_path: Path) -> None:
    (found,) = read_resources(unit(tmp_path, "old", ptx("8c9e87eb", "a_cu")).log).values()
    assert (found.registers, found.shared, found.stack, found.spill_stores) == (10, 1024, 8, 4)


def test_units_without_device_code_are_said() -> None:
    step = device_code_step([], ["csrc/a.cu"])
    assert step.status is Status.SKIPPED
    assert step.diagnostics[0].path == "csrc/a.cu"


def assertion(
    first: int, second: int, message: str = "n > 0", file: str = "csrc/x.cu", terminator: bytes = b"\0"
) -> str:
    strings = [", ".join(str(byte) for byte in text.encode() + terminator) for text in (message, file)]
    return f"""
.global .align 1 .b8 $str${second}[10] = {{{strings[1]}}};
.global .align 1 .b8 $str${first}[6] = {{{strings[0]}}};
.entry _Z5checkv()
{{
	mov.u64 	%rd1, $str${first};
	mov.u64 	%rd2, $str${second};
	ret;
}}
"""


def test_the_number_of_a_string_literal_does_not_count_but_its_text_does() -> None:
    text = read_kernels(assertion(3, 4))["_Z5checkv"].text
    assert "'n > 0" in text.replace('"', "'")
    assert read_kernels(assertion(12, 11))["_Z5checkv"].text == text
    assert read_kernels(assertion(3, 4, message="n >= 0"))["_Z5checkv"].text != text


@pytest.mark.parametrize("terminator", [b"\0", b""])  # nvcc leaves the last zero to be filled in
def test_the_folder_of_an_assertions_file_does_not_count(terminator: bytes) -> None:
    def text(file: str) -> str:
        return read_kernels(assertion(3, 4, file=file, terminator=terminator))["_Z5checkv"].text

    assert text("csrc/libtorch_stable/x.cu") == text("csrc/x.cu") == text("csrc/libtorch_stable/../x.cu")
    assert text("csrc/y.cu") != text("csrc/x.cu")


def test_the_count_of_the_function_and_the_line_of_an_assertion_do_not_count() -> None:
    def kernel(count: int, line: int, code: int = 1) -> str:
        return f"""
.entry _Z5checkv()
{{
	@%p1 bra 	$L__BB{count}_2;
	{{ // callseq 0, 0
	.param .b32 param2;
	st.param.b32 	[param2+0], {line};
	.param .b64 param4;
	st.param.b64 	[param4+0], {code};
	call.uni
	__assertfail,
	(
	param2,
	param4
	);
	}} // callseq 0
$L__BB{count}_2:
	ret;
}}
"""

    text = read_kernels(kernel(0, 53))["_Z5checkv"].text
    assert read_kernels(kernel(1, 58))["_Z5checkv"].text == text
    assert read_kernels(kernel(0, 53, code=2))["_Z5checkv"].text != text
