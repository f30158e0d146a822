"""What is measured of the environments that tests have: told by the fixtures, when they close one."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass
class Environments:
    """Of one process: what was told since the test that runs began.

    ``takes``: whether the test that was begun last is one that a finding can be told of, where it left something. A
    repetition of it begins no test: what that leaves is nobody's, and nothing of it is kept.
    """

    takes: bool = False
    goes_on: bool = False
    test: str = ""  # its id
    closed: list[Closed] = field(default_factory=list)
    _of_wider: list[tuple[str, Finding]] = field(default_factory=list)

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
        return self.takes

    def told_of_wider(self, fixture: str, path: str, line: int, first: str, closed: Closed) -> None:
        """One of a wider fixture was closed, which stands at a place, and was set up for the test ``first``.

        What it left is a finding of the run.
        """
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
            self._of_wider.append((path, finding))

    def of_wider(self) -> list[tuple[str, Finding]]:
        """Findings of wider fixtures since the last call, each with the file that the fixture is in."""
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
