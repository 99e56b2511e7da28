"""The codes of `verify` and `golden`, TSA8xx: what each finding means and what to do about it."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence

STABLE_DOES_NOT_COMPILE = "TSA801"
LEGACY_DOES_NOT_COMPILE = "TSA802"
REMAINDER_DOES_NOT_COMPILE = "TSA803"
NOT_COMPILED = "TSA804"
STAND_IN_HEADER = "TSA805"
DOES_NOT_LINK = "TSA806"
UNSTABLE_SYMBOL = "TSA810"
NEWER_THAN_TARGET = "TSA811"
UNKNOWN_SYMBOL = "TSA812"
DOES_NOT_LOAD = "TSA815"
OPERATOR_LOST = "TSA816"
SCHEMA_DIFFERS = "TSA817"
KEYS_DIFFER = "TSA818"
CALLS_DIFFER = "TSA819"
DEVICE_CODE_DIFFERS = "TSA820"
KERNEL_LOST = "TSA821"
RESOURCES_DIFFER = "TSA822"
LAUNCH_DIFFERS = "TSA825"
STREAM_DROPPED = "TSA826"
GUARD_DIFFERS = "TSA827"
OUTPUT_DIFFERS = "TSA830"
ERROR_DIFFERS = "TSA831"
ERROR_TEXT_DIFFERS = "TSA832"
GOLDEN_STALE = "TSA833"
GOLDEN_MISSING = "TSA834"
GOLDEN_REFUSED = "TSA835"
CASE_CRASHED = "TSA836"
WITHIN_TOLERANCE = "TSA837"
UNDECLARED_WRITE = "TSA838"
OTHER_MACHINE = "TSA839"
INPUTS_DIFFER = "TSA840"
DEVICE_ABSENT = "TSA841"
CHANGED_SINCE = "TSA842"
NO_CUDA_TOOLKIT = "TSA843"
RANKS_ABSENT = "TSA847"
NO_CASE = "TSA850"
BECAME_OPERATOR = "TSA851"
LEGACY_DOES_NOT_LINK = "TSA852"
MACRO_UNDEFINED = "TSA853"
TAGS_DIFFER = "TSA854"
MODULE_DIFFERS = "TSA855"
VERSION_DIFFERS = "TSA856"
LEAKS = "TSA857"
SLOWER = "TSA858"
OTHER_TORCH = "TSA859"
PLAN_DOES_NOT_COMPILE = "TSA880"
LEGACY_GIVES_NOTHING = "TSA868"
CAUSE_LOST = "TSA860"
GRADIENT_LOST = "TSA861"
COUNTER_DIFFERS = "TSA862"
UNSTABLE_CALL = "TSA863"
NEVER_CALLED = "TSA864"
LEFT_OUT = "TSA865"
NEVER_REACHED = "TSA866"
CLASS_NOT_WATCHED = "TSA867"


def finding_code(code: str, title: str, text: str) -> Code:
    """Every finding here is for a person to act on: verify changes nothing."""
    return Code(code, title, text, Confidence.MANUAL)


CODES: tuple[Code, ...] = (
    finding_code(
        STABLE_DOES_NOT_COMPILE,
        "A migrated unit does not compile with only torch's stable headers on the include path.",
        "The stable side is compiled with an include tree that holds torch/csrc/stable, torch/headeronly and"
        " torch/csrc/inductor/aoti_torch, and nothing else of torch; TORCH_TARGET_VERSION is the target. A header that"
        " is not found is an unstable one. The message is the compiler's; where the plan of the migration is at hand,"
        " the rule that edited the line is named. Fix the line, or report the rule.",
    ),
    finding_code(
        LEGACY_DOES_NOT_COMPILE,
        "A unit of the legacy side, as it was before the migration, does not compile.",
        "Nothing can be compared with a side that does not build. Usual causes: headers that the build takes from"
        " elsewhere (name their folder with --include), or a commit that never built with this torch.",
    ),
    finding_code(
        REMAINDER_DOES_NOT_COMPILE,
        "A unit that stayed legacy no longer compiles after the migration.",
        "Units left behind lose includes that used to come in through a moved header, or still name a declaration that"
        " moved. Add the include or keep the declaration; both builds must work after every group.",
    ),
    finding_code(
        NOT_COMPILED,
        "Units were not compiled because a tool or a header is missing here.",
        "The message names what was not found. The result holds for the units that were compiled and for no other.",
    ),
    finding_code(
        STAND_IN_HEADER,
        "A CUDA library header is missing here and a stand-in that declares its handles took its place.",
        "Torch's CUDA headers include those of cuBLAS, cuSPARSE and cuSOLVER but need only their handle and status"
        " types. Where neither the toolkit nor the wheels nvidia-cublas, nvidia-cusparse and nvidia-cusolver have them,"
        " a generated header declares those types. A unit that calls the library itself needs the real header: install"
        " the wheel with `pip install --no-deps`.",
    ),
    finding_code(
        DOES_NOT_LINK,
        "A library could not be linked.",
        "The message is the linker's. A symbol defined twice usually means that a source is in both targets.",
    ),
    finding_code(
        UNSTABLE_SYMBOL,
        "The stable library refers to a symbol of the unstable C++ API.",
        "torch-abi-audit finds undefined symbols of at::, c10:: or torch:: outside torch::stable and torch::headeronly."
        " One is enough to tie the binary to a single torch release. Usual source: a unit compiled with the full"
        " include tree, or a declaration written out by hand.",
    ),
    finding_code(
        NEWER_THAN_TARGET,
        "The stable library needs a newer torch than the target.",
        "Each symbol of the C shim belongs to a torch release. Raise the target, or replace the call that needs it.",
    ),
    finding_code(
        UNKNOWN_SYMBOL,
        "The stable library refers to a shim symbol that torch-abi-audit does not know.",
        "Its tables are older than the headers, so that the minimum torch is only a lower bound. Update"
        " torch-abi-audit.",
    ),
    finding_code(
        DOES_NOT_LOAD,
        "A library does not load into a Python process with torch.",
        "An undefined symbol is one whose definition is in a unit that is not part of the target: usually a helper that"
        " stayed on the other side, or a kernel registered in a build that does not have it.",
    ),
    finding_code(
        OPERATOR_LOST,
        "An operator that the legacy library registered is registered by neither library after the migration.",
        "The two libraries together must register what the legacy one did, under the same names and overloads.",
    ),
    finding_code(
        SCHEMA_DIFFERS,
        "The schema of an operator is not what it was.",
        "Both texts are what the dispatcher says, with defaults and aliasing. Callers, torch.compile and saved programs"
        " depend on names, types, order, defaults and aliasing of the arguments. A schema that torch inferred had"
        " numbers for names; that names, defaults and aliasing are written now, with the same types, is a note.",
    ),
    finding_code(
        KEYS_DIFFER,
        "An operator has kernels for other dispatch keys than before.",
        "A kernel that moved from CompositeExplicitAutograd to CPU, say, is no longer found for other devices. One that"
        " was registered without a key, and so under CompositeImplicitAutograd, may be under CompositeExplicitAutograd,"
        " CPU or CUDA now, which TSA503 gave it: that is a note.",
    ),
    finding_code(
        CALLS_DIFFER,
        "An operator does something else when it is called in another way.",
        "Each operator of the group is called with the arguments of one of its golden cases: all of them by keyword,"
        " with those left out that are what they are by default, with a wrong type in each place, and with fake tensors"
        " where the legacy library has a kernel for those. Results and errors have to be what they were.",
    ),
    finding_code(
        DEVICE_CODE_DIFFERS,
        "The device code of a kernel changed.",
        "The PTX of every kernel is compared between the legacy and the stable build, with names replaced that differ"
        " by build only. A migration to the stable ABI touches host code alone; a difference means that a constant, a"
        " type or a template argument changed.",
    ),
    finding_code(
        KERNEL_LOST,
        "A kernel is in the device code of one side only.",
        "Kernels are instantiated by host code: one that is new or gone means that a dispatch covers other types.",
    ),
    finding_code(
        RESOURCES_DIFFER,
        "A kernel uses other registers, shared memory or stack than before.",
        "Reported by ptxas for the architecture that was compiled for.",
    ),
    finding_code(
        LAUNCH_DIFFERS,
        "The host code launches kernels in another sequence or with other parameters.",
        "Compared are the kernel, grid, block, shared memory and stream expressions of each launch, in source order,"
        " after the rewrites that a migration makes (names of types, calls that became functions).",
    ),
    finding_code(
        STREAM_DROPPED,
        "A launch lost its stream and now runs on the default stream.",
        "The result is right on an idle device and wrong under torch.cuda.stream or CUDA graphs. Pass the current"
        " stream.",
    ),
    finding_code(
        GUARD_DIFFERS,
        "A device guard is gone, is behind its launch, or makes another device current.",
        "The result is right on a machine with one GPU; with more, kernels run on the GPU that happens to be current"
        " and read memory of another. Guards are compared by the tensor whose device they take and by the launch that"
        " follows. It is a warning where one of the two texts is part of the other.",
    ),
    finding_code(
        CHANGED_SINCE,
        "A file is not as the migration writes it.",
        "The migration was planned again on the tree before it, for the report, and gives another text for this file:"
        " somebody edited the file since, or another version of the tool wrote it. What the report says of the file is"
        " the plan's; the evidence is about the file as it is.",
    ),
    finding_code(
        NO_CUDA_TOOLKIT,
        "Sources of the library include headers of the CUDA toolkit, which is not installed here.",
        "CUDA units are left out where there is no nvcc, but a source for the C++ compiler that includes such a header"
        " in every build, directly or through torch's CUDA headers, makes the whole library one that takes the toolkit."
        " Run `verify` where nvcc is, name another folder that has the headers with --include, or put what is for the"
        " GPU behind the macro of the GPU build.",
    ),
    finding_code(
        LEGACY_DOES_NOT_LINK,
        "The library of the tree before the migration could not be linked.",
        "The message is the linker's. Nothing can be compared with a library that does not build; the migration is not"
        " at fault. Usual cause: libraries that the project's build links and `verify` does not know of.",
    ),
    finding_code(
        LEGACY_GIVES_NOTHING,
        "A case returns nothing on the legacy library.",
        "The process died or hung there, or that library has no such operator, so there is nothing to compare with: the"
        " verdict is not proven. Mend the case, or name the right library with --legacy-library.",
    ),
    finding_code(
        MACRO_UNDEFINED,
        "Code depends on a macro that no side defines.",
        "Both sides are compiled with the macros that the project's own build gives its units, as its compilation"
        " database, CMake files or setup.py say. A macro that none of them defines, and no header of the project,"
        " leaves out the code that asks for it: on both sides, so nothing of it was compared. The verdict names it."
        " Give it with --define, or pass a compilation database with --compile-commands.",
    ),
    finding_code(
        TAGS_DIFFER,
        "The tags of an operator changed.",
        "Tags promise compilers something: that strides stay as they are (needs_fixed_stride_order), that the operator"
        " keeps the rules of torch.compile (pt2_compliant_tag). From target 2.12 on the stable m.def takes them as its"
        " second argument. Below, define the operator in Python (torch.library.define with tags=), and leave its"
        " kernels in C++.",
    ),
    finding_code(
        MODULE_DIFFERS,
        "An operator lost the Python module of its fakes, or has another one.",
        "m.set_python_module in C++ names the Python module that registers fake kernels, so that torch can say which"
        " import is missing. The stable API has no word for it. Import that module where the library is loaded.",
    ),
    finding_code(
        PLAN_DOES_NOT_COMPILE,
        "What the migration would write does not compile with torch's stable headers alone.",
        "`migrate --compile` hands the stable units to the compiler's front end before anything is written. The place"
        " is the one before the migration, with the rules that edited it; the message is the compiler's. Rewrite the"
        " code there to something that the stable API has, or finish the unit by hand after --write.",
    ),
)
