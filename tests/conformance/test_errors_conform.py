"""What IErrorManager promises."""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial

import pytest
from conforming import at_once

from coresys.errors.hierarchy import RouteError
from coresys.interfaces import IErrorManager
from coresys.system_records import ErrorRecord

ROLE = "errors"


def raised(error: BaseException) -> BaseException:
    """The error, as it is when somebody has raised it."""
    try:
        raise error
    except BaseException as caught:
        return caught


def routed(errors: IErrorManager, *components: str) -> list[ErrorRecord]:
    """What reaches a sink at the end of a path through these components."""
    received: list[ErrorRecord] = []
    errors.sink("end", received.append)
    for component, to in zip(components, (*components[1:], "end"), strict=True):
        errors.route(component, to)
    return received


def test_an_error_is_captured_with_its_place(one: IErrorManager) -> None:
    received = routed(one, "web")
    record = one.report(raised(OSError("gone")), component="web", severity="warning")
    assert (record.kind, record.message, record.component, record.severity) == ("OSError", "gone", "web", "warning")
    assert record.thread == threading.current_thread().name
    assert record.frames[-1].path == __file__
    assert record.frames[-1].function == "raised"
    assert one.recent("web") == (record,)
    assert [each.number for each in received] == [record.number]


def test_an_error_goes_along_its_path_once(one: IErrorManager) -> None:
    received = routed(one, "web", "service")
    one.report(raised(OSError("gone")), component="web")
    one.report(raised(OSError("gone too")), component="service")
    assert [each.route for each in received] == [("web", "service", "end"), ("service", "end")]


def test_what_is_reported_again_on_its_way_is_counted_and_told_once(one: IErrorManager) -> None:
    received = routed(one, "web", "service")
    error = raised(OSError("gone"))
    before = one.statistics().seen
    first = one.report(error, component="web")
    again = one.report(error, component="service")
    assert again.number == first.number
    assert (len(received), one.statistics().seen - before, len(one.recent())) == (1, 1, 1)
    one.report(raised(OSError("gone")), component="web")  # another one, though it looks the same
    assert (len(received), one.statistics().seen - before) == (2, 2)


def test_a_path_that_would_close_a_circle_is_refused(one: IErrorManager) -> None:
    received = routed(one, "web", "service")
    for component, to in (("service", "web"), ("other", "other")):
        with pytest.raises(RouteError):
            one.route(component, to)
    one.report(raised(OSError("gone")), component="web")
    assert [each.route for each in received] == [("web", "service", "end")]


def test_a_record_keeps_nothing_of_the_exception(one: IErrorManager) -> None:
    class Heavy(Exception):
        pass

    received = routed(one, "web")
    error = raised(Heavy("gone"))
    kept = weakref.ref(error)
    record = one.report(error, component="web")
    del error
    gc.collect()
    assert kept() is None
    assert (record.message, received[0].message, one.recent()[-1].message) == ("gone", "gone", "gone")


def test_the_last_errors_are_kept_oldest_first(one: IErrorManager) -> None:
    routed(one, "web")
    routed(one, "db")
    errors = OSError("0"), ValueError("1"), KeyError(2)  # of one kind and place only the last may be kept
    for error, component in zip(errors, ("web", "db", "web"), strict=True):
        one.report(raised(error), component=component)
    assert [each.message for each in one.recent()] == ["0", "1", "2"]
    assert [each.message for each in one.recent("web")] == ["0", "2"]
    assert one.recent("unheard of") == ()
    numbers = [each.number for each in one.recent()]
    assert numbers == sorted(set(numbers))


def test_the_figures_say_what_was_seen_and_what_became_of_it(one: IErrorManager) -> None:
    before = one.statistics()
    routed(one, "web")

    def fails(record: ErrorRecord) -> None:
        raise OSError("the sink")

    one.sink("broken", fails)
    one.route("db", "broken")
    one.report(raised(OSError("gone")), component="web")
    one.report(raised(ValueError("gone")), component="web")
    one.report(raised(OSError("gone")), component="db")
    after = one.statistics()
    assert after.undelivered - before.undelivered >= 1
    assert after.seen == after.delivered + after.undelivered >= before.seen + 3  # what a sink raises may be seen too
    assert {"web": 2, "db": 1}.items() <= dict(after.by_component).items()
    assert dict(after.by_kind)["ValueError"] == 1
    assert dict(after.by_kind)["OSError"] >= 2
    assert one.recent("web")[-1].kind == "ValueError"
    again = one.statistics()
    assert (again.seen, again.by_component, again.by_kind) == (after.seen, after.by_component, after.by_kind)


def test_what_many_threads_report_is_counted_and_told_once_each(one: IErrorManager) -> None:
    received = routed(one, "web", "service")
    before = one.statistics().seen
    shared = [raised(OSError(str(number))) for number in range(20)]

    def report(name: str) -> None:
        for number in range(10):
            one.report(raised(OSError(f"{name} {number}")), component="web")
        for error in shared:
            one.report(error, component="web")

    at_once(*(partial(report, str(number)) for number in range(5)))
    assert one.statistics().seen - before == len(received) == 70
    assert len({each.number for each in received}) == len({each.message for each in received}) == 70


def test_two_never_meet(one: IErrorManager, other: IErrorManager) -> None:
    mine, theirs = routed(one, "web"), routed(other, "web")
    before = other.statistics().seen
    error = raised(OSError("gone"))
    one.report(error, component="web")
    assert (len(mine), theirs, other.recent(), other.statistics().seen) == (1, [], (), before)
    other.report(error, component="web")
    assert (len(mine), len(theirs), len(one.recent())) == (1, 1, 1)
