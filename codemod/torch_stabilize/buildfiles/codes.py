"""The diagnostics and edits of this room, TSA6xx, with their pages."""

from __future__ import annotations

from torch_stabilize.codes import Code, Example
from torch_stabilize.model import Confidence

SOURCE_MOVED = "TSA601"
TARGET_CREATED = "TSA602"
TARGET_WIDENED = "TSA603"
TWO_TARGETS = "TSA604"
HEADER_LISTED = "TSA605"
NO_SOURCE_LEFT = "TSA606"
NOT_FOUND = "TSA607"
CONDITION_LOST = "TSA608"
VERSION_RAISED = "TSA609"
DEFINITION = "TSA610"
STALE_COMMENT = "TSA611"
LOOP_WRITTEN_OUT = "TSA612"
FILE_NAMED_OUTSIDE = "TSA613"
SETUP_SOURCE_MOVED = "TSA620"
EXTENSION_CREATED = "TSA621"
COMPUTED_SOURCES = "TSA622"
WHEEL_TAG = "TSA623"
CMAKE_EXTENSION = "TSA624"
NOT_EVERYWHERE = "TSA625"
TORCH_REQUIRED = "TSA626"
TORCH_PINNED = "TSA627"
BUILD_CHANGED = "TSA628"
LIBRARY_LOADED = "TSA630"
LIBRARY_PROBED = "TSA631"
FUNCTION_CALLED = "TSA640"
CALL_UNDECIDED = "TSA641"
PATH_NAMED = "TSA650"
PATTERN_NAMED = "TSA651"
COMPILED_AT_IMPORT = "TSA652"
COMPILED_FROM_STRINGS = "TSA680"
GENERATOR_MIGRATED = "TSA660"
GENERATOR_LISTED = "TSA661"

CODES: tuple[Code, ...] = (
    Code(
        SOURCE_MOVED,
        "A source moves from the list of a legacy CMake target to that of the stable one.",
        "It keeps its conditions, and what is done to it on the way: architectures, properties, definitions. A "
        "block that serves nothing else moves whole; a list that is where the stable one is built joins that "
        "instead.",
        examples=(
            Example(
                'set(EXT_SRC\n  "csrc/bindings.cpp"\n  "csrc/norm.cu")\n'
                'set(STABLE_EXT_SRC\n  "csrc/stable/bindings.cpp")',
                'set(EXT_SRC\n  "csrc/bindings.cpp")\n'
                'set(STABLE_EXT_SRC\n  "csrc/stable/bindings.cpp"\n  "csrc/stable/norm.cu")',
            ),
        ),
    ),
    Code(
        TARGET_CREATED,
        "A stable CMake target is defined next to the legacy one.",
        "It is the legacy call with another name and list, with the calls that name the legacy target, and with "
        "TORCH_TARGET_VERSION, USE_CUDA or USE_ROCM. Configuring fails on a torch older than the target.",
    ),
    Code(
        TARGET_WIDENED,
        "The stable target is built where it was not built before.",
        "A source that moves was built for HIP too, say, and the stable target for CUDA alone. The condition around"
        " the stable target is widened; what it had before stays under the narrow one. Look at its registrations: "
        "those that need the narrow build belong inside a preprocessor condition.",
        confidence=Confidence.REVIEW,
    ),
    Code(
        TWO_TARGETS,
        "A source belongs to two targets.",
        "After the migration the second target compiles the stable file as well. Its operators are then registered "
        "twice where both libraries are loaded. Give the source one target.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        HEADER_LISTED,
        "A header is in a list of sources.",
        "CMake does not need it there, and the entry breaks when the header moves. It does not enter the stable list.",
    ),
    Code(
        NO_SOURCE_LEFT,
        "A target has no source left.",
        "Everything it was built from has moved; CMake and setuptools refuse to build it. Remove it with what "
        "installs and imports it.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        NOT_FOUND,
        "No build file names a unit, or its list cannot be followed.",
        "The unit reaches its target in a way that is not written down: a function of the project, a generated "
        "list, a file that was not read. Nothing is guessed; the help says which lines to add.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        CONDITION_LOST,
        "The condition of a source cannot be kept, or may have changed its meaning.",
        "The stable target exists in fewer cases than the source was built in, or a variable of the condition gets "
        "another value between the old place and the new one.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        VERSION_RAISED,
        "TORCH_TARGET_VERSION of the stable target is raised.",
        "The migration was asked for a newer target than the one the library had. The library no longer runs on the"
        " torch versions in between.",
        confidence=Confidence.REVIEW,
    ),
    Code(
        DEFINITION,
        "A preprocessor macro follows a source, or no longer reaches the legacy target.",
        "A moved source tests a macro of the legacy target: the stable one defines it too. A block that moved "
        "defined a macro for both: whoever tests it on the legacy side is listed.",
    ),
    Code(
        STALE_COMMENT,
        "A comment in a build file may no longer be true.",
        "It speaks of the target that the sources below it have left.",
    ),
    Code(
        LOOP_WRITTEN_OUT,
        "A loop of a CMake file is written out.",
        "It makes several libraries, or names several sources, and what each of them is built of is no longer the "
        "same but for a name: `foreach` and calls of a function that composes names become the commands that they "
        "run. Conditions that the value decides are gone. Loops of which no library changes stay.",
        confidence=Confidence.REVIEW,
    ),
    Code(
        FILE_NAMED_OUTSIDE,
        "The name of a target's file is given to CMake from outside.",
        "A setup.py, say, passes `-DOUTPUT_FILE_NAME=...`, builds, and copies the file of that name. The stable target "
        "makes a file of its own, named as the target is; whoever copies the legacy one has to copy it as well.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        SETUP_SOURCE_MOVED,
        "A source moves between the lists of a setup.py.",
        "The stable lists mirror the legacy ones, statement by statement, so that conditions stay where they are.",
        examples=(
            Example(
                'sources = [\n    "csrc/bindings.cpp",\n    "csrc/norm.cpp",\n]',
                'sources = [\n    "csrc/bindings.cpp",\n]\nstable_sources = [\n    "csrc/libtorch_stable/norm.cpp",\n]',
            ),
        ),
    ),
    Code(
        EXTENSION_CREATED,
        "A stable extension is built next to the legacy one.",
        "It is the legacy call with another name and list, py_limited_api=True, and the macros TORCH_TARGET_VERSION "
        "and, for a CUDAExtension, USE_CUDA; torch's own classes define Py_LIMITED_API. An extension of which every "
        "source moves becomes the stable one where it is.",
    ),
    Code(
        COMPUTED_SOURCES,
        "The sources of an extension are computed, or its place cannot be found.",
        "What is in the list is known only when the file runs, or its parts cannot be told apart there. Nothing is "
        "guessed; the help has the lines to add.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        WHEEL_TAG,
        "The wheel is tagged for one Python version, or for every one from the oldest on.",
        "The stable library serves every Python, but the tag is right only once no extension of the wheel is bound "
        "to one version. Then setup() gets the option of bdist_wheel. Free-threaded Python (Py_GIL_DISABLED) has no "
        "limited API, and setuptools refuses the option there: a wheel for it is built from the same sources without "
        "py_limited_api, and serves every torch all the same.",
    ),
    Code(
        CMAKE_EXTENSION,
        "setup.py asks CMake for the stable library too.",
        "A CMakeExtension of the stable library is added next to that of the legacy one.",
    ),
    Code(
        NOT_EVERYWHERE,
        "The stable extension is not built everywhere the legacy one is.",
        "setup.py makes the legacy extension in several branches, and sources of some of them have moved. Where the "
        "stable library is not built, its import fails: load it only where it is there.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        TORCH_REQUIRED,
        "install_requires asks for a torch that can load the stable library.",
        "The library runs on the target version and on every later one; an older torch would be installed without a "
        "word and fail at import.",
        confidence=Confidence.REVIEW,
        examples=(Example('install_requires=["torch>=2.4"]', 'install_requires=["torch>=2.11"]'),),
    ),
    Code(
        TORCH_PINNED,
        "install_requires asks for one torch version, older than the stable library needs.",
        "One library for many versions of torch is what the migration is for. Ask for the target version or a later "
        "one.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        BUILD_CHANGED,
        "A setup.py would not build what it built.",
        "The edited file is read again. A source is built twice or no longer in some branch, or an extension of some "
        "branch has no source: something takes sources out of a list, or gives the list to others, in a way that the "
        "edits did not follow.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        LIBRARY_LOADED,
        "The stable library is loaded where the legacy one is.",
        "A try or with around nothing but the import is repeated whole, so that one missing library does not hide "
        "the other. Where nothing is left of the legacy library, its loads become loads of the stable one.",
        examples=(
            Example(
                "from . import _C  # noqa: F401",
                "from . import _C  # noqa: F401\nfrom . import _C_stable_libtorch  # noqa: F401",
            ),
        ),
    ),
    Code(
        LIBRARY_PROBED,
        "Something looks for the legacy library in a way that cannot be followed.",
        "A probe (find_spec), a table of module names, a pattern like _C*.so that now finds both libraries, a load of "
        "a computed name. Without the library loaded, its operators are not there.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        FUNCTION_CALLED,
        "A call of a pybind function becomes a call of the operator.",
        "Arguments stay as they are; defaults are in the operator's schema. A function that other files import from "
        "here keeps its name: `fwd = torch.ops.pkg.fwd`.",
        examples=(Example("ext.fwd(q, causal=True)", "torch.ops.pkg.fwd(q, causal=True)"),),
    ),
    Code(
        CALL_UNDECIDED,
        "Python uses the legacy module in a way that may hide a call.",
        "The module is passed on, everything is imported from it, one of its functions is given a value, or something "
        "that is no operator is used of a module of which nothing is left.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        PATH_NAMED,
        "A file that names a moved file by its path is updated.",
        "Package data, MANIFEST.in, CODEOWNERS, hooks, CI filters and docs, where the path is written plainly.",
    ),
    Code(
        PATTERN_NAMED,
        "A pattern, a regular expression or a comment concerns a moved file.",
        "The pattern caught the old place and misses the new one, or the path is where an edit would be a guess.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        COMPILED_AT_IMPORT,
        "A Python file compiles sources that have migrated when it is imported.",
        "`torch.utils.cpp_extension.load` and its kin are told of sources by name. They build the legacy extension: "
        "what has moved has to leave it, and becomes a library of its own; what migrated in place needs the flags of "
        "the stable ABI. Neither is a Python module any more: `is_python_module=False` loads it, and its operators "
        "are called through torch.ops.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        COMPILED_FROM_STRINGS,
        "A Python file compiles C++ code that it has in strings.",
        "`torch.utils.cpp_extension.load_inline` puts torch's own headers in front of the code and binds its functions "
        "with pybind11: that is not the stable ABI, and the code is in no file that could be migrated. It works as "
        "before, unless it includes a header that has become stable code. "
        "Put the code into files, and compile those with `load(..., is_python_module=False)`.",
        confidence=Confidence.MANUAL,
    ),
    Code(
        GENERATOR_MIGRATED,
        "A template in a script that writes kernels is migrated.",
        "The string is code and is rewritten by the rules for code. Generate the files and compile them.",
        confidence=Confidence.REVIEW,
    ),
    Code(
        GENERATOR_LISTED,
        "A script writes code with unstable names.",
        "The text is put together from pieces, has placeholders that hide its structure, or holds names no rule knows; "
        "or what it writes is built into the legacy library, next to units that have moved.",
        confidence=Confidence.MANUAL,
    ),
)
