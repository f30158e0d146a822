"""The criteria ``validation.*`` that are about resources: that the checks catch a planted fault, and let a clean
control pass. The control is the subject of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.asking import answer_of, faults_of, told
from validation_suites.conftest import Subject
from validation_suites.faults import resources as faulty
from validation_suites.resources import measures, patterns, releasing

_ONCE = pytest.mark.coresys_no_repeat(reason="patterns of thousands of leases: once is enough")
CHANNEL = 4 * measures.SMALL


def _judge(
    criteria: CriteriaRecorder, identity: str, clean: list[str], planted: Mapping[str, Callable[[], list[str]]]
) -> None:
    """One check: nothing was found in the control, and something in each of the planted faults."""
    criteria.check(identity, not clean, f"the clean control: {told(clean)}")
    for name, find in planted.items():
        found = faults_of(find)
        criteria.check(identity, bool(found), f"not caught: {name}")
        criteria.note(identity, f"planted, {name}: {found[0] if found else 'not caught'}")


@_ONCE
@pytest.mark.coresys_criterion("validation.allocation")
def test_patterns_of_allocation_are_tested(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    clean = faults_of(patterns.allocation_faults, subject("resources"))
    _judge(
        coresys_criteria,
        "validation.allocation",
        clean,
        {
            "a buffer lent twice": partial(patterns.run_pattern_faults, faulty.LentTwice(), "burst"),
            "no error of the protocol": partial(patterns.run_pattern_faults, faulty.RaisesAnother(), "adversarial"),
        },
    )


@pytest.mark.coresys_criterion("validation.cleanup")
def test_cleanup_is_verified(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    clean = faults_of(releasing.unreclaimed, subject("resources"))
    _judge(
        coresys_criteria,
        "validation.cleanup",
        clean,
        {
            "a buffer that is not taken back": partial(releasing.unreclaimed, faulty.ForgetsOne()),
            "things that are not closed": partial(releasing.unreclaimed, faulty.ClosesNothing()),
        },
    )


@pytest.mark.coresys_criterion("validation.limits")
def test_limits_are_enforced(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager = subject("resources")
    clean = faults_of(measures.over_limit_grants, manager)
    view = measures.channel_of(manager, CHANNEL)
    if view is None:
        coresys_criteria.note("validation.limits", "of a channel: not judged, for it has no view() that is a manager")
    else:
        clean += faults_of(measures.over_channel_grants, view, CHANNEL)
    _judge(
        coresys_criteria,
        "validation.limits",
        clean,
        {
            "a tier of one more": partial(measures.over_limit_grants, faulty.OneMoreThanItSays("large", 126)),
            "an owner gets one more": partial(measures.over_limit_grants, faulty.OneTooMany()),
            "no limit of an owner": partial(measures.over_limit_grants, faulty.Unlimited()),
            "no limit of a channel": partial(measures.over_channel_grants, faulty.unlimited_channel(CHANNEL), CHANNEL),
        },
    )


@_ONCE
@pytest.mark.coresys_criterion("validation.efficiency")
def test_the_efficiency_of_use_is_reported(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager = subject("resources")
    keeps = subject.is_ours("resources")
    clean = faults_of(patterns.efficiency_faults, manager, keeps=keeps)
    if not keeps:
        why = "not judged: idle and external shares of nothing, for memory that is made for each lease has none such"
        coresys_criteria.note("validation.efficiency", why)
    for pattern in ("steady", "adversarial"):
        found, problem = answer_of(patterns.run_pattern, manager, pattern)
        told_of = problem if found is None else patterns.in_words(pattern, found)
        coresys_criteria.note("validation.efficiency", told_of)
    _judge(
        coresys_criteria,
        "validation.efficiency",
        clean,
        {
            share: partial(patterns.efficiency_faults, faulty.WrongShares(share), patterns.EFFICIENCY_OF[share])
            for share in ("internal", "idle", "external")
        },
    )
