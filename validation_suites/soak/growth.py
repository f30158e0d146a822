"""Loads whose memory is watched over one window, each in a process of its own, all at the same time.

``python -m validation_suites.soak.growth {...}`` starts them and is over at once: whoever starts them has no process to
wait for, and the tests beside them go on. Each writes its verdict into a folder, and gives up when the process that is
``watched``, that of the run, is gone. They do little, at a low priority: a test that times something is not to notice
them.

In a soak each keeps its readings once a minute. If the run is stopped the next one has a process go on for what is left
of the window, and its readings are put behind those that are there, at their level: what is judged is how they rise.

Nothing but the standard library is imported before the processes are on their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from coresys.measure.meters import MemoryMeter
    from coresys.system_records import GrowthVerdict
    from pytest_coresys.checkpoint import Checkpoint

PLANTED = 2 * 1024 * 1024  # bytes an hour
_TICKS = 10  # a second
_READINGS, _FEWEST = 2, 120  # a second; in a window, which a short one has more often
_SAMPLING = 10.0  # a second
_ROUNDS, _SELDOM = 40, 61.0  # how often, and by how many seconds, the clock of a sampler is moved on
_GRACE = 120.0  # seconds beyond the window, in which processes start and are given the processor
_LOOK = 0.05
_SETTLE = 5.0  # seconds before the window, in which what is made once by the clock is made
_KEPT_EACH = 60.0  # seconds
_LEVEL_OF = 10  # readings: the last of those before, and the first of those behind, are at one level
_BLOCK, _HEAD, _PLACE = 64, 33, 8  # bytes: a block of the allocator's, what of it is no byte, its place in a list


class Growth(NamedTuple):
    """What was found of a load. ``problem``: why there is no verdict, where there is none."""

    verdict: str
    rate: float
    low: float
    high: float
    readings: int
    seconds: float
    why: str
    problem: str = ""
    earlier: float = 0.0  # seconds of it in a run before this one

    def line(self) -> str:
        """In words."""
        unit = 1024 * 1024
        return (
            f"{self.verdict}: {self.rate / unit:.3f} MB/h, between {self.low / unit:.3f} and {self.high / unit:.3f}, "
            f"of {self.readings} readings in {self.seconds:.0f} s{f' ({self.why})' if self.why else ''}"
            + (f", {self.earlier:.0f} s in a run before this one, which was stopped" if self.earlier else "")
        )


class Load(NamedTuple):
    """``tick`` is called ten times a second; ``end`` when the window is over. ``warm``: how often it is called before,
    without a pause, so that what is made once, or fills, is there."""

    tick: Callable[[], object]
    end: Callable[[], object]
    warm: int = 600


Subjects = Mapping[str, str]  # MODULE:FACTORY by role
Goes = Callable[[], bool] | None
Readings = tuple[list[float], list[float]]  # seconds since the window began, bytes


def made(subjects: Subjects, role: str, **offered: Any) -> Any:
    """A manager of the run's subject for a role."""
    from pytest_coresys.subjects import load_factory, make
    from validation_suites import ours

    factory = load_factory(role, subjects[role]) if role in subjects else ours.FACTORIES[role]
    return make(factory, offered)


def _ended(*managers: Any) -> None:
    for manager in managers:
        end = getattr(manager, "close", None) or getattr(manager, "shutdown", None)
        if end is not None:
            end()


# -- the loads ---------------------------------------------------------------------------------------------------------


def steady(subjects: Subjects) -> Load:
    """Something of everything: transitions, leases, tasks, errors, and monitoring that is told of them."""
    from coresys.system_records import StateDefinition

    monitoring = made(subjects, "monitoring")
    state = made(subjects, "state", monitoring=monitoring)
    errors = made(subjects, "errors", monitoring=monitoring)
    resources, threads = made(subjects, "resources"), made(subjects, "threads", workers=2)
    state.define(
        "door", StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"), ("pull", "open", "shut")))
    )
    errors.sink("nowhere", bool)
    errors.route("load", "nowhere")

    def tick() -> None:
        for event in ("push", "pull"):
            state.fire("door", event)
        with resources.lease(4096, owner="load") as view:
            view[0] = 1
        threads.submit(pow, 2, 5).result()
        try:
            raise OSError("planned")
        except OSError as error:
            errors.report(error, component="load")
        monitoring.count("ticks", component="load")
        monitoring.record("size", 4096, unit="bytes", component="load")

    tick()
    _fill_distributions(monitoring)
    return Load(tick, lambda: _ended(threads, state, errors, resources, monitoring))


def _fill_distributions(monitoring: Any) -> None:
    """A distribution has a count for each range of values: a bounded number, which takes hours of real times to be met.
    All are met here, so that what grows after that has no bound."""
    for each in monitoring.snapshot().distributions:
        value = 1e-7
        while value < 1e3:
            monitoring.record(each.name, value, unit=each.unit, component=each.component)
            value *= 1.005


def lending(subjects: Subjects) -> Load:
    """Nothing but leases and releases, of every tier and by many owners. What is not free, or too large, is not waited
    for: there may be other tiers than ours, and fewer buffers."""
    from validation_suites.resources.measures import taken_until_refused

    resources = made(subjects, "resources")
    sizes, turn = (1000, 4096, 60_000, 1 << 20), [0]

    def tick() -> None:
        leases = []
        for _ in range(20):
            turn[0] += 1
            size, owner = sizes[turn[0] % len(sizes)], f"owner {turn[0] % 7}"
            leases += taken_until_refused(resources, size, owner, most=1)
        for lease in leases:
            lease.release()

    return Load(tick, lambda: _ended(resources))


def sampling(subjects: Subjects) -> Load:
    """Nothing but the sampler, at 10 Hz. What it does once a minute, and makes when it first does, it does before the
    window: by a clock that is moved on at first."""
    from coresys.testing.clocks import MovableClock

    clock, left = MovableClock(), [_ROUNDS]
    monitoring = made(subjects, "monitoring", sampling=_SAMPLING, clock=clock)

    def tick() -> None:
        if left[0]:
            left[0] -= 1
            clock.advance(_SELDOM)

    return Load(tick, lambda: _ended(monitoring), warm=0)


def leaking(subjects: Subjects, planted: float = PLANTED) -> Load:
    """Leases, and a little that is kept each time: 2 MB an hour by the allocator's own count, by the clock, for a tick
    may come late."""
    clean = lending(subjects)
    kept: list[Any] = []
    began: list[float] = []

    def tick() -> None:
        clean.tick()
        now = time.monotonic()
        if not began:
            began.append(now)
        while len(kept) * (_BLOCK + _PLACE) < planted / 3600 * (now - began[0]):
            kept.append(bytes(_BLOCK - _HEAD))

    return Load(tick, clean.end)


LOADS: Mapping[str, Callable[[Subjects], Load]] = {
    "steady": steady,
    "lending": lending,
    "sampling": sampling,
    "leaking": leaking,
    "clean": lending,
}


# -- one of them -------------------------------------------------------------------------------------------------------


def watched(
    load: Load,
    seconds: float,
    *,
    settle: float = 0.0,
    goes_on: Goes = None,
    earlier: Readings = ([], []),
    keep: Callable[[Readings], None] | None = None,
) -> GrowthVerdict:
    """Have a load go on for so long, and judge the bytes that both allocators have in use, garbage not counted.

    All of it is done for ``settle`` seconds before, and what is read then dropped: what it makes itself is there.
    ``earlier`` are readings of the same window that a process before this one has taken; ``keep`` is given all that
    there are, once a minute.
    """
    from coresys.measure import meters
    from coresys.monitoring.growth import judge_growth
    from validation_suites.memory import quick_collections

    left = seconds - (earlier[0][-1] if earlier[0] else 0.0)
    meter = meters.MemoryMeter()
    for _ in range(load.warm):
        load.tick()

    def keep_all(later: Readings) -> None:
        if keep is not None:
            keep(joined(earlier, later))

    with quick_collections():
        keep_all(([], []))  # what keeping makes itself is there, too
        _readings(load, settle, meter, goes_on)
        later = _readings(load, left, meter, goes_on, keep_all)
    keep_all(later)
    meter.close()
    load.end()
    return judge_growth(*joined(earlier, later))


def joined(earlier: Readings, later: Readings) -> Readings:
    """Readings of one window that two processes have taken, one after the other.

    Where the second one begins is put where the first one ended, for what it has from its start is no growth. What
    grows within ten readings at that place is not seen; nothing is made up.
    """
    if len(earlier[0]) < _LEVEL_OF:
        return later
    if len(later[0]) < _LEVEL_OF:
        return earlier
    rise = median(earlier[1][-_LEVEL_OF:]) - median(later[1][:_LEVEL_OF])
    began = earlier[0][-1] + later[0][1] - later[0][0]
    return [*earlier[0], *(began + at for at in later[0])], [*earlier[1], *(value + rise for value in later[1])]


def _readings(
    load: Load, seconds: float, meter: MemoryMeter, goes_on: Goes, keep: Callable[[Readings], None] | None = None
) -> Readings:
    """Times and bytes. Where this process had to wait for a processor, no reading is made up for."""
    from array import array

    from coresys.measure import meters

    pause = min(1 / _READINGS, seconds / _FEWEST)
    most = _FEWEST + int(seconds * _READINGS)
    times, values = array("d", bytes(8 * most)), array("d", bytes(8 * most))  # made before: they must not grow
    began, at, kept = time.monotonic(), 0, 0.0
    while at < most and (now := time.monotonic() - began) < seconds and (goes_on is None or goes_on()):
        meters.collect()
        memory = meter.read()
        times[at], values[at] = now, memory.pymalloc + memory.malloc
        at += 1
        if keep is not None and now - kept >= _KEPT_EACH:
            kept = now
            keep((list(times[:at]), list(values[:at])))
        _go_on_until(began + (now // pause + 1) * pause, load)
    return list(times[:at]), list(values[:at])


def _go_on_until(until: float, load: Load) -> None:
    while (left := until - time.monotonic()) > 0:
        load.tick()
        time.sleep(min(left, 1 / _TICKS))


def measure(
    name: str, seconds: float, subjects: Subjects, goes_on: Goes = None, checkpoint: Checkpoint | None = None
) -> Growth:
    """What is found of one load, in this process; a problem where it cannot go on."""
    found = checkpoint.load()[0] if checkpoint is not None else None
    earlier: Readings = (found["times"], found["values"]) if found is not None else ([], [])
    try:
        verdict = watched(
            LOADS[name](subjects),
            seconds,
            settle=min(_SETTLE, seconds / 10),
            goes_on=goes_on,
            earlier=earlier,
            keep=None if checkpoint is None else partial(_keep, checkpoint),
        )
    except Exception as error:  # a stranger's subject, or a system that has no such counters
        return Growth("unclear", 0.0, 0.0, 0.0, 0, 0.0, "", f"{type(error).__name__}: {error}")
    return Growth(
        verdict.verdict,
        verdict.rate,
        verdict.low,
        verdict.high,
        verdict.readings,
        verdict.seconds,
        verdict.why,
        earlier=earlier[0][-1] if earlier[0] else 0.0,
    )


def _keep(checkpoint: Checkpoint, readings: Readings) -> None:
    from pytest_coresys.reports.runfile import OutputError

    with suppress(OutputError):  # told by the tests that keep something themselves
        checkpoint.save({"times": readings[0], "values": readings[1]})


def _alone(name: str, given: Mapping[str, Any]) -> None:
    """In a process of its own: measure, and leave the verdict where others find it, whole."""
    from validation_suites.keeping import checkpoint_of
    from validation_suites.memory import is_running

    os.nice(15)
    signal.alarm(int(given["seconds"] + 2 * _GRACE) + 1)  # a subject that hangs is not to be there for ever
    folder, root = Path(given["folder"]), given["root"]
    kept = None if root is None else checkpoint_of(Path(root), given["state"], f"growth of {name}")
    found = measure(name, given["seconds"], given["subjects"], lambda: is_running(given["watched"]), kept)
    draft = folder / f"{name}.draft"
    draft.write_text(json.dumps(found._asdict()), encoding="utf-8")
    draft.rename(folder / f"{name}.json")


def main(arguments: list[str]) -> None:
    """Start them, and leave them to themselves."""
    given = json.loads(arguments[0])
    for name in given["loads"]:
        if os.fork():
            continue
        try:
            _alone(name, given)
        finally:
            os._exit(0)


# -- all of them, from a run -------------------------------------------------------------------------------------------


class Window:
    """One window of a run, which several processes of it share: whoever comes first starts the loads."""

    def __init__(self, folder: Path, seconds: float, *, root: Path | None = None, state: str = "") -> None:
        """``root`` and ``state`` are for a soak: where its readings are kept, and of which code they are."""
        self.folder, self.seconds = folder, seconds
        self._root, self._state = root, state

    def start(self, loads: Iterable[str], subjects: Subjects, watched: int) -> bool:
        """Start them; false where another process of the run has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(self.folder / "started", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        given = {
            "folder": str(self.folder),
            "seconds": self.seconds,
            "watched": watched,
            "loads": list(loads),
            "subjects": dict(subjects),
            "root": None if self._root is None else str(self._root),
            "state": self._state,
        }
        subprocess.run(
            [sys.executable, "-m", "validation_suites.soak.growth", json.dumps(given)],
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return True

    def wait(self, load: str) -> Growth:
        """The verdict on a load, when the window is over."""
        path = self.folder / f"{load}.json"
        until = time.monotonic() + self.seconds + _GRACE
        while not path.exists():
            if time.monotonic() > until:
                return Growth("unclear", 0.0, 0.0, 0.0, 0, 0.0, "", f"its process told nothing in {_GRACE:.0f} s more")
            time.sleep(_LOOK)
        return Growth(**json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(sys.argv[1:])
