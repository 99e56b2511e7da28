"""PTX as kernels by name, with everything taken out that changes from build to build."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# nvcc marks names that are private to a unit with hashes of its path and content, and their length depends on the name
# of the file: "_ZN49_GLOBAL__N__8c9e87eb_16_scale_kernels_cu_06824e9912scale_kernelE".
_PRIVATE = re.compile(r"\d*(?P<kind>_INTERNAL|_GLOBAL__N_)_[0-9a-f]{8}_(?P<length>\d+)_")
_HASH = re.compile(r"_[0-9a-f]{8}")
_ENTRY = re.compile(
    r"^\s*(?:\.(?:visible|weak|extern)\s+)*\.(?P<kind>entry|func)\b(?:\s*\([^)]*\))?\s*(?P<name>[\w$]+)\s*\(?", re.M
)
_VARIABLE = re.compile(
    r"^\s*(?:\.(?:visible|weak|extern)\s+)*\.(?:const|global)\s[^\n;]*?(?P<name>[\w$]+)(?:\[\d*\])*\s*=\s*[^;]*;", re.M
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_LINE_INFORMATION = re.compile(r"^\s*(?:\.loc|\.file)\b.*$|[ \t]*//.*$", re.M)
_SIGNATURE = re.compile(r"^__unnamed_\d+$|_ZZ.*__PRETTY_FUNCTION__|^__PRETTY_FUNCTION__")

# A string literal: its number counts those of the whole unit. An assertion has its file's path as one.
_NUMBERED = re.compile(r"(?<![\w$])(?:\$str(?:\$\d+)?|__unnamed_\d+)(?![\w$])")
_BYTES = re.compile(r"\{([\d, ]*)\}")
_SOURCE_PATH = re.compile(rb"(?:[\w.+-]*/)*([\w.+-]+\.(?:cu|cuh|h|hpp|cpp|cc|cxx|inl))")

# A label counts its function among those of the file, and an assertion names its line.
_LABEL = re.compile(r"(?<=\$L__BB)\d+(?=_)")
_ASSERTED_LINE = re.compile(
    r"(?P<store>st\.param\.b32\s+\[param2\+0\],\s*)\d+(?=;(?:(?!\bcall\b)[^}])*\bcall(?:\.uni)?\s+__assertfail\b)"
)

_COMPILING = re.compile(r"Compiling entry function '(?P<name>[^']+)'")
_PROPERTIES = re.compile(r"Function properties for (?P<name>\S+)")
_STACK = re.compile(
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
)
_USED = re.compile(r"Used (?P<registers>\d+) registers")
_SHARED = re.compile(r"(?P<shared>\d+)(?:\+\d+)? bytes smem")


@dataclass(frozen=True)
class Kernel:
    """One kernel or device function: its text, normalised, and the initialised variables it names."""

    name: str
    body: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All that is compared."""
        return "\n".join([*(self.variables[name] for name in sorted(self.variables)), self.body])


@dataclass(frozen=True)
class Resources:
    """What ptxas says a kernel uses."""

    registers: int = 0
    shared: int = 0
    stack: int = 0
    spill_stores: int = 0
    spill_loads: int = 0


def normalise(text: str) -> str:
    """`text` with the hashes in private names replaced, and without line information, comments and function counts."""
    text = _LABEL.sub("", _LINE_INFORMATION.sub("", _without_hashes(text)))
    return _ASSERTED_LINE.sub(r"\g<store>0", text)


def read_kernels(ptx: str) -> dict[str, Kernel]:
    """The kernels and device functions that `ptx` defines, by normalised name."""
    text = normalise(ptx)
    variables = {match["name"]: " ".join(match.group().split()) for match in _VARIABLE.finditer(text)}
    found: dict[str, Kernel] = {}
    for match in _ENTRY.finditer(text):
        body = _body(text, match.start())
        if body is None:
            continue  # a declaration
        used = {name for name in _NAME.findall(body) if name in variables and not _SIGNATURE.search(name)}
        anew = _numbers_by_use(body)
        found[match["name"]] = Kernel(
            match["name"],
            _renamed(body, anew),
            {anew.get(name, name): _renamed(_without_folder(variables[name]), anew) for name in sorted(used)},
        )
    return found


def read_resources(log: str) -> dict[str, Resources]:
    """What `ptxas -v` said of each kernel, by normalised name."""
    found: dict[str, dict[str, int]] = {}
    current: dict[str, int] = {}
    for line in normalise(log).splitlines():
        if (match := _COMPILING.search(line)) or (match := _PROPERTIES.search(line)):
            current = found.setdefault(match["name"], {})
        elif match := _STACK.search(line):
            current |= {
                "stack": int(match["stack"]), "spill_stores": int(match["stores"]), "spill_loads": int(match["loads"])
            }  # fmt: skip
        elif match := _USED.search(line):
            current["registers"] = int(match["registers"])
            if shared := _SHARED.search(line):
                current["shared"] = int(shared["shared"])
    return {name: Resources(**values) for name, values in found.items()}


def _body(text: str, start: int) -> str | None:
    """The text of a function from its directive to its closing brace; None for a declaration, which ends in `;`."""
    brace, semicolon = text.find("\n{", start), text.find(";", start)
    if brace < 0 or 0 <= semicolon < brace:
        return None
    end = text.find("\n}", brace)
    lines = (line.strip() for line in text[start : end + 2].splitlines())
    return "\n".join(line for line in lines if line)


def _numbers_by_use(body: str) -> dict[str, str]:
    """The string literals of `body` and names for them that count their first uses in it."""
    return {name: f"$str${count}" for count, name in enumerate(dict.fromkeys(_NUMBERED.findall(body)))}


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return _NUMBERED.sub(lambda match: names.get(match.group(), match.group()), text)


def _without_folder(variable: str) -> str:
    """A string that is the path of a source file, less its folders: a migration moves files."""
    match = _BYTES.search(variable)
    if match is None or "$str" not in variable:
        return variable
    text = bytes(int(number) for number in match[1].split(",") if number.strip()).removesuffix(b"\0")  # often left out
    path = _SOURCE_PATH.fullmatch(text)
    return f"{variable.partition('[')[0]} = {(path[1] if path else text)!r}"


def _without_hashes(text: str) -> str:
    """Private names without the file's name and the hashes around it; the name's length says where it ends."""
    pieces: list[str] = []
    done = 0
    for match in _PRIVATE.finditer(text):
        hashed = _HASH.match(text, match.end() + int(match["length"]))
        if hashed is None or match.start() < done:
            continue
        pieces += [text[done : match.start()], match["kind"]]
        done = hashed.end()
    return "".join([*pieces, text[done:]])
