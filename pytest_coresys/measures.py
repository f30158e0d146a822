"""The measures: one row each, with unit, default budget and help. CONTRACT: the key names one thing everywhere."""

from __future__ import annotations

from dataclasses import dataclass

MEASURES_DOC = "docs/measures.md"


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


MEASURES: dict[str, Measure] = {
    m.key: m
    for m in (
        Measure("memory.growth", "B", 0.0, "error", "bytes in use kept by each repetition of the test"),
        Measure("memory.peak", "B", None, "off", "most memory in use above the start of the test"),
        Measure("memory.fragmentation", "ratio", 0.05, "error", "bytes stranded by the test over bytes in use"),
        Measure("threads.leaked", "count", 0.0, "error", "threads left behind by each repetition"),
        Measure("descriptors.leaked", "count", 0.0, "error", "files and sockets left open by each repetition"),
        Measure("processes.leaked", "count", 0.0, "error", "child processes left behind by each repetition"),
        Measure("tasks.leaked", "count", 0.0, "error", "asyncio tasks left pending by each repetition"),
        Measure("threads.peak", "count", None, "off", "most threads at once"),
        Measure("loop.blocked", "s", None, "off", "longest time an asyncio event loop was kept from running"),
        Measure("globals.changed", "count", 0.0, "warn", "process-wide settings left other than found"),
        Measure("cpu.share", "ratio", None, "off", "process CPU time over wall time"),
        Measure("time.setup", "s", None, "off", "duration of the setup phase"),
        Measure("time.call", "s", None, "off", "duration of the call phase"),
        Measure("time.teardown", "s", None, "off", "duration of the teardown phase"),
    )
}
