"""Asking what may answer anything: a subject that raises what it should not has a fault, and ends no suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pytest_coresys.criteria.recorder import CriteriaRecorder

T = TypeVar("T")
_MOST_TOLD = 3


def faults_of(measure: Callable[..., list[str]], *args: Any, **kwargs: Any) -> list[str]:
    """What a measuring function found; an error that it did not expect is a fault too, in words."""
    try:
        return measure(*args, **kwargs)
    except Exception as error:  # of whatever kind: the subject is a stranger's
        return [in_words(measure, error)]


def answer_of(measure: Callable[..., T], *args: Any, **kwargs: Any) -> tuple[T | None, str]:
    """What it returned, and nothing; or None, and why it could not go on."""
    try:
        return measure(*args, **kwargs), ""
    except Exception as error:  # as above
        return None, in_words(measure, error)


def in_words(measure: Callable[..., object], error: BaseException) -> str:
    """Which measuring function an error has ended, and the error."""
    name = str(getattr(getattr(measure, "func", measure), "__name__", measure)).replace("_", " ")
    return f"{name}: could not go on for {type(error).__name__}: {error}"


def told(faults: list[str]) -> str:
    """The first few, on a line."""
    more = len(faults) - _MOST_TOLD
    return "; ".join(faults[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def record_faults(criteria: CriteriaRecorder, identity: str, faults: list[str]) -> None:
    """Record how many there are, 0 too, with the first of them in words."""
    criteria.record(identity, len(faults), told(faults))


def time_it(
    criteria: CriteriaRecorder,
    identity: str,
    make: Callable[[], Callable[[], float]],
    beside: Callable[[], object],
    calls: int,
) -> None:
    """Have the operation that ``make`` makes timed, after one call that is not. Where the subject cannot do it the
    criterion is not measured, and why not is told."""

    def prepared() -> Callable[[], float]:
        operation = make()
        operation()
        return operation

    operation, problem = answer_of(prepared)
    if operation is None:
        criteria.unmeasured(identity, problem)
        return
    try:
        criteria.timed(identity, operation, beside=beside, calls=calls)
    except Exception as error:  # of the subject's: what was timed before is not recorded
        criteria.unmeasured(identity, in_words(make, error))
