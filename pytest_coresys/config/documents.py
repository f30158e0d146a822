"""The configuration file: found, read, and able to say on which line each of its keys stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.lines import KeyPath, key_lines
from pytest_coresys.config.toml import loads


@dataclass(frozen=True, slots=True)
class Document:
    """The tables of coresys in one file. Paths are given below ``prefix`` (``("tool", "coresys")``, or none)."""

    name: str
    prefix: tuple[str, ...]
    tables: Mapping[str, object]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """``pyproject.toml:14``, or the file alone where the line is not known."""
        line = self.lines.get((*self.prefix, *path))
        return self.name if line is None else f"{self.name}:{line}"

    def header(self, path: KeyPath) -> str:
        """The table as it is written: ``[tool.coresys.budgets]``, ``[[overrides]]``; empty at the top of a file."""
        names = [*self.prefix, *(part for part in path if isinstance(part, str))]
        dotted = ".".join(name if re.fullmatch(r"[\w-]+", name, re.ASCII) else f'"{name}"' for name in names)
        if not dotted:
            return ""
        return f"[[{dotted}]]" if path and isinstance(path[-1], int) else f"[{dotted}]"

    def fail(self, path: KeyPath, problem: str, *, table: KeyPath | None = None) -> NoReturn:
        """Raise a ConfigError at the line of ``path``, naming the table that it stands in (or ``table``)."""
        header = self.header(path[:-1] if table is None else table)
        raise ConfigError(place=self.place(path), problem=f"{header} {problem}" if header else problem)


OWN_FILE = "coresys.toml"


def read_document(rootpath: Path) -> Document | None:
    """The file that configures coresys, if there is one. Raises ConfigError if there are two, or one is unreadable."""
    project, own = _read_pyproject(rootpath), _read_own(rootpath)
    if project is not None and own is not None:
        raise ConfigError(
            place=project.place(()), problem=f"[tool.coresys] and {own.name} both configure coresys; keep one of them"
        )
    return project or own


def _read_pyproject(rootpath: Path) -> Document | None:
    name, prefix = "pyproject.toml", ("tool", "coresys")
    read = _read_toml(rootpath / name)
    if read is None:
        return None
    tables, text = read
    tool = tables.get("tool")
    if not isinstance(tool, Mapping) or "coresys" not in tool:
        return None
    document = Document(name, prefix, {}, key_lines(text))
    if not isinstance(tool["coresys"], Mapping):
        raise ConfigError(place=document.place(()), problem="tool.coresys must be a table: write [tool.coresys]")
    return Document(name, prefix, tool["coresys"], document.lines)


def _read_own(rootpath: Path) -> Document | None:
    read = _read_toml(rootpath / OWN_FILE)
    if read is None or not read[0]:
        return None
    return Document(OWN_FILE, (), read[0], key_lines(read[1]))


def read_tables(path: Path, name: str, *, lines: bool = True) -> tuple[dict[str, object], Mapping[KeyPath, int]] | None:
    """The tables of any TOML file that ``name`` is the name of, and where keys stand, if that is wanted.

    None if there is no such file.
    """
    read = _read_toml(path, name)
    return None if read is None else (read[0], key_lines(read[1]) if lines else {})


def _read_toml(path: Path, called: str = "") -> tuple[dict[str, object], str] | None:
    """The parsed file and its text; None if there is no such file. Errors name it as it is ``called``, if it is."""
    name = called or path.name
    try:
        # "sig": editors on Windows put a byte order mark in front, which means nothing.
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(place=name, problem=f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(place=f"{name}:{line}", problem="not UTF-8 text, which TOML has to be") from None
    try:
        return loads(text), text
    except RecursionError:
        raise ConfigError(place=name, problem="not valid TOML: nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and int()'s own about integers without end
        _malformed(name, text, str(error))


def _malformed(name: str, text: str, message: str) -> NoReturn:
    place, problem = name, message.partition(" (at ")[0]
    if found := re.search(r"\(at line (\d+), column (\d+)\)", message):
        place, problem = f"{name}:{found[1]}", f"{problem} (column {found[2]})"
    elif "at end of document" in message:
        place = f"{name}:{text.count(chr(10), 0, len(text.rstrip())) + 1}"
        problem += " (end of file)"
    raise ConfigError(place=place, problem=f"not valid TOML: {problem}")


def find_ini_line(inipath: Path | None, rootpath: Path, text: str) -> str:
    """Where a line of an ini option was written: ``pytest.ini:5``, ``pytest.ini``, or ``ini option`` (given by -o)."""
    if inipath is None:
        return "ini option"
    name = inipath.relative_to(rootpath).as_posix() if inipath.is_relative_to(rootpath) else inipath.name
    try:
        lines = inipath.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return name  # pytest has read it: it went away since
    found = [number for number, line in enumerate(lines, start=1) if text in line and line.lstrip()[:1] not in "#;"]
    if not found:
        return "ini option"
    return f"{name}:{found[0]}" if len(found) == 1 else name
