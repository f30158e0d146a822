"""Each check of the suites can fail: for each there is a manager that breaks what it asks for, and is caught.

A fault is a manager of ours of which one method does not keep a promise. It is asked by that test of its suite which is
there for this promise; whether others catch it too is not looked at.
"""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import test_cleanup_conforms
import test_components_conform
import test_errors_conform
import test_monitoring_conforms
import test_resources_conform
import test_state_conforms
import test_tests_conform
import test_threads_conform
from conforming import SUBJECTS, Pair, ask, promises_of

from coresys.errors.hierarchy import (
    CleanupOrderError,
    ComponentCycleError,
    DuplicateEnvironmentError,
    DuplicateMachineError,
    DuplicateResourceError,
    LeaseLimitError,
    LeaseReleasedError,
    PoolExhaustedError,
    ResourcesNotClosedError,
    RollbackError,
    RouteError,
    StartFailedError,
    StopFailedError,
    TableError,
    TransitionRefusedError,
    UnknownComponentError,
    UnknownEnvironmentError,
    UnknownMachineError,
)
from coresys.system_records import EnvironmentRecord

SUITES = (
    test_state_conforms,
    test_errors_conform,
    test_threads_conform,
    test_resources_conform,
    test_monitoring_conforms,
    test_components_conform,
    test_tests_conform,
    test_cleanup_conforms,
)


class Broken:
    """As ``sound``, but for what is given."""

    def __init__(self, sound: Any, **broken: Any) -> None:
        self.__dict__.update(broken, sound=sound)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["sound"], name)

    def __enter__(self) -> Any:
        return self.sound.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.__dict__.get("leave", self.sound.__exit__)(*exc)


Call = Callable[..., Any]
Fault = Callable[[Any, Any], Pair]


def one(break_it: Callable[[Any], dict[str, Call]]) -> Fault:
    """The one that is asked has these methods instead of its own."""
    return lambda one, other: (Broken(one, **break_it(one)), other)


def hiding(method: str, *errors: type[BaseException], instead: Call = lambda *args, **named: None) -> Fault:
    """A method that says nothing of some errors."""

    def broken(sound: Any) -> dict[str, Call]:
        def call(*args: Any, **named: Any) -> Any:
            try:
                return getattr(sound, method)(*args, **named)
            except errors:
                return instead(*args, **named)

        return {method: call}

    return one(broken)


def told(method: str, change: Callable[[Any], Any]) -> Fault:
    """A method that tells something else than what is so."""
    return one(lambda sound: {method: lambda *args, **named: change(getattr(sound, method)(*args, **named))})


def asked(method: str, change: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]) -> Fault:
    """A method that does something else than what it was asked for."""

    def broken(sound: Any) -> dict[str, Call]:
        def call(*args: Any, **named: Any) -> Any:
            args, named = change(*args, **named)
            return getattr(sound, method)(*args, **named)

        return {method: call}

    return one(broken)


def with_spec(method: str, **fields: Any) -> Fault:
    return asked(method, lambda spec, *args, **named: ((replace(spec, **fields), *args), named))


def meeting(one: Any, other: Any) -> Pair:
    return one, one


# -- state -----------------------------------------------------------------------------------------------------------


def _defined_anew(sound: Any) -> dict[str, Call]:
    def define(name: str, definition: Any) -> None:
        if name in sound.names():
            sound.release(name)
        sound.define(name, definition)

    return {"define": define}


def _one_by_one(sound: Any) -> dict[str, Call]:
    return {
        "fire_all": lambda events, payloads=None, **named: tuple(
            sound.fire(name, event, **named) for name, event in events.items()
        )
    }


STATE: dict[str, Fault] = {
    "a_machine_begins_in_its_initial_state": told("describe", lambda found: replace(found, sequence=1)),
    "a_name_that_is_taken_is_refused_and_nothing_changed": one(_defined_anew),
    "a_definition_that_cannot_be_is_refused_and_nothing_is_held": hiding("define", TableError),
    "a_transition_is_told_as_it_was_made": asked("fire", lambda *args, cause=None, **named: (args, named)),
    "an_event_that_is_not_declared_changes_nothing": hiding("fire", TransitionRefusedError),
    "of_what_is_not_held_nothing_is_told": hiding("history", UnknownMachineError, instead=lambda name: ()),
    "of_several_transitions_all_are_made_or_none": one(_one_by_one),
    "a_history_is_told_oldest_first_without_a_gap": told("history", lambda found: found[::-1]),
    "to_go_back_is_a_transition_of_its_own": asked("rollback", lambda name, steps=None, **named: ((name,), named)),
    "where_there_is_nothing_to_go_back_to_nothing_changes": hiding("rollback", RollbackError),
    "what_is_released_is_not_there_and_its_name_is_free": one(lambda sound: {"release": lambda name: None}),
    "the_figures_say_what_is_held_and_what_became_of_events": told("statistics", lambda all: replace(all, refused=0)),
    "the_transitions_of_many_threads_make_one_chain": told(
        "fire", lambda record: replace(record, sequence=(record.sequence + 1) // 2)
    ),
    "of_many_threads_that_define_one_machine_one_does": hiding("define", DuplicateMachineError),
    "two_never_meet": meeting,
}


# -- errors ----------------------------------------------------------------------------------------------------------


def _kept_alive(sound: Any) -> dict[str, Call]:
    kept: list[BaseException] = []

    def report(error: BaseException, **named: Any) -> Any:
        kept.append(error)
        return sound.report(error, **named)

    return {"report": report}


ERRORS: dict[str, Fault] = {
    "an_error_is_captured_with_its_place": asked(
        "report", lambda error, component, severity="": ((error,), {"component": component})
    ),
    "an_error_goes_along_its_path_once": asked(
        "sink", lambda name, receive: ((name, lambda record: (receive(record), receive(record))), {})
    ),
    "what_is_reported_again_on_its_way_is_counted_and_told_once": asked(
        "report", lambda error, **named: ((copy.copy(error),), named)
    ),
    "a_path_that_would_close_a_circle_is_refused": hiding("route", RouteError),
    "a_record_keeps_nothing_of_the_exception": one(_kept_alive),
    "the_last_errors_are_kept_oldest_first": told("recent", lambda found: found[::-1]),
    "the_figures_say_what_was_seen_and_what_became_of_it": told("statistics", lambda all: replace(all, undelivered=0)),
    "what_many_threads_report_is_counted_and_told_once_each": asked(
        "report", lambda error, **named: ((copy.copy(error),), named)
    ),
    "two_never_meet": meeting,
}


# -- threads ---------------------------------------------------------------------------------------------------------


def _silent(function: Call) -> Call:
    def run(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except Exception:
            return None

    return run


def _a_thread_each(sound: Any) -> dict[str, Call]:
    def submit_with(function: Call, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        threading.Thread(target=lambda: future.set_result(function())).start()
        return future

    return {"submit_with": submit_with}


def _not_from_inside(method: str) -> Fault:
    """As executors that do not know whose task they are called by."""

    def broken(sound: Any) -> dict[str, Call]:
        here = threading.current_thread()

        def call(*args: Any, **named: Any) -> Any:
            if threading.current_thread() is not here:
                raise RuntimeError("cannot join current thread")
            return getattr(sound, method)(*args, **named)

        return {method: call}

    return one(broken)


def _one_channel_only(function: Call, *, channel: str | None = None, **named: Any) -> Any:
    if channel not in (None, "c"):
        raise ValueError("there is one channel")
    return (function,), {**named, "channel": channel}


def _losing_some(sound: Any) -> dict[str, Call]:
    count = itertools.count()
    return {"submit": lambda *args, **named: sound.submit(*args, **named) if next(count) % 5 else Future()}


def _ended_together(one: Any, other: Any) -> Pair:
    ended: list[bool] = []

    def shutdown(*args: Any, **named: Any) -> None:
        ended.append(True)
        one.shutdown(*args, **named)

    def submit(*args: Any, **named: Any) -> Any:
        if ended:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return other.submit(*args, **named)

    return Broken(one, shutdown=shutdown), Broken(other, submit=submit)


THREADS: dict[str, Fault] = {
    "a_task_is_run_and_its_result_told": asked("submit", lambda *args, **named: (args, {})),
    "what_a_task_raises_is_told": asked("submit", lambda function, *args, **named: ((_silent(function), *args), named)),
    "each_priority_is_run_and_no_other_is_known": asked("submit_with", lambda function, **named: ((function,), {})),
    "tasks_of_a_channel_run_in_their_order_and_never_two_at_once": asked(
        "submit_with", lambda function, **named: ((function,), {})
    ),
    "one_channel_does_not_wait_for_another": asked("submit_with", _one_channel_only),
    "there_are_never_more_workers_than_stated": one(_a_thread_each),
    "context_variables_are_those_of_whoever_submits": asked(
        "submit", lambda function, *args, **named: ((Context().run, function, *args), named)
    ),
    "a_task_that_another_waits_for_is_run_though_all_threads_are_busy": _not_from_inside("submit"),
    "a_task_that_has_not_begun_can_be_cancelled": told("submit", lambda future: Broken(future, cancel=lambda: True)),
    "the_figures_say_what_became_of_tasks": told("statistics", lambda all: replace(all, failed=0)),
    "the_threads_are_those_of_the_process": told("threads", lambda found: ()),
    "a_shutdown_refuses_what_comes_and_waits_for_what_was_taken": asked(
        "shutdown", lambda *args, **named: ((False,), {})
    ),
    "a_shutdown_may_cancel_what_has_not_begun": asked("shutdown", lambda wait=True, **named: ((wait,), {})),
    "a_task_may_shut_down_what_it_runs_on": _not_from_inside("shutdown"),
    "many_threads_may_submit_and_shut_down_at_once_and_no_task_is_lost": one(_losing_some),
    "two_never_meet": _ended_together,
}


# -- resources -------------------------------------------------------------------------------------------------------


def _written(lease: Any) -> Any:
    lease.view[:] = b"s" * len(lease.view)
    return lease


def _released_often(lease: Any) -> Any:
    def release() -> None:
        try:
            lease.release()
        except LeaseReleasedError:
            pass

    return Broken(lease, release=release)


def _taken_first(sound: Any) -> dict[str, Call]:
    taken: list[Any] = []

    def lease(size: int, *, owner: str, timeout: float | None = None) -> Any:
        try:
            return sound.lease(size, owner=owner, timeout=timeout)
        except LeaseLimitError:
            taken.append(sound.lease(size, owner="nobody"))  # before it was looked at, and is nobody's now
            raise

    return {"lease": lease}


def _lent_twice(sound: Any) -> dict[str, Call]:
    buffer = sound.lease(64, owner="everybody")

    def lease(size: int, **named: Any) -> Any:
        taken = sound.lease(size, **named)
        return Broken(taken, view=buffer.view[:size])

    return {"lease": lease, "leases": tuple}


def _other_error(*args: Any, **named: Any) -> Any:
    raise MemoryError


RESOURCES: dict[str, Fault] = {
    "a_lease_is_a_buffer_of_as_many_bytes_and_says_whose_it_is": asked(
        "lease", lambda size, **named: ((size + 1,), named)
    ),
    "the_end_of_its_block_gives_a_lease_back": told("lease", lambda lease: Broken(lease, leave=lambda *exc: None)),
    "what_was_given_back_is_used_no_more": told("lease", _released_often),
    "a_fresh_lease_has_no_bytes_of_another_owner": told("lease", _written),
    "a_size_that_there_is_not_is_refused": asked("lease", lambda size, **named: ((min(max(size, 1), 65536),), named)),
    "no_owner_gets_more_than_its_limit": one(lambda sound: {"limit": lambda *args, **named: None}),
    "a_limit_is_looked_at_before_anything_is_taken": one(_taken_first),
    "an_owner_gets_its_reserve_whatever_others_hold": one(lambda sound: {"limit": lambda *args, **named: None}),
    "where_there_is_no_other_buffer_whoever_asks_is_told_in_time": hiding(
        "lease", PoolExhaustedError, instead=_other_error
    ),
    "the_usage_of_an_owner_is_what_it_holds": told("usage", lambda found: replace(found, resources=0)),
    "all_that_an_owner_has_goes_with_it": told("release_owner", lambda count: 0),
    "a_name_that_an_owner_has_is_not_taken_twice": hiding("register", DuplicateResourceError),
    "what_fails_to_close_keeps_nothing_else": hiding("release_owner", ResourcesNotClosedError),
    "the_figures_have_a_record_for_each_tier": told(
        "statistics", lambda tiers: tuple(replace(tier, busy=0) for tier in tiers)
    ),
    "many_threads_never_share_a_buffer_nor_get_too_much": one(_lent_twice),
    "two_never_meet": meeting,
}


# -- monitoring ------------------------------------------------------------------------------------------------------


def _twice(method: str) -> Fault:
    def broken(sound: Any) -> dict[str, Call]:
        def call(*args: Any, **named: Any) -> None:
            for _ in range(2):
                getattr(sound, method)(*args, **named)

        return {method: call}

    return one(broken)


def _refusing(sound: Any) -> dict[str, Call]:
    def count(name: str, value: float = 1, **named: Any) -> None:
        if value < 0:
            raise ValueError("a counter only grows")
        sound.count(name, value, **named)

    return {"count": count}


def _losing_counts(sound: Any) -> dict[str, Call]:
    calls = itertools.count()
    return {"count": lambda *args, **named: sound.count(*args, **named) if next(calls) % 10 else None}


MONITORING: dict[str, Fault] = {
    "counts_add_up_by_name_and_component": asked("count", lambda name, value=1, component="": ((name, value), {})),
    "a_gauge_is_what_it_was_last_set_to": one(lambda sound: {"gauge": sound.count}),
    "values_make_a_distribution": _twice("record"),
    "every_transition_is_told_once": _twice("transition_made"),
    "every_error_is_told_once": one(lambda sound: {"error_seen": lambda record: None}),
    "nothing_that_it_is_told_makes_it_raise": one(_refusing),
    "a_snapshot_is_of_its_moment_and_to_take_it_disturbs_nobody": one(
        lambda sound: {"snapshot": lambda: (sound.count("looks"), sound.snapshot())[1]}
    ),
    "what_many_threads_tell_is_all_there": one(_losing_counts),
    "two_never_meet": meeting,
}


# -- components ------------------------------------------------------------------------------------------------------


def _left_running(sound: Any) -> dict[str, Call]:
    def start(name: str | None = None) -> None:
        try:
            sound.start(name)
        except StartFailedError:
            sound.start("t.a")
            raise

    return {"start": start}


def _other_than(method: str, error: Callable[..., Exception]) -> Fault:
    """A method that raises something else, or tells but the first of what went wrong."""

    def broken(sound: Any) -> dict[str, Call]:
        def call(*args: Any, **named: Any) -> Any:
            try:
                return getattr(sound, method)(*args, **named)
            except StopFailedError as found:
                raise error(component=found.component, action="stop", problems=found.problems[:1]) from found
            except KeyboardInterrupt as found:
                raise error(str(found)) from found

        return {method: call}

    return one(broken)


def _restarted_for_ever(sound: Any) -> dict[str, Call]:
    def restart(name: str, *, cause: str | None = None) -> bool:
        sound.stop(name)
        sound.start()
        return True

    return {"restart": restart}


COMPONENTS: dict[str, Fault] = {
    "all_are_told_in_the_order_they_start_in": told("components", lambda found: found[::-1]),
    "what_is_needed_runs_before_and_until": with_spec("register", needs=()),
    "to_start_what_runs_and_to_stop_what_does_not_is_nothing": one(
        lambda sound: {"start": lambda name=None: (sound.stop(name), sound.start(name))}
    ),
    "one_that_would_need_itself_is_refused": hiding("register", ComponentCycleError),
    "a_component_has_a_name": asked(
        "register", lambda spec, **named: ((replace(spec, name=spec.name or "t.nameless"),), named)
    ),
    "what_is_needed_and_not_there_is_told": hiding("start", UnknownComponentError),
    "an_unknown_name_is_an_error_that_has_it": hiding("stop", UnknownComponentError),
    "a_failed_start_leaves_nothing_behind": one(_left_running),
    "an_interruption_of_a_start_is_raised_and_leaves_nothing_behind": _other_than("start", RuntimeError),
    "a_failed_stop_keeps_nothing_from_stopping_and_all_is_told": _other_than("stop", StopFailedError),
    "an_interruption_of_a_stop_is_raised_when_all_has_stopped": _other_than("stop", RuntimeError),
    "a_restart_is_counted_and_too_many_of_them_are_refused": one(_restarted_for_ever),
    "by_rest_for_one_those_that_start_after_it_are_restarted_too": with_spec("register", strategy="one-for-one"),
    "a_component_is_shown_in_the_midst_of_its_change": told(
        "status", lambda found: replace(found, state=found.state.replace("starting", "running"))
    ),
    "many_threads_start_and_stop_each_component_in_turns": asked(
        "register", lambda spec, start, stop: ((spec,), {"start": lambda: (start(), start()), "stop": stop})
    ),
    "two_never_meet": meeting,
}


# -- tests -----------------------------------------------------------------------------------------------------------


def _opened_anew(sound: Any) -> dict[str, Call]:
    def open_environment(spec: Any) -> Any:
        if spec.name in {each.name for each in sound.environments()}:
            sound.close_environment(spec.name)
        return sound.open_environment(spec)

    return {"open_environment": open_environment}


def _tidied(sound: Any) -> dict[str, Call]:
    def verify_environment(name: str) -> Any:
        record = sound.verify_environment(name)
        sound.environment(name).resources.release_owner("upload")
        return record

    return {"verify_environment": verify_environment}


TESTS: dict[str, Fault] = {
    "an_environment_is_opened_with_all_managers": told("open_environment", lambda found: replace(found, open=False)),
    "a_name_that_is_open_is_refused": one(_opened_anew),
    "of_what_is_not_open_nothing_is_told": hiding(
        "verify_environment", UnknownEnvironmentError, instead=lambda name: EnvironmentRecord(name, False, 0.0)
    ),
    "what_is_left_is_told_and_not_taken_away": one(_tidied),
    "what_is_left_behind_is_named_and_taken_away": told("close_environment", lambda found: replace(found, left=())),
    "an_environment_has_the_limits_that_were_asked_for": with_spec("open_environment", lease=None),
    "two_environments_share_nothing": asked("environment", lambda name: (("a",), {})),
    "many_threads_may_open_and_close_at_once": hiding("open_environment", DuplicateEnvironmentError),
    "two_never_meet": meeting,
}


# -- cleanup ---------------------------------------------------------------------------------------------------------


def _given_up(sound: Any) -> dict[str, Call]:
    """The first step that fails is the last one."""
    failed: list[bool] = []

    def add(step: Any, run: Call) -> None:
        def unless_failed() -> None:
            if failed:
                return
            try:
                run()
            except BaseException:
                failed.append(True)
                raise

        sound.add(step, unless_failed)

    return {"add": add}


def _told_again(sound: Any) -> dict[str, Call]:
    reports: list[Any] = []

    def run(**named: Any) -> Any:
        reports.append(sound.run(**named))
        return max(reports, key=lambda report: len(report.done))

    return {"run": run}


def _closed_to_others(sound: Any) -> dict[str, Call]:
    """Takes no steps while it runs, and says nothing of that."""
    runs: list[bool] = []

    def run(**named: Any) -> Any:
        runs.append(True)
        try:
            return sound.run(**named)
        finally:
            runs.pop()

    return {"run": run, "add": lambda *args: None if runs else sound.add(*args)}


_NONE_HANGS = told("run", lambda report: replace(report, done=(*report.done, *report.hung), hung=()))

CLEANUP: dict[str, Fault] = {
    "steps_are_run_in_the_order_of_what_they_come_after": with_spec("add", after=()),
    "steps_are_run_phase_by_phase": with_spec("add", phase="release"),
    "every_step_is_begun_whatever_became_of_those_before": one(_given_up),
    "an_interruption_is_raised_when_every_step_was_begun": hiding("run", KeyboardInterrupt),
    "a_step_that_comes_after_itself_is_refused": hiding("add", CleanupOrderError),
    "a_second_run_does_nothing": one(_told_again),
    "a_step_that_hangs_is_left_behind_and_said_to_be": _NONE_HANGS,
    "all_of_it_has_a_deadline_too": _NONE_HANGS,
    "a_channel_has_those_within_it": asked("run", lambda **named: ((), {})),
    "a_run_of_all_has_every_channel": asked("run", lambda **named: ((), {**named, "channel": "t"})),
    "of_many_threads_that_clean_up_each_step_is_run_by_one": one(_told_again),
    "what_a_step_declares_is_run_too": one(_closed_to_others),
    "two_never_meet": meeting,
}

FAULTS = {
    "state": STATE,
    "errors": ERRORS,
    "threads": THREADS,
    "resources": RESOURCES,
    "monitoring": MONITORING,
    "components": COMPONENTS,
    "tests": TESTS,
    "cleanup": CLEANUP,
}
PROMISES = [(suite, name) for suite in SUITES for name in promises_of(suite)]


TRIES = 50


@pytest.mark.parametrize(("suite", "name"), PROMISES, ids=[f"{suite.ROLE}-{name[5:]}" for suite, name in PROMISES])
def test_whoever_breaks_a_promise_is_caught_by_the_test_for_it(suite: ModuleType, name: str) -> None:
    fault = FAULTS[suite.ROLE][name.removeprefix("test_")]
    with SUBJECTS[suite.ROLE]["manager"]() as sound:
        ask(promises_of(suite)[name], sound)

    def break_it() -> None:
        for _ in range(TRIES):  # threads that break a promise do so where they happen to meet
            with SUBJECTS[suite.ROLE]["manager"]() as sound:
                ask(promises_of(suite)[name], fault(*sound))

    with pytest.raises((Exception, pytest.fail.Exception)) as caught:
        break_it()
    assert not isinstance(caught.value, (TypeError, AttributeError, NameError)), "that is no fault, but a slip of ours"


def test_each_role_has_subjects_and_a_suite() -> None:
    assert {suite.ROLE for suite in SUITES} == set(SUBJECTS) == set(FAULTS)
    for suite in SUITES:
        assert {name.removeprefix("test_") for name in promises_of(suite)} == set(FAULTS[suite.ROLE])
