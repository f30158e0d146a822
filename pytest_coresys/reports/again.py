"""Commands that show something again, to be copied into a shell. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coresys.budgets.wording import quoted
from pytest_coresys.pyargs import is_part

MOST = 3
"""Names in a command, beyond which it names what they are part of."""
_OPTION = "--coresys-criteria"


class Places:
    """What to call tests by in a command: their ids, or, where no path leads to their file, its name for ``--pyargs``.

    ``tests`` are records, of which some may have a ``module``; ``asked`` is what the run was asked for by such names.
    """

    def __init__(self, tests: Iterable[Mapping[str, Any]] = (), asked: Sequence[str] = ()) -> None:
        self._asked = asked
        self._modules: dict[str, dict[str, None]] = {}  # of a test, and of what is said to be its file
        for test in tests:
            if module := test.get("module"):
                for name in (test["nodeid"], _file(test["nodeid"])):
                    self._modules.setdefault(name, {})[module] = None
        self._dotted = {each for modules in self._modules.values() for each in modules if "/" not in each}

    def called(self, nodeids: Iterable[str]) -> list[str]:
        """The tests as they are called. Several may have one id, and each is named."""
        return list(dict.fromkeys(name for nodeid in nodeids for name in self._called(nodeid)))

    def _called(self, nodeid: str) -> list[str]:
        if not self._modules:
            return [nodeid]
        file, mark, rest = nodeid.partition("::")
        modules = self._modules.get(nodeid) or self._modules.get(file, {})
        if nodeid not in self._modules and len(modules) != 1:  # one that did not run: which file is meant?
            return [nodeid]
        return [f"{module}{mark}{rest}" for module in modules]

    def is_path(self, nodeid: str) -> bool:
        """Whether it is called by its id, which begins with a path from the root of the run."""
        return self._called(nodeid) == [nodeid]

    def is_dotted(self, name: str) -> bool:
        """Whether a name that a test, or its file, is called by is one for ``--pyargs``."""
        return _file(name) in self._dotted or name in self._asked

    def quoted(self, names: Iterable[str]) -> list[str]:
        """Names as words of a command line; paths may stand beside dotted names."""
        found = list(dict.fromkeys(names))
        return ["--pyargs"] * any(map(self.is_dotted, found)) + [quoted(each) for each in found]

    def whole(self, files: Iterable[str]) -> list[str]:
        """The files, and in place of dotted names what the run was asked for that they are part of, if it was."""
        return list(dict.fromkeys(self._whole(each) if self.is_dotted(each) else each for each in files))

    def _whole(self, module: str) -> str:
        return next((name for name in self._asked if is_part(module, name)), module)


def places_of(run: Mapping[str, Any]) -> Places:
    """What to call the tests of a run by."""
    return Places(run["tests"], run["run"].get("pyargs", ()))


_BY_ID = Places()


def names_for_commands(nodeids: Sequence[str], most: int = MOST, places: Places = _BY_ID) -> list[str]:
    """The tests, quoted for a shell, as they are called from the folder that their ids are relative to.

    Where they are more than ``most``, the functions that they are cases of; else the files; else nothing, which is the
    whole suite, or what ``--pyargs`` asked for: a command is never shortened to some of the tests, which would show
    something else.
    """
    names = places.called(nodeids)
    found = names
    for part in (str, _function, _file):
        found = list(dict.fromkeys(map(part, names)))
        if len(found) <= most:
            return places.quoted(found)
    return places.quoted(places.whole(found)) if names != list(dict.fromkeys(nodeids)) else []


def words_of_test(test: Mapping[str, Any]) -> list[str]:
    """One test, by its record, as words of a command line."""
    return names_for_commands([test["nodeid"]], places=Places([test]))


def of_tests(
    run: Mapping[str, Any], nodeids: Sequence[str], runner: str = "pytest", *, profile: str | None = None
) -> str:
    """The command that runs these tests, and judges them as this run did, or by another ``profile``."""
    names = names_for_commands(nodeids, places=places_of(run))
    return " ".join([runner, *names, f"--coresys-budget{options_of(run, profile=profile)}"])


def of_criterion(run: Mapping[str, Any], criterion: Mapping[str, Any], runner: str = "pytest") -> str:
    """The command that runs what is evidence for a criterion, and judges it as this run did.

    The file of the criteria is called as who started the run called it: its tests are, too.
    """
    facts = run["run"].get("criteria", {})
    options = options_of(run, criteria=facts["file"] if facts.get("origin") == _OPTION else None)
    names = names_for_commands(criterion["evidence"], places=places_of(run))
    return " ".join([runner, *names, f"--coresys-budget{options}"])


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
