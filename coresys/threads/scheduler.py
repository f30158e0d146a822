"""Who runs what, and when: queues, workers, channels, and helping. What a pool is, without its public face.

Workers hold the scheduler, the pool holds it too, and nothing here holds the pool: so a pool that was dropped is
collected, and its workers end.

Invariants, all under ``lock`` (a leaf but for the locks of tasks; re-entrant, for a finalizer or a signal handler may
submit in the middle of anything):

1. *Never more workers than stated*: a place is counted when it is given, before the thread is started.
2. *If there is work that a parked worker could take, one is being woken.* Whoever adds work wakes one; a woken
   worker that has taken something, and sees more, wakes the next. So one wake-up at a time is under way, and all
   workers work when there is work for all.
3. *A channel is active in one thread at most*; only that thread takes its tasks, in order. While it is not active and
   has tasks, it stands in a queue at least as high as the best of them.
4. *Nobody starves*: one pick in ``AGEING`` is from the lowest queue that has anything; a channel is put back at the
   end after ``BATCH`` tasks, or when something of a higher level waits.

Helping, and why it cannot deadlock: a task that waits for tasks of the same pool first runs, in its own thread, those
of them that have not begun (and of a channel, those before them). It runs nothing else, so that whatever is on a
thread's stack above a task is something that this task waits for: no task ever waits for one that it did not ask for.
What is then left to wait for is running in other threads, each of which does the same. A circle in that is one of the
tasks themselves, which no number of workers could end; it is looked for before an endless wait, and raises
TaskCycleError. What it does not see: waits on anything but this pool's futures (events, queues, other pools).
"""

from __future__ import annotations

import threading
from _thread import RLock, allocate_lock, get_ident
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from coresys.clock import monotonic
from coresys.errors.hierarchy import TaskCycleError
from coresys.threads.futures import FINISHED, PENDING, RUNNING, Task

SYSTEM, PROCESSING, MONITORING = 0, 1, 2
LEVELS = {"system": SYSTEM, "processing": PROCESSING, "monitoring": MONITORING}
AGEING = 16  # one pick in so many is from the lowest queue
BATCH = 16  # tasks of one channel in a row
POLL = 0.01  # seconds after which a helper looks whether a channel that is active elsewhere was put back

_DOWN = (SYSTEM, PROCESSING, MONITORING)
_UP = (MONITORING, PROCESSING, SYSTEM)
_RESERVED = (SYSTEM,)


class Channel:
    """Tasks that are run in order, one at a time."""

    __slots__ = ("counts", "level", "name", "runner", "stands", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: deque[Task[Any]] = deque()
        self.counts = [0, 0, 0]  # of them, by level
        self.runner = 0  # the thread in which it is active
        self.level = len(LEVELS)  # the highest queue it stands in
        self.stands = [False, False, False]  # in which: once in each

    def best(self) -> int:
        """The highest level of its tasks."""
        counts = self.counts
        return SYSTEM if counts[SYSTEM] else PROCESSING if counts[PROCESSING] else MONITORING


class Worker:
    """A place for a thread, and what that does."""

    __slots__ = (
        "begun",
        "busy",
        "dismissed",
        "every",
        "gate",
        "joins",
        "outer",
        "reserved",
        "stale",
        "stirred",
        "task",
        "waits_for",
    )

    def __init__(self, reserved: bool) -> None:
        self.gate = allocate_lock()  # it parks on it
        self.gate.acquire()
        self.reserved = reserved
        self.busy = self.begun = False  # begun: its thread runs
        self.stirred = False  # it was woken, or has to look at ``dismissed``
        self.dismissed = False  # its pool has begun anew, in a forked child; or its thread came too late
        self.task: Task[Any] | None = None  # what it is doing
        self.outer: list[Task[Any]] = []  # what it is doing that for, outermost first
        self.stale: list[Any] = []  # what it found in the queues that is done or cancelled
        self.waits_for: Sequence[Task[Any]] = ()  # without a timeout; of other pools too
        self.every = True  # for all of them, not for any
        self.joins: Scheduler | None = None  # whose workers it waits for, that they end


class _Here(threading.local):
    worker: Worker | None = None
    scheduler: Scheduler | None = None


here = _Here()


class Scheduler:
    """The queues and workers of one pool. ``hire`` starts a thread for a place; ``now`` is the clock for waits."""

    def __init__(
        self, *, workers: int, reserved: int, now: Callable[[], float], hire: Callable[[Scheduler, Worker], None]
    ) -> None:
        self.ordinary, self.most_reserved = workers - reserved, reserved
        self.now, self.hire = now, hire
        self.picks = 0  # of ordinary workers
        self.begun = self.cancelled = 0  # of all that were submitted; the others are queued
        self.completed = self.failures = 0
        self.most_workers = 0
        self.waits = [0.0, 0.0, 0.0]
        self.refusing: str | None = None  # why no more tasks are taken
        self.ending = self.broken = False  # ending: workers end when there is nothing left
        self.begin()

    def begin(self) -> None:
        """Empty queues and no workers: as made, or after a fork."""
        self.lock = RLock()
        self.queues: tuple[deque[Any], deque[Any], deque[Any]] = (deque(), deque(), deque())
        self.queued = [0, 0, 0]
        self.channels: dict[str, Channel] = {}
        self.workers: set[Worker] = set()
        self.parked: list[Worker] = []
        self.parked_reserved: list[Worker] = []
        self.room: deque[Callable[[], object]] = deque()  # those that wait for a place in the queue
        self.general = self.reserved = self.waking = 0
        self.unstaffed: deque[Worker] = deque()  # places whose threads are to be started
        self.running: dict[int, Worker] = {}  # by thread

    # -- adding ------------------------------------------------------------------------------------------------------

    def add(self, task: Task[Any], channel_name: str | None) -> Callable[[], object] | None:
        """Queue a task; under the lock. Returns what is to be called after it: it wakes or starts a worker."""
        level = task.level
        self.queued[level] += 1
        if channel_name is None:
            self.queues[level].append(task)
        else:
            channel = self.channels.get(channel_name)
            if channel is None:
                channel = self.channels[channel_name] = Channel(channel_name)
            task.channel = channel
            channel.tasks.append(task)
            channel.counts[level] += 1
            if channel.runner:
                return None  # whoever runs it will see
            if level < channel.level:
                self._stand(channel, level)
        return self.summon(level)

    def summon(self, level: int) -> Callable[[], object] | None:
        """Wake somebody for work that stands in a queue, or say what to call after the lock, so that somebody comes."""
        if level == SYSTEM:
            if self.parked_reserved:
                self._wake(self.parked_reserved)
                return None
            if self.reserved < self.most_reserved:
                return self._place(reserved=True)
        if self.parked:
            if not self.waking:
                self._wake(self.parked)
                return None
            queues = self.queues
            if len(queues[0]) + len(queues[1]) + len(queues[2]) <= len(self.parked) + self.waking:
                return None  # one wakes the next, and there are enough of them
            return self._place(reserved=False) if self.general < self.ordinary else None
        if self.general < self.ordinary:
            queues = self.queues
            if len(queues[0]) + len(queues[1]) + len(queues[2]) > self.waking:
                return self._place(reserved=False)
        return None

    def _stand(self, channel: Channel, level: int) -> None:
        channel.level = level
        if not channel.stands[level]:
            channel.stands[level] = True
            self.queues[level].append(channel)

    def _wake(self, parked: list[Worker]) -> None:
        # Nothing is called between taking it out and waking it, so that no exception out of nowhere can come between.
        worker = parked[-1]
        del parked[-1]
        worker.stirred = True
        if not worker.reserved:
            self.waking += 1
        worker.gate.release()

    def _place(self, *, reserved: bool) -> Callable[[], object] | None:
        worker = Worker(reserved)
        # Looked at again, for a signal handler may have submitted since; and counted before anything is called.
        if reserved:
            if self.reserved >= self.most_reserved:
                return None
            self.reserved += 1
        else:
            if self.general >= self.ordinary:
                return None
            self.general += 1
        self.unstaffed += (worker,)
        return self.staff

    def staff(self) -> None:
        """Start the threads of places that were given, also where somebody was interrupted who was to do it."""
        while True:
            worker = None
            try:
                with self.lock:
                    if not self.unstaffed:
                        return
                    worker = self.unstaffed[0]
                    del self.unstaffed[0]
                    self.workers.add(worker)
                    self.most_workers = max(self.most_workers, len(self.workers))
                self.hire(self, worker)
            except BaseException:
                if worker is not None and not worker.begun and not worker.dismissed:
                    self.unstaffed += (worker,)
                raise

    # -- taking ------------------------------------------------------------------------------------------------------

    def work(self, worker: Worker) -> None:
        """What a worker's thread does until it is not needed any more."""
        here.worker, here.scheduler = worker, self
        me = get_ident()
        with self.lock:
            self.running[me] = worker
        reserved = worker.reserved
        stale = worker.stale
        task: Task[Any] | None = None  # what was done last, and has to be told
        while True:
            entry: Any = None
            again = False
            quiet = True  # nobody waits for what was done last
            with self.lock:  # for both, the task that is done and the next one: a tiny task pays for one lock
                if task is not None:  # _done, without a call
                    self.completed += 1
                    if task._exception is not None:
                        self.failures += 1
                    if task._made_condition is None:
                        task._state = FINISHED
                        worker.task = None
                    else:
                        quiet = False
                if quiet:
                    if worker.stirred:
                        if worker.dismissed:
                            return
                        worker.stirred = False
                        self.waking -= not reserved
                    entry = self._pick(reserved, me, stale)
                    if entry is not None:
                        worker.busy = True
                        if self.parked and not self.waking and any(self.queues):
                            self._wake(self.parked)
                    else:
                        worker.busy = False
                        if self.ending:
                            self._leave(worker)
                            return
                        parked = self.parked_reserved if reserved else self.parked
                        parked.append(worker)
                        if (self.queues[SYSTEM] if reserved else any(self.queues)) and worker in parked:
                            parked.remove(worker)  # a finalizer submitted something just now
                            again = True
            if not quiet and task is not None:
                task.finish()
                worker.task = None
                task = None
                continue
            task = None  # outside the lock: the finalizers of results are not ours
            if stale:
                stale.clear()
            if entry is None:
                if not again:
                    worker.gate.acquire()
                continue
            if type(entry) is Channel:
                self._run_channel(worker, entry, None)
                del entry
            else:
                task = worker.task = entry
                del entry
                task.execute()

    def _done(self, task: Task[Any]) -> bool:
        """A task was executed: under the lock. False where somebody has to be told, by ``finish``, after the lock."""
        # Counted before the result is there: whoever has seen it sees the count.
        self.completed += 1
        if task._exception is not None:
            self.failures += 1
        if task._made_condition is not None:
            return False
        task._state = FINISHED
        return True

    def _do(self, worker: Worker, task: Task[Any]) -> None:
        """Execute a task that has begun, inside whatever this thread is doing, and tell it."""
        outer, worker.task = worker.task, task
        if outer is not None:
            worker.outer.append(outer)
        task.execute()
        worker.task = outer
        if outer is not None:
            worker.outer.pop()
        with self.lock:
            quiet = self._done(task)
        if not quiet:
            task.finish()
        del task, outer  # a traceback keeps this frame

    def _pick(self, reserved: bool, me: int, stale: list[Any]) -> Any:
        """The next task, begun, or channel, active in this thread; None where there is neither."""
        order: tuple[int, ...] = _RESERVED if reserved else _DOWN if (self.picks + 1) % AGEING else _UP
        for level in order:
            queue = self.queues[level]
            while queue:
                entry = queue.popleft()
                if type(entry) is Channel:
                    entry.stands[level] = False
                    if entry.runner or not entry.tasks:
                        continue  # it stood here twice
                    entry.runner = me
                    entry.level = len(LEVELS)
                    self.picks += not reserved
                    return entry
                if entry._state == PENDING:  # else a helper has it, or it was cancelled
                    entry._state = RUNNING  # _begin, without a call
                    entry.runner = me
                    self.begun += 1
                    self.picks += not reserved
                    waited = self.now() - entry.queued
                    level = entry.level
                    if waited > self.waits[level]:
                        self.waits[level] = waited
                    self.queued[level] -= 1
                    if self.room:
                        self.room.popleft()()
                    return entry
                stale.append(entry)
        return None

    def _begin(self, task: Task[Any], me: int) -> None:
        """A task is taken from what is queued, to be run by the calling thread."""
        task._state = RUNNING
        task.runner = me
        self.begun += 1
        level = task.level
        waited = self.now() - task.queued
        if waited > self.waits[level]:
            self.waits[level] = waited
        self.queued[level] -= 1
        if self.room:
            self.room.popleft()()

    def left(self, task: Task[Any], *, cancelled: bool) -> None:
        """A task was taken out of the queue, and is not to be run. Under the lock."""
        self.queued[task.level] -= 1
        if task.channel is not None:
            task.channel.counts[task.level] -= 1
        if cancelled:
            self.cancelled += 1
        else:
            self.begun += 1
        if self.room:
            self.room.popleft()()

    def _run_channel(self, worker: Worker, channel: Channel, until: Task[Any] | None, end: float | None = None) -> None:
        """Run tasks of a channel that is active in this thread, and put it back; a helper, ``until`` one is done, or
        ``end`` has come."""
        me = get_ident()
        left = BATCH
        while True:
            with self.lock:
                if until is not None:
                    over = until.done() or (end is not None and monotonic() >= end)
                else:
                    over = (left < BATCH or worker.reserved) and self._enough(worker, channel, left)
                task = None if over else self._of_channel(channel, me)
                if task is None:
                    after = self._put_back(channel)
                    break
            try:
                self._do(worker, task)
            except BaseException:
                with self.lock:
                    self._put_back(channel)
                raise
            left -= 1
            del task
        del until, task
        if after is not None:
            after()

    def _enough(self, worker: Worker, channel: Channel, left: int) -> bool:
        best = channel.best()
        return left <= 0 or (worker.reserved and best != SYSTEM) or any(self.queues[level] for level in range(best))

    def _of_channel(self, channel: Channel, me: int) -> Task[Any] | None:
        while channel.tasks:
            task = channel.tasks.popleft()
            if task._state == PENDING:
                channel.counts[task.level] -= 1
                self._begin(task, me)
                return task
        return None

    def _put_back(self, channel: Channel) -> Callable[[], object] | None:
        channel.runner = 0
        if not channel.tasks:
            if self.channels.get(channel.name) is channel:  # not one that a forked child has made since
                del self.channels[channel.name]
            return None
        level = channel.best()
        self._stand(channel, level)
        return self.summon(level)

    # -- helping -----------------------------------------------------------------------------------------------------

    def is_worker(self) -> bool:
        """Whether the calling thread is one of the workers."""
        return here.scheduler is self

    def worker_of_another(self) -> Worker | None:
        """What the calling thread is as a worker of another pool; None where it is none."""
        return None if here.scheduler is self else here.worker

    def help(
        self,
        tasks: Sequence[Task[Any]],
        finished: Callable[[], bool],
        block: Callable[[float | None], object],
        until: float | None,
        every: bool | None = True,
    ) -> None:
        """Run what ``tasks`` need, in a worker's thread, and wait for the rest; until ``finished``, or ``until``.
        ``every``: for all of them; None where what else may end the wait is not known, so that no circle is told."""
        try:
            self._help(tasks, finished, block, until, every)
        finally:
            del tasks, finished, block  # a traceback keeps this frame

    def _help(
        self,
        tasks: Sequence[Task[Any]],
        finished: Callable[[], bool],
        block: Callable[[float | None], object],
        until: float | None,
        every: bool | None,
    ) -> None:
        worker = here.worker
        assert worker is not None  # is_worker was asked
        try:
            while not finished():
                for task in tuple(tasks):
                    if finished() or (until is not None and monotonic() >= until):
                        return
                    self._advance(worker, task, until)
                task = None  # type: ignore[assignment]
                if finished():
                    return
                outer = worker.waits_for
                if until is None and every:  # a wait that ends by itself is part of no circle
                    worker.waits_for = tuple(tasks)
                try:
                    if until is None and every:
                        self._refuse_circle(tasks)
                    left = None if until is None else until - monotonic()
                    if left is not None and left <= 0:
                        return
                    if any(task._state == PENDING for task in tasks):  # of a channel that is active elsewhere
                        left = POLL if left is None else min(left, POLL)
                    block(left)
                finally:
                    worker.waits_for = outer
        finally:
            del tasks, finished, block  # a traceback keeps this frame

    def _advance(self, worker: Worker, task: Task[Any], until: float | None) -> None:
        """Run it here if it has not begun, and nobody else runs its channel."""
        me = get_ident()
        _headroom()
        stale: list[Any] = []  # let go after the lock
        with self.lock:
            if task._state != PENDING:
                return
            channel = task.channel
            if channel is None:
                self._begin(task, me)
                queue = self.queues[task.level]  # where it would stay as long as this worker does not come back
                while queue and type(queue[-1]) is not Channel and queue[-1]._state != PENDING:
                    stale.append(queue.pop())
                while queue and type(queue[0]) is not Channel and queue[0]._state != PENDING:
                    stale.append(queue.popleft())
            elif channel.runner:
                return
            else:
                channel.runner = me
                channel.level = len(LEVELS)
        if channel is None:
            self._do(worker, task)
        else:
            self._run_channel(worker, channel, task, until)
        del task  # a traceback keeps this frame
        stale.clear()

    def _refuse_circle(self, tasks: Sequence[Task[Any]]) -> None:
        """Raise TaskCycleError where each of ``tasks`` waits, in the end, for the calling thread."""
        me = get_ident()
        with self.lock:
            found = [task for task in tasks if self._waits_for_me(task, me, set())]
        if found:  # its repr takes its condition, which comes before the scheduler's lock
            raise TaskCycleError(task=repr(found[0]))

    def _waits_for_me(self, task: Task[Any], me: int, seen: set[int]) -> bool:
        if task.done():
            return False
        runner = self._runner(task)
        if runner == me:
            return True
        worker = self.running.get(runner)
        if worker is None or runner in seen or not worker.waits_for:
            return False
        return any(self._waits_for_me(each, me, seen | {runner}) for each in worker.waits_for)

    # -- ending ------------------------------------------------------------------------------------------------------

    def waits_for(self, ident: int, me: int, seen: set[int] | None = None) -> bool:
        """Whether the worker in thread ``ident`` waits, in the end, for the thread ``me``: to end, or to do its task.

        Under no lock, for it looks at the pools that are being waited for too, one after the other.
        """
        seen = set() if seen is None else seen  # each thread is looked at once
        with self.lock:
            worker = self.running.get(ident)
            if worker is None or ident in seen:
                return False
            seen.add(ident)
            joins = worker.joins
            wanted = [(task.scheduler, self._runner(task)) for task in worker.waits_for if not task.done()]
        if any(runner == me or scheduler.waits_for(runner, me, seen) for scheduler, runner in wanted):
            return True
        if joins is None:
            return False
        with joins.lock:
            others = [each for each in joins.running if each not in seen]
        return me in others or any(joins.waits_for(each, me, seen) for each in others)

    @staticmethod
    def _runner(task: Task[Any]) -> int:
        """The thread that runs a task, or will: that of its channel."""
        return task.runner if task._state == RUNNING or task.channel is None else task.channel.runner

    def end(self) -> None:
        """Workers end when there is nothing left; those that are parked are woken."""
        with self.lock:
            self.ending = True
            for parked in (self.parked, self.parked_reserved):
                while parked:
                    worker = parked[-1]
                    del parked[-1]  # and no call before it is woken
                    worker.gate.release()

    def drain(self) -> list[Task[Any]]:
        """All tasks that have not begun; they stay where they are until somebody cancels them."""
        with self.lock:
            entries = [entry for queue in self.queues for entry in queue]
            waiting = [entry for entry in entries if type(entry) is not Channel]
            for channel in self.channels.values():
                waiting.extend(channel.tasks)
            return [task for task in waiting if task._state == PENDING]

    def begin_in_child(self) -> None:
        """After a fork: no other thread is left. What was queued is the parent's to do, and what other threads ran will
        not end here; their futures say so. The pool can be used."""
        self.lock = RLock()  # whoever held it is not here
        lost = self.drain()
        mine = here.worker if here.scheduler is self else None
        for worker in self.workers:
            if worker is mine:
                worker.dismissed = worker.stirred = True  # it ends with the task that it is in
            else:
                lost.extend([*worker.outer, *([] if worker.task is None else [worker.task])])
        self.begin()
        for task in lost:
            task.abandon()

    def lost(self, worker: Worker) -> None:
        """Its thread ends by an exception: the place is free, and others do the work."""
        with self.lock:
            for parked in (self.parked, self.parked_reserved):
                if worker in parked:
                    parked.remove(worker)
            if worker.stirred and not worker.reserved:
                self.waking -= 1
            self._leave(worker)
            after = self.summon(MONITORING) if any(self.queues) else None
        if after is not None:
            after()

    def _leave(self, worker: Worker) -> None:
        self.running.pop(get_ident(), None)
        self.give_back(worker)
        here.worker = here.scheduler = None

    def give_back(self, worker: Worker) -> None:
        """A place is free again. Under the lock."""
        self.workers.discard(worker)
        if worker.reserved:
            self.reserved -= 1
        else:
            self.general -= 1


def _headroom(calls: int = 40) -> None:
    """Raise RecursionError here, where nothing has begun, rather than in the middle of it."""
    if calls:
        _headroom(calls - 1)


__all__ = ["AGEING", "BATCH", "LEVELS", "MONITORING", "PROCESSING", "SYSTEM", "Channel", "Scheduler", "Worker", "here"]
