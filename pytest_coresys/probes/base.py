"""What a probe is, and how several of them are run so that a broken one neither breaks the run nor passes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from coresys import Reading
from pytest_coresys.strangers import StrangerError, ask


class Probe(Protocol):
    """Measures one thing of one test at a time. Numbers only: it must keep nothing of the test alive."""

    key: str
    unit: str

    def start(self) -> None:
        """Called before the setup of a test."""

    def stop(self) -> Reading | float | None:
        """Called after its teardown: the figure in the probe's unit; None or a Reading without value: not measured."""


class ProbeSet:
    """Starts probes in order and stops them in reverse. A probe that raises is dropped for the rest of the run.

    Every call of ``start`` is followed by one of ``stop``, which has an answer for each key that was asked for.
    """

    def __init__(self, probes: Sequence[Probe], complain: Callable[[str], None]) -> None:
        self._probes = {probe.key: probe for probe in probes}
        self._complain = complain
        self._running: list[Probe] = []
        self._failed: dict[str, str] = {}
        self.broken: dict[str, str] = {}

    def start(self, keys: Collection[str]) -> None:
        """Start the probes of these keys."""
        self._running = []
        self._failed = {key: why for key, why in self.broken.items() if key in keys}
        for key, probe in self._probes.items():
            if key in keys and key not in self.broken:
                try:
                    ask(probe.start)
                except StrangerError as error:
                    self._drop(key, "start", error)
                else:
                    self._running.append(probe)

    def stop(self) -> dict[str, Reading]:
        """Stop what was started, and give a reading for every key asked for."""
        readings = {}
        while self._running:
            probe = self._running.pop()
            try:
                readings[probe.key] = as_reading(ask(probe.stop))
            except (StrangerError, TypeError, ValueError) as error:
                self._drop(probe.key, "stop", error)
        readings.update({key: Reading(None, why) for key, why in self._failed.items()})
        self._failed = {}
        return readings

    def _drop(self, key: str, when: str, error: Exception) -> None:
        what = str(error) if isinstance(error, StrangerError) else f"{type(error).__name__}: {error}"
        why = f"its probe broke in {when}: {what}"
        self.broken[key] = self._failed[key] = why
        self._complain(f"{key} is not measured from here on: {why}")


def as_reading(value: object) -> Reading:
    """What a probe returned, as a Reading. Raises TypeError or ValueError for what is no figure."""
    if isinstance(value, Reading):
        if type(value.value) is float and math.isfinite(value.value):
            return value
        return value if value.value is None else Reading(_figure(value.value), value.why, value.details, value.where)
    if value is None:
        return Reading(None, "the probe had no reading")
    return Reading(_figure(value))


def _figure(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"stop() returned {type(value).__name__}, not a number, a Reading or None")
    if not math.isfinite(value):
        raise ValueError(f"stop() returned {value}")
    return float(value)
