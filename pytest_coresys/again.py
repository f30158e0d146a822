"""What a command needs, beside tests and the flag, to judge them again as a run did. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def options(option: Callable[[str], Any], here: Path, root: Path) -> list[str]:
    """The words of the command line that made a run what it was: its criteria, subjects, single budgets and baseline.

    Profile and tests are told elsewhere. ``option`` gives the value of an option, ``here`` is where the command was
    typed, ``root`` where it will be, with paths from there: the root of the run, or where this one was typed.
    """
    found: list[str] = []
    if criteria := option("coresys_criteria"):
        found += ["--coresys-criteria", _from(root, here / criteria, criteria)]
    for subject in option("coresys_subject"):
        found += ["--coresys-subject", str(subject)]
    for budget in option("coresys_set"):
        found += ["--coresys-set", str(budget)]
    if known := option("coresys_baseline"):
        found += ["--coresys-baseline", _from(root, here / known, known)]
    return found


def _from(root: Path, path: Path, given: str) -> str:
    if Path(given).is_absolute():
        return given
    try:
        return os.path.relpath(path, root).replace(os.sep, "/")
    except ValueError:  # on another drive
        return str(path)
