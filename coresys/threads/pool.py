"""The executor: the standard library's protocol in full, with priorities, channels and a bound on what waits."""

from __future__ import annotations

import threading
import weakref
from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures._base import LOGGER, PENDING, RUNNING
from concurrent.futures.thread import BrokenThreadPool
from contextvars import copy_context
from functools import partial
from itertools import count
from typing import Any, Literal, TypeVar

from coresys.clock import Clock, MonotonicClock, monotonic, sleep
from coresys.errors.hierarchy import QueueFullError
from coresys.forks import call_in_children
from coresys.system_records import ThreadPoolStatistics
from coresys.threads.futures import Task, Work
from coresys.threads.scheduler import LEVELS, PROCESSING, SYSTEM, Scheduler, Worker, here
from coresys.threads.stacks import STACK_DEFAULT, check_stack_size, start
from coresys.threads.waits import limit

MOST_WORKERS = 20
LOOK = 0.02  # seconds after which a task that shuts a pool down looks again who waits for it
T = TypeVar("T")
Priority = Literal["system", "processing", "monitoring"]

_numbers = count()
_new_task = Task.__new__
_NO_KWARGS: dict[str, Any] = {}  # never changed
_EXITING = "cannot schedule new futures after interpreter shutdown"
_exiting = False
_schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()  # for exits and forks


class ThreadPool(Executor):
    """Runs functions on a bounded number of threads.

    >>> from coresys.threads import ThreadPool
    >>> with ThreadPool(max_workers=4, name="service") as pool:
    ...     total = pool.submit(sum, [1, 2, 3])
    ...     urgent = pool.submit_with(lambda: "now", priority="system")
    ...     ordered = [pool.submit_with(partial(str, n), channel="orders-17") for n in range(3)]
    ...     total.result(), urgent.result(), [each.result() for each in ordered]
    (6, 'now', ['0', '1', '2'])

    ``max_workers`` counts all threads, 20 at most; ``reserved`` of them run system tasks only (none of one). Of what
    waits, system tasks come first, then processing, then monitoring; one pick in 16 is from the lowest that has any.
    Tasks see the context variables of whoever submitted them.

    ``max_queued`` bounds the tasks that wait, but for system tasks and those that tasks of this pool submit (which
    could wait for themselves). Where it is reached, ``submit`` waits for ``queue_timeout`` seconds (None: for ever), or
    not at all with ``when_full="raise"``; then it raises QueueFullError.

    ``daemon``: what runs when the interpreter ends is not waited for, as what was taken is otherwise; for pools whose
    tasks may hang. ``stack_size`` is in bytes, 512 KiB at least (1 MiB from Python 3.13 on). ``initializer`` is called
    in each thread when it starts; if it raises, the pool is broken (BrokenThreadPool), as the standard library's.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        name: str = "",
        reserved: int = 1,
        max_queued: int | None = None,
        when_full: Literal["block", "raise"] = "block",
        queue_timeout: float | None = None,
        stack_size: int = STACK_DEFAULT,
        daemon: bool = False,
        clock: Clock | None = None,
    ) -> None:
        most = MOST_WORKERS if max_workers is None else max_workers
        if most <= 0:
            raise ValueError("max_workers must be greater than 0")
        if most > MOST_WORKERS:
            raise ValueError(f"max_workers must be at most {MOST_WORKERS}, not {most}")
        if not 0 <= reserved <= most:
            raise ValueError(f"of {most} workers, {reserved} cannot be reserved")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_queued is not None and max_queued < 1:
            raise ValueError("max_queued must be greater than 0")
        if when_full not in ("block", "raise"):
            raise ValueError(f"when_full is block or raise, not {when_full!r}")
        self.name = name or thread_name_prefix or f"coresys-{next(_numbers)}"
        self._max_workers = most
        self._max_queued, self._when_full, self._queue_timeout = max_queued, when_full, limit(queue_timeout)
        self._threads: set[threading.Thread] = set()
        staff = _Staff(self.name, check_stack_size(stack_size), initializer, initargs, self._threads, daemon)
        self._scheduler = Scheduler(
            workers=most,
            reserved=min(reserved, most - 1),
            now=(MonotonicClock.now if clock is None else clock.now),
            hire=staff.hire,
        )
        _schedulers.add(self._scheduler)
        _staffs[self._scheduler] = staff

    # -- submitting --------------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` at the ordinary priority. Raises RuntimeError after shutdown, QueueFullError."""
        scheduler = self._scheduler
        if self._max_queued is not None:
            return self._submit((fn, args, kwargs, copy_context()), PROCESSING, None)
        task: Task[T] = _new_task(Task)
        task._state = PENDING  # its constructor, without a call
        task.scheduler = scheduler
        task.work = (fn, args, kwargs or _NO_KWARGS, copy_context())  # what waits is small: most tasks have none
        task.level = PROCESSING
        task.queued = scheduler.now()
        with scheduler.lock:  # add, without a call
            if scheduler.refusing is not None or _exiting:
                raise _refusal(scheduler)
            scheduler.queued[PROCESSING] += 1
            scheduler.queues[PROCESSING].append(task)
            after = scheduler.summon(PROCESSING) if scheduler.parked or scheduler.general < scheduler.ordinary else None
            if scheduler.unstaffed:
                after = scheduler.staff
        if after is not None:
            after()
        return task

    def submit_with(
        self, fn: Callable[[], T], *, priority: Priority | str = "processing", channel: str | None = None
    ) -> Future[T]:
        """Run ``fn()`` at a priority. Tasks of one ``channel`` run in the order they were submitted in, never two at
        once; one of a higher priority takes those before it along. Raises as ``submit``, and ValueError for a priority
        that is none."""
        return self._submit((fn, (), {}, copy_context()), _level(priority), channel)

    async def run(
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        priority: Priority | str = "processing",
        channel: str | None = None,
        **kwargs: Any,
    ) -> T:
        """Await ``fn(*args, **kwargs)`` from asyncio. Where the queue is full, this waits without blocking the loop.

        When the awaiting task is cancelled, a task that has not begun is cancelled too; one that has, runs to its end.
        """
        import asyncio  # only where it is used: it costs more than this package

        loop = asyncio.get_running_loop()
        work: Work = (fn, args, kwargs, copy_context())
        level = _level(priority)
        until = None if self._queue_timeout is None else monotonic() + self._queue_timeout
        while True:
            room: asyncio.Future[None] = loop.create_future()
            tell = partial(_tell_loop, loop, room)
            task: Task[T] | None = self._try_submit(work, level, channel, tell)
            if task is not None:
                return await asyncio.wrap_future(task, loop=loop)
            told = False
            try:
                left = None if until is None else max(0.0, until - monotonic())
                await asyncio.wait_for(room, left)
                told = True
            except asyncio.TimeoutError:
                raise self._full() from None
            finally:
                self._forget(tell, leaving=not told)

    def _submit(self, work: Work, level: int, channel: str | None) -> Task[Any]:
        if self._max_queued is None:
            task = self._try_submit(work, level, channel, _nothing)
            assert task is not None  # there is no bound
            return task
        until = None if self._queue_timeout is None else monotonic() + self._queue_timeout
        while True:
            gate = allocate_lock()
            gate.acquire()
            told = False
            try:
                task = self._try_submit(work, level, channel, gate.release)
                if task is not None:
                    return task
                told = gate.acquire(True, -1 if until is None else min(max(0.0, until - monotonic()), TIMEOUT_MAX))
                if not told:
                    raise self._full()
            finally:
                self._forget(gate.release, leaving=not told)

    def _try_submit(self, work: Work, level: int, channel: str | None, tell: Callable[[], object]) -> Task[Any] | None:
        """Queue it, or return None where there is no room, and ``tell`` is called when there is some."""
        scheduler = self._scheduler
        task: Task[Any] = Task(scheduler, work, level, scheduler.now())
        with scheduler.lock:
            if scheduler.refusing is not None or _exiting:
                raise _refusal(scheduler)
            limit = self._max_queued
            if (
                limit is not None
                and level != SYSTEM
                and sum(scheduler.queued[1:]) >= limit
                and here.scheduler is not scheduler
            ):
                if self._when_full == "raise":
                    raise self._full()
                scheduler.room.append(tell)
                return None
            after = scheduler.add(task, channel)
        if after is not None:
            after()
        return task

    def _forget(self, tell: Callable[[], object], *, leaving: bool) -> None:
        """No more waiting for room. Who was told and leaves passes it on; who comes back takes a place itself."""
        scheduler = self._scheduler
        with scheduler.lock:
            try:
                scheduler.room.remove(tell)
            except ValueError:
                free = (self._max_queued or 0) - sum(scheduler.queued[1:])
                if scheduler.room and free > (0 if leaving else 1):
                    scheduler.room.popleft()()

    def _full(self) -> QueueFullError:
        assert self._max_queued is not None
        queued = sum(self._scheduler.queued[1:])
        timeout = self._queue_timeout if self._when_full == "block" else None
        return QueueFullError(pool=self.name, queued=queued, limit=self._max_queued, timeout=timeout)

    # -- looking and ending ------------------------------------------------------------------------------------------

    def statistics(self) -> ThreadPoolStatistics:
        """Workers, queues, and what became of tasks. A task that failed is one of the completed too."""
        scheduler = self._scheduler
        with scheduler.lock:
            workers = scheduler.workers
            system, processing, monitoring = scheduler.queued
            return ThreadPoolStatistics(
                workers=len(workers),
                most_workers=scheduler.most_workers,
                busy=sum(worker.busy for worker in workers),
                queued=(system, processing, monitoring),
                submitted=sum(scheduler.queued) + scheduler.begun + scheduler.cancelled,
                completed=scheduler.completed,
                failed=scheduler.failures,
                cancelled=scheduler.cancelled,
                waits=(scheduler.waits[0], scheduler.waits[1], scheduler.waits[2]),
            )

    def running(self) -> tuple[int, ...]:
        """The threads (``threading.get_ident``) that run a task now."""
        scheduler = self._scheduler
        with scheduler.lock:
            return tuple(ident for ident, worker in scheduler.running.items() if worker.busy)

    def wait_at_exit(self, wait: bool) -> None:
        """Whether the interpreter waits for what was taken before it ends, from now on.

        Of a pool of daemons, which says so later: when it is known that something hangs. Raises ValueError for another:
        the interpreter always waits for threads that are no daemons.
        """
        staff = _staffs[self._scheduler]
        if not (wait or staff.daemon):
            raise ValueError("the interpreter waits for threads that are no daemons")
        staff.waits = wait

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of every executor: take no more tasks, and with ``wait`` return when all that was taken is done.

        Called in a task, it does not wait for the thread it runs in, nor for tasks that wait for that one: to shut a
        pool down, or for its result (by ``result`` or ``exception``), in this pool or in others.
        """
        scheduler = self._scheduler
        with scheduler.lock:
            scheduler.refusing = scheduler.refusing or "cannot schedule new futures after shutdown"
            while scheduler.room:  # they will be refused
                scheduler.room.popleft()()
        if cancel_futures:
            for task in scheduler.drain():
                task.cancel()
        _let_end(scheduler)
        if wait:
            _join(scheduler, self._threads)

    def __del__(self) -> None:
        # Dropped: what was taken is done, then the workers end. No waiting: this may be anywhere.
        scheduler = self.__dict__.get("_scheduler")
        if scheduler is not None:
            _let_end(scheduler)

    def __repr__(self) -> str:
        figures = self.statistics()
        return (
            f"<ThreadPool {self.name}: {figures.workers} of {self._max_workers} workers, {figures.busy} busy, "
            f"{sum(figures.queued)} queued>"
        )


class _Staff:
    """Starts the threads of a pool. Holds no pool."""

    def __init__(
        self,
        name: str,
        stack_size: int,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        threads: set[threading.Thread],
        daemon: bool,
    ) -> None:
        self.name, self.stack_size, self.threads, self.daemon = name, stack_size, threads, daemon
        self.waits = not daemon  # whether the interpreter, when it ends
        self.initializer, self.initargs = initializer, initargs
        self.numbers = count()

    def hire(self, scheduler: Scheduler, worker: Worker) -> None:
        """Start the thread of a place that was given. Where none is to be had, others do the work, if there are any."""
        thread = threading.Thread(
            target=self.main, args=(scheduler, worker), name=f"{self.name}_{next(self.numbers)}", daemon=self.daemon
        )
        try:
            self.threads.add(thread)
            start(thread, self.stack_size)
        except BaseException as error:
            with scheduler.lock:
                if not worker.begun:  # else it runs, and this is an exception out of nowhere
                    worker.dismissed = True
                    self.threads.discard(thread)
                    scheduler.give_back(worker)
                alone = not scheduler.general if not worker.reserved else not scheduler.workers
            if alone or not isinstance(error, Exception):
                raise

    def main(self, scheduler: Scheduler, worker: Worker) -> None:
        """What each thread does."""
        with scheduler.lock:
            if worker.dismissed:
                return
            worker.begun = True
        if self.initializer is not None:
            try:
                self.initializer(*self.initargs)
            except BaseException:
                LOGGER.critical("Exception in initializer:", exc_info=True)
                self._broken(scheduler, worker)
                return
        try:
            scheduler.work(worker)
        except BaseException:
            LOGGER.critical("Exception in worker", exc_info=True)
            scheduler.lost(worker)

    def _broken(self, scheduler: Scheduler, worker: Worker) -> None:
        why = "A thread initializer failed, the thread pool is not usable anymore"
        with scheduler.lock:
            scheduler.refusing, scheduler.broken = why, True
            scheduler.give_back(worker)
            while scheduler.room:
                scheduler.room.popleft()()
        for task in scheduler.drain():
            with scheduler.lock:
                if task._state != PENDING:
                    continue
                task._state = RUNNING
                scheduler.left(task, cancelled=False)
                scheduler.completed += 1
                scheduler.failures += 1
            task.work = None
            task.set_exception(BrokenThreadPool(why))
        _let_end(scheduler)


_staffs: weakref.WeakKeyDictionary[Scheduler, _Staff] = weakref.WeakKeyDictionary()


def _nothing() -> None:
    """Nobody has to be told."""


def _tell_loop(loop: Any, room: Any) -> None:
    try:
        loop.call_soon_threadsafe(lambda: room.done() or room.set_result(None))
    except RuntimeError:  # the loop is closed
        pass


def _level(priority: str) -> int:
    try:
        return LEVELS[priority]
    except KeyError:
        raise ValueError(f"priority is one of {', '.join(LEVELS)}, not {priority!r}") from None


def _refusal(scheduler: Scheduler) -> RuntimeError:
    if scheduler.broken:
        return BrokenThreadPool(scheduler.refusing)
    return RuntimeError(scheduler.refusing if not _exiting or scheduler.refusing else _EXITING)


def _let_end(scheduler: Scheduler) -> None:
    scheduler.end()


def _join(scheduler: Scheduler, threads: set[threading.Thread]) -> None:
    """Return when all workers have ended, but for the calling thread, and for those that wait for it themselves.

    Only a worker can be waited for by one: all others join the threads, and look no further. A worker looks again
    while it waits, for those it waits for may begin to wait for it at any time. Whoever is in such a circle sees it,
    perhaps more than one of them; each of them goes on then, and those it was about do so because it does.
    """
    me, mine = get_ident(), here.worker
    if mine is None:
        _join_others(scheduler, threads, me, lambda _: False, None)
        return
    outer, mine.joins = mine.joins, scheduler
    try:
        _join_others(scheduler, threads, me, lambda ident: scheduler.waits_for(ident, me), LOOK)
    finally:
        mine.joins = outer


def _join_others(
    scheduler: Scheduler,
    threads: set[threading.Thread],
    me: int,
    waits_for_me: Callable[[int], bool],
    pause: float | None,
) -> None:
    while True:
        scheduler.staff()  # where whoever was to do it was interrupted
        for thread in list(threads):
            ident = thread.ident
            if ident not in (None, me):  # None: it is being started just now
                while thread.is_alive() and not waits_for_me(ident):
                    thread.join(pause)
        with scheduler.lock:
            left = scheduler.workers - {here.worker}
            running = dict(scheduler.running)
        left -= {worker for ident, worker in running.items() if worker in left and waits_for_me(ident)}
        if not left:
            return
        sleep(0.001)  # one was given its place, and is being started just now


def _at_exit() -> None:
    """As the standard library's: what was taken is done before the interpreter ends, and no more is taken."""
    global _exiting
    _exiting = True
    known = [(scheduler, _staffs.get(scheduler)) for scheduler in list(_schedulers)]
    for scheduler, _ in known:
        _let_end(scheduler)
    for scheduler, staff in known:
        if staff is not None and staff.waits:
            _join(scheduler, staff.threads)


@call_in_children
def _in_child() -> None:
    """After a fork: no worker is left, and what was queued is the parent's to do. The pool can be used."""
    for scheduler in list(_schedulers):
        scheduler.begin_in_child()
        staff = _staffs.get(scheduler)
        if staff is not None:
            staff.threads.clear()


# Called before the interpreter waits for its threads, which atexit's functions are not: parked workers never end.
threading._register_atexit(_at_exit)  # type: ignore[attr-defined]  # private, and what the standard library itself uses

__all__ = ["MOST_WORKERS", "Priority", "ThreadPool"]
