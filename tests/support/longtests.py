"""Which tests ``make test`` has no time for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAMED = Path(__file__).resolve().parent.parent / "long.txt"


def read() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """For each file and test that is named, how the ids of the cases begin that are meant."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in NAMED.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            file, test, *case = line.split(maxsplit=2)
            found[file, test] = (*found.get((file, test), ()), "".join(case))
    return found
