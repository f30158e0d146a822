"""Managers that were written by the docstrings of the protocols alone: the suites find nothing wrong with them but what
they say of themselves, and find what is wrong with those that have a fault.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from judged_suites import results
from plain_managers import PLAIN, PlainResources, PlainStates, PlainThreads, exact, other_tiers

from coresys.errors.hierarchy import TransitionRefusedError
from coresys.system_records import AllocationRecord, LeaseRecord, OwnerUsage
from validation_suites import ours
from validation_suites.cleanup import test_cleanup as of_cleanup
from validation_suites.components import test_components as of_components
from validation_suites.coordination import test_coordination as of_coordination
from validation_suites.errors import test_errors as of_errors
from validation_suites.resources import measures
from validation_suites.resources import test_planted as of_planted
from validation_suites.resources import test_resources as of_resources
from validation_suites.running import at_once, name_of
from validation_suites.soak import growth
from validation_suites.state import measures as of_states
from validation_suites.state import test_state as of_state
from validation_suites.testing import test_testing as of_testing
from validation_suites.threads import test_threads as of_threads
from validation_suites.threads.measures import worker_stack

Test = Callable[..., object]

TESTS: list[Test] = [
    of_state.test_every_machine_is_listed_once,
    of_state.test_what_a_table_does_not_declare_is_refused,
    of_state.test_a_transition_that_fails_leaves_all_as_it_was,
    of_state.test_every_transition_is_told_to_monitoring_once,
    of_errors.test_no_error_is_lost_on_its_path,
    of_errors.test_every_error_is_told_to_monitoring_once,
    of_threads.test_tasks_start_by_their_priority,
    of_threads.test_what_is_atomic_is_so_in_a_storm,
    of_threads.test_threads_that_move_one_machine_leave_a_whole_history,
    of_cleanup.test_the_subjects_of_cleanup_keep_what_the_protocols_promise,
    of_resources.test_a_cleanup_covers_all_channels,
    of_testing.test_the_subjects_of_tests_keep_what_the_protocols_promise,
    of_coordination.test_machines_of_several_parts_move_together,
    of_coordination.test_what_is_declared_wrongly_is_refused,
    of_coordination.test_what_failed_is_restarted_in_order,
]
LONG: list[Test] = [
    of_coordination.test_cleanup_chains_run_to_their_end,
    of_components.test_parts_know_one_another_by_interfaces_only,
    of_threads.test_a_pool_has_no_more_threads_than_it_may,
    of_threads.test_tasks_of_a_channel_run_in_order,
    of_resources.test_a_cleanup_goes_by_what_needs_what,
    of_cleanup.test_a_step_that_fails_or_hangs_keeps_no_other,
]
ON_RESOURCES: list[Test] = [
    of_resources.test_each_tier_has_as_many_buffers_as_it_says,
    of_resources.test_no_channel_gets_too_much_or_bytes_of_another,
    of_resources.test_a_cleanup_covers_all_channels,
    of_resources.test_what_was_taken_back_is_gone_and_what_was_left_is_told,
    of_cleanup.test_the_subjects_of_cleanup_keep_what_the_protocols_promise,
    of_threads.test_what_is_atomic_is_so_in_a_storm,
    of_coordination.test_usage_is_tracked_to_the_byte,
    of_coordination.test_the_report_tells_who_asked_for_what,
]
ON_RESOURCES_LONG: list[Test] = [
    of_resources.test_a_component_gets_its_reserve_whatever_others_hold,
    of_resources.test_no_buffer_is_free_and_of_no_use,
    of_planted.test_patterns_of_allocation_are_tested,
    of_planted.test_the_efficiency_of_use_is_reported,
    of_planted.test_limits_are_enforced,
]
KINDS: list[Callable[[], PlainResources]] = [PlainResources, exact, other_tiers]

NEAR = {"threads.pool_max"}  # it has as many as it may
NOT_ASKED = {
    "coordination.allocation_patterns": "the subject has no allocations() that tells what each owner asked for"
}
BY_NUMBER = {f"resources.pool_{tier}_count" for tier in ("small", "medium", "large")}


def judged(
    test: Test, tmp_path_factory: pytest.TempPathFactory, resources: Callable[[], Any] = PlainResources
) -> dict[str, tuple[str, str | None, tuple[str, ...]]]:
    """What is not within, with why, and what was told of it."""
    given = {"tmp_path": tmp_path_factory.mktemp("plain"), "tmp_path_factory": tmp_path_factory}
    wanted = {name: each for name, each in given.items() if name in inspect.signature(test).parameters}
    found = results(test, {**PLAIN, "resources": resources}, **wanted)
    assert found
    return {name: (each.verdict, each.why, each.details) for name, each in found.items() if each.verdict != "within"}


def _name(each: Any) -> str | None:
    return getattr(each, "__name__", None)


def _agree(found: dict[str, tuple[str, str | None, tuple[str, ...]]], resources: Callable[[], Any]) -> None:
    for name, (verdict, why, told) in found.items():
        if name in BY_NUMBER and resources is other_tiers:
            assert verdict == "over"
            assert "there is no tier of" in told[0]
        elif name in NOT_ASKED:
            assert (verdict, why) == ("not_measured", NOT_ASKED[name])
        else:
            assert (name in NEAR, verdict) == (True, "near"), (name, verdict, why, told)


@pytest.mark.slow
@pytest.mark.parametrize("test", [*TESTS, *(pytest.param(each, marks=pytest.mark.long) for each in LONG)], ids=_name)
def test_nothing_is_wrong_with_what_was_written_by_the_docstrings(
    test: Test, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _agree(judged(test, tmp_path_factory), PlainResources)


@pytest.mark.slow
@pytest.mark.parametrize("resources", KINDS, ids=_name)
@pytest.mark.parametrize(
    "test", [*ON_RESOURCES, *(pytest.param(each, marks=pytest.mark.long) for each in ON_RESOURCES_LONG)], ids=_name
)
def test_each_way_of_counting_and_of_cutting_tiers_is_right(
    test: Test, resources: Callable[[], PlainResources], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _agree(judged(test, tmp_path_factory, resources), resources)


# -- what is wrong is found --------------------------------------------------------------------------------------------


class CountsNowThisWayNowThat(PlainResources):
    """The first owner's leases count for what was asked for, those of others for whole buffers."""

    def usage(self, owner: str) -> OwnerUsage:
        self._exact = owner == "uploads"
        return super().usage(owner)


class CountsAQuarterLess(PlainResources):
    """Neither what was asked for, nor what was lent."""

    def _counted(self, record: LeaseRecord) -> int:
        return record.size * 3 // 4


class TellsOfNobodysRequests(PlainResources):
    """It has allocations(), and they are not what was asked for."""

    def allocations(self) -> tuple[AllocationRecord, ...]:
        return (AllocationRecord("uploads", "small", 4096, 1, 0),)


class CountsNoRefusals(PlainResources):
    """What was refused is in no figure."""

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Any:
        try:
            return super().lease(size, owner=owner, timeout=timeout)
        finally:
            self._refused = dict.fromkeys(self._refused, 0)


WRONG: list[tuple[Callable[[], PlainResources], Test, str]] = [
    (CountsNowThisWayNowThat, of_coordination.test_usage_is_tracked_to_the_byte, "coordination.usage_tracking_error"),
    (CountsAQuarterLess, of_coordination.test_usage_is_tracked_to_the_byte, "coordination.usage_tracking_error"),
    (
        CountsAQuarterLess,
        of_resources.test_no_channel_gets_too_much_or_bytes_of_another,
        "resources.channel_violations",
    ),
    (
        TellsOfNobodysRequests,
        of_coordination.test_the_report_tells_who_asked_for_what,
        "coordination.allocation_patterns",
    ),
    (CountsNoRefusals, of_coordination.test_the_report_tells_who_asked_for_what, "coordination.allocation_patterns"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("resources", "test", "identity"), WRONG, ids=_name)
def test_what_is_counted_wrongly_is_over(
    resources: Callable[[], PlainResources], test: Test, identity: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert judged(test, tmp_path_factory, resources)[identity][0] == "over"


def _more_than_its_limit() -> PlainResources:
    made = other_tiers()
    counted = made._counted
    made._counted = lambda record: counted(record) // 2  # type: ignore[method-assign]  # that is the fault
    return made


def _nothing_kept() -> PlainResources:
    made = other_tiers()
    made._kept_for_others = lambda *given: 0  # type: ignore[method-assign]  # that is the fault
    return made


def test_limits_and_reserves_of_other_tiers_are_asked_for() -> None:
    assert measures.over_limit_grants(other_tiers()) == measures.reserve_refusals(other_tiers(), rounds=5) == []
    assert any("holds" in fault for fault in measures.over_limit_grants(_more_than_its_limit()))
    assert any("b was refused" in fault for fault in measures.reserve_refusals(_nothing_kept(), rounds=5))


class HasAView(PlainResources):
    """Whose limit it forgets."""

    def view(self, name: str, *, lease: int | None = None) -> PlainResources:
        return PlainResources()


class HasAnotherView(PlainResources):
    """Of its bytes, say."""

    def view(self, *what: str, **more: int) -> object:
        return memoryview(b"")


def test_a_view_is_judged_where_it_is_a_manager() -> None:
    view = measures.channel_of(HasAView(), 8192)
    assert view is not None
    assert measures.over_channel_grants(view, 8192) == [f"a channel holds {9 * 4096} bytes, of 8192"]
    assert measures.channel_of(HasAnotherView(), 8192) is measures.channel_of(PlainResources(), 8192) is None
    ours_too = measures.channel_of(ours.resources(), 8192)
    assert ours_too is not None
    assert measures.over_channel_grants(ours_too, 8192) == []


def test_a_load_that_lends_waits_for_no_buffer_that_there_is_not() -> None:
    load = growth.lending({"resources": "plain_managers:other_tiers"})
    assert at_once([load.tick], patience=10.0) == []
    load.end()


def test_what_another_process_cannot_find_is_not_measured_there() -> None:
    assert name_of(PlainThreads) == "plain_managers:PlainThreads"
    for factory in (partial(PlainThreads, 20), lambda: PlainThreads()):
        found = results(of_threads.test_the_stack_of_a_worker_is_small_and_safe, {"threads": factory})
        result = found["threads.stack_size"]
        assert (result.verdict, result.why is not None and "could not find it by that name" in result.why) == (
            "not_measured",
            True,
        )
    found = results(of_threads.test_the_stack_of_a_worker_is_small_and_safe, {"threads": PlainThreads})
    result = found["threads.stack_size"]  # the child has found it, and only the size is judged
    assert (result.value, result.details) == (worker_stack(PlainThreads()), ())


class MovesBeforeItLooks(PlainStates):
    """Of several machines those that may are moved before one refuses."""

    def fire_all(self, events: Any, payloads: Any = None, *, cause: Any = None, actor: Any = None) -> Any:
        return tuple(self.fire(name, event, cause=cause, actor=actor) for name, event in events.items())


class CountsWhatItRefused(PlainStates):
    """A refused event leaves its number behind, as a transition to where the machine stood."""

    def fire(self, name: str, event: str, payload: Any = None, **given: Any) -> Any:
        try:
            return super().fire(name, event, payload, **given)
        except TransitionRefusedError:
            it = self._machine(name)
            self._move(it, "refused", it.state, None, None, 0.0)
            raise


class GoesBackByForgetting(PlainStates):
    """To go back takes entries out of the history."""

    def rollback(self, name: str, steps: int | None = None, **given: Any) -> str:
        back = super().rollback(name, steps, **given)
        made = self._machine(name).made
        del made[-2:]
        return back


class GoesBackToTheBeginning(PlainStates):
    """Where there is nothing to go back to, it goes to the beginning."""

    def rollback(self, name: str, steps: int | None = None, **given: Any) -> str:
        try:
            return super().rollback(name, steps, **given)
        except ValueError:
            return super().rollback(name, to_sequence=0)


class HasNoWayBack(PlainStates):
    """What has none says so."""

    def rollback(self, name: str, steps: int | None = None, **given: Any) -> str:
        raise NotImplementedError("no way back")

    def snapshot(self, name: str, label: str) -> int:
        raise NotImplementedError("no snapshots")


class HasAnotherAdd(PlainStates):
    """An add() of another kind, which takes no tables."""

    def add(self, number: int) -> int:
        return number + 1


@pytest.mark.parametrize(
    "make", [MovesBeforeItLooks, CountsWhatItRefused, GoesBackByForgetting, GoesBackToTheBeginning], ids=_name
)
def test_a_transition_that_is_refused_and_leaves_something_is_over(make: Callable[[], Any]) -> None:
    found = results(of_state.test_a_transition_that_fails_leaves_all_as_it_was, {"state": make})
    assert found["state.rollback_incomplete"].verdict == "over"


@pytest.mark.parametrize("make", [PlainStates, HasNoWayBack, HasAnotherAdd], ids=_name)
def test_what_has_no_tables_that_call_back_is_asked_for_what_it_has(make: Callable[[], Any]) -> None:
    found = results(of_state.test_a_transition_that_fails_leaves_all_as_it_was, {"state": make})
    result = found["state.rollback_incomplete"]
    assert result.verdict == "within"
    assert "it has no add() for tables that call back" in result.details[0]
    assert not of_states.takes_tables(make())
