"""On which line of a TOML text each key stands. tomllib does not say, and messages should.

The text has been accepted by tomllib before, so this reads structure only and checks nothing. Should it lose its
way all the same, it returns no lines at all: a message without a line is better than one with a wrong line.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from pytest_coresys.config.toml import loads

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Longest first. A multi-line string may end in up to two quotes of its own.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


class _LostError(Exception):
    """The text was not what this reader expects."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map each key path to its line, counted from 1; elements of arrays are addressed by their index."""
    try:
        return _Walker(text).walk()
    except (_LostError, RecursionError, ValueError):
        return {}


class _Walker:
    """Reads a TOML text from front to back, noting where keys stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[KeyPath, int] = {}
        self._last_index: dict[KeyPath, int] = {}  # arrays of tables -> index of their newest table

    def walk(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._peek("["):
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> KeyPath:
        line, is_array = self._line(), self._text.startswith("[[", self._at)
        self._take("[[" if is_array else "[")
        *parents, last = self._key()
        self._take("]]" if is_array else "]")
        path: KeyPath = ()
        for part in parents:
            path = self._enter((*path, part), line)
        path = (*path, last)
        if not is_array:
            return self._enter(path, line)
        self._lines.setdefault(path, line)
        self._last_index[path] = self._last_index.get(path, -1) + 1
        return self._enter(path, line)

    def _enter(self, path: KeyPath, line: int) -> KeyPath:
        """Note ``path``; below an array of tables, a header speaks of its newest table."""
        self._lines.setdefault(path, line)
        if path in self._last_index:
            path = (*path, self._last_index[path])
            self._lines.setdefault(path, line)
        return path

    def _assignment(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._take("=")
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            parts.append(self._key_part())
            self._skip(_SPACE)
            if not self._peek("."):
                return parts
            self._take(".")

    def _key_part(self) -> str:
        if self._peek('"') or self._peek("'"):
            # The parser itself undoes the escapes.
            return str(loads(f"key = {self._match(_STRING)}")["key"])
        return self._match(_BARE)

    def _value(self, path: KeyPath) -> None:
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline_table(path)
        elif self._peek('"') or self._peek("'"):
            self._match(_STRING)
        else:
            self._match(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._take("[")
        index = 0
        self._skip(_BLANK)
        while not self._peek("]"):
            self._lines.setdefault((*path, index), self._line())
            self._value((*path, index))
            index += 1
            self._between("]")
        self._take("]")

    def _inline_table(self, path: KeyPath) -> None:
        self._take("{")
        self._skip(_BLANK)
        while not self._peek("}"):
            self._assignment(path)
            self._between("}")
        self._take("}")

    def _between(self, closing: str) -> None:
        self._skip(_BLANK)
        if not self._peek(closing):
            self._take(",")
            self._skip(_BLANK)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> None:
        if not self._peek(text):
            raise _LostError(text)
        self._at += len(text)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _LostError(pattern.pattern)
        self._at = match.end()
        return match[0]
