"""Errors of work that is handed to another thread: context variables go with it, and what nobody asks for is reported.

An error in a future is somebody's who asks for its result. It is captured where it happens, with the context variables
that the work was given; counted when whoever asked reports it, or when the future is gone and nobody had asked.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import wraps
from typing import Any, Protocol, TypeVar
from weakref import finalize

from coresys.errors.guards import is_error, makes_coroutines, refuse_generators
from coresys.system_records import ErrorRecord

T = TypeVar("T")


class Preparer(Protocol):
    """What this needs of an error manager."""

    def report(self, error: BaseException, *, component: str) -> object:
        """Capture an error and send it along its path."""

    def prepare(self, error: BaseException, *, component: str) -> Callable[[], ErrorRecord | None]:
        """Capture an error that somebody may ask for yet; what is returned counts it if nobody did."""


def carry(function: Callable[..., T], errors: Preparer, *, component: str) -> Callable[..., T]:
    """A function for another thread or a ``threading.Timer``: runs with the context variables of now, reports what it
    raises, and lets it go on. It may be called several times; each call has the variables as they are now.

    Raises TypeError for coroutine functions and generators, which run after the call. A task takes the variables along
    by itself: guard the coroutine function, and hand that to the loop.
    """
    refuse_generators(function, "a guard")
    if makes_coroutines(function):
        raise TypeError(
            f"{function!r} makes a coroutine, which runs after the call: guard it instead, errors.guard(component)(...)"
        )
    context = copy_context()

    @wraps(function)
    def carried(*args: Any, **kwargs: Any) -> T:
        present = context.copy()  # a context cannot be entered by two threads
        try:
            return present.run(function, *args, **kwargs)
        except BaseException as error:
            if is_error(error):
                present.run(_report, errors, error, component)
            raise

    return carried


def _report(errors: Preparer, error: BaseException, component: str) -> None:
    errors.report(error, component=component)


def watch(future: Future[T], errors: Preparer, *, component: str) -> Future[T]:
    """Report the error of a future if nobody asks for it: by ``result()``, ``exception()`` or awaiting it.

    Returns the future itself, whose class is one that notices who asks. Where that cannot be done (a class that has
    neither a dictionary nor weak references), the error is reported as soon as there is one.
    """
    if hasattr(future, "_coresys_asked"):
        return future  # it is watched already
    asked = _Asked()
    exception = type(future).exception  # of the class it has now, which notices nothing
    try:
        future.__class__ = _noticing(type(future))
        future._coresys_asked = asked  # type: ignore[attr-defined]  # of the class that it has now
    except (TypeError, AttributeError):
        future.add_done_callback(lambda done: _report_at_once(done, errors, component))
        return future

    def done(future: Future[T]) -> None:
        error = None if future.cancelled() else exception(future)
        if error is not None and is_error(error) and not asked.yes:
            finalize(future, _nobody_asked, asked, errors.prepare(error, component=component))

    future.add_done_callback(done)
    return future


class _Asked:
    """Whether somebody did; apart from the future, for it is looked at when that is gone."""

    __slots__ = ("yes",)

    def __init__(self) -> None:
        self.yes = False


def _nobody_asked(asked: _Asked, report: Callable[[], object]) -> None:
    if not asked.yes:
        report()


def _report_at_once(future: Future[Any], errors: Preparer, component: str) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None and is_error(error):
        errors.report(error, component=component)


_classes: dict[type, type] = {}


def _noticing(kind: type) -> type:
    """A class of futures, of which each notes who asks for its error."""
    known = _classes.get(kind)
    if known is not None:
        return known
    result, exception = kind.result, kind.exception  # type: ignore[attr-defined]  # it is a class of futures

    def noticing_result(self: Any, timeout: float | None = None) -> Any:
        try:
            return result(self, timeout)
        finally:
            self._coresys_asked.yes |= self.done()  # not where it was the time that was over
            self = None  # or the exception's own traceback would keep the future, and it the exception

    def noticing_exception(self: Any, timeout: float | None = None) -> Any:
        try:
            return exception(self, timeout)
        finally:
            self._coresys_asked.yes |= self.done()
            self = None

    made = type(kind.__name__, (kind,), {"__slots__": (), "result": noticing_result, "exception": noticing_exception})
    return _classes.setdefault(kind, made)


class ReportingExecutor(Executor):
    """An executor of threads, seen through a pane: work takes its context variables along, and errors are watched.

    Closing it closes the executor behind it.
    """

    def __init__(self, executor: Executor, errors: Preparer, *, component: str) -> None:
        self._executor, self._errors, self._component = executor, errors, component

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As the executor does."""
        context = copy_context()

        def run() -> T:
            try:
                return context.run(fn, *args, **kwargs)
            except BaseException as error:
                if is_error(error):
                    context.run(_prepare, self._errors, error, self._component)
                raise

        return watch(self._executor.submit(run), self._errors, component=self._component)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the executor does."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)


def _prepare(errors: Preparer, error: BaseException, component: str) -> None:
    errors.prepare(error, component=component)
