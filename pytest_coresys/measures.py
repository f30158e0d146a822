"""The measures: one row each, with unit, default budget and help. CONTRACT: the key names one thing everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MEASURES_DOC = "docs/measures.md"

# What a verdict rests on. "growth": what each repetition leaves behind; the first run is a hint at most.
# "repetition": a figure of single repetitions, the least of which must exceed the limit. "run": the first run, the
# record, of which durations and settings are facts that a repetition could not confirm. "confirmed": the first run;
# where that is over, the least of it and a few repetitions, which must be over too. "soak": the process over
# many rounds, of no single test: not in force outside of a soak.
Basis = Literal["growth", "repetition", "run", "confirmed", "soak"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that can be measured and given a budget.

    ``unit`` is "B", "s", "ratio" or "count"; ``default`` is the limit in that unit (None: off by default).
    """

    key: str
    unit: str
    default: float | None
    level: str
    help: str
    basis: Basis = "run"


MEASURES: dict[str, Measure] = {
    m.key: m
    for m in (
        Measure("memory.growth", "B", 0.0, "error", "bytes in use kept by each repetition of the test", "growth"),
        Measure(
            "memory.growth_rate",
            "B/h",
            1024.0 * 1024.0,
            "error",
            "bytes in use that the process keeps in an hour of rounds, with --coresys-soak",
            "soak",
        ),
        Measure("memory.peak", "B", None, "off", "most memory in use above the start of the test", "repetition"),
        Measure(
            "memory.fragmentation",
            "ratio",
            0.05,
            "error",
            "bytes stranded by the test over bytes in use at its end",
            "repetition",
        ),
        Measure("threads.leaked", "count", 0.0, "error", "threads left behind by each repetition", "growth"),
        Measure("descriptors.leaked", "count", 0.0, "error", "files and sockets left open by each one", "growth"),
        Measure("processes.leaked", "count", 0.0, "error", "child processes left behind by each one", "growth"),
        Measure("tasks.leaked", "count", 0.0, "error", "asyncio tasks left pending by each repetition", "growth"),
        Measure("threads.peak", "count", None, "off", "most threads at once", "repetition"),
        Measure("loop.blocked", "s", None, "off", "longest time an asyncio event loop was kept from running"),
        Measure("globals.changed", "count", 0.0, "warn", "process-wide settings left other than found"),
        Measure(
            "environment.left", "count", 0.0, "error", "what a test left in its environment of the coresys fixture"
        ),
        Measure("pools.fragmentation", "ratio", 0.05, "error", "free bytes of its buffer pools that were of no use"),
        Measure("pools.component", "B", 500 * 1024.0, "error", "most bytes held by one component of its environment"),
        Measure(
            "locks.contention",
            "ratio",
            0.05,
            "error",
            "time lost by waiting for a lock over the active time of the threads that took it",
            "confirmed",
        ),
        Measure("locks.wait", "s", None, "off", "longest single wait for a lock", "confirmed"),
        Measure("locks.deadlocks", "count", 0.0, "error", "deadlocks that happened, and were broken"),
        Measure("locks.potential_deadlocks", "count", 0.0, "error", "circles in the order in which locks were taken"),
        Measure("cpu.share", "ratio", None, "off", "process CPU time over wall time"),
        Measure("time.setup", "s", None, "off", "duration of the setup phase"),
        Measure("time.call", "s", None, "off", "duration of the call phase"),
        Measure("time.teardown", "s", None, "off", "duration of the teardown phase"),
    )
}

# Of tests that have an environment (the ``coresys`` fixture, and those over it); others have nothing to measure.
OF_ENVIRONMENTS = frozenset({"environment.left", "pools.fragmentation", "pools.component"})

# What is counted exactly when the test is over, whatever became of it.
COUNTED_AT_THE_END = frozenset({"environment.left", "locks.potential_deadlocks", "locks.deadlocks"})

CONFIRMED: tuple[str, ...] = tuple(key for key, measure in MEASURES.items() if measure.basis == "confirmed")
GROWTH: tuple[str, ...] = tuple(key for key, measure in MEASURES.items() if measure.basis == "growth")
OF_SOAK: tuple[str, ...] = tuple(key for key, measure in MEASURES.items() if measure.basis == "soak")
