"""Test managers with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from coresys.system_records import EnvironmentRecord, EnvironmentSpec
from validation_suites import ours
from validation_suites.faults.wrapping import Passing


class _Parted(Passing):
    """An environment, one manager of which is another's."""

    def __init__(self, inner: Any, **others: Any) -> None:
        super().__init__(inner)
        self.__dict__.update(others)


class SharesOne(Passing):
    """All environments have one manager in common."""

    def __init__(self, manager: str) -> None:
        super().__init__(ours.tests())
        self._manager = manager
        self._common = ours.FACTORIES[manager]()

    def environment(self, name: str) -> Any:
        """With the one that is everybody's."""
        return _Parted(self.inner.environment(name), **{self._manager: self._common})


class SaysNothingIsLeft(Passing):
    """What is left behind is not told."""

    def __init__(self) -> None:
        super().__init__(ours.tests())

    def close_environment(self, name: str) -> EnvironmentRecord:
        """With nothing left."""
        record: EnvironmentRecord = self.inner.close_environment(name)
        return replace(record, left=())


class TellsNoPlace(Passing):
    """What is left behind is told without the place where it was taken."""

    def __init__(self) -> None:
        super().__init__(ours.tests())

    def close_environment(self, name: str) -> EnvironmentRecord:
        """With the places cut off."""
        record: EnvironmentRecord = self.inner.close_environment(name)
        return replace(record, left=tuple(line.split(", taken")[0] for line in record.left))


class KeepsALittle(Passing):
    """Keeps 64 bytes of each environment: ``bytes(16)``, and its place in a list."""

    def __init__(self) -> None:
        super().__init__(ours.tests())
        self._kept: list[bytes] = []

    def open_environment(self, spec: EnvironmentSpec) -> EnvironmentRecord:
        """And keep something of it."""
        self._kept.append(bytes(bytearray(16)))
        record: EnvironmentRecord = self.inner.open_environment(spec)
        return record


def keeping(kept: list[bytes]) -> Callable[[Any], None]:
    """The body of a test that keeps ``bytes(16)``, and nothing else."""

    def body(own: Any) -> None:
        kept.append(bytes(bytearray(16)))

    return body
