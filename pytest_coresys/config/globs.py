"""Path patterns of overrides: ``*`` within a folder, ``**`` across folders, always relative to the root. Pure."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=256)
def path_pattern(glob: str) -> re.Pattern[str]:
    """Compile a glob. A pattern without wildcards names a file, or a folder with all that is below it."""
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    if not any(char in glob for char in "*?["):
        return re.compile("/".join(map(re.escape, parts)) + r"(?:/.*)?", re.DOTALL)
    out = ""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            out += ".*" if last else "(?:[^/]+/)*"
        else:
            out += _segment(part) + ("" if last else "/")
    return re.compile(out, re.DOTALL)


def _segment(part: str) -> str:
    out, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "[" and (closing := _closing(part, at)) > 0:
            out += _choice(part[at:closing])
            at = closing + 1
        else:
            # "**" beside other characters means no more than "*", as in the shell.
            out += {"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char)
    return out


def _closing(part: str, at: int) -> int:
    """Where the choice that begins at ``at`` ends, or -1. A "]" that comes first is one of its characters."""
    return part.find("]", at + (2 if part[at : at + 1] == "!" else 1))


def _choice(inner: str) -> str:
    negated = inner.startswith("!")
    body = inner[1:] if negated else inner
    ranges, at = "", 0
    while at < len(body):
        low, high = body[at], body[at + 2 : at + 3]
        if body[at + 1 : at + 2] == "-" and high:
            # "z-a" means nothing, to the shell too, and is an error to the compiler.
            ranges += f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""
            at += 3
        else:
            ranges += re.escape(low)
            at += 1
    if not ranges:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{ranges}]"


def matches(glob: str, path: str) -> bool:
    """Whether ``path`` (relative to the root, with "/") is meant by ``glob``."""
    return path_pattern(glob).fullmatch(path) is not None
