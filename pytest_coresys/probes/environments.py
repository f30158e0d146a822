"""What is measured of the environments that tests have: told by the fixtures, when they close one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coresys import Finding, Location, Reading
from pytest_coresys.probes.base import Probe

_NONE = "the test opened no environment of coresys"


@dataclass(frozen=True, slots=True)
class Closed:
    """An environment that was closed. ``left``: a line for each thing that was left in it, ``places`` where those come
    from; ``external``: the largest share of free bytes of its pools that were of no use to a request that was refused;
    ``most``: the component that held most at once, and how many bytes; None where none held any."""

    name: str
    left: tuple[str, ...] = ()
    places: tuple[Location, ...] = ()
    external: float = 0.0
    most: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class OfWider:
    """What was left in an environment of a wider fixture, and where it is read what that is held to."""

    finding: Finding
    path: str
    marks: tuple[Any, ...] = ()


@dataclass
class Environments:
    """Of one process: what was told since the test that runs began.

    ``takes``: whether the test that was begun last is one that a finding can be told of, where it left something. A
    repetition of it begins no test: what that leaves is nobody's, and nothing of it is kept.
    """

    observe: bool = False  # then what is left is an error too, as without a measuring run
    takes: bool = False
    goes_on: bool = False
    test: str = ""  # its id
    closed: list[Closed] = field(default_factory=list)
    _of_wider: list[OfWider] = field(default_factory=list)

    def begin(self, test: str, *, takes: bool) -> None:
        """A test begins."""
        self.test, self.takes, self.goes_on = test, takes, True
        self.closed.clear()

    def end(self) -> None:
        """It is over."""
        self.goes_on = False

    def told(self, closed: Closed) -> bool:
        """An environment of the test that runs was closed; whether what it left is told as a finding."""
        if self.goes_on:
            self.closed.append(closed)
        return self.takes and not self.observe

    def told_of_wider(
        self, fixture: str, site: tuple[str, int], first: str, closed: Closed, *, within: str, marks: tuple[Any, ...]
    ) -> bool:
        """One of a wider fixture was closed, which stands at ``site``, and was set up for the test ``first``.

        What it left is a finding of the run, held to the budgets of the file, or folder, that it is for, ``within``
        (of a session's: of the file that it stands in), and to the ``marks`` of that. Returns whether it is told so.
        """
        path, line = site
        if closed.left:
            summary = f"{Left.key}: {len(closed.left)} left in its environment"
            finding = Finding(
                Left.key,
                "error",
                summary,
                details=closed.left,
                locations=closed.places,
                owner=f"fixture {fixture} ({path}:{line})",
                tests=(first,),
            )
            self._of_wider.append(OfWider(finding, within or path, marks))
        return not self.observe

    def of_wider(self) -> list[OfWider]:
        """Findings of wider fixtures since the last call."""
        found, self._of_wider = self._of_wider, []
        return found

    def probes(self) -> list[Probe]:
        """One for each key."""
        return [Left(self), External(self), MostHeld(self)]


class _OfEnvironments:
    key: str
    unit: str

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    def start(self) -> None:
        """Nothing is read before: the session tells when a test begins."""

    def stop(self) -> Reading:
        closed = list(self._environments.closed)
        return self._read(closed) if closed else Reading(None, _NONE)

    def _read(self, closed: list[Closed]) -> Reading:
        raise NotImplementedError


class Left(_OfEnvironments):
    """What was left in the environments of the test."""

    key = "environment.left"
    unit = "count"

    def _read(self, closed: list[Closed]) -> Reading:
        left = tuple(line for each in closed for line in each.left)
        places = tuple(dict.fromkeys(place for each in closed for place in each.places))
        return Reading(float(len(left)), details=left, where=places)


class External(_OfEnvironments):
    """External fragmentation of the pools that the test used."""

    key = "pools.fragmentation"
    unit = "ratio"

    def _read(self, closed: list[Closed]) -> Reading:
        return Reading(max(each.external for each in closed))


class MostHeld(_OfEnvironments):
    """Most bytes of buffers that one component held at once."""

    key = "pools.component"
    unit = "B"

    def _read(self, closed: list[Closed]) -> Reading:
        owner, most = max(
            (each.most for each in closed if each.most is not None), key=lambda each: each[1], default=("", 0)
        )
        return Reading(float(most), details=(f"component {owner!r}",) if most else ())


__all__ = ["Closed", "Environments"]
