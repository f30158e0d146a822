"""Capture: what a record holds, what it must not hold, and that nothing is pinned by it."""

from __future__ import annotations

import asyncio
import builtins
import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from coresys.errors.capture import READING_PINS, Capture, fingerprint, group_members, leaves
from coresys.errors.hierarchy import CoreSysError, ObserverFailedError
from coresys.errors.secrets import MASK, Secrets
from coresys.errors.values import Values
from coresys.system_records import ErrorRecord, FrameRecord

REQUEST: ContextVar[str] = ContextVar("request")
TOKEN: ContextVar[str] = ContextVar("access_token")


class Thing:
    """Something that can be seen to be gone."""


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def deep(depth: int, note: str = "here") -> None:
    if depth:
        deep(depth - 1, note)
    raise ValueError("deep down")


def group(message: str, *members: BaseException) -> BaseException:
    home = builtins if hasattr(builtins, "BaseExceptionGroup") else pytest.importorskip("exceptiongroup")
    made: BaseException = home.BaseExceptionGroup(message, list(members))
    return made


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_a_record_says_what_where_and_in_which_thread() -> None:
    record = Capture()(raised(lambda: deep(2)), component="orders", time=5.0, severity="warning")
    assert (record.kind, record.message, record.component) == ("ValueError", "deep down", "orders")
    assert (record.time, record.severity, record.number) == (5.0, "warning", 0)
    assert record.thread == threading.current_thread().name
    assert [frame.function for frame in record.frames] == ["raised", "<lambda>", "deep", "deep", "deep"]
    assert record.frames[-1].path == __file__
    assert record.frames[-1].line == deep.__code__.co_firstlineno + 3


def test_the_line_is_that_of_the_frame_on_its_way_not_where_it_is_later() -> None:
    def work() -> None:
        try:
            deep(0)
        finally:
            _ = 1 + 1

    line = work.__code__.co_firstlineno + 2
    record = Capture()(raised(work))
    assert [frame.line for frame in record.frames if frame.function == "work"] == [line]


@pytest.mark.parametrize(
    ("depth", "kept", "left_out"), [(0, 3, 0), (61, 64, 0), (62, 64, 1), (500, 64, 439), (900, 64, 839)]
)
def test_the_middle_of_a_long_traceback_is_left_out(depth: int, kept: int, left_out: int) -> None:
    record = Capture()(raised(lambda: deep(depth)))
    assert (len(record.frames), record.frames_left_out) == (kept, left_out)
    assert record.frames[0].function == "raised"
    assert record.frames[-1].line == deep.__code__.co_firstlineno + 3


def test_a_recursion_error_is_captured_where_there_is_no_room_left() -> None:
    def endless() -> None:
        endless()

    record = Capture(values=Values())(raised(endless))
    assert record.kind == "RecursionError"
    assert len(record.frames) == 64


def test_an_exception_that_was_never_raised_has_no_frames() -> None:
    record = Capture()(KeyError("x"))
    assert (record.frames, record.fingerprint) == ((), "KeyError@nowhere")


def test_classes_of_ones_own_are_named_with_their_module() -> None:
    assert Capture()(raised(lambda: (_ for _ in ()).throw(CoreSysError("x")))).kind == (
        "coresys.errors.hierarchy.CoreSysError"
    )


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Rude(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Odd(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("plain"), "plain"),
        (ValueError(), ""),
        (ValueError("x" * 1000), "x" * 1000),
        (ValueError("x" * 1001), "x" * 1000 + "..."),
        (Mute(), "<message could not be read: ZeroDivisionError>"),
        (Rude(), "<message could not be read: SystemExit>"),
        (Odd(), "<message could not be read: TypeError>"),
        (ConnectionError("postgres://app:hunter2@db:5432/x is away"), f"postgres://{MASK}@db:5432/x is away"),
        (ValueError("login failed: password=hunter2, user=me"), f"login failed: password={MASK}, user=me"),
        (ValueError("sent Authorization: Bearer abcdefghijk.lmn"), f"sent Authorization: Bearer {MASK}"),
    ],
)
def test_messages_are_read_with_care(error: BaseException, message: str) -> None:
    assert Capture()(error).message == message


def test_a_secret_that_is_cut_off_in_the_middle_is_masked_all_the_same() -> None:
    text = "x" * 970 + " postgres://app:" + "hunter2" * 100 + "@db"
    assert "hunter2" not in Capture()(ValueError(text)).message
    text = "x" * 70 + " postgres://app:" + "hunter2" * 100 + "@db"
    assert "hunter2" not in Values().show("url", text)


def test_notes_are_kept_within_bounds() -> None:
    error = ValueError("x")
    error.__dict__["__notes__"] = ["first", 7, "second", *["more"] * 20]
    assert Capture()(error).notes == ("first", "second", *["more"] * 5)
    error.__dict__["__notes__"] = "no list"
    assert Capture()(error).notes == ()


# -- causes, groups ---------------------------------------------------------------------------------------------------


def chain(length: int) -> BaseException:
    try:
        if length:
            raise chain(length - 1)
        raise KeyError(0)
    except BaseException as inner:
        outer = ValueError(length)
        outer.__cause__ = inner if isinstance(inner, (ValueError, KeyError)) else None
        return outer


def test_causes_and_contexts_are_kept_nearest_first() -> None:
    def work() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise OSError("second")  # noqa: B904  # the context is what is tested
        except OSError as error:
            raise ValueError("third") from error

    record = Capture()(raised(work))
    assert [(cause.kind, cause.message) for cause in record.causes] == [("OSError", "second"), ("KeyError", "'first'")]
    assert [cause.causes for cause in record.causes] == [(), ()]
    assert all(cause.frames for cause in record.causes)


def test_a_context_that_was_suppressed_is_left_out() -> None:
    def work() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    assert Capture()(raised(work)).causes == ()


@pytest.mark.parametrize(("length", "kept", "left_out"), [(3, 3, 0), (4, 4, 0), (5, 4, 1), (100, 4, 96)])
def test_a_long_chain_is_bounded(length: int, kept: int, left_out: int) -> None:
    error: BaseException = ValueError(0)
    for number in range(length):
        outer = ValueError(number + 1)
        outer.__cause__ = error
        error = outer
    record = Capture(errors=4)(error)
    assert (len(record.causes), record.errors_left_out) == (kept, left_out)


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second, third = ValueError(1), ValueError(2), ValueError(3)
    first.__cause__, second.__cause__, third.__cause__ = second, third, second
    assert [cause.message for cause in Capture()(first).causes] == ["2", "3"]


def test_members_of_groups_are_kept_with_their_structure() -> None:
    inner = group("inner", KeyError("a"), OSError("b"))
    record = Capture()(group("outer", raised(lambda: deep(1)), inner))
    assert record.members[0].kind == "ValueError"
    assert [leaf.kind for leaf in leaves(record)] == ["ValueError", "KeyError", "OSError"]
    assert record.members[0].frames[-1].function == "deep"


def test_members_are_bounded_and_counted_as_left_out() -> None:
    record = Capture(errors=10)(group("many", *(ValueError(number) for number in range(25))))
    assert (len(record.members), record.errors_left_out) == (10, 15)


def test_groups_in_groups_in_groups_end() -> None:
    error: BaseException = ValueError("leaf")
    for _ in range(100):
        error = group("again", error)
    record = Capture()(error)
    depth = 0
    while record.members:
        record, depth = record.members[0], depth + 1
    assert (depth, record.errors_left_out) == (16, 1)


class BaseExceptionGroupOfAnother(Exception):
    exceptions = (ValueError(1),)


def test_what_only_looks_like_a_group_is_none() -> None:
    assert group_members(BaseExceptionGroupOfAnother()) == ()
    assert group_members(ValueError()) == ()


def test_all_that_observers_raised_is_kept() -> None:
    causes = (ValueError("one"), KeyError("two"), OSError("three"))
    error = ObserverFailedError(machine="m", event="e", source="a", target="b", sequence=1, causes=causes)
    error.__cause__ = causes[0]
    assert [cause.kind for cause in Capture()(error).causes] == ["ValueError", "KeyError", "OSError"]


# -- context variables ------------------------------------------------------------------------------------------------


def test_selected_context_variables_are_kept_by_name_or_themselves() -> None:
    reset = REQUEST.set("r-17"), TOKEN.set("very secret")
    try:
        by_name = Capture(context=["request", "access_token", "unknown"])(ValueError())
        themselves = Capture(context=[REQUEST, TOKEN])(ValueError())
        assert by_name.context == (("access_token", MASK), ("request", "'r-17'"))
        assert themselves.context == by_name.context
        assert Capture()(ValueError()).context == ()
    finally:
        REQUEST.reset(reset[0])
        TOKEN.reset(reset[1])


def test_a_variable_that_is_not_set_is_left_out() -> None:
    assert Capture(context=[REQUEST, "request"])(ValueError()).context == ()


def test_the_task_is_named() -> None:
    async def work() -> ErrorRecord:
        return Capture()(ValueError())

    async def main() -> ErrorRecord:
        return await asyncio.create_task(work(), name="billing")

    assert asyncio.run(main()).task == "billing"
    assert Capture()(ValueError()).task is None


# -- locals -----------------------------------------------------------------------------------------------------------


def test_locals_are_shown_bounded_and_masked() -> None:
    def work(order: int, password: str) -> None:
        headers = {"authorization": "Basic abc", "accept": "json"}
        raise ValueError(order, len(password), len(headers))

    record = Capture(values=Values())(raised(lambda: work(7, "hunter2")))
    values = dict(record.frames[-1].values)
    assert values == {"order": "7", "password": MASK, "headers": f"{{'authorization': {MASK}, 'accept': 'json'}}"}
    assert "hunter2" not in repr(record)


def test_no_locals_unless_asked_for() -> None:
    assert all(frame.values == () for frame in Capture()(raised(lambda: deep(3))).frames)


def test_only_the_innermost_frames_have_locals() -> None:
    record = Capture(values=Values(frames=3))(raised(lambda: deep(9)))
    assert [bool(frame.values) for frame in record.frames][-4:] == [False, True, True, True]


def test_all_values_of_an_error_together_are_bounded() -> None:
    def wide(depth: int) -> None:
        a = b = c = d = "x" * 90
        if depth:
            wide(depth - 1)
        raise ValueError(a, b, c, d)

    record = Capture(values=Values(total=500))(raised(lambda: wide(8)))
    assert 500 <= sum(len(text) for frame in record.frames for _, text in frame.values) < 500 + 110


def test_variables_of_modules_and_classes_are_not_shown() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        exec("secretive = 1\nclass A:\n    inside = 2\n    1 / 0\n", {})
    frames = Capture(values=Values())(caught.value).frames
    assert [(frame.function, frame.values) for frame in frames[1:]] == [("<module>", ()), ("A", ())]


# -- nothing is pinned ------------------------------------------------------------------------------------------------


def captured_in_a_function_that_catches(capture: Capture) -> tuple[ErrorRecord, list[weakref.ref[Any]]]:
    refs: list[weakref.ref[Any]] = []

    class Mine(Exception):
        pass

    def fail() -> None:
        thing = Thing()
        refs.append(weakref.ref(thing))
        raise Mine("x")

    def outer() -> None:
        another = Thing()
        refs.append(weakref.ref(another))
        fail()

    local = Thing()
    refs.append(weakref.ref(local))
    try:
        outer()
    except Mine as error:
        refs.append(weakref.ref(error))
        record = capture(error)
    del local
    # The frame that caught it still runs: what it caught has to be gone by now, without a collection.
    assert [ref() for ref in refs] == [None] * 4
    return record, refs


@pytest.fixture
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("values", [None, Values()])
@pytest.mark.usefixtures("no_collections")
def test_exceptions_and_locals_are_gone_while_the_catching_frame_still_runs(values: Values | None) -> None:
    record, _ = captured_in_a_function_that_catches(Capture(values=values))
    assert record.frames[-1].function == "fail"
    if values is not None:
        assert dict(record.frames[-1].values)["thing"] == "<Thing>"
        assert [bool(frame.values) for frame in record.frames] == [not READING_PINS, True, True]


@pytest.mark.skipif(not READING_PINS, reason="reading pins nothing from 3.13 on")
@pytest.mark.usefixtures("no_collections")
def test_the_trap_is_there_and_this_test_sees_it() -> None:
    """Reading the locals of the frame that catches is what we do not do; if this fails, the check above is idle."""
    refs: list[weakref.ref[Any]] = []

    class Mine(Exception):
        pass

    def fail() -> None:
        raise Mine

    try:
        fail()
    except Mine as error:
        refs.append(weakref.ref(error))
        _ = error.__traceback__ and error.__traceback__.tb_frame.f_locals
    assert refs[0]() is not None


@pytest.mark.usefixtures("no_collections")
def test_an_exception_that_was_raised_again_in_the_frame_that_caught_it_is_not_pinned() -> None:
    refs: list[weakref.ref[Any]] = []
    capture = Capture(values=Values())

    class Mine(Exception):
        pass

    def fail() -> None:
        raise Mine

    try:
        try:
            fail()
        except Mine as first:
            raise first
    except Mine as second:
        refs.append(weakref.ref(second))
        capture(second)
    assert refs[0]() is None


@pytest.mark.usefixtures("no_collections")
def test_a_generator_that_caught_it_and_still_lives_does_not_pin_it() -> None:
    refs: list[weakref.ref[Any]] = []
    capture = Capture(values=Values())

    class Mine(Exception):
        pass

    def fail() -> None:
        raise Mine

    def catching() -> Iterator[BaseException | None]:
        held: list[BaseException] = []
        try:
            fail()
        except Mine as error:
            held.append(error)
        yield held.pop()
        yield None

    def work(generator: Iterator[BaseException | None]) -> None:
        error = next(generator)
        assert error is not None
        refs.append(weakref.ref(error))
        try:
            raise error
        except Mine as again:
            capture(again)
        del error

    generator = catching()
    work(generator)
    assert refs[0]() is None
    next(generator)


@pytest.mark.usefixtures("no_collections")
def test_an_error_of_a_future_is_not_pinned_by_its_record() -> None:
    refs: list[weakref.ref[Any]] = []
    capture = Capture(values=Values())

    class Mine(Exception):
        pass

    def fail() -> None:
        thing = Thing()
        refs.append(weakref.ref(thing))
        raise Mine

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(fail)
        try:
            future.result()
        except Mine as error:
            refs.append(weakref.ref(error))
            record = capture(error)
        del future
    assert record.frames[-1].function == "fail"
    assert [ref() for ref in refs] == [None, None]


def test_a_record_holds_nothing_but_values() -> None:
    record = Capture(values=Values(), context=["request"])(chain(3))
    seen: list[object] = [record]
    while seen:
        each = seen.pop()
        if isinstance(each, (ErrorRecord, FrameRecord)):
            fields = each if isinstance(each, FrameRecord) else [getattr(each, name) for name in each.__slots__]
            seen += fields
        elif isinstance(each, tuple):
            seen += each
        else:
            assert type(each) in (str, int, float, type(None))
    assert pickle.loads(pickle.dumps(record)) == record


# -- fingerprints -----------------------------------------------------------------------------------------------------


def test_a_fingerprint_is_that_of_class_code_and_offset() -> None:
    def places(which: int) -> None:
        if which == 1:
            raise ValueError(1)
        if which == 2:
            raise ValueError(1)
        raise KeyError(1)

    def of(which: int) -> str:
        error = raised(lambda: places(which))
        return fingerprint(type(error).__name__, error.__traceback__)

    assert of(1) == of(1)
    assert len({of(1), of(2), of(3)}) == 3
    one, another = raised(lambda: deep(1)), raised(lambda: deep(4))
    assert Capture()(one).fingerprint == Capture()(another).fingerprint


def test_a_hook_hides_more() -> None:
    def work(iban_like: str, amount: int) -> None:
        raise ValueError(iban_like, amount)

    secrets = Secrets(hook=lambda name, value: isinstance(value, str) and value.startswith("DE"))
    record = Capture(values=Values(secrets=secrets))(raised(lambda: work("DE0012", 5)))
    assert dict(record.frames[-1].values) == {"iban_like": MASK, "amount": "5"}
