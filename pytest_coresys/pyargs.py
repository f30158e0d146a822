"""What ``--pyargs`` asked for, and how tests are called that no path from the root of the run leads to. No pytest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def names_in(args: Iterable[object]) -> list[str]:
    """The names in arguments of a command line, without what they choose of them (``pkg.mod::Class``)."""
    return list(dict.fromkeys(str(arg).partition("[")[0].partition("::")[0] for arg in args))


class Asked:
    """Tells of tests outside of the root what to call their file by: the name that ``--pyargs`` takes, or its path.

    ``names`` are those of the command line: what they lead to, any process finds. What a test's module calls itself,
    it may not: pytest finds that by a folder which it adds to ``sys.path`` once it has the file.
    """

    def __init__(self, names: Sequence[str], root: Path) -> None:
        self._names, self._root = names, root
        self._folders: list[tuple[str, Path]] | None = None
        self._known: dict[Path, str] = {}

    def module_of(self, nodeid: str, path: Path) -> str | None:
        """None where the file is where the id says, seen from the root."""
        if self._root / nodeid.partition("::")[0] == path:
            return None
        if path not in self._known:
            self._known[path] = self._name_of(path) or path.as_posix()
        return self._known[path]

    def _name_of(self, path: Path) -> str | None:
        if self._folders is None:
            self._folders = [(name, folder) for name in self._names for folder in _led_to(name)]
        for name, folder in self._folders:
            if folder == path:
                return name
            if path.suffix == ".py" and folder in path.parents:
                parts = path.relative_to(folder).with_suffix("").parts
                found = ".".join((name, *parts))
                if not any("." in part for part in parts) and path in _led_to(found):
                    return found
        return None


def asked_for(names: Iterable[str], tests: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of these names those that tests of a run are called by, or by which what they are part of is."""
    modules = {test["module"] for test in tests if "module" in test}
    return [name for name in names if any(is_part(module, name) for module in modules)]


def is_part(module: str, package: str) -> bool:
    """Whether a dotted name is that of this package or module, or of something in it."""
    return module == package or module.startswith(f"{package}.")


def _led_to(name: str) -> list[Path]:
    """The file or folders that the import system has for a name; none for what is no such name, as a path."""
    try:
        spec = find_spec(name)
    except Exception:  # of the code that it imports on the way, too
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(os.path.abspath(each)) for each in spec.submodule_search_locations]
    return [Path(os.path.abspath(spec.origin))] if spec.origin else []
