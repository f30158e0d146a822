"""Which keys there are, and what to say of one that there is not. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase

from pytest_coresys.config.errors import ValueProblem


def suggestion(word: str, valid: Iterable[str]) -> str:
    """``; did you mean "X"?`` for the nearest valid word, else the empty string."""
    options = list(valid)
    # Case first: difflib finds "CI" and "ci" to have nothing in common.
    near = [option for option in options if option.lower() == word.lower()]
    # It finds "=<" nearer to "<" than to "<=".
    near = near or [option for option in options if sorted(option) == sorted(word)]
    near = near or difflib.get_close_matches(word, options, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def unknown(kind: str, word: str, valid: Collection[str]) -> str:
    """``unknown KIND "word"`` with the nearest valid one, or all of them where they are few and none is near."""
    hint = suggestion(word, valid)
    if not hint and 0 < len(valid) <= 8:
        hint = f" (valid: {', '.join(valid)})"
    return f'unknown {kind} "{word}"{hint}'


def check_key(key: str, known: Collection[str], more: Iterable[str] = ()) -> None:
    """Raise ValueProblem unless ``key`` is one of the ``known`` measures. ``more``: what else may have been meant."""
    if key in known:
        return
    hint = suggestion(key, [*known, *more])
    raise ValueProblem(f'unknown key "{key}"{hint}')


def matching_keys(
    glob: str, known: Collection[str], more: Callable[[], Collection[str]] | None = None
) -> tuple[str, ...]:
    """The keys that ``glob`` matches, in their own order. Raises ValueProblem if there is none.

    ``more``: ids of criteria, which are asked for where none of the keys is meant.
    """
    found = tuple(key for key in known if fnmatchcase(key, glob))
    if not found and more is not None:
        known = [*known, *more()]
        found = tuple(key for key in known if fnmatchcase(key, glob))
    if found:
        return found
    # "memroy.*" is nearer to "memory.*" than to any single key.
    groups = dict.fromkeys(f"{key.split('.')[0]}.*" for key in known)
    what = "no measure" if more is None else "no measure and no criterion"
    raise ValueProblem(f'"{glob}" matches {what}{suggestion(glob, [*groups, *known])}')
