"""Which of many captured calls are kept: few that together show every feature, and every block of C++, that all do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations, zip_longest
from typing import Any

from torch_stabilize.verify.golden.capture.calls import Call
from torch_stabilize.verify.golden.capture.vary import variations


def choose(calls: Sequence[Call], budget: int) -> tuple[tuple[Call, ...], int]:
    """The calls to keep, within `budget` bytes of storages, and how many more would have been kept with a larger one.

    Without measured blocks pairs of features stand in for them.
    """
    measured = any(call.content.get("blocks") for call in calls)
    shows = {call.key: _shown(call, measured) for call in calls}
    order = sorted(calls, key=lambda call: (-min(call.content["rich"], 64), call.bytes, call.key))
    left = set().union(*shows.values()) if shows else set()
    stored: set[str] = set()
    kept: list[Call] = []
    used, refused = 0, 0
    while left and order:
        best = max(order, key=lambda call: (len(shows[call.key] & left), -call.bytes))
        gained = shows[best.key] & left
        if not gained:
            break
        order.remove(best)
        cost = _cost(best, stored)
        first = all(best.targets != call.targets for call in kept)
        if used + cost > budget and not (first and cost <= budget):  # each function has a call, if one is small enough
            refused += 1
            continue
        used += cost
        stored |= {storage["content"] for storage in best.content["storages"] if "content" in storage}
        left -= gained
        kept.append(best)
    return tuple(sorted(kept, key=lambda call: (call.targets, call.key))), refused


def _shown(call: Call, measured: bool) -> frozenset[Any]:
    features = call.features
    if measured:
        return frozenset([*features, *call.content.get("blocks", ())])
    # The target and grad mode are the first feature: a pair with it is the feature itself.
    return frozenset([*features, *combinations(features[1:], 2)])


def _cost(call: Call, stored: Collection[str]) -> int:
    keys = {storage["content"] for storage in call.content["storages"] if "content" in storage}
    return sum(len(call.contents[key]) for key in keys - set(stored))


def vary(calls: Iterable[Call], most: int) -> tuple[Call, ...]:
    """At most `most` variations of `calls`: of each function in turn, and each kind of change of it in turn."""
    by_function: dict[str, dict[tuple[str, str], list[Call]]] = {}
    seen: set[str] = set()
    for call in calls:
        kinds = by_function.setdefault(call.targets[0], {})
        for change in variations(call):
            changed = Call(call.targets, call.content, call.contents, change)
            if changed.key not in seen:
                seen.add(changed.key)
                kinds.setdefault((change["kind"], change["place"]), []).append(changed)
    turns = [list(_in_turn(kinds)) for kinds in by_function.values()]
    mixed = [call for turn in zip_longest(*turns) for call in turn if call is not None]
    return tuple(mixed[:most])


def _in_turn(kinds: Mapping[Any, Sequence[Call]]) -> Iterable[Call]:
    return (call for turn in zip_longest(*kinds.values()) for call in turn if call is not None)
