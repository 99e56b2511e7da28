"""What can be reached step by step: the headers that a header brings, over any number of steps and circles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from torch_stabilize.source.reach import Reaching, reach

INCLUDES = {
    "ops.cpp": ["ops.h", "launch.cuh"],
    "launch.cuh": ["types.h"],
    "ops.h": ["types.h"],
    "types.h": [],
    # each of these includes the next, and the last one the first
    "a.h": ["b.h"],
    "b.h": ["c.h", "types.h"],
    "c.h": ["a.h"],
    "main.cpp": ["a.h", "c.h"],
}
GRAPHS = st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=12, max_size=12)


def test_a_file_reaches_itself_and_what_its_headers_include() -> None:
    assert Reaching(INCLUDES.__getitem__)("ops.cpp") == {"ops.cpp", "ops.h", "launch.cuh", "types.h"}
    assert Reaching(INCLUDES.__getitem__)("types.h") == {"types.h"}


def test_headers_in_a_circle_reach_the_same() -> None:
    reaching = Reaching(INCLUDES.__getitem__)
    assert reaching("main.cpp") == {"main.cpp", "a.h", "b.h", "c.h", "types.h"}
    assert reaching("a.h") == reaching("b.h") == reaching("c.h") == {"a.h", "b.h", "c.h", "types.h"}


def test_a_chain_longer_than_the_stack_of_python() -> None:
    chain = {str(number): [str(number + 1)] for number in range(5000)} | {"5000": []}
    assert len(Reaching(chain.__getitem__)("0")) == 5001


def test_several_starts_are_followed_together() -> None:
    assert reach(["launch.cuh", "c.h"], INCLUDES.__getitem__) == {"launch.cuh", "types.h", "a.h", "b.h", "c.h"}
    assert reach([], INCLUDES.__getitem__) == frozenset()


@given(GRAPHS)
def test_kept_answers_are_those_of_a_search_from_each_start(graph: list[list[int]]) -> None:
    def step(one: str) -> list[str]:
        return [str(other) for other in graph[int(one)]]

    reaching = Reaching(step)
    for start in map(str, range(len(graph))):
        assert reaching(start) == reach([start], step)
