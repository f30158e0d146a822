"""What is recorded of threads and locks, and of measuring functions that are given a fault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.asking import faults_of, judging
from validation_suites.conftest import Subject
from validation_suites.threads import locking, times
from validation_suites.threads.racing import NEVER, UNBOUNDED, Lock


def told(criteria: CriteriaRecorder, *identities: str) -> AbstractContextManager[None]:
    """As ``judging``; what has a figure is over: what the subject was asked for never came, or is without a bound."""
    return judging(criteria, *identities, figure=_never)


def _never(criteria: CriteriaRecorder, identity: str, why: str) -> None:
    criterion = criteria.criterion(identity)
    for _ in range(criterion.min_samples):
        criteria.record(identity, NEVER if criterion.unit == "s" else UNBOUNDED * criterion.limit, why)


def catches(
    criteria: CriteriaRecorder,
    identity: str,
    measure: Callable[[Any], Iterable[str]],
    *,
    sound: Callable[[], Any],
    faulty: Sequence[Callable[[], Any]],
) -> None:
    """Record whether a measuring function finds something in each faulty one, and nothing in a sound one."""
    found = faults_of(lambda: measure(sound()))
    criteria.check(identity, not found, f"a clean one was found to be at fault: {'; '.join(found[:3])}")
    for make in faulty:
        missed = not faults_of(lambda make=make: measure(make()))
        criteria.check(identity, not missed, f"{named(make)} was not caught")


def named(make: Callable[[], Any]) -> str:
    """What a fault is called: the first line of what is said of it."""
    words: str = make.__doc__ or getattr(make, "__name__", "") or repr(make)
    return words.splitlines()[0].rstrip(".")


def of_locks(subject: Subject, criteria: CriteriaRecorder, ranks: Sequence[str], *identities: str) -> Any:
    """A thread manager that makes locks of these ranks; None, and it is said why, where the subject makes none."""
    if subject.takes("threads", "ranks"):
        return subject("threads", ranks=tuple(ranks))
    for identity in identities:
        criteria.unmeasured(identity, "the subject's factory takes no ranks: its locks have no declared order")
    return None


def time_lock(criteria: CriteriaRecorder, identity: str, lock: Lock) -> None:
    """A free one, and one that another thread lets go, each beside a raw one."""
    raw = threading.Lock()

    def free() -> None:
        with lock:
            pass

    def a_free_raw_lock() -> None:
        with raw:
            pass

    criteria.timed(identity, free, beside=a_free_raw_lock, calls=5_000)
    own, theirs = locking.HandOff(lock), locking.HandOff(raw)  # type: ignore[arg-type]  # it is only entered
    try:

        def a_raw_lock_from_another_thread() -> float:
            return theirs()

        criteria.timed(identity, own, beside=a_raw_lock_from_another_thread, calls=300)
    finally:
        own.end()
        theirs.end()


def record_contention(criteria: CriteriaRecorder, identity: str, work: Callable[[int], object]) -> None:
    """What threads that call ``work`` lost by locks. Where that is within or beyond the limit depending on how threads
    stood in line for a processor, the machine is too busy to tell."""
    if not times.can_tell_idleness():
        criteria.unmeasured(identity, "this system does not tell how long threads waited for a processor")
        return
    found = times.contention(work)
    limit = criteria.criterion(identity).limit
    line = f"between {found.least:.2%} and {found.most:.2%} of the time is lost, and {found.reference:.2%} by threads"
    line += " that only think"
    worst = max(found.most - found.reference, 0.0)
    sure = max(found.least - found.reference, 0.0)
    if sure >= limit:
        criteria.record(identity, sure, line)
    elif worst < limit and (found.most < limit or found.reference < limit):
        criteria.record(identity, worst, line)
    else:
        criteria.unmeasured(identity, f"machine too busy: {line}")
