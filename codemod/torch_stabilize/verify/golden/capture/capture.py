"""`golden capture`: a program watched, its calls chosen, varied, made again on the legacy library, and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.model import Refusal
from torch_stabilize.verify.golden.capture.calls import Captured, to_bytes
from torch_stabilize.verify.golden.capture.choose import choose, vary
from torch_stabilize.verify.golden.capture.keep import Tried, try_calls, write_group
from torch_stabilize.verify.golden.capture.lines import counts_blocks, reached_lines
from torch_stabilize.verify.golden.capture.report import Result, capture_step, notes
from torch_stabilize.verify.golden.capture.session import Seen, watch
from torch_stabilize.verify.golden.capture.targets import Target
from torch_stabilize.verify.golden.session import Progress
from torch_stabilize.verify.headers import write_if_changed
from torch_stabilize.verify.result import Step

BUDGET = 2 << 20  # bytes of contents a group
VARIATIONS = 200


class Wish(NamedTuple):
    """What to capture and how. `libraries` are the legacy build's, where the ones that the program loads are not."""

    group: str
    targets: Sequence[Target]
    command: Sequence[str]
    golden: Path
    build_dir: Path
    libraries: Sequence[Path] = ()
    budget: int = BUDGET
    variations: int = VARIATIONS
    root: Path = Path()  # of the sources whose lines are counted


class Done(NamedTuple):
    """The step that tells of a capture, the files it wrote, and how the command ended."""

    step: Step
    written: tuple[Path, ...]
    exit_code: int


def capture(wish: Wish, progress: Progress | None = None) -> Done:
    """Watch the command of `wish` and keep what it calls. Raises Refusal for what cannot be done at all."""
    write_if_changed(wish.build_dir / ".gitignore", "*\n")
    session = wish.build_dir / "capture" / wish.group
    seen = watch(session, wish.targets, wish.command, (wish.build_dir / "observer").resolve())
    if not seen.calls:
        empty = Result(wish.targets, seen, (), (), _nothing(), 0, 0)
        return Done(capture_step(empty), (), seen.exit_code)
    loaded = group_libraries(seen, wish.targets) if not wish.libraries or seen.blocks else ()
    libraries = wish.libraries or loaded
    if any(counts_blocks(path) for path in libraries):
        raise Refusal(
            "this build counts its blocks: name the normal one, which outputs are recorded on, with --legacy-library",
            exit_code=2,
        )
    lines = reached_lines(loaded, seen.blocks, wish.root)
    chosen, refused = choose(seen.calls, wish.budget)
    tried = try_calls(
        (*chosen, *vary(chosen, wish.variations)),
        wish.group,
        session / "made-again",
        libraries,
        seen.python,
        progress=progress,
    )
    kept = tuple(call for call in tried.stable if call.change is None)
    varied = tuple(call for call in tried.stable if call.change is not None)
    result = Result(wish.targets, seen, kept, varied, tried, refused, 0, lines)
    captured = Captured(wish.group, (*kept, *varied), notes(result))
    result = result._replace(bytes=len(to_bytes(captured)))
    step = capture_step(result)
    if not kept:
        return Done(step, (), seen.exit_code)
    captured = replace(captured, figures=step.figures)
    written = write_group(wish.golden / wish.group, captured, tried.run)
    return Done(step, written, seen.exit_code)


def group_libraries(seen: Seen, targets: Sequence[Target]) -> tuple[Path, ...]:
    """The files, of those that the program loaded, that hold the group's functions. Raises Refusal for none."""
    modules = {target.called.partition(":")[0] for target in targets if not target.is_operator}
    operators = [tuple(part.encode() for part in _words(target)) for target in targets if target.is_operator]
    found = []
    for path in seen.files:
        if path.name.partition(".")[0] in modules:
            found.append(path)
        elif operators:
            data = path.read_bytes()
            if any(all(word in data for word in words) for words in operators):
                found.append(path)
    if not found:
        raise Refusal("none of the libraries that the command loaded has the group; name them with --legacy-library")
    return tuple(dict.fromkeys(found))


def _words(target: Target) -> tuple[str, str]:
    namespace, _, rest = target.called.partition("::")
    return namespace, rest.partition(".")[0]


def _nothing() -> Tried:
    from torch_stabilize.verify.golden.session import Run

    return Tried(Run("", {}, {}, {}), (), (), {})
