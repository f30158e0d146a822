"""Asking what may answer anything: a subject that raises what it should not has a fault, and ends no suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pytest_coresys.criteria.recorder import CriteriaRecorder, CriterionError
from validation_suites.running import in_words

T = TypeVar("T")
_MOST_TOLD = 5


def faults_of(measure: Callable[..., Iterable[str]], *args: Any, **kwargs: Any) -> list[str]:
    """What a measuring function found; an error that it did not expect is a fault too, in words."""
    try:
        return list(measure(*args, **kwargs))
    except Exception as error:  # of whatever kind: the subject is a stranger's
        return [_ended(measure, error)]


def answer_of(measure: Callable[..., T], *args: Any, **kwargs: Any) -> tuple[T | None, str]:
    """What it returned, and nothing; or None, and why it could not go on."""
    try:
        return measure(*args, **kwargs), ""
    except Exception as error:  # as above
        return None, _ended(measure, error)


def _ended(measure: Callable[..., object], error: BaseException) -> str:
    """Which measuring function an error has ended, if it has a name, and the error."""
    name = str(getattr(getattr(measure, "func", measure), "__name__", measure))
    whose = "" if name == "<lambda>" else f"{name.replace('_', ' ')}: "
    return f"{whose}could not go on for {in_words(error)}"


def attempt(faults: list[str], what: str, call: Callable[[], Any]) -> Any:
    """What a call returns; None, and a fault more, where it raises."""
    try:
        return call()
    except Exception as error:
        faults.append(f"{what} raised {in_words(error)}")
        return None


def told(faults: Sequence[str]) -> str:
    """The first few, on a line."""
    more = len(faults) - _MOST_TOLD
    return "; ".join(faults[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def record_faults(criteria: CriteriaRecorder, identity: str, faults: Sequence[str]) -> None:
    """Record how many there are, 0 too, or for a check whether there are any; the first of them in words."""
    if criteria.criterion(identity).statistic == "check":
        criteria.check(identity, not faults, told(faults))
    else:
        criteria.record(identity, len(faults), told(faults))


def count(criteria: CriteriaRecorder, identity: str, measure: Callable[[], Iterable[str]]) -> list[str]:
    """Record the faults that a measuring function finds; they are returned too."""
    faults = faults_of(measure)
    record_faults(criteria, identity, faults)
    return faults


@contextmanager
def judging(
    criteria: CriteriaRecorder,
    *identities: str,
    figure: Callable[[CriteriaRecorder, str, str], None] = CriteriaRecorder.unmeasured,
) -> Iterator[None]:
    """``with judging(criteria, id, ...):`` what a subject raises within is a fault of it, and no error of the suite.

    Where a fault can be counted it is one; of what has a figure, ``figure(criteria, id, why)`` says what it comes to:
    by default it was not measured.
    """
    try:
        yield
    except CriterionError:  # of the suite's own: it records what cannot be
        raise
    except Exception as error:
        why = f"the subject raised {in_words(error)}"
        for identity in identities:
            if criteria.criterion(identity).statistic in ("check", "total"):
                record_faults(criteria, identity, [why])
            else:
                figure(criteria, identity, why)


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
        criteria.unmeasured(identity, _ended(make, error))
