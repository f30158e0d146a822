"""The criteria ``cleanup.*``."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import pytest

from coresys.resources.tiers import DEFAULT_TIERS
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours, promises
from validation_suites.asking import answer_of, faults_of, record_faults, time_it, told
from validation_suites.cleanup import measures
from validation_suites.conftest import Subject
from validation_suites.memory import kept_by

CYCLES = 24


def a_thread() -> None:
    """What costs at least as much as what may be left behind: a thread that is started and joined."""
    thread = threading.Thread(target=bool)
    thread.start()
    thread.join()


@pytest.mark.coresys_criterion("cleanup.interfaces")
def test_the_coordinator_of_cleanups_implements_its_three_protocols(coresys_criteria: CriteriaRecorder) -> None:
    with ours.system() as system:
        made = system.coordinators.cleanup
        faults = faults_of(promises.of_cleanup, made.cleanup)
        faults += faults_of(promises.of_state, made.state)
        faults += faults_of(promises.of_resources, made.resources)
    coresys_criteria.check("cleanup.interfaces", not faults, told(faults))


@pytest.mark.coresys_criterion("cleanup.interfaces")
def test_the_subjects_of_cleanup_keep_what_the_protocols_promise(
    subject: Subject, coresys_criteria: CriteriaRecorder
) -> None:
    faults = faults_of(promises.of_cleanup, subject("cleanup"))
    faults += faults_of(promises.of_state, subject("state"))
    faults += faults_of(promises.of_resources, subject("resources"))
    coresys_criteria.check("cleanup.interfaces", not faults, told(faults))


@pytest.mark.coresys_no_repeat(reason="a step of it hangs")
@pytest.mark.coresys_criterion("cleanup.isolation_faults")
def test_a_step_that_fails_or_hangs_keeps_no_other(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    record_faults(
        coresys_criteria, "cleanup.isolation_faults", faults_of(measures.isolation_faults, subject("cleanup"))
    )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("cleanup.execution_time")
def test_a_cleanup_is_quick_also_with_a_step_that_hangs(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    make = partial(measures.execution, partial(subject, "cleanup"))
    time_it(coresys_criteria, "cleanup.execution_time", make, a_thread, 40)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("cleanup.release_time")
def test_to_take_back_one_resource_is_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager, raw = subject("resources"), {"a": bool}

    def a_dict_lookup() -> None:
        raw["a"]()

    for kind in ("buffer", "other"):

        def operation(kind: str = kind) -> Callable[[], float]:
            return measures.release(manager)[kind]

        time_it(coresys_criteria, "cleanup.release_time", operation, a_dict_lookup, 1000)
    coresys_criteria.note("cleanup.release_time", f"unmapping all tiers, touched: {_unmapping() * 1e3:.1f} ms")


def _unmapping() -> float:
    """Seconds of giving all tiers back to the system, every page of which was touched: more than one resource, and
    therefore shown beside, not judged."""
    with ours.system() as system:
        for tier in DEFAULT_TIERS:
            leases = [system.resources.lease(tier.slot, owner="all") for _ in range(tier.slots)]
            for lease in leases:
                lease.view[:: mmap.PAGESIZE] = bytes(len(range(0, tier.slot, mmap.PAGESIZE)))
                lease.release()
        began = perf_counter()
        system.resources.pools.close()
        return perf_counter() - began


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("cleanup.transition_time")
def test_a_transition_is_quick_while_others_clean_up(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    state, table = subject("state"), {"shut": "open"}

    def a_dict_lookup() -> str:
        return table["shut"]

    def under_load() -> None:
        with measures.cleaning_up(partial(subject, "cleanup"), state):
            make = partial(measures.transition, state)
            time_it(coresys_criteria, "cleanup.transition_time", make, a_dict_lookup, 2000)

    _, problem = answer_of(under_load)
    if problem:
        coresys_criteria.unmeasured("cleanup.transition_time", problem)


@pytest.mark.coresys_no_repeat(reason="it is a series of repetitions itself")
@pytest.mark.coresys_criterion("cleanup.unreclaimed")
def test_a_system_that_was_taken_down_keeps_nothing(coresys_criteria: CriteriaRecorder, tmp_path: Path) -> None:
    kept, problem = answer_of(kept_by, measures.life_of_a_system(tmp_path), cycles=CYCLES, warm=8)
    if kept is None:
        coresys_criteria.unmeasured("cleanup.unreclaimed", problem)
    else:
        coresys_criteria.record("cleanup.unreclaimed", kept, f"{kept} bytes for each system, of {CYCLES}")
