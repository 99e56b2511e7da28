"""The way back: a tree as its journal says it was, whatever moment the run was stopped at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.model import Refusal
from torch_stabilize.repository import git
from torch_stabilize.writer.files import (
    ChangedMeanwhile,
    aside,
    digest_of,
    discard,
    make_folder,
    place_file,
    remove_empty,
    remove_file,
    replace_file,
    stage,
    staged,
)
from torch_stabilize.writer.journal import Entry, Journal, journal_folder, locked, read
from torch_stabilize.writer.transaction import signals_held


class Undone(NamedTuple):
    """What came of taking a run back: files that somebody changed since and that stay as they are, and failures."""

    left: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """Both in words, "" where there is nothing to say."""
        changed = [f"{path} was changed since and is left as it is" for path in self.left]
        return "; ".join((*changed, *self.failed))


def recover(root: Path) -> str:
    """Put the tree at `root` right where a run was stopped while it wrote; "" where there was none.

    A run whose files were all in place is finished, any other is taken back. Returns one sentence for the user. Raises
    Refusal where another run is writing, or where the tree cannot be put right; the journal is kept then.
    """
    with locked(root):
        journal = read(root)
        if journal is None:  # the run ended while this one waited, or was stopped before it touched the tree
            discard(journal_folder(root))
            return ""
        with signals_held():
            if journal.done or _all_committed(root, journal):
                kept = clear_up(root, journal)
                return f"an interrupted migration of {journal.group} was finished" + "".join(f"; see {k}" for k in kept)
            undone = take_back(root, journal)
    if undone.failed:
        raise Refusal(f"an interrupted migration of {journal.group} cannot be taken back: {undone.message}")
    return f"an interrupted migration of {journal.group} was taken back" + (f"; {undone.message}" * bool(undone.left))


def take_back(root: Path, journal: Journal) -> Undone:
    """Make the tree, the index and the branch what they were, and forget the journal where that worked.

    Continues after a failure, so that as much as possible is put back; what failed can be tried again by `recover`.
    """
    left, failed = [], []
    if journal.head:
        failed.extend(_commits_back(root, journal))
    for entry in journal.entries:
        try:
            if not _put_back(root, journal, entry):
                left.append(entry.path)
        except ChangedMeanwhile:
            left.append(entry.path)
        except OSError as error:
            failed.append(f"{entry.path}: {error.strerror or error}")
    try:
        for folder in reversed(journal.folders):
            remove_empty(root / folder, root)
        if not failed:
            journal.remove()
    except OSError as error:
        failed.append(f"{error.filename}: {error.strerror}")
    return Undone(tuple(left), tuple(failed))


def clear_up(root: Path, journal: Journal) -> tuple[str, ...]:
    """Remove what a run left that had everything in place. Returns files that somebody changed, which are kept."""
    kept = []
    for entry in journal.entries:
        for place in (staged(root / entry.path), aside(root / entry.path)):
            found = digest_of(place)
            if found in (entry.before, *entry.ours):
                place.unlink(missing_ok=True)
            elif found is not None:
                kept.append(place.relative_to(root).as_posix())
        if entry.after is None:
            remove_empty((root / entry.path).parent, root)
    journal.remove()
    return tuple(kept)


def _put_back(root: Path, journal: Journal, entry: Entry) -> bool:
    """Make the file of `entry` what it was. False where somebody changed it since: it stays as it is then."""
    place = root / entry.path
    _end_exchange(place)
    temporary = staged(place)
    now = digest_of(place)
    if entry.before is None:
        temporary.unlink(missing_ok=True)
        if now in entry.ours:
            remove_file(place, entry.ours)
        return now is None or now in entry.ours
    if now == entry.before:
        temporary.unlink(missing_ok=True)
        return True
    if now is not None and now not in entry.ours:  # edited: the bytes before it are kept where they alone have them
        if digest_of(temporary) != entry.before:
            temporary.unlink(missing_ok=True)
        return False
    return _bring_back(place, journal, entry, now)


def _bring_back(place: Path, journal: Journal, entry: Entry, now: str | None) -> bool:
    """Put the old file of `entry` where ours is, or none. False where somebody saved to the old one in between."""
    temporary = staged(place)
    found = digest_of(temporary)
    is_half = found not in (None, entry.before) and journal.bytes_before(entry).startswith(temporary.read_bytes())
    is_edited = found is not None and not is_half and len(entry.ours) < 2 and found not in entry.ours
    is_old = found == entry.before or is_edited  # a half is what an earlier way back had no room to write
    if not is_old:
        temporary.unlink(missing_ok=True)
        make_folder(place.parent)
        stage(place, journal.bytes_before(entry), entry.mode)
    if now is None:
        place_file(temporary, place)
    else:
        replace_file(place, temporary)
        if digest_of(temporary) not in entry.ours:
            return False
        temporary.unlink()
    return not is_old or found == entry.before


def _end_exchange(place: Path) -> None:
    """Bring back what an exchange by renaming set aside, where it was stopped half way."""
    third, temporary = aside(place), staged(place)
    if not os.path.lexists(third):
        return
    if not os.path.lexists(place):
        place_file(third, place)
    elif os.path.samefile(third, place):  # it has both names: stopped before it lost the first
        third.unlink()
    else:  # the new file is in place, perhaps with its temporary name too
        temporary.unlink(missing_ok=True)
        os.rename(third, temporary)


def _commits_back(root: Path, journal: Journal) -> list[str]:
    """Take back the commits of the run and what it staged. Commits of others are not touched."""
    try:
        if _made(root, journal) is None:
            return [f"there are commits after {journal.head[:12]} that the migration did not make"]
        git.back_to(root, journal.head)
        if journal.branch:
            git.undo_branch(root, journal.branch, journal.branch_before, journal.head)
    except Refusal as refusal:
        return [str(refusal)]
    return []


def _all_committed(root: Path, journal: Journal) -> bool:
    """Whether the run was stopped after its last commit."""
    if not journal.head or _made(root, journal) != len(journal.messages):
        return False
    return all(digest_of(root / entry.path) == entry.after for entry in journal.entries)


def _made(root: Path, journal: Journal) -> int | None:
    """How many commits the run made, None where the branch has others. The journal may lack the last one."""
    commits = git.commits_between(root, journal.head, git.head(root))
    if commits is None or len(commits) > len(journal.messages):
        return None
    for number, (commit_id, subject) in enumerate(commits):
        if commit_id in journal.made:
            continue
        if number != len(journal.made) or subject != journal.messages[number].partition("\n")[0]:
            return None
    return len(commits)
