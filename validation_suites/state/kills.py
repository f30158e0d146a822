"""What kill -9 leaves of a state manager's store, and how soon it is up again. Needs ``fork``."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.subjects import close
from validation_suites.keeping import Kept
from validation_suites.running import environment, in_words, name_of
from validation_suites.state.child import PAIR, SINGLE, reopen
from validation_suites.state.measures import FLIP, history_faults

CAN_FORK = hasattr(os, "fork")


class Killed:
    """The process that forks others and kills them: see ``child``. A context manager."""

    def __init__(self, factory: Callable[..., Any]) -> None:
        name = name_of(factory)
        self._factory = factory
        self._process = subprocess.Popen(
            [sys.executable, "-m", "validation_suites.state.child", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def ask(self, do: str, options: Mapping[str, Any], *, until: str = "ready", after: float = 0.0) -> dict[str, Any]:
        """Have something done, and killed ``after`` seconds after it told the word ``until``."""
        given, found = self._process.stdin, self._process.stdout
        assert given is not None
        assert found is not None
        given.write(json.dumps({"do": do, "options": dict(options), "until": until, "after": after}) + "\n")
        given.flush()
        line = found.readline()
        if not line:
            raise CoreSysError("the process that kills others has ended itself")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Killed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()


@dataclass(slots=True)
class Storms:
    """What came of storms that were killed: faults in words of what was lost, and of what was left inconsistent."""

    lost: list[str] = field(default_factory=list)
    inconsistent: list[str] = field(default_factory=list)
    acknowledged: int = 0
    kills: int = 0


def killed_in_pieces(
    factory: Callable[..., Any], options: Mapping[str, Any], kills: int, longest: float, *, kept: Kept, each: int
) -> Storms:
    """As ``killed_storms``, a store for every ``each`` kills; what of them is kept is not done again."""

    def piece(before: float, number: float) -> Storms:
        folder = Path(options["path"]) / f"{before:g}"
        folder.mkdir()
        mine = {**options, "path": str(folder)}
        return killed_storms(factory, mine, int(number), seed=7 + int(before), longest=longest)

    seen = Storms()
    kept.in_pieces(seen, f"{options.get('durability', 'its own')} durability", kills, each, piece)
    return seen


def killed_storms(
    factory: Callable[..., Any], options: Mapping[str, Any], kills: int, *, seed: int = 7, longest: float = 0.02
) -> Storms:
    """Storms in ``options['path']``, each killed at a random moment; one in ten while it opens the store."""
    dice = random.Random(seed)
    seen = Storms()
    last: dict[str, int] = {}
    with Killed(factory) as killed:
        for number in range(kills):
            until = "" if number % 10 == 9 else "ready"
            answer = killed.ask("storm", options, until=until, after=dice.uniform(0, longest))
            seen.lost += [f"kill {number}: {problem}" for problem in answer["problems"]]
            told = {name: value for name, value in answer["told"].items() if name != "ready"}
            seen.acknowledged += sum(max(value - last.get(name, 0), 0) for name, value in told.items())
            last.update(told)
            seen.kills += 1
            try:
                manager = reopen(factory, options)
            except Exception as error:
                fault = f"kill {number}: the store could not be opened: {in_words(error)}"
                seen.lost.append(fault)
                seen.inconsistent.append(fault)
                return seen
            try:
                seen.lost += [f"kill {number}: {fault}" for fault in _lost(manager, last)]
                seen.inconsistent += [f"kill {number}: {fault}" for fault in _inconsistent(manager, last)]
            finally:
                close(manager)
    return seen


def _lost(manager: Any, told: Mapping[str, int]) -> list[str]:
    there = {name: manager.describe(name).sequence for name in manager.names()}
    return [
        f"{name}: {number} acknowledged, {there.get(name, 'no such machine')} there"
        for name, number in told.items()
        if there.get(name, -1) < number
    ]


def _inconsistent(manager: Any, told: Mapping[str, int]) -> list[str]:
    names = manager.names()
    faults = [f"there is no machine {name!r} any more" for name in told if name not in names]
    for name in (*SINGLE, *PAIR):
        if name in names:
            faults += history_faults(manager, name, FLIP, kept=100)
    if set(PAIR) <= set(names):
        left, right = (manager.describe(name) for name in PAIR)
        if (left.sequence, left.state) != (right.sequence, right.state):
            faults.append(f"half of a pair: {left.sequence} {left.state!r} and {right.sequence} {right.state!r}")
    return faults


# -- long histories --------------------------------------------------------------------------------------------------


_TAIL = 10  # transitions that are in the write-ahead log, or whatever a store has in its place, when it is killed


def build(killed: Killed, options: Mapping[str, Any], entries: int, *, ours: bool) -> None:
    """A store with one machine of so many transitions, left by kill -9. Ours is filled by SQL: a million would take
    half a minute."""
    Path(options["path"]).mkdir(parents=True, exist_ok=True)
    if ours:
        _add(killed, options, _TAIL)
        _fill(Path(options["path"]) / "state.db", entries - _TAIL)
        _add(killed, options, _TAIL)
    else:
        _add(killed, options, entries)


def _add(killed: Killed, options: Mapping[str, Any], entries: int) -> None:
    answer = killed.ask("adding", {**options, "entries": entries}, until="done")
    if answer["problems"] or "done" not in answer["told"]:
        raise CoreSysError(f"no store could be built: {'; '.join(answer['problems']) or 'it did not end'}")


def _fill(path: Path, entries: int) -> None:
    """More of the same transitions, by what SQLiteStore keeps of each."""
    import sqlite3

    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(
                "WITH RECURSIVE number(n) AS (SELECT (SELECT sequence FROM machine) + 1 "
                "UNION ALL SELECT n + 1 FROM number WHERE n < ?) "
                "INSERT INTO history SELECT 1, n, 1e9, 'go', substr('ab', 2 - n % 2, 1), substr('ab', 1 + n % 2, 1), "
                "'a cause', NULL FROM number",
                (entries,),
            )
            database.execute("UPDATE machine SET sequence = ?1, state = substr('ab', 1 + ?1 % 2, 1)", (entries,))
    finally:
        database.close()


def recovery(killed: Killed, options: Mapping[str, Any], entries: int) -> float:
    """Seconds from opening a store that a kill -9 left until all machines are ready, in a process that is new.

    Raises CoreSysError where what is there is not what was left.
    """
    answer = killed.ask("opening", options, until="done")
    told = answer["told"]
    if answer["problems"] or (told.get("machines"), told.get("m")) != (1, entries):
        raise CoreSysError(f"it was not recovered: {'; '.join(answer['problems']) or told}")
    return float(told["microseconds"]) / 1e6


def plain_recovery(killed: Killed, options: Mapping[str, Any]) -> float:
    """Seconds that a new process takes to open a small database and to read it: what the machine has to offer."""
    return float(killed.ask("plainly", options, until="done")["told"]["microseconds"]) / 1e6
