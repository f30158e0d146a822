"""The criteria ``validation.*`` of state: what the suite measures catches a planted fault, and no clean control."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from pytest_coresys.subjects import close
from validation_suites import ours
from validation_suites.asking import record_faults
from validation_suites.faults import state as faults
from validation_suites.state.kills import CAN_FORK, killed_storms
from validation_suites.state.measures import storm_faults, wrong_decisions, wrong_guarding
from validation_suites.state.timings import validation_impact

MOST_IMPACT = 20  # times a transition without checks; ours comes to 1.3, a guard that takes a millisecond to a hundred


def not_told_apart(
    measure: Callable[[Any], list[str]], control: Callable[[], Any], planted: dict[str, Callable[[], Any]]
) -> list[str]:
    """What is wrong with a measure: a planted fault that it did not find, or a control that it found one in."""
    wrong = []
    for name, factory in {"": control, **planted}.items():
        manager = factory()
        try:
            found = measure(manager)
        finally:
            close(manager)
        if name and not found:
            wrong.append(f"{name} was not caught")
        elif not name and found:
            wrong.append(f"the control was taken for wrong: {found[0]}")
    return wrong


@pytest.mark.coresys_criterion("validation.transitions")
def test_transitions_are_verified_against_their_table(coresys_criteria: CriteriaRecorder) -> None:
    planted = {"an undeclared event": faults.AcceptsUndeclared, "a forgotten one": faults.RefusesDeclared}
    wrong = not_told_apart(lambda manager: wrong_decisions(manager, events=2_000), ours.state, dict(planted))
    wrong += not_told_apart(
        lambda manager: wrong_guarding(manager, events=500), ours.state, {"a guard": faults.AsksGuardsWrongly}
    )
    record_faults(coresys_criteria, "validation.transitions", wrong)


@pytest.mark.coresys_criterion("validation.history")
def test_a_history_that_is_not_whole_is_found(coresys_criteria: CriteriaRecorder) -> None:
    wrong = not_told_apart(
        lambda manager: storm_faults(manager, threads=2, each=100),
        ours.state,
        {"a gap": faults.LosesAnEntry, "a number that was given twice": faults.NumbersTwice},
    )
    record_faults(coresys_criteria, "validation.history", wrong)


@pytest.mark.coresys_no_repeat(reason="kills processes")
@pytest.mark.coresys_criterion("validation.recovery")
def test_what_a_kill_loses_or_halves_is_found(coresys_criteria: CriteriaRecorder, tmp_path: Path) -> None:
    if not CAN_FORK:
        coresys_criteria.unmeasured("validation.recovery", "this system cannot fork")
        return
    wrong = []
    for factory, kind in ((ours.state, ""), (faults.acknowledges_early, "lost"), (faults.keeps_halves, "inconsistent")):
        folder = tmp_path / factory.__name__
        folder.mkdir()
        seen = killed_storms(factory, {"path": str(folder)}, 8, longest=0.05)
        found = {"lost": seen.lost, "inconsistent": seen.inconsistent}
        if kind and not found[kind]:
            wrong.append(f"{factory.__name__} was not caught")
        elif not kind and any(found.values()):
            wrong.append(f"the control was taken for wrong: {(seen.lost + seen.inconsistent)[0]}")
    record_faults(coresys_criteria, "validation.recovery", wrong)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("validation.state_impact")
def test_what_checks_cost_is_known(coresys_criteria: CriteriaRecorder) -> None:
    control, planted = validation_impact(ours.state()), validation_impact(faults.ChecksSlowly())
    line = (
        f"a transition that is checked takes {control:.2f} times as long, with a slow guard planted {planted:.0f} times"
    )
    coresys_criteria.check("validation.state_impact", control < MOST_IMPACT < planted, line)
    coresys_criteria.note("validation.state_impact", line)
