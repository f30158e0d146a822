"""From what measuring functions return to what is recorded: faults are counted, and told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.conftest import Subject
from validation_suites.threads import locking, times
from validation_suites.threads.racing import asked, in_words

_MOST_TOLD = 10


def count(criteria: CriteriaRecorder, identity: str, measure: Callable[[], Iterable[str]]) -> list[str]:
    """Record how many faults it finds; what the subject raises is one more."""
    faults = asked(measure)
    criteria.record(identity, len(faults))
    for fault in faults[:_MOST_TOLD]:
        criteria.note(identity, fault)
    return faults


def catches(
    criteria: CriteriaRecorder,
    identity: str,
    measure: Callable[[Any], Iterable[str]],
    *,
    sound: Callable[[], Any],
    faulty: Sequence[Callable[[], Any]],
) -> None:
    """Record whether a measuring function finds something in each faulty one, and nothing in a sound one."""
    found = asked(lambda: measure(sound()))
    criteria.check(identity, not found, f"a clean one was found to be at fault: {'; '.join(found[:3])}")
    for make in faulty:
        missed = not asked(lambda make=make: measure(make()))  # type: ignore[misc]
        criteria.check(identity, not missed, f"{named(make)} was not caught")


def named(make: Callable[[], Any]) -> str:
    """What a fault is called: the first line of what is said of it."""
    return (make.__doc__ or getattr(make, "__name__", repr(make))).splitlines()[0].rstrip(".")


def of_locks(subject: Subject, criteria: CriteriaRecorder, ranks: Sequence[str], *identities: str) -> Any:
    """A thread manager that makes locks of these ranks; None, and said why, where the subject makes none."""
    if subject.takes("threads", "ranks"):
        try:
            return subject("threads", ranks=tuple(ranks))
        except Exception as error:
            why = f"the thread manager could not be made: {in_words(error)}"
    else:
        why = "the subject's factory takes no ranks: its locks have no declared order"
    for identity in identities:
        criteria.unmeasured(identity, why)
    return None


def time_lock(criteria: CriteriaRecorder, identity: str, lock: locking.Lock) -> None:
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
    try:
        found = times.contention(work)
    except Exception as error:
        criteria.record(identity, 1.0, in_words(error))
        return
    limit = criteria.criterion(identity).limit
    beside = f"threads that only think lose {found.reference:.2%}, which is taken off"
    if found.share < limit <= found.most:
        why = f"machine too busy: between {found.share:.2%} and {found.most:.2%} are lost; {beside}"
        criteria.unmeasured(identity, why)
    else:
        criteria.record(identity, found.most if found.most < limit else found.share, beside)
