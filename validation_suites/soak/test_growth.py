"""The criteria of growth: all of one window, in which the other tests are run. These only wait for its end, so that
they come last (``conftest``)."""

from __future__ import annotations

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.conftest import Subject
from validation_suites.soak.growth import Growth, Window

pytestmark = [
    pytest.mark.coresys_no_repeat(reason="it waits for the end of a window"),
    pytest.mark.usefixtures("kept"),  # whose readings are there until all that is long is over
]


def _record(criteria: CriteriaRecorder, identity: str, found: Growth) -> None:
    """A slope with its interval; where growth could not be told from what happens once, it is not measured."""
    if found.problem:
        criteria.unmeasured(identity, found.problem)
        return
    criteria.slope(identity, found.rate, found.low, found.high, found.line())
    if found.verdict == "unclear":
        criteria.unmeasured(identity, found.line())


@pytest.mark.coresys_criterion("resources.growth_rate")
def test_a_process_under_a_steady_load_does_not_grow(growth_window: Window, coresys_criteria: CriteriaRecorder) -> None:
    _record(coresys_criteria, "resources.growth_rate", growth_window.wait("steady"))


@pytest.mark.coresys_criterion("resources.own_growth_rate")
def test_lending_does_not_grow(growth_window: Window, coresys_criteria: CriteriaRecorder) -> None:
    _record(coresys_criteria, "resources.own_growth_rate", growth_window.wait("lending"))


@pytest.mark.coresys_criterion("monitoring.growth_rate")
def test_sampling_does_not_grow(growth_window: Window, subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    if not subject.takes("monitoring", "sampling"):
        coresys_criteria.unmeasured("monitoring.growth_rate", "its factory takes no rate of sampling")
        return
    _record(coresys_criteria, "monitoring.growth_rate", growth_window.wait("sampling"))


@pytest.mark.coresys_criterion("validation.memory_growth")
def test_a_planted_leak_is_found_and_a_clean_control_is_not(
    growth_window: Window, coresys_criteria: CriteriaRecorder
) -> None:
    planted, clean = growth_window.wait("leaking"), growth_window.wait("clean")
    told = f"2 MB/h planted: {planted.line()}{planted.problem}; nothing: {clean.line()}{clean.problem}"
    coresys_criteria.note("validation.memory_growth", told)
    coresys_criteria.check("validation.memory_growth", planted.verdict == "growing" and clean.verdict == "steady", told)
