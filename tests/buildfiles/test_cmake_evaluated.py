"""Whatever the lists look like, CMake builds the same sources in the same cases after the migration."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.buildfiles.evaluation import DEFINER, evaluate
from tests.buildfiles.trees import plan

SWITCHES = ("A", "B", "C")
CONDITIONS = ("A", "NOT A", "B", "A AND B", "A OR C", 'C STREQUAL "ON"')
STABLE = """
ext_module(_C SOURCES ${EXT_SRC})
set(STABLE_EXT_SRC
  "csrc/stable/bindings.cpp")
if(A)
  list(APPEND STABLE_EXT_SRC
    "csrc/stable/old.cu")
endif()
%s
ext_module(_C_stable SOURCES ${STABLE_EXT_SRC})
"""
FIRST_USE = "\next_module(_C SOURCES ${EXT_SRC})\n"
DEFINED = "target_compile_definitions(_C_stable PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL USE_CUDA)\n"


class Lists:
    """Writes random list commands with a fresh source each time."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def source(self) -> str:
        self.sources.append(f"csrc/k{len(self.sources)}.cu")
        return self.sources[-1]

    def append(self, draw: st.DrawFn, indent: str) -> str:
        names = [self.source() for _ in range(draw(st.integers(1, 3)))]
        if draw(st.booleans()):
            return f"{indent}list(APPEND EXT_SRC {' '.join(names)})\n"
        lines = "".join(f'\n{indent}  "{name}"' for name in names)
        return f"{indent}list(APPEND EXT_SRC{lines})\n"

    def carrier(self, draw: st.DrawFn, indent: str) -> str:
        names = " ".join(f'"{self.source()}"' for _ in range(draw(st.integers(1, 2))))
        flags = f'{indent}set_flags(SRCS "${{SRCS}}" ARCHS {draw(st.sampled_from(["80", "90"]))})\n'
        joins = draw(st.sampled_from(['"${SRCS}"', "${SRCS}"]))
        return f"{indent}set(SRCS {names})\n{flags}{indent}list(APPEND EXT_SRC {joins})\n"

    def block(self, draw: st.DrawFn, indent: str, depth: int) -> str:
        kind = draw(st.sampled_from(["append", "carrier", "if"] if depth else ["append", "carrier"]))
        if kind == "append":
            return self.append(draw, indent)
        if kind == "carrier":
            return self.carrier(draw, indent)
        text = f"{indent}if({draw(st.sampled_from(CONDITIONS))})\n"
        text += self.blocks(draw, indent + "  ", depth - 1)
        if draw(st.booleans()):
            text += f"{indent}else()\n" + self.blocks(draw, indent + "  ", depth - 1)
        return text + f"{indent}endif()\n"

    def blocks(self, draw: st.DrawFn, indent: str, depth: int) -> str:
        return "".join(self.block(draw, indent, depth) for _ in range(draw(st.integers(1, 2))))


@st.composite
def lists_and_moves(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    lists = Lists()
    text = f'set(EXT_SRC\n  "csrc/bindings.cpp"\n  "{lists.source()}")\n'
    text += lists.blocks(draw, "", depth=2)
    whole_list = draw(st.booleans())
    if whole_list:
        text += 'set_flags(SRCS "${EXT_SRC}" ARCHS all)\n'
    flags = 'set_flags(SRCS "${STABLE_EXT_SRC}" ARCHS all)\n' if whole_list else ""
    stable = draw(st.sampled_from([STABLE % flags, FIRST_USE]))
    moving = draw(st.lists(st.sampled_from(lists.sources), min_size=1, unique=True))
    return text + stable, lists.sources, moving


def built(records: Sequence[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Sources by target, at their legacy paths."""
    return Counter((owner, source.replace("/stable/", "/")) for owner, source in records if "flags" not in owner)


def flags_of(records: Sequence[tuple[str, str]], source: str) -> Counter[str]:
    return Counter(o for o, s in records if "flags" in o and s.replace("/stable/", "/") == source)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lists_and_moves())
def test_the_same_sources_in_the_same_cases(case: tuple[str, list[str], list[str]]) -> None:
    before, sources, moving = case
    text = before + DEFINED if "_C_stable" in before else before
    planned = plan({"CMakeLists.txt": text, "macros.cmake": DEFINER, **dict.fromkeys(sources, "//\n")}, moving)
    after = planned.text("CMakeLists.txt").replace(DEFINED, "")
    with tempfile.TemporaryDirectory() as folder:
        was, now = (evaluate(Path(folder), text, SWITCHES) for text in (before, after))
    assert was.keys() == now.keys()
    for switch, records in was.items():
        wanted = Counter(
            ("_C_stable" if owner == "_C" and source in moving else owner, source)
            for (owner, source), count in built(records).items()
            for _ in range(count)
        )
        assert built(now[switch]) == wanted, f"{switch}\n{before}\n=>\n{after}"
        for source in moving:
            assert set(flags_of(now[switch], source)) == set(flags_of(records, source)), f"{switch} {source}\n{after}"
