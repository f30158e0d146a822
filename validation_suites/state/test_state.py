"""The criteria ``state.*``."""

from __future__ import annotations

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.conftest import Subject
from validation_suites.state.measures import DOOR, machines_missing_or_doubled


@pytest.mark.coresys_criterion("state.centralised")
def test_every_machine_is_listed_once(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    lost = machines_missing_or_doubled(subject("state"))
    coresys_criteria.check("state.centralised", not lost, f"missing or doubled: {lost[:5]}")


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("state.transition_time")
def test_a_transition_is_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager = subject("state")
    manager.define("door", DOOR)
    table, events = {"shut": "open", "open": "shut"}, {"shut": "push", "open": "pull"}
    at = ["shut"]

    def transition() -> None:
        manager.fire("door", events[at[0]])
        at[0] = table[at[0]]

    coresys_criteria.timed("state.transition_time", transition, beside=lambda: table[at[0]], calls=10_000, rounds=3)
