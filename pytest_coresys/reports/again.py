"""Commands that show something again, to be copied into a shell. Pure."""

from __future__ import annotations

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


def of_criterion(run: Mapping[str, Any], criterion: Mapping[str, Any], runner: str = "pytest") -> str:
    """The command that runs what is evidence for a criterion, and judges it."""
    facts = run["run"].get("criteria", {})
    words = [runner, *names_for_commands(criterion["evidence"]), "--coresys-budget"]
    if facts.get("origin") == _OPTION:
        words += [_OPTION, quoted(facts["file"])]
    return " ".join(words)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _function(nodeid: str) -> str:
    """Without the brackets of a case; there may be anything within them, but none before them in a name of Python."""
    file, colons, rest = nodeid.partition("::")
    return f"{file}{colons}{rest.partition('[')[0]}"
