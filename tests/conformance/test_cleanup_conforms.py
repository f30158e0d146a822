"""What ICleanupManager promises. Whoever is asked may have steps of its own: those of a whole run are not all ours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from conforming import WAIT, at_once

from coresys.errors.hierarchy import CleanupOrderError
from coresys.interfaces import ICleanupManager
from coresys.system_records import CleanupStep

ROLE = "cleanup"


def declare(cleanup: ICleanupManager, *steps: CleanupStep) -> list[str]:
    """Steps that note that they were run, in the order they were."""
    made: list[str] = []
    for step in steps:
        cleanup.add(step, partial(made.append, step.name))
    return made


def fails() -> None:
    raise OSError("gone")


def test_steps_are_run_in_the_order_of_what_they_come_after(one: ICleanupManager) -> None:
    made = declare(
        one,
        CleanupStep("c", channel="t", after=("b",)),
        CleanupStep("a", channel="t"),
        CleanupStep("b", channel="t", after=("a",)),
    )
    report = one.run(channel="t")
    assert made == list(report.done) == ["a", "b", "c"]
    assert (report.failed, report.hung, report.left) == ((), (), ())
    assert report.complete
    assert report.seconds >= 0


def test_steps_are_run_phase_by_phase(one: ICleanupManager) -> None:
    phases = ("verify", "release", "flush", "drain", "stop-intake")
    made = declare(one, *(CleanupStep(phase, phase=phase, channel="t") for phase in phases))
    assert one.run(channel="t").done == tuple(reversed(phases))
    assert made == list(reversed(phases))


def test_every_step_is_begun_whatever_became_of_those_before(one: ICleanupManager) -> None:
    one.add(CleanupStep("a", channel="t"), fails)
    made = declare(one, CleanupStep("b", channel="t", after=("a",)), CleanupStep("c", channel="t"))
    report = one.run(channel="t")
    assert sorted(made) == sorted(report.done) == ["b", "c"]
    assert [step for step, _ in report.failed] == ["a"]
    assert "OSError" in report.failed[0][1]
    assert "gone" in report.failed[0][1]
    assert not report.complete


def test_an_interruption_is_raised_when_every_step_was_begun(one: ICleanupManager) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    one.add(CleanupStep("a", channel="t"), interrupted)
    made = declare(one, CleanupStep("b", channel="t", after=("a",)))
    with pytest.raises(KeyboardInterrupt):
        one.run(channel="t")
    assert made == ["b"]


def test_a_step_that_comes_after_itself_is_refused(one: ICleanupManager) -> None:
    made = declare(one, CleanupStep("b", channel="t", after=("a",)), CleanupStep("c", channel="t", after=("b",)))
    wrong = (
        CleanupStep("a", channel="t", after=("c",)),  # through others
        CleanupStep("x", channel="t", after=("x",)),
        CleanupStep("b", channel="t"),  # its name is taken
    )
    for step in wrong:
        with pytest.raises(CleanupOrderError):
            one.add(step, list)
    one.add(CleanupStep("a", channel="t"), partial(made.append, "a"))
    assert one.run(channel="t").done == ("a", "b", "c")
    assert made == ["a", "b", "c"]


def test_a_second_run_does_nothing(one: ICleanupManager) -> None:
    made = declare(one, CleanupStep("a", channel="t"))
    one.add(CleanupStep("b", channel="t"), fails)
    one.run(channel="t")
    again = one.run(channel="t")
    assert (again.done, again.failed, again.hung, made) == ((), (), (), ["a"])
    assert again.complete


def test_a_step_that_hangs_is_left_behind_and_said_to_be(one: ICleanupManager) -> None:
    gate, ended = threading.Event(), threading.Event()

    def hangs() -> None:
        gate.wait(WAIT)
        ended.set()

    one.add(CleanupStep("a", channel="t", deadline=0.01), hangs)
    made = declare(one, CleanupStep("b", channel="t", after=("a",)))
    report = one.run(channel="t")
    try:
        assert (report.hung, report.done, report.complete) == (("a",), ("b",), False)
        assert made == ["b"]
        assert not ended.is_set()
    finally:
        gate.set()
        ended.wait(WAIT)


def test_all_of_it_has_a_deadline_too(one: ICleanupManager) -> None:
    gate, ended = threading.Event(), threading.Event()

    def hangs() -> None:
        gate.wait(WAIT)
        ended.set()

    one.add(CleanupStep("a", channel="t", blocking=True), hangs)
    made = declare(one, CleanupStep("b", channel="t", after=("a",)))
    report = one.run(channel="t", deadline=0.02)
    try:
        assert report.hung == ("a",)
        assert made == ["b"], "every step is begun"
    finally:
        gate.set()
        ended.wait(WAIT)


def test_a_channel_has_those_within_it(one: ICleanupManager) -> None:
    made = declare(
        one,
        CleanupStep("a", channel="t"),
        CleanupStep("b", channel="t/x"),
        CleanupStep("c", channel="t/x/y"),
        CleanupStep("d", channel="tx"),
        CleanupStep("e", channel="u"),
    )
    assert sorted(one.run(channel="t/x").done) == ["b", "c"]
    assert one.run(channel="t").done == ("a",)
    assert (sorted(made[:2]), made[2:]) == (["b", "c"], ["a"])
    assert sorted(step for step in one.run().done if len(step) == 1) == ["d", "e"]
    assert one.run(channel="unheard of").done == ()


def test_a_run_of_all_has_every_channel(one: ICleanupManager) -> None:
    made = declare(one, CleanupStep("a"), CleanupStep("b", channel="t"))
    report = one.run()
    assert {"a", "b"} <= set(report.done)
    assert sorted(made) == ["a", "b"]


def test_of_many_threads_that_clean_up_each_step_is_run_by_one(one: ICleanupManager) -> None:
    made = declare(
        one, *(CleanupStep(f"s{number}", channel="t", after=(f"s{number - 1}",) * (number > 0)) for number in range(12))
    )
    reported: list[str] = []

    def run() -> None:
        reported.extend(one.run(channel="t").done)

    at_once(*[run] * 4)
    assert made == [f"s{number}" for number in range(12)]
    assert sorted(reported) == sorted(made)


def test_what_a_step_declares_is_run_too(one: ICleanupManager) -> None:
    made: list[str] = []
    late: Callable[[], None] = partial(one.add, CleanupStep("late", channel="t"), partial(made.append, "late"))
    one.add(CleanupStep("a", channel="t"), late)
    report = one.run(channel="t")
    again = one.run(channel="t")
    assert (*report.done, *again.done) == ("a", "late")
    assert made == ["late"]


def test_two_never_meet(one: ICleanupManager, other: ICleanupManager) -> None:
    steps = (CleanupStep("a"), CleanupStep("b", channel="t", after=("a",)))
    mine, theirs = declare(one, *steps), declare(other, *steps)
    one.run()
    assert (sorted(mine), theirs) == (["a", "b"], [])
    assert other.run(channel="t").done in (("b",), ("a", "b"))
    other.run()
    assert sorted(theirs) == ["a", "b"]
    assert sorted(mine) == ["a", "b"]
