"""What is there before and after: so that a cleanup says what it left, and does not only say that it was done."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from coresys.budgets.units import format_quantity
from coresys.clock import pauses
from coresys.interfaces import IResourceManager
from coresys.measure import meters
from coresys.measure.leftovers import KINDS

T = TypeVar("T")

# A grace for what is about to end: a thread that was joined is listed for a moment more.
_EACH = 0.002  # seconds
_GRACE = 25  # times


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of thing that may be left. ``take``: what is there, by identity; ``describe``: one of them, on a line.

    Identities have to keep nothing alive.
    """

    name: str
    take: Callable[[], Mapping[Any, Any]]
    describe: Callable[[Any, Any], str]


@dataclass(frozen=True, slots=True)
class Level:
    """A figure that may be ``allowed`` higher after than it was before, and no more."""

    name: str
    read: Callable[[], float]
    allowed: float = 0.0
    unit: str = "count"


_WHAT = {
    "threads": "threads.leaked",
    "descriptors": "descriptors.leaked",
    "processes": "processes.leaked",
    "tasks": "tasks.leaked",
}


def process_probes(*names: str) -> tuple[Probe, ...]:
    """Probes of this process: ``threads``, ``descriptors``, ``processes``, ``tasks``, ``mappings``; all by default."""
    unknown = sorted(set(names) - {*_WHAT, "mappings"})
    if unknown:
        raise ValueError(f"there is no probe {unknown[0]!r}: {', '.join([*_WHAT, 'mappings'])}")
    wanted = names or (*_WHAT, "mappings")
    probes = [Probe(name, KINDS[_WHAT[name]].take, KINDS[_WHAT[name]].describe) for name in wanted if name in _WHAT]
    if "mappings" in wanted:
        probes.append(Probe("mappings", _mapped_files, lambda path, count: f"{count} x {path}"))
    return tuple(probes)


def lease_probe(resources: IResourceManager, owner: str | None = None) -> Probe:
    """Buffers that are lent, of one owner or of all."""
    return Probe(
        "leases",
        lambda: {lease.number: lease for lease in resources.leases(owner)},
        lambda number, lease: (
            f"lease {number} of {lease.owner!r}, {lease.requested} bytes"
            + (f", taken at {lease.where}" if lease.where is not None else "")
        ),
    )


def memory_level(allowed: int) -> Level:
    """Bytes in use by the allocators and mappings of this process. Collects garbage for each reading."""

    def read() -> float:
        meters.collect()
        meter = meters.MemoryMeter()
        try:
            return meter.read().in_use
        finally:
            meter.close()

    return Level("memory", read, allowed, "B")


def _mapped_files() -> dict[Hashable, int]:
    """Shared memory and the like: mappings of files that can be written, by path, with how many there are."""
    found: dict[Hashable, int] = {}
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.rstrip("\n").split(maxsplit=5)
            if len(fields) == 6 and "w" in fields[1] and "s" in fields[1]:
                found[fields[5]] = found.get(fields[5], 0) + 1
    return found


class Baseline:
    """What was there at one time. What could not be looked for, then or later, is in ``unmeasured`` with the reason."""

    def __init__(self, probes: Iterable[Probe | Level] = ()) -> None:
        self.unmeasured: dict[str, str] = {}
        self._before: list[tuple[Probe, set[Any]]] = []
        self._levels: list[tuple[Level, float]] = []
        for probe in probes:
            if isinstance(probe, Probe):
                found = self._look(probe.name, probe.take)
                if found is not None:
                    self._before.append((probe, set(found)))
            else:
                figure = self._look(probe.name, probe.read)
                if figure is not None:
                    self._levels.append((probe, figure))

    def _look(self, name: str, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except Exception as error:  # a stranger's, or the system does not tell
            self.unmeasured[name] = f"{type(error).__name__}: {error}"
            return None

    def left(self) -> tuple[str, ...]:
        """What is there now and was not then, a line each, after the moment that what ends by itself needs."""
        things = self._things()
        for _ in pauses(0.0, _EACH, least=_GRACE):
            if not things:
                break
            things = self._things()
        return (*things, *self._figures())

    def _things(self) -> list[str]:
        lines = []
        for probe, before in self._before:
            for identity, thing in (self._look(probe.name, probe.take) or {}).items():
                if identity not in before:
                    lines.append(f"{probe.name}: {_described(probe, identity, thing)}")
        return lines

    def _figures(self) -> list[str]:
        lines = []
        for level, was in self._levels:
            now = self._look(level.name, level.read)
            if now is not None and now - was > level.allowed:
                more, most = (format_quantity(figure, level.unit) for figure in (now - was, level.allowed))
                lines.append(f"{level.name}: {more} more than before, {most} allowed")
        return lines


def _described(probe: Probe, identity: Any, thing: Any) -> str:
    try:
        return probe.describe(identity, thing)
    except Exception as error:  # it ended while it was being described, or its repr is a stranger's
        return f"{identity!r} ({type(error).__name__} while it was described)"


__all__ = ["Baseline", "Level", "Probe", "lease_probe", "memory_level", "process_probes"]
