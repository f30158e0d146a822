"""The order of steps: by phase, by what each comes after, by when it was declared."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresys.cleanup.sequence import PHASES, checked, concerned, in_order, missing
from coresys.errors.hierarchy import CleanupOrderError
from coresys.system_records import CleanupStep


def named(*steps: CleanupStep) -> dict[str, CleanupStep]:
    return {step.name: step for step in steps}


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (CleanupStep("a", phase="later"), "there is no phase 'later': stop-intake, drain, flush, release, verify"),
        (CleanupStep("there"), "there is a step of that name"),
        (CleanupStep("a", after=("a",)), "it comes after itself: a after a"),
        (CleanupStep("circle", after=("needs circle",)), "circle after needs circle after circle"),
        (CleanupStep("a", phase="drain", after=("there",)), r"'a' \(drain\) cannot come after 'there', .* \(release\)"),
        (CleanupStep("needed by drain", phase="verify"), r"'drains' \(drain\) cannot come after 'needed by drain'"),
        (CleanupStep("a", deadline=-1.0), r"a deadline of -1.0 s"),
        (CleanupStep("a", deadline=float("nan")), "a deadline of nan s"),
    ],
    ids=lambda value: value.name if isinstance(value, CleanupStep) else "",
)
def test_what_cannot_be_declared_is_refused_by_name(step: CleanupStep, problem: str) -> None:
    there = named(
        CleanupStep("there"),
        CleanupStep("needs circle", after=("circle",)),
        CleanupStep("drains", phase="drain", after=("needed by drain",)),
    )
    with pytest.raises(CleanupOrderError, match=problem) as caught:
        checked(there, step)
    assert caught.value.step == step.name
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_not_there_yet_may_be_named() -> None:
    checked({}, CleanupStep("a", after=("later",)))
    assert missing([CleanupStep("a", after=("later", "b")), CleanupStep("b")], {"a", "b"}) == [("a", "later")]


steps_strategy = st.integers(0, 12).flatmap(
    lambda count: st.tuples(
        *(
            st.tuples(st.sampled_from(range(5)), st.sets(st.integers(0, max(count - 1, 0)), max_size=3))
            for _ in range(count)
        )
    )
)


@given(steps_strategy, st.randoms(use_true_random=False))
def test_no_step_comes_before_one_that_it_comes_after(raw: tuple[tuple[int, set[int]], ...], random: object) -> None:
    declared: dict[str, CleanupStep] = {}
    for number, (phase, after) in enumerate(raw):
        step = CleanupStep(f"s{number}", phase=PHASES[phase], after=tuple(f"s{each}" for each in sorted(after)))
        try:
            checked(declared, step)
        except CleanupOrderError:
            continue
        declared[step.name] = step
    ordered = in_order(declared.values())
    assert sorted(step.name for step in ordered) == sorted(declared)
    at = {step.name: place for place, step in enumerate(ordered)}
    for step in ordered:
        assert all(at[before] < at[step.name] for before in step.after if before in at)
    phases = [PHASES.index(step.phase) for step in ordered]
    assert phases == sorted(phases)


def test_as_they_were_declared_where_nothing_else_says() -> None:
    steps = [CleanupStep(name) for name in "dbca"]
    assert [step.name for step in in_order(steps)] == list("dbca")


def test_a_channel_brings_along_what_its_steps_come_after() -> None:
    steps = named(
        CleanupStep("close store", channel="store", after=("stop orders", "flush")),
        CleanupStep("stop orders", channel="orders", after=("stop web", "unknown")),
        CleanupStep("stop web", channel="web"),
        CleanupStep("flush", channel="store"),
        CleanupStep("mail", channel="mail"),
    )
    assert concerned(steps, "store") == {"close store", "stop orders", "stop web", "flush"}
    assert concerned(steps, "web") == {"stop web"}
    assert concerned(steps, None) == set(steps)
    assert concerned(steps, "nobody's") == set()
