"""Error managers with one fault each, as ``--coresys-subject errors=validation_suites.faults.errors:NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from typing import Any

from coresys.errors import Capture, ErrorManager
from coresys.interfaces import IMonitoringManager
from coresys.system_records import ErrorRecord


class LosesSome(ErrorManager):
    """Each seventh error does not come to its sink."""

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        super().sink(name, lambda record: None if record.number % 7 == 6 else receive(record))


class DeliversTwice(ErrorManager):
    """Each seventh error comes to its sink twice."""

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        def twice(record: ErrorRecord) -> None:
            for _ in range(2 if record.number % 7 == 6 else 1):
                receive(record)

        super().sink(name, twice)


class DropsCauses(ErrorManager):
    """What an error was raised from does not come along."""

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        super().sink(name, lambda record: receive(replace(record, causes=())))


class KnowsOnlyBases(ErrorManager):
    """Procedures of a subclass are forgotten where its base has some."""

    def policies(self, component: str, table: Any) -> None:
        kept = {
            kind: way for kind, way in table.items() if not any(issubclass(kind, o) and o is not kind for o in table)
        }
        super().policies(component, kept)


class NeverEscalates(ErrorManager):
    """The next component on a path is not asked."""

    def policies(self, component: str, table: Any) -> None:
        if component != "shop":
            super().policies(component, table)


class SaysItFailed(ErrorManager):
    """Recovers, and says that it did not."""

    def recovering(self, component: str, **options: Any) -> Any:
        inner = super().recovering(component, **options)

        class Failing:
            def call(self, function: Callable[[], object]) -> None:
                inner.call(function)
                raise RuntimeError("it did not help")

        return Failing()


class ForgetsFailures(ErrorManager):
    """Transitions that failed are not reported."""

    def report(self, error: BaseException, **given: Any) -> ErrorRecord:
        if type(error).__name__ == "TransitionFailedError":
            return ErrorRecord(0, 0.0, "", "", "", "", "")
        return super().report(error, **given)


def drops_context(context: Sequence[str] = (), values: bool = False) -> ErrorManager:
    """Context variables are read where there are none."""

    class Elsewhere(ErrorManager):
        def report(self, error: BaseException, **given: Any) -> ErrorRecord:
            return Context().run(super().report, error, **given)

    return Elsewhere(capture=Capture(context=context))


class _Pins(ErrorManager):
    def report(self, error: BaseException, **given: Any) -> ErrorRecord:
        self.__dict__.setdefault("pinned", []).append(error)
        return super().report(error, **given)


def pins(context: Sequence[str] = (), values: bool = False) -> ErrorManager:
    """Errors are kept, with all that their frames have."""
    return _Pins(capture=Capture(context=context))


class _Deaf:
    """Monitoring that misses each hundredth error, or hears it twice."""

    def __init__(self, inner: IMonitoringManager, times: int) -> None:
        self._inner, self._times = inner, times

    def error_seen(self, record: ErrorRecord) -> None:
        for _ in range(self._times if record.number % 100 == 0 else 1):
            self._inner.error_seen(record)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def misses_errors(monitoring: IMonitoringManager | None = None) -> ErrorManager:
    """Monitoring is not told of each hundredth."""
    deaf: Any = None if monitoring is None else _Deaf(monitoring, 0)
    return ErrorManager(monitoring=deaf)


def tells_twice(monitoring: IMonitoringManager | None = None) -> ErrorManager:
    """Monitoring is told of each hundredth twice."""
    deaf: Any = None if monitoring is None else _Deaf(monitoring, 2)
    return ErrorManager(monitoring=deaf)


class CountsTwice(ErrorManager):
    """What is reported again on its way is another error."""

    def report(self, error: BaseException, **given: Any) -> ErrorRecord:
        vars(error).clear()
        return super().report(error, **given)


class CountsTwiceAndTells(CountsTwice):
    """The same, with monitoring."""

    def __init__(self, monitoring: IMonitoringManager | None = None) -> None:
        super().__init__(monitoring=monitoring)


FAULTS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "errors.propagation_lost": (LosesSome, DeliversTwice, DropsCauses, CountsTwice),
    "errors.recovery_procedures_failed": (KnowsOnlyBases, NeverEscalates, SaysItFailed),
    "errors.state_handling_wrong": (ForgetsFailures, DeliversTwice),
    "errors.context_lost": (drops_context, pins),
    "errors.monitoring_missed": (misses_errors, tells_twice, CountsTwiceAndTells),
}
"""Which criterion each is over by."""
