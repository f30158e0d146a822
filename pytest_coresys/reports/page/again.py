"""The commands of the page: what to type, in the root of the run, to see the same again. Pure.

A command is a pair, tests and options: the page keeps the words of an option together where it breaks a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coresys.budgets.wording import printable
from pytest_coresys.reports.again import Places, options_of, places_of

Command = tuple[str, str]

_MOST_IDS = 8  # more of them are no command that anybody reads: their files are
_MOST_LENGTH = 2_000  # characters, of ids or files; beyond that their folders
_RUNNER = "python -m pytest"


class Again:
    """Makes commands for the tests of one run, with the options that made it what it was."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.places = places_of(run)
        self.options = options_of(run)
        self.strict = options_of(run, profile="strict")
        self.is_settled = run["run"].get("effort", {}).get("share", 0.0) is None
        """Whether each test was repeated for as long as it takes, so that doing so shows nothing new."""

    def __call__(self, nodeids: Iterable[str], *, strict: bool = False) -> Command | None:
        """The command for these tests; None for none. ``strict`` repeats them for as long as it takes."""
        what = words_of(list(dict.fromkeys(nodeids)), self.places)
        options = self.strict if strict else self.options
        return (f"{_RUNNER} {what}", f"--coresys-budget{options}") if what else None

    def text(self, nodeids: Iterable[str], *, strict: bool = False) -> str:
        """The same on one line."""
        return " ".join(self(nodeids, strict=strict) or ())


def words_of(nodeids: Sequence[str], places: Places | None = None) -> str:
    """Tests as words of a command line: their ids; the files of very many, or of those whose ids cannot be typed.

    Of ``--pyargs``, in place of folders: what it was asked for.
    """
    places = places or Places()
    ids = list(dict.fromkeys(map(_typed, places.called(nodeids))))
    if len(ids) <= _MOST_IDS and len(found := _joined(ids, places)) <= _MOST_LENGTH:
        return found
    files = list(dict.fromkeys(each.partition("::")[0] for each in ids))
    if len(found := _joined(files, places)) <= _MOST_LENGTH:
        return found
    return _joined((each.partition("/")[0] or each for each in places.whole(files)), places)


def _typed(name: str) -> str:
    """The name, or as much of it as a page can show as it is: of what is shown as an escape, the file."""
    return name if name == printable(name, ascii_only=False) else name.partition("::")[0]


def _joined(names: Iterable[str], places: Places) -> str:
    return " ".join(places.quoted(names))
