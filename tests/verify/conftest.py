"""A group before and after its migration (`pair/`), laid out as a repository and verified once."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from codemod.repository.snapshot import open_snapshot
from codemod.verify.group import Request, verify_group
from codemod.verify.result import Step, Verification

PAIR = Path(__file__).parent / "pair"


@dataclass(frozen=True)
class PairRepository:
    """The pair as a git repository: the last commit is legacy, the work tree is stable."""

    root: Path

    def verify(self, **more: object) -> Verification:
        """`verify scale`, with the objects of earlier calls where they are up to date."""
        request = Request(("scale",), target="2.11", golden=PAIR / "golden", **more)  # type: ignore[arg-type]
        return verify_group(open_snapshot(self.root), request)

    def plant(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must be there once, in a file of the work tree."""
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        file.write_text(text.replace(old, new))

    def restore(self) -> None:
        """Make the work tree the stable side again, touching what differs alone."""
        for source in sorted((PAIR / "stable").rglob("*")):
            place = self.root / source.relative_to(PAIR / "stable")
            if source.is_file() and (not place.exists() or place.read_bytes() != source.read_bytes()):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)


def step(verification: Verification, name: str) -> Step:
    """The step called `name`."""
    return next(found for found in verification.steps if found.name == name)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> PairRepository:
    """The repository, not yet built."""
    root = tmp_path_factory.mktemp("pair")
    shutil.copytree(PAIR / "legacy", root, dirs_exist_ok=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "legacy"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    for path in ("csrc/scale.cpp", "csrc/scale_kernels.cu"):
        (root / path).unlink()
    repository = PairRepository(root)
    repository.restore()
    return repository


@pytest.fixture(scope="session")
def verified(pair: PairRepository) -> Verification:
    """The pair as it is: nothing but the ABI changed."""
    return pair.verify()
