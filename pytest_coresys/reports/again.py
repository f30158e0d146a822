"""Commands that show something again, to be copied into a shell. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coresys.budgets.wording import quoted

MOST = 3
"""Names in a command, beyond which it names what they are part of."""
_OPTION = "--coresys-criteria"


def names_for_commands(nodeids: Sequence[str], most: int = MOST) -> list[str]:
    """The tests, quoted for a shell, as they are called from the folder that their ids are relative to.

    Where they are more than ``most``, the functions that they are cases of; else the files; else nothing, which is the
    whole suite: a command is never shortened to some of the tests, which would show something else.
    """
    for part in (lambda each: each, _function, _file):
        found = list(dict.fromkeys(map(part, nodeids)))
        if len(found) <= most:
            return [quoted(each) for each in found]
    return []


def of_tests(
    run: Mapping[str, Any], nodeids: Sequence[str], runner: str = "pytest", *, profile: str | None = None
) -> str:
    """The command that runs these tests, and judges them as this run did, or by another ``profile``."""
    return " ".join([runner, *names_for_commands(nodeids), f"--coresys-budget{options_of(run, profile=profile)}"])


def of_criterion(run: Mapping[str, Any], criterion: Mapping[str, Any], runner: str = "pytest") -> str:
    """The command that runs what is evidence for a criterion, and judges it as this run did.

    The file of the criteria is called as who started the run called it: its tests are, too.
    """
    facts = run["run"].get("criteria", {})
    options = options_of(run, criteria=facts["file"] if facts.get("origin") == _OPTION else None)
    return " ".join([runner, *names_for_commands(criterion["evidence"]), f"--coresys-budget{options}"])


def options_of(run: Mapping[str, Any], *, profile: str | None = None, criteria: str | None = None) -> str:
    """What a command needs beside the flag to judge as this run did, or by another ``profile``.

    Paths in it are from the root of the run; that of the criteria is ``criteria``, if given.
    """
    about = run["run"]
    profile = profile or about.get("profile", "default")
    words = [] if profile == "default" else ["--coresys-profile", profile]
    words += about.get("options", ())
    if criteria is not None:
        at = words.index(_OPTION) if _OPTION in words else len(words)
        words[at : at + 2] = [_OPTION, criteria]
    return "".join(f" {quoted_word(word)}" for word in words)


def quoted_word(word: str) -> str:
    """The word, in quotes where a shell would take it apart."""
    return word if re.fullmatch(r"[\w.:/=-]+", word, re.ASCII) else quoted(word)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _function(nodeid: str) -> str:
    """Without the brackets of a case; there may be anything within them, but none before them in a name of Python."""
    file, colons, rest = nodeid.partition("::")
    return f"{file}{colons}{rest.partition('[')[0]}"
