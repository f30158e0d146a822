"""The future of a task: ``concurrent.futures.Future`` in full, without paying for what few tasks need.

A standard future makes a Condition, a list and another list when it is made, which is most of what a tiny task costs.
Here they are made when somebody asks for them: to wait before it is done, to be called back, to cancel. What the
standard library reaches for in futures (``_condition``, ``_state``, ``_waiters``, ``_done_callbacks``) keeps its
meaning.

Who may change ``_state``, and under what (the condition's lock comes before the scheduler's):

- PENDING to RUNNING: under the scheduler's lock. Nobody waits for that.
- PENDING to cancelled: under the condition's lock and the scheduler's.
- RUNNING to FINISHED: under the scheduler's lock while there is no condition, else under the condition's. A condition
  is made under the scheduler's lock: whoever made one before the task finished is told, whoever made it after that
  finds the task finished.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures._base import (
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    LOGGER,
    PENDING,
    RUNNING,
    _AllCompletedWaiter,
)
from contextvars import Context
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import ref

from coresys.clock import monotonic
from coresys.threads.waits import limit

if TYPE_CHECKING:
    from coresys.threads.scheduler import Channel, Scheduler, Worker

T = TypeVar("T")
Work = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Context]
_DONE = (CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED)


class Task(Future[T], Generic[T]):
    """A future that carries its work until it is begun. Made by a pool."""

    # What every task begins with is kept once, in the class.
    _result: T | None = None
    _exception: BaseException | None = None
    _made_condition: threading.Condition | None = None
    _made_waiters: _Waiters | None = None
    _made_callbacks: list[Callable[[Future[T]], object]] | None = None
    channel: Channel | None = None
    runner = 0  # the identity of the thread that runs it

    def __init__(self, scheduler: Scheduler, work: Work, level: int, queued: float) -> None:
        # Not the constructor of Future: it makes what is made on demand here.
        self._state = PENDING
        self.scheduler = scheduler
        self.work: Work | None = work
        self.level = level  # of its priority
        self.queued = queued  # seconds of the scheduler's clock

    # -- what the standard library reaches for -----------------------------------------------------------------------

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]  # made when asked for, and never set
        condition = self._made_condition
        if condition is None:
            made = threading.Condition()
            with self.scheduler.lock:
                condition = self._made_condition
                if condition is None:
                    condition = self._made_condition = made
        return condition

    @property
    def _waiters(self) -> _Waiters:  # type: ignore[override]  # as above; asked for with the condition held
        if self._made_waiters is None:
            self._made_waiters = _Waiters(self)
        return self._made_waiters

    @property
    def _done_callbacks(self) -> list[Callable[[Future[T]], object]]:  # with the condition held, or when it is done
        if self._made_callbacks is None:
            self._made_callbacks = []
        return self._made_callbacks

    def cancelled(self) -> bool:
        """As of every future."""
        return self._state in (CANCELLED, CANCELLED_AND_NOTIFIED)

    def running(self) -> bool:
        """As of every future."""
        return self._state == RUNNING

    def done(self) -> bool:
        """As of every future."""
        return self._state in _DONE

    def cancel(self) -> bool:
        """As of every future: True where it had not begun, and will not. Whoever waits for it is told at once."""
        with self._condition, self.scheduler.lock:
            if self._state != PENDING:
                return self.cancelled()
            self._state = CANCELLED_AND_NOTIFIED
            work, self.work = self.work, None
            self.scheduler.left(self, cancelled=True)
            self._tell("add_cancelled")
        del work  # outside the locks: finalizers of arguments are not ours
        self._invoke_callbacks()  # type: ignore[attr-defined]  # of Future
        return True

    def result(self, timeout: float | None = None) -> T:
        """As of every future; and in a task of the same pool, what has not begun is run here rather than waited for."""
        if self._state == FINISHED and self._exception is None:
            return self._result  # type: ignore[return-value]  # written before the state
        waits: Worker | None = None
        try:
            left = self._helped(timeout)
            waits = self._note_wait(left)
            return super().result(left)
        finally:
            if waits is not None:
                waits.waits_for = waits.waits_for[:-1]
            self = None  # type: ignore[assignment]  # or an exception's traceback would keep it, and it the exception

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As of every future; helps as ``result`` does."""
        waits: Worker | None = None
        try:
            left = self._helped(timeout)
            waits = self._note_wait(left)
            return super().exception(left)
        finally:
            if waits is not None:
                waits.waits_for = waits.waits_for[:-1]
            self = None  # type: ignore[assignment]  # as in ``result``

    def set_running_or_notify_cancel(self) -> bool:
        """As of every future; the pool does without: whoever calls this takes the task from it, and sets a result."""
        with self._condition, self.scheduler.lock:
            if self._state == PENDING:
                self._state = RUNNING
                self.scheduler.left(self, cancelled=False)
                return True
            if self._state == CANCELLED_AND_NOTIFIED:
                return False
        LOGGER.critical("Future %s in unexpected state: %s", id(self), self._state)
        raise RuntimeError("Future in unexpected state")

    # -- ours --------------------------------------------------------------------------------------------------------

    def execute(self) -> None:
        """Do the work of a task that has begun. What came of it is kept here, and is to be told by ``finish``."""
        function, args, kwargs, context = self.work  # type: ignore[misc]  # begun once, by whoever is here
        self.work = None
        try:
            self._result = context.run(function, *args, **kwargs) if kwargs else context.run(function, *args)
        except BaseException as error:
            self._exception = error
            # Let go in here: the exception's own traceback would keep the task, and through it itself.
            del function, args, kwargs, context
            self = None  # type: ignore[assignment]

    def finish(self) -> None:
        """Tell what came of it to those that wait or want to be called back."""
        with self._condition:
            if self._state != RUNNING:
                return  # somebody else has set a result, which stands
            self._state = FINISHED
            self._tell("add_result" if self._exception is None else "add_exception")
        for callback in self._made_callbacks or ():
            try:
                callback(self)
            except BaseException:  # SystemExit too: it is not the worker's to end by
                LOGGER.exception("exception calling callback for %r", self)

    def abandon(self) -> None:
        """In a forked child: nobody will run it, and whoever held its locks is not here."""
        self._made_condition = self._made_waiters = self._made_callbacks = None
        self.work = None
        if self._state == PENDING:
            self._state = CANCELLED_AND_NOTIFIED
        elif self._state == RUNNING:
            self._exception = RuntimeError("the thread that ran this task is not in this process, which was forked")
            self._state = FINISHED

    def _tell(self, how: str) -> None:
        for waiter in self._made_waiters or ():
            getattr(waiter, how)(self)
        self._condition.notify_all()

    def _helped(self, timeout: float | None) -> float | None:
        """Help where that is called for, and return what is left of the timeout."""
        timeout = limit(timeout)
        if self._state in _DONE or not self.scheduler.is_worker():
            return timeout
        until = None if timeout is None else monotonic() + timeout
        try:
            self.scheduler.help((self,), self.done, self._block, until)
        finally:
            self = None  # type: ignore[assignment]  # as in ``result``
        return None if until is None else max(0.0, until - monotonic())

    def _note_wait(self, timeout: float | None) -> Worker | None:
        """Note that a worker of another pool waits for this one, for tasks that would wait for that worker to end.

        Returns the worker whose note is to be taken back. In its own pool whoever waits has noted it while it helped.
        """
        if timeout is not None or self._state in _DONE:
            return None
        worker = self.scheduler.worker_of_another()
        if worker is not None:
            worker.waits_for = (*worker.waits_for, self)
        return worker

    def _block(self, seconds: float | None) -> None:
        with self._condition:
            if self._state not in _DONE:
                self._condition.wait(seconds)


class _Waiters(list[Any]):
    """The waiters that ``wait`` and ``as_completed`` put on a task.

    In a worker's thread of the same pool their event is replaced by one that helps before it waits.
    """

    def __init__(self, task: Task[Any]) -> None:
        super().__init__()
        self._task = ref(task)  # which has this: no circle

    def append(self, waiter: Any) -> None:
        task = self._task()
        if task is not None and task.scheduler.is_worker():
            if not isinstance(waiter.event, _HelpingEvent):
                waiter.event = _HelpingEvent(task.scheduler)
            waiter.event.tasks.append(task)
            if isinstance(waiter, _AllCompletedWaiter) and not waiter.stop_on_exception:
                waiter.event.every = True
        super().append(waiter)


class _HelpingEvent(threading.Event):
    """An event whose ``wait`` runs the tasks that it is about, where they have not begun."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self.tasks: list[Task[Any]] = []
        self.every: bool | None = None

    def wait(self, timeout: float | None = None) -> bool:
        timeout = limit(timeout)
        until = None if timeout is None else monotonic() + timeout
        if not self._scheduler.is_worker():  # a generator of as_completed that was handed to another thread
            return super().wait(timeout)
        self.tasks = [task for task in self.tasks if not task.done()]
        try:
            self._scheduler.help(self.tasks, self.is_set, super().wait, until, self.every)
        finally:
            self.tasks = [task for task in self.tasks if not task.done()]
        return self.is_set()


__all__ = ["FINISHED", "PENDING", "RUNNING", "Task", "Work"]
