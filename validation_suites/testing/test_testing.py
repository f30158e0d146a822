"""The criteria ``testing.*``."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours, promises
from validation_suites.asking import answer_of, faults_of, time_it, told
from validation_suites.conftest import Effort, Subject
from validation_suites.testing import measures


@pytest.mark.coresys_criterion("testing.interfaces")
def test_the_coordinator_of_tests_implements_its_three_protocols(coresys_criteria: CriteriaRecorder) -> None:
    with ours.system() as system:
        made = system.coordinators.testing
        faults = faults_of(promises.of_tests, made.tests)
        faults += faults_of(promises.of_resources, made.resources)
        faults += faults_of(promises.of_state, made.state)
    coresys_criteria.check("testing.interfaces", not faults, told(faults))


@pytest.mark.coresys_criterion("testing.interfaces")
def test_the_subjects_of_tests_keep_what_the_protocols_promise(
    subject: Subject, coresys_criteria: CriteriaRecorder
) -> None:
    faults = faults_of(promises.of_tests, subject("tests"))
    faults += faults_of(promises.of_resources, subject("resources"))
    faults += faults_of(promises.of_state, subject("state"))
    coresys_criteria.check("testing.interfaces", not faults, told(faults))


def _threads_and_their_end() -> None:
    """What an environment needs at least: a thread, which has something to do and ends."""
    threads = [threading.Thread(target=bool) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("testing.setup_time", "testing.verification_time", "testing.cleanup_time")
@pytest.mark.parametrize("part", ["setup", "verification", "cleanup"])
def test_an_environment_costs_a_test_little(
    part: measures.Part, subject: Subject, coresys_criteria: CriteriaRecorder, effort: Effort
) -> None:
    make = partial(measures.environment_times, subject("tests"), part)
    time_it(coresys_criteria, f"testing.{part}_time", make, _threads_and_their_end, 1000 if effort.soak else 150)


@pytest.mark.coresys_alone(reason="what watches locks and threads notes each of them until the test is over")
@pytest.mark.coresys_no_repeat(reason="it is a series of repetitions itself")
@pytest.mark.coresys_criterion("testing.isolation_leaks")
def test_an_environment_that_was_closed_keeps_no_byte(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    kept, problem = answer_of(measures.environments_keep, subject("tests"))
    if kept is None:
        coresys_criteria.unmeasured("testing.isolation_leaks", problem)
    else:
        coresys_criteria.record("testing.isolation_leaks", kept, f"{kept} bytes for each environment")
