"""The checkpoint of a soak, under ``.coresys/``: a soak that was killed goes on where it was. Knows no pytest.

It is taken up again only by the very same soak: the same tests in the same order, duration, worker, Python and
configuration, and the same code, by content, of every module that the process has loaded from the root of the run.
Readings of other code would be evidence against this one.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_coresys.reports import runfile
from pytest_coresys.reports.model import commit_of

FOLDER = ".coresys"
_SCHEMA = 1
_DIGITS = 12  # of a digest, in the name of a file


@dataclass(frozen=True, slots=True)
class Identity:
    """What a checkpoint belongs to: ``name`` is for which soak, ``state`` for which code and configuration of it."""

    name: str
    state: str


def identity_of(rootpath: Path, nodeids: Sequence[str], seconds: float, worker: str | None, facts: object) -> Identity:
    """The identity of a soak of these tests, now; ``facts`` are plain values that it depends on too."""
    name = _digest([list(nodeids), seconds, worker])[:_DIGITS]
    state = _digest([_SCHEMA, platform.python_version(), commit_of(rootpath), facts, _code_below(rootpath)])
    return Identity(name, state)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _code_below(rootpath: Path) -> list[tuple[str, str]]:
    """Path and content, as a digest, of what is loaded from there; what is installed below is told by its version."""
    found = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        path = Path(file) if isinstance(file, str) else None
        if path is None or not path.is_relative_to(rootpath) or "site-packages" in path.parts:
            continue
        try:
            found.append((str(path.relative_to(rootpath)), hashlib.sha256(path.read_bytes()).hexdigest()))
        except OSError:  # made by a test, and gone
            continue
    return sorted(set(found))


def kept_by(rootpath: Path, run: str) -> list[dict[str, Any]]:
    """What processes of this run have kept of soaks that did not come to their end."""
    found = []
    for path in sorted((rootpath / FOLDER).glob("soak-*.json")):
        try:
            soak = json.loads(path.read_bytes())["soak"]
            if soak["run"] == run:
                found.append(dict(soak))
        except (OSError, ValueError, KeyError, TypeError):  # of another version, or gone meanwhile
            continue
    return found


class Checkpoint:
    """The file of one soak."""

    def __init__(self, rootpath: Path, identity: Identity) -> None:
        self._folder, self._identity = rootpath / FOLDER, identity
        self.path = self._folder / f"soak-{identity.name}.json"
        self.shown = f"{FOLDER}/{self.path.name}"

    def load(self) -> tuple[dict[str, Any] | None, str | None]:
        """What was saved of this soak; or None, and why what there is cannot be used, if there is anything."""
        try:
            data = json.loads(self.path.read_bytes())
            if data["state"] != self._identity.state:
                return None, "it is of other code, or of another configuration"
            return dict(data["soak"]), None
        except FileNotFoundError:
            return None, None
        except (OSError, ValueError, KeyError, TypeError):
            return None, "it cannot be read"

    def save(self, soak: Mapping[str, Any]) -> None:
        """Write it, whole or not at all. Raises runfile.OutputError."""
        ignore = self._folder / ".gitignore"
        if not ignore.exists():
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                ignore.write_text("*\n", encoding="utf-8")
            except OSError as error:
                raise runfile.OutputError(path=str(ignore), cause=error.strerror or str(error)) from None
        runfile.write(self.path, {"state": self._identity.state, "soak": soak})

    def remove(self) -> None:
        """The soak is over: the next one begins anew."""
        try:
            self.path.unlink()
        except OSError:  # there is none, or the folder cannot be written to: it will be of other readings then
            pass
