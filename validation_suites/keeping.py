"""What long measuring has come to so far, under ``.coresys/``: a soak of the suites that was stopped goes on there.

Each of the long tests measures piece by piece, and what a piece came to is kept when it is over. It is used again by
the same soak only: the same code of this project by content, the same Python and subjects. When the last of the long
tests of a run is over all is removed, so that the next soak begins anew.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import coresys
import pytest_coresys
import validation_suites
from pytest_coresys.checkpoint import Checkpoint, Identity
from pytest_coresys.reports.runfile import OutputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
_NAME = "validation-"  # what names of checkpoints begin with
_DIGITS = 12  # of a digest, in the name of a file
_CODE = frozenset({".py", ".toml", ".c"})


def state_of(subjects: Mapping[str, str]) -> str:
    """A digest of what figures depend on: our code, Python, and the subjects with the files of their factories."""
    digest = hashlib.sha256(platform.python_version().encode())
    for package in (coresys, pytest_coresys, validation_suites):
        folder = Path(str(package.__file__)).parent
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _CODE):
            digest.update(f"\n{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    for role, name in sorted(subjects.items()):
        digest.update(f"\n{role}={name}\n".encode())
        found = importlib.util.find_spec(name.partition(":")[0])
        if found is not None and found.origin is not None and Path(found.origin).is_file():
            digest.update(Path(found.origin).read_bytes())
    return digest.hexdigest()


def checkpoint_of(root: Path, state: str, what: str) -> Checkpoint:
    """Where ``what`` is kept below the root of a run, for runs of the same ``state``."""
    digest = hashlib.sha256(what.encode()).hexdigest()[:_DIGITS]
    return Checkpoint(root, Identity(f"{_NAME}{digest}", state))


def _add(total: Any, piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        setattr(total, name, getattr(total, name) + value)


class Kept:
    """What one test keeps. ``tests`` are the ids of all tests of the run that keep something.

    Without a root nothing is kept, and everything is measured in one piece.
    """

    def __init__(self, root: Path | None, state: str, test: str, tests: Iterable[str]) -> None:
        self._root, self._state = root, state
        self._test, self._tests = test, [test] if root is None else list(tests)
        self.earlier = 0.0
        """How much of what ``in_pieces`` measured last is of a run before this one."""
        self.unkept = ""
        """Why something could not be kept, so that a soak that is stopped cannot go on."""

    def in_pieces(self, total: T, what: str, whole: float, piece: float, measure: Callable[[float, float], T]) -> None:
        """Measure ``what`` piece by piece, and add each, field by field, to ``total``: a record of numbers and lists.

        ``measure(done, amount)`` returns such a record of ``amount`` more, where so much is done already. Pieces that a
        run before has measured are not measured again.
        """
        if self._root is None:
            _add(total, asdict(measure(0.0, whole)))
            return
        checkpoint = checkpoint_of(self._root, self._state, f"{self._test} {what}")
        found, _ = checkpoint.load()
        done, pieces = (0.0, []) if found is None else (found["done"], list(found["pieces"]))
        self.earlier = done
        while done < whole:
            amount = min(piece, whole - done)
            pieces.append(asdict(measure(done, amount)))
            done += amount
            self._save(checkpoint, {"done": done, "pieces": pieces})
        for each in pieces:
            _add(total, each)

    def _save(self, checkpoint: Checkpoint, data: Mapping[str, Any]) -> None:
        try:
            checkpoint.save(data)
        except OutputError as error:
            self.unkept = str(error)

    def remark(self, unit: str) -> str:
        """What there is to say of what ``in_pieces`` measured last, beside what it came to; empty if nothing is."""
        earlier = f", {self.earlier:g} {unit} of a run before this one, which was stopped" if self.earlier else ""
        return earlier + (f", which is not kept: {self.unkept}" if self.unkept else "")

    def over(self) -> None:
        """This test has come to its end. If all have, everything that was kept is removed."""
        if self._root is None:
            return
        own = checkpoint_of(self._root, self._state, f"{self._test} over")
        self._save(own, {})
        ends = (checkpoint_of(self._root, self._state, f"{test} over") for test in self._tests)
        if all(end.load()[0] is not None for end in ends):
            for path in own.path.parent.glob(f"soak-{_NAME}*.json"):
                path.unlink(missing_ok=True)
