"""What each thread of this process costs, as the kernel counts it, and what the locks were waited for.

Linux only: elsewhere the figures are None, and the threads are listed all the same. A figure that the kernel does not
keep (``schedstat`` may be switched off) is None too, never 0.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from coresys.measure.system import System
from coresys.system_records import LockStatistics, ThreadRecord

_TASKS = Path("/proc/self/task")


def thread_records(tasks: Path = _TASKS, *, switches: bool = True) -> tuple[ThreadRecord, ...]:
    """The threads that ``threading`` knows, and those of this process that it does not (their ``ident`` is None).

    ``tasks`` is the kernel's directory of them. Reading disturbs none, and takes about 50 us for each thread; without
    its switches (then None) 10.
    """
    root = os.fspath(tasks)
    ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    records = []
    known = set()
    for thread in threading.enumerate():
        native = thread.native_id
        if thread.ident == threading.get_ident():
            native = threading.get_native_id()  # what threading notes is that of the parent, after a fork
        known.add(native)
        folder = None if native is None else f"{root}/{native}"
        records.append(_record(thread.name, thread.ident, native, thread.daemon, folder, ticks, switches))
    try:
        others = [int(each) for each in System.listdir(root)]
    except OSError:  # no such directory: another system
        others = []
    for native in sorted(others):
        if native not in known:
            folder = f"{root}/{native}"
            name = _read(f"{folder}/comm")
            if name is not None:  # else it has ended meanwhile
                records.append(_record(name.strip(), None, native, True, folder, ticks, switches))
    return tuple(records)


def contention(locks: Iterable[LockStatistics]) -> tuple[LockStatistics, ...]:
    """Those that were waited for, the longest wait in all first."""
    waited = [lock for lock in locks if lock.contended or lock.timeouts or lock.waiting]
    return tuple(sorted(waited, key=lambda lock: (-lock.waited, lock.name)))


def _record(
    name: str, ident: int | None, native: int | None, daemon: bool, folder: str | None, ticks: int, switches: bool
) -> ThreadRecord:
    cpu = queue = None
    voluntary = involuntary = None
    if folder is not None:
        cpu, queue = _schedule(_read(f"{folder}/schedstat"))
        if cpu is None:
            cpu = _processor_time(_read(f"{folder}/stat"), ticks)
        if switches:
            status = _read(f"{folder}/status")
            voluntary = _field(status, "voluntary_ctxt_switches:")
            involuntary = _field(status, "nonvoluntary_ctxt_switches:")
    return ThreadRecord(
        name=name,
        ident=ident,
        native_id=native,
        daemon=daemon,
        cpu_seconds=cpu,
        voluntary_switches=voluntary,
        involuntary_switches=involuntary,
        run_queue_seconds=queue,
    )


def _read(path: str) -> str | None:
    try:
        return System.read_file(path).decode("utf-8", "replace")
    except OSError:  # it has ended, or this is another system
        return None


def _schedule(text: str | None) -> tuple[float | None, float | None]:
    """Processor and run-queue time in seconds, from nanoseconds; both None where the kernel counts nothing."""
    try:
        running, waiting, slices = (int(part) for part in (text or "").split())
    except ValueError:
        return None, None
    return (running / 1e9, waiting / 1e9) if slices else (None, None)


def _processor_time(text: str | None, ticks: int) -> float | None:
    """User and system time in seconds, of ``stat``: a tick is 10 ms mostly, so it is the second choice."""
    try:
        # The name may hold spaces and brackets: the fields begin after the last bracket.
        fields = (text or "").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks
    except (IndexError, ValueError):
        return None


def _field(text: str | None, name: str) -> int | None:
    for line in (text or "").splitlines():
        if line.startswith(name):
            value = line[len(name) :].strip()
            return int(value) if value.isdigit() else None
    return None


__all__ = ["contention", "thread_records"]
