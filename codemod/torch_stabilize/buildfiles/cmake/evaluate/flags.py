"""The compiler flags of targets that decide what the code says: macros, and what the compiler must know to read it."""

from __future__ import annotations

import platform
import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.evaluate.commands import COMMANDS
from torch_stabilize.buildfiles.cmake.evaluate.generator import evaluated
from torch_stabilize.buildfiles.cmake.evaluate.run import Interpreter, Settings
from torch_stabilize.repository.snapshot import Snapshot

CXX, CUDA = "CXX", "CUDA"
# In addition to macros: flags without which code does not compile.
_NEEDED = ("-m", "-fopenmp", "-fpermissive", "-fcoroutines", "--extended-lambda", "--expt-", "-static-global-template")
_SPLIT = ("-D", "-U")  # flags whose value may be the next word


class Machine(NamedTuple):
    """What a build finds on a machine: "" for a CUDA version is a build without CUDA. `archs` are like "90a"."""

    torch: str
    cuda: str = ""
    archs: tuple[str, ...] = ()


class TargetFlags(NamedTuple):
    """The flags of one target, by language, and those of single sources by path and language."""

    name: str
    flags: Mapping[str, tuple[str, ...]]
    sources: tuple[str, ...]
    by_source: Mapping[str, Mapping[str, tuple[str, ...]]]

    def of(self, source: str, language: str) -> tuple[str, ...]:
        """The flags of one of its sources."""
        return (*self.flags[language], *self.by_source.get(source, {}).get(language, ()))


def target_flags(snapshot: Snapshot, path: str, machine: Machine) -> dict[str, TargetFlags]:
    """The flags of every target that the project of the CMakeLists.txt at `path` defines, by the target's name."""
    interpreter = Interpreter(snapshot, presets(machine), bool(machine.cuda), COMMANDS)
    interpreter.run(path)
    by_source = {name: _by_language(settings, interpreter, ()) for name, settings in interpreter.sources.items()}
    return {
        name: TargetFlags(
            name,
            _by_language(settings, interpreter, _flag_variables(interpreter)),
            tuple(settings.sources),
            by_source,
        )
        for name, settings in interpreter.targets.items()
    }


def presets(machine: Machine) -> dict[str, str]:
    """The variables that CMake and torch's package set in a release build on Linux."""
    found = {
        "UNIX": "1", "LINUX": "1", "CMAKE_SYSTEM_NAME": "Linux", "CMAKE_HOST_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": platform.machine(), "CMAKE_HOST_SYSTEM_PROCESSOR": platform.machine(),
        "CMAKE_BUILD_TYPE": "Release", "CMAKE_CXX_COMPILER_ID": "GNU", "CMAKE_SIZEOF_VOID_P": "8",
        "CMAKE_VERSION": "3.31.0", "Torch_FOUND": "TRUE", "TORCH_FOUND": "TRUE",
        "Torch_VERSION": machine.torch, "TORCH_VERSION": machine.torch,
    }  # fmt: skip
    if machine.cuda:
        major, _, minor = machine.cuda.partition(".")
        code = (f"-gencode arch=compute_{arch},code=sm_{arch}" for arch in machine.archs)
        dotted = ";".join(f"{_dotted(arch)}" for arch in machine.archs)
        for name in ("CUDA_VERSION", "CUDAToolkit_VERSION", "CMAKE_CUDA_COMPILER_VERSION", "CUDA_VERSION_STRING"):
            found[name] = machine.cuda
        found |= {"CUDA_VERSION_MAJOR": major, "CUDA_VERSION_MINOR": minor or "0"}
        found |= {"CUDAToolkit_VERSION_MAJOR": major, "CUDAToolkit_VERSION_MINOR": minor or "0"}
        found |= dict.fromkeys(("CUDA_FOUND", "CUDAToolkit_FOUND", "TORCH_CUDA_FOUND"), "TRUE")
        found |= {"CMAKE_CUDA_COMPILER": "nvcc", "CUDAToolkit_NVCC_EXECUTABLE": "nvcc"}
        found |= {"CMAKE_CUDA_COMPILER_ID": "NVIDIA", "CMAKE_CUDA_FLAGS": " ".join(code)}
        found |= {"TORCH_CUDA_ARCH_LIST": dotted, "CMAKE_CUDA_ARCHITECTURES": ";".join(machine.archs)}
    return found


def _dotted(arch: str) -> str:
    """`90a` as `9.0a`."""
    number = arch.rstrip("abcdefghijklmnopqrstuvwxyz")
    return f"{number[:-1]}.{number[-1:]}{arch[len(number) :]}"


def kept_flags(words: Iterable[str]) -> tuple[str, ...]:
    """Of a compiler's arguments those that decide what the code says, each once, the last of a macro alone."""
    found: dict[str, str] = {}
    waiting = iter(words)
    for word in waiting:
        if word in _SPLIT:
            word += next(waiting, "")
        if word.startswith(_SPLIT) and len(word) > 2:
            name = word[2:].partition("=")[0].partition("(")[0]
            found.pop(name, None)
            found[name] = word
        elif word.startswith(_NEEDED):
            found[word] = word
    return tuple(found.values())


def _flag_variables(interpreter: Interpreter) -> tuple[tuple[str, str], ...]:
    """What CMAKE_CXX_FLAGS and its like give every target: (language, text)."""
    return tuple(interpreter.flags.items())


def _by_language(
    settings: Settings, interpreter: Interpreter, variables: Sequence[tuple[str, str]]
) -> dict[str, tuple[str, ...]]:
    texts = list(_texts(settings, interpreter))
    found = {}
    for language in (CXX, CUDA):
        words = [word for name, text in variables if name == language for word in _words(text)]
        for text in texts:
            for part in evaluated(text, language).split(";"):
                words += _words(part)
        found[language] = kept_flags(words)
    return found


def _texts(settings: Settings, interpreter: Interpreter) -> Iterator[str]:
    """What a target is given by its folder, itself, and the targets that it links."""
    if settings.folder is not None:
        yield ";".join(settings.folder.options)
    yield ";".join(settings.options)
    seen: set[str] = set()
    waiting = list(settings.links)
    while waiting:
        name = posixpath.basename(waiting.pop())
        if name not in seen and name in interpreter.targets:
            seen.add(name)
            linked = interpreter.targets[name]
            yield ";".join(linked.handed_on)
            waiting += linked.links


def _words(text: str) -> list[str]:
    """One option, or several where it is text for a shell: `SHELL:-D A`, `-DX -DY`."""
    text = text.removeprefix("SHELL:").strip()
    if text.startswith("-D") and " -" not in text:
        return [text]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
