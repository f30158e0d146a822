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
        if char == "[" and (closing := part.find("]", at + 1)) > 0:
            out += _choice(part[at:closing])
            at = closing + 1
        else:
            # "**" beside other characters means no more than "*", as in the shell.
            out += {"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char)
    return out


def _choice(inner: str) -> str:
    negated = inner.startswith("!")
    body = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner[1:] if negated else inner)
    return f"(?!/)[{'^' if negated else ''}{body}]"


def matches(glob: str, path: str) -> bool:
    """Whether ``path`` (relative to the root, with "/") is meant by ``glob``."""
    return path_pattern(glob).fullmatch(path) is not None
