"""Plain records that cross package borders: frozen, slotted, comparable, and nothing but values inside."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Location:
    """A place in source code, and what happened there."""

    path: str
    line: int
    function: str = ""
    note: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}"
        return " ".join(part for part in (place, self.function, self.note) if part)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a probe read: a figure in the probe's unit, or None and ``why`` nothing could be measured.

    ``details`` and ``where`` are shown with a finding: what was seen, and at which places. With ``each`` there are
    several findings, one for each part.
    """

    value: float | None
    why: str | None = None
    details: tuple[str, ...] = ()
    where: tuple[Location, ...] = ()
    each: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One of several things that a probe found at once, each of which is a finding of its own.

    ``locks``: the places, as "file:line", where the locks are made that it is about; for agreeing to it.
    """

    details: tuple[str, ...] = ()
    where: tuple[Location, ...] = ()
    locks: tuple[str, ...] = ()


# How those details of a finding begin that change what to try next: whoever writes such a one takes these.
GROWS_ALONG = "grows along with "
STANDS_HERE = "stands here now"  # of a thread: no place that it is from
NATIVE = "native: "


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a budget has to say: seen, limit, where, and what keeps it alive.

    ``holders`` lists chains, each from a root (global, class attribute, thread, frame) down to a survivor.
    ``owner`` is set for findings of the run, such as ``fixture pool (tests/conftest.py:9)``. ``locks``, of a finding
    about locks, are the places where those are made, as "file:line".
    """

    key: str
    level: str  # "error" | "warn" | "suspicion"
    summary: str
    details: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()
    holders: tuple[tuple[str, ...], ...] = ()
    owner: str | None = None
    tests: tuple[str, ...] = field(default=())
    locks: tuple[str, ...] = ()
