"""The pages of what `golden` and the comparison of outputs find."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.verify.codes import (
    BECAME_OPERATOR,
    CASE_CRASHED,
    CAUSE_LOST,
    CLASS_NOT_WATCHED,
    COUNTER_DIFFERS,
    DEVICE_ABSENT,
    ERROR_DIFFERS,
    ERROR_TEXT_DIFFERS,
    GOLDEN_MISSING,
    GOLDEN_REFUSED,
    GOLDEN_STALE,
    GRADIENT_LOST,
    INPUTS_DIFFER,
    LEAKS,
    LEFT_OUT,
    NEVER_CALLED,
    NEVER_REACHED,
    NO_CASE,
    OTHER_MACHINE,
    OTHER_TORCH,
    OUTPUT_DIFFERS,
    RANKS_ABSENT,
    SLOWER,
    UNDECLARED_WRITE,
    UNSTABLE_CALL,
    VERSION_DIFFERS,
    WITHIN_TOLERANCE,
    finding_code,
)

CODES: tuple[Code, ...] = (
    finding_code(
        OUTPUT_DIFFERS,
        "An operator's result is not bit for bit what the legacy library gave.",
        "Returns and mutated arguments are compared with their dtype, shape and strides; NaN payloads and the sign of"
        " zero count. A case may ask for a tolerance, with a reason.",
    ),
    finding_code(
        ERROR_DIFFERS,
        "A case raises in one library and not in the other, or an exception of another kind.",
        "An error case names the type it must raise; a widened dispatch shows as a case that no longer raises.",
    ),
    finding_code(
        ERROR_TEXT_DIFFERS,
        "An error has another type or text than before.",
        "Callers may match on it. TORCH_CHECK_EQ prints both values and STD_TORCH_CHECK does not; dispatch macros of"
        " the stable API raise RuntimeError where the legacy ones raise NotImplementedError, which derives from it.",
    ),
    finding_code(
        GOLDEN_STALE,
        "A recorded output belongs to another version of its case.",
        "The case in cases.toml changed since it was recorded. Record again with `torch-stabilize golden record"
        " --force` on the legacy build.",
    ),
    finding_code(
        GOLDEN_MISSING,
        "A case has no recorded output.",
        "Record it on the legacy build with `torch-stabilize golden record`.",
    ),
    finding_code(
        GOLDEN_REFUSED,
        "A golden file cannot be trusted: truncated, corrupted, or not one.",
        "The checksum over cases and tensors does not match, or the file cannot be read. Take it from version control"
        " again, or record it anew.",
    ),
    finding_code(
        CASE_CRASHED,
        "The process that ran a case died or hung.",
        "The case is named with the signal; the other cases ran in a process of their own.",
    ),
    finding_code(
        WITHIN_TOLERANCE,
        "A result differs, within the tolerance that its case asks for.",
        "The greatest difference is reported with the reason the case gives.",
    ),
    finding_code(
        UNDECLARED_WRITE,
        "An operator wrote to an argument that its schema does not mark as mutated.",
        "functionalisation and torch.compile believe the schema: an undeclared write gives wrong results under compile."
        " Mark the argument with `!`.",
    ),
    finding_code(
        OTHER_MACHINE,
        "The recorded outputs differ from what the legacy library gives on this machine.",
        "Legacy and stable agree here; the file was recorded on another processor, torch or GPU, where the last bits of"
        " transcendental functions may differ.",
    ),
    finding_code(
        INPUTS_DIFFER,
        "The inputs of a case are not those that its output was recorded with.",
        "Inputs come from torch's random generator with the seed of the case; another torch drew other numbers. Record"
        " again with this torch.",
    ),
    finding_code(
        DEVICE_ABSENT,
        "Cases were not run because their device is not here.",
        "Run them on a machine that has it.",
    ),
    finding_code(
        RANKS_ABSENT,
        "Cases between several GPUs were not run because this machine has fewer.",
        "What ranks do together, an all-reduce for one, runs in a process for each rank, and each has a GPU of its own."
        " Nothing is known of these cases here. Run `torch-stabilize golden check` on a machine with that many GPUs of"
        " one host; outputs that were recorded on one are in the group's folder, under a name like cuda-sm90-x2.",
    ),
    finding_code(
        NO_CASE,
        "An operator of the group has no golden case.",
        "Nothing is known of what it computes, before or after, so that the group is not proven. Write a case for it in"
        " the group's cases.toml, and record it on the legacy build with `torch-stabilize golden record`.",
    ),
    finding_code(
        BECAME_OPERATOR,
        "An operator is new, and the migration announced it.",
        "The migration of a pybind11 module makes each of its functions an operator of the name that TSA521 announces:"
        " golden cases call the function of the module before, and the operator after. That of an autograd function"
        " (TSA531) adds an operator for its backward, which has no counterpart that `verify` could call in the legacy"
        " library: compare gradients by the project's own tests.",
    ),
    finding_code(
        CAUSE_LOST,
        "An error no longer says what caused it.",
        "Both libraries raise for this captured call, but the stable one says only that a call of the C interface"
        " failed: the text of an exception is lost where it crosses that interface, in a parallel loop for example."
        " Check what can fail before the loop, with STD_TORCH_CHECK.",
    ),
    finding_code(
        GRADIENT_LOST,
        "A result that had a gradient has none any more, or a gradient by another argument.",
        "The legacy function could be differentiated, by an autograd function in C++ for example. Where the migration"
        " registers the backward in Python, the module has to be imported for it: name it with --import. Elsewhere"
        " register it, with torch.library.register_autograd.",
    ),
    finding_code(
        COUNTER_DIFFERS,
        "The version counter of an argument takes other steps.",
        "Autograd refuses a tensor that was written since it was saved, and sees a write by its version. A step less"
        " hides a write from it: write through an operation that counts, as before, or mark the argument as mutated in"
        " the schema. A step more only costs a check that was not there before.",
    ),
    finding_code(
        UNSTABLE_CALL,
        "A captured call does not do the same each time on the legacy library alone.",
        "It was made several times in fresh processes, with the same inputs and seeds, one thread, and other contents"
        " of fresh memory. What differs draws from a generator that cannot be seeded, depends on the order of threads,"
        " or reads memory that nothing wrote. Such a call compares nothing and is left out; the function is not proven"
        " by it.",
    ),
    finding_code(
        NEVER_CALLED,
        "The program that was watched never called a function of the group.",
        "Nothing that it does is compared. Run more of the project's tests, or write a case for it in cases.toml;"
        " `torch-stabilize golden suggest` drafts one.",
    ),
    finding_code(
        LEFT_OUT,
        "Calls were seen that cannot be kept.",
        "Their arguments are no plain tensors, numbers and texts, or too large. The reason is counted in the message."
        " Calls for a compiler (fake tensors) and calls inside a captured call are no loss and not reported.",
    ),
    finding_code(
        NEVER_REACHED,
        "Lines of the group that no call of the watched program reached.",
        "What these lines do is not compared by the captured calls. Variations of the calls reach some of them; others"
        " take a test or a case of its own.",
    ),
    finding_code(
        CLASS_NOT_WATCHED,
        "A class that the module binds is not watched.",
        "Calls of its methods are not captured: what they do is not compared.",
    ),
    finding_code(
        VERSION_DIFFERS,
        "A call bumps the version counter of an argument that it left alone before, or no longer bumps it.",
        "Autograd and functionalisation believe version counters: a write that moves none is a wrong gradient without a"
        " word. The usual cause is a method that writes (`copy_`, `fill_`) which became a write through a pointer, or a"
        " pointer that became a method.",
    ),
    finding_code(
        LEAKS,
        "Calls of an operator leak host memory that they freed before.",
        "The operator is called up to 10,000 times on both sides. Handles that are made by hand are the usual cause:"
        " release what an aoti_torch function gives. torch's own headers before 2.14 do not free a `str` that an"
        " operator takes or gives; that is a warning. Build with the headers of 2.14 or newer (the library still runs"
        " on the target), or hand over a number.",
    ),
    finding_code(
        SLOWER,
        "A call takes more than twice the time that it took.",
        "The time is that of the fastest of many calls, measured three times, and differences below 50 us do not count."
        " The usual cause is a copy (`contiguous`, `to`) or a synchronisation that was not there.",
    ),
    finding_code(
        OTHER_TORCH,
        "The stable library does not do the same under another torch.",
        "--torch loads the library that was built here under each torch that is named, in an environment of its own,"
        " and runs the golden cases there. A library that does not load needs a symbol that this torch lacks: the"
        " `symbols` step says the oldest torch that has all. Build with a lower target, or raise the target that you"
        " promise.",
    ),
)
