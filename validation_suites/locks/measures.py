"""What is measured of the locks of a whole system. Each function returns the faults it finds, in words, or figures."""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from coresys.errors.hierarchy import LockOrderError
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec
from coresys.threads import OrderedLock
from validation_suites.running import PATIENCE, at_once, in_words
from validation_suites.state.measures import DOOR
from validation_suites.threads.racing import Lock


def unranked(name: str) -> Lock:
    """A lock of ours that has no rank, so that circles may close: of what has ranks, none can."""
    return OrderedLock(name=name)


# -- orders ----------------------------------------------------------------------------------------------------------


def inversion_faults(module: str = "validation_suites.locks.inverted") -> list[str]:
    """Locks of the interpreter's that threads took in two orders, one after the other, so that nothing hung: whether
    ``coresys.threads.watch`` names them, with the places. In a process of its own, whose locks are made under watch."""
    faults = []
    for case, found in _child(module).items():
        locks, reports = found["locks"], found["reports"]
        if len(reports) != bool(locks):
            faults.append(f"case {case}: {len(reports)} reports of {len(locks)} locks in a circle: {reports[:1]}")
        elif locks and not all(lock in reports[0] and reports[0].count(".py:") >= len(locks) for lock in locks):
            faults.append(f"case {case}: its report does not name {', '.join(locks)}: {reports[0]}")
    return faults


def _child(module: str, *arguments: str, patience: float = 60.0) -> Any:
    command = [sys.executable, "-m", module, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    if found.returncode:
        line = found.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise RuntimeError(f"{module} ended with status {found.returncode}: {line[0]}")
    return json.loads(found.stdout)


@dataclass(slots=True)
class SystemStorm:
    """What came of one: faults of the order, and how many rounds there were."""

    faults: list[str] = field(default_factory=list)
    rounds: int = 0
    refused: int = 0


def system_storm(
    system: Any,
    ranks: Sequence[str],
    seconds: float,
    *,
    threads: int = 8,
    beside: Callable[[], object] = int,
    seed: int = 0,
) -> SystemStorm:
    """Threads that use every coordinator of a system while they hold locks of it, in order, and now and then not.

    A coordinator may be called by whoever holds whatever: what is refused then is a fault, as is a wrong order that is
    let through. ``beside`` is called once in each round, as a yardstick.
    """
    both = system.coordinators
    locks = [system.threads.lock(rank, name=rank) for rank in ranks]
    for number in range(threads):
        spec = ComponentSpec(f"part-{number}")
        both.component.register(spec, start=lambda: None, stop=lambda: None)
        both.component.state.define(f"door-{number}", DOOR)
    ended = time.monotonic() + seconds
    faults: Counter[str] = Counter()
    rounds, refused = [0] * threads, [0] * threads

    def call(number: int, turn: int) -> None:
        part = f"part-{number}"
        what = turn % 6
        if what == 0:
            both.component.start(part)
            both.component.stop(part)
        elif what == 1:
            both.component.state.fire(f"door-{number}", "push")
            both.component.state.fire(f"door-{number}", "pull")
        elif what == 2:
            with both.component.resources.lease(4096, owner=part):
                both.component.left(part)
        elif what == 3:
            both.monitoring.observe()
            both.monitoring.report()
        elif what == 4:
            both.testing.open(EnvironmentSpec(f"test-{number}"))
            both.testing.close(f"test-{number}")
        else:
            both.cleanup.add(CleanupStep(f"step-{number}-{turn}", channel=part), list)
            both.cleanup.run(channel=part)

    def work(number: int) -> None:
        dice, turn = random.Random(seed + number), number
        while time.monotonic() < ended and sum(faults.values()) < 20:
            turn += 1
            rounds[number] += 1
            beside()
            at = sorted(dice.sample(range(len(locks)), min(dice.randint(0, 2), len(locks))))
            try:
                _nested([locks[each] for each in at], partial(call, number, turn))
            except Exception as error:
                faults[f"in order, {in_words(error)}"] += 1
            if len(at) == 2:
                try:
                    _nested([locks[each] for each in reversed(at)], lambda: None)
                except LockOrderError:
                    refused[number] += 1
                else:
                    faults[f"{ranks[at[0]]} under {ranks[at[1]]} was let through"] += 1

    told = at_once((partial(work, number) for number in range(threads)), seconds + PATIENCE, every=None)
    told += [f"{what}, {times} times" for what, times in faults.items()]
    return SystemStorm(told, sum(rounds), sum(refused))


def _nested(locks: Sequence[Lock], call: Callable[[], object]) -> None:
    if not locks:
        call()
        return
    with locks[0]:
        _nested(locks[1:], call)


# -- the code --------------------------------------------------------------------------------------------------------

_RAW_LOCKS = frozenset({"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "allocate_lock"})


def raw_locks(paths: Iterable[Path]) -> list[str]:
    """Where these files make a lock of the interpreter's, which has no rank: file and line of each."""
    return [f"{path.name}:{line} makes a raw {name}" for path in paths for line, name in _made(path)]


def _made(path: Path) -> Iterable[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("threading", "_thread"):
            names.update({each.asname or each.name: each.name for each in node.names if each.name in _RAW_LOCKS})
        elif isinstance(node, ast.Import):
            modules.update(each.asname or each.name for each in node.names if each.name in ("threading", "_thread"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            yield node.lineno, names[node.id]
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in _RAW_LOCKS
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        ):
            yield node.lineno, node.attr


# -- critical sections -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holds:
    """How long one lock was held, in seconds: of so many times, some that stand for all."""

    where: str
    count: int
    seconds: tuple[float, ...]

    @property
    def p99(self) -> float:
        """The 99th of a hundred."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]


def critical_sections(seconds: float = 1.5, module: str = "validation_suites.locks.holds") -> list[Holds]:
    """How long each lock of coresys' own is held in a storm of its whole system: of those that were taken a hundred
    times. ``raw`` is one that nothing is done under. In a process of its own, which times all locks of coresys."""
    return [Holds(where, count, tuple(samples)) for where, count, samples in _child(module, str(seconds))]


def worst(holds: Iterable[Holds]) -> Holds:
    """The one that is held longest, but for the raw one."""
    return max((each for each in holds if each.where != "raw"), key=lambda each: each.p99)
