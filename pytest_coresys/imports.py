"""Importing our own modules as they are: pytest rewrites the assertions of all that a plugin's distribution has."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_OURS = ("coresys.", "pytest_coresys.")


class _AsTheyAre:
    """Finds modules within our packages, and leaves all others to whoever comes next.

    Not the packages themselves: those pytest knows by name, and warns of where it finds them imported otherwise.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path) if path is not None and name.startswith(_OURS) else None


@contextmanager
def unrewritten() -> Iterator[None]:
    """Within the block our modules come from the bytecode that was installed with them.

    What pytest rewrites it can't keep where bytecode is not to be written, as in most containers, or where the
    packages are somebody else's: it would be compiled anew for each run, half a second.
    """
    finder = _AsTheyAre()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:  # else somebody has put another list in its place
            sys.meta_path.remove(finder)
