"""The error manager: counts each error once, keeps what is known of it, and takes it along its path to a sink.

Invariants, and what holds them:

- *Whoever marks an exception counts it.* ``dict.setdefault`` on the exception's own dictionary decides between threads;
  everything that follows (number, record, delivery) is done by the one who won, in the thread that reports.
- *A report waits for nobody.* It may come from a finalizer or a signal handler that interrupts another report of the
  same thread: what is to be counted goes into ``_pending``, and whoever gets ``_lock`` without waiting counts for all.
  The one that holds it looks again after letting go, so that nothing stays behind.
- *No lock is held while a sink or the monitoring is told.*
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from threading import RLock, local
from typing import TYPE_CHECKING

from coresys.clock import MonotonicClock, WallClock
from coresys.errors.capture import Capture, group_members, leaves
from coresys.errors.guards import Guard
from coresys.errors.journal import Journal, JournalEntry
from coresys.errors.marks import Mark, dict_of
from coresys.errors.paths import Paths
from coresys.errors.policies import Declared, Policies
from coresys.errors.rates import Rate, Rates
from coresys.errors.recovery import Recovering
from coresys.forks import renew_in_children
from coresys.system_records import ErrorRecord, ErrorStatistics

if TYPE_CHECKING:
    from coresys.interfaces import IErrorManager, IMonitoringManager

_managers = count(1)
_MOST_NESTED = 3  # deliveries inside deliveries: a sink whose own errors come back to it


class ErrorManager:
    """Takes errors along declared paths, each once.

    ``monitoring`` is told of each error once. ``capture`` says what is kept of one, ``journal`` how many are.
    ``default`` is where components go on to that have no route of their own. ``names``: how many classes and how many
    components are counted one by one.

    >>> shown = []
    >>> errors = ErrorManager()
    >>> errors.sink("operator", lambda record: shown.append((record.number, record.message, record.route)))
    >>> errors.route("orders", "operator")
    >>> try:
    ...     with errors.guard("orders"):
    ...         raise ValueError("no such article")
    ... except ValueError as error:
    ...     again = errors.report(error, component="shop")  # it is on its way: not counted again
    >>> shown
    [(1, 'no such article', ('orders', 'operator'))]
    """

    def __init__(
        self,
        *,
        monitoring: IMonitoringManager | None = None,
        clock: WallClock | None = None,
        capture: Capture | None = None,
        journal: Journal | None = None,
        default: str | None = None,
        names: int = 128,
    ) -> None:
        self.clock: WallClock = clock or MonotonicClock()
        self._monitoring = monitoring
        self._capture = capture or Capture()
        self._journal = Journal() if journal is None else journal  # not "or": an empty one has no length, and is false
        self._key = f"__coresys_error_{next(_managers)}__"
        self._numbers = count(1)
        self._declaring = RLock()  # of _paths and _receivers, which are replaced and never changed
        self._paths = Paths(default=default)
        self._receivers: dict[str, Callable[[ErrorRecord], object]] = {}
        self.declared_policies: Mapping[str, Policies] = {}
        self._delivering = local()
        self._lock = allocate_lock()  # of the figures below; a leaf, never waited for by who reports
        self._holder = 0
        self._pending: deque[tuple[str, ErrorRecord | None]] = deque()
        self._all = Rate()
        self._by_kind, self._by_component = Rates(names), Rates(names)
        self._done = dict.fromkeys(("delivered", "undelivered", "recovered", "escalated"), 0)
        renew_in_children(self, ErrorManager._after_fork)

    # -- declaring ---------------------------------------------------------------------------------------------------

    def route(self, component: str, to: str) -> None:
        """Errors of ``component`` go on to ``to``: another component, or a sink.

        Raises RouteError where that closes a circle, or ``component`` is a sink.
        """
        with self._declaring:
            self._paths = self._paths.with_route(component, to)

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        """Declare an end of paths; one that is declared again receives from then on.

        ``receive`` is called in the thread that the error was reported in. What it raises is reported as an error of
        ``sink NAME``, and counts what it was given as undelivered. Raises RouteError where the name has a route.
        """
        with self._declaring:
            self._paths = self._paths.with_sink(name)
            self._receivers = {**self._receivers, name: receive}

    def policies(self, component: str, table: Policies | Mapping[type[BaseException], Sequence[Declared]]) -> None:
        """Declare what is done about errors of a component, and about those that are escalated to it."""
        declared = table if isinstance(table, Policies) else Policies(table)
        with self._declaring:
            self.declared_policies = {**self.declared_policies, component: declared}

    def forget(self) -> None:
        """Let go of policies, and of whoever is told, but for the sink of those that have no route, where all go then.

        What was reported can be looked at still.
        """
        with self._declaring:
            default = self._paths.default
            kept = {name: receive for name, receive in self._receivers.items() if name == default}
            gone = (self._receivers, self.declared_policies)
            self._paths, self._receivers = Paths(sinks=tuple(kept), default=default), kept
            self.declared_policies = {}
        del gone  # outside the lock: finalizers are not ours

    @property
    def paths(self) -> Paths:
        """The routes as they are declared now."""
        return self._paths

    # -- reporting ---------------------------------------------------------------------------------------------------

    def report(
        self,
        error: BaseException,
        *,
        component: str,
        severity: str = "error",
        task: str | None = None,
        ended: bool = False,
    ) -> ErrorRecord:
        """Capture an error, in the thread it happened in, count it, and send it along the path of ``component``.

        One that was reported is not counted again while it is on its way: the record that was made of it is returned.
        Of a group its members are counted, and those that were not reported before are delivered, in the group.
        ``ended`` says that its way ends here: when the same object is raised after this, it is another error.
        """
        mark, new = self._mark(error)
        if new:
            try:
                record = self._count_new(error, mark, component, severity, task)
            except BaseException:  # a signal's, before anything was counted: the next who sees the exception does it
                if mark.record is None and dict_of(error).get(self._key) is mark:
                    dict_of(error).pop(self._key, None)
                raise
        elif not mark.counted:
            record = self._settle(mark, error, component, severity, task)
        else:
            record = mark.record or self._captured(error, component, severity, task)
        if ended:
            mark.ended = True
            for leaf in () if mark.leaf else _leaves(error):
                each = dict_of(leaf).get(self._key)
                if isinstance(each, Mark):
                    each.ended = True
        return record

    def prepare(self, error: BaseException, *, component: str) -> Callable[[], ErrorRecord | None]:
        """Capture an error that somebody may still ask for; it is not counted before it is reported.

        Returns a function that counts and delivers it, if nobody reported it until then, and that keeps the record
        alone: for whoever is the last to know that nobody asked. A group is reported at once.
        """
        mark, new = self._mark(error, counted=False)
        if new and group_members(error):
            dict_of(error).pop(self._key, None)
            self.report(error, component=component)
            return _nothing_left
        if new:
            record = self._captured(error, component, "error", None)
            if not mark.counted:  # else whoever asked has reported it meanwhile
                mark.record = record
        return lambda: None if mark.counted or mark.record is None else self._settle(mark)

    def guard(self, component: str, *, severity: str = "error") -> Guard:
        """Report whatever comes out of a ``with`` block or a function, and let it go on."""
        return Guard(self, component, severity)

    def recovering(
        self, component: str, *, async_sleep: Callable[[float], Awaitable[object]] | None = None
    ) -> Recovering:
        """Calls of a component, with its policies: to call, decorate, or loop over."""
        return Recovering(self, component, async_sleep=async_sleep)

    def handle(self, error: BaseException, *, component: str) -> bool:
        """Report an error, and do what the policies say, without a call to make again; whether that ended it."""
        return Recovering(self, component).handle(error)

    def is_reported(self, error: BaseException) -> bool:
        """Whether this occurrence of an exception was reported here."""
        mark = dict_of(error).get(self._key)
        return isinstance(mark, Mark) and mark.counted and mark.is_of(error)

    def count_recovered(self, errors: int) -> None:
        """Count errors that a procedure ended."""
        for _ in range(errors):
            self._note("recovered")

    def escalated(self) -> None:
        """Count a step that an error took along its path because nothing helped where it was."""
        self._note("escalated")

    def count_step(self, procedure: str, outcome: str, component: str) -> None:
        """Tell the monitoring what a procedure answered: ``again``, ``next``, ``failed``."""
        if self._monitoring is not None:
            try:
                self._monitoring.count(f"recovery.{procedure}.{outcome}", component=component)
            except Exception:  # it promised not to; recovery goes on without it
                return

    def _mark(self, error: BaseException, *, counted: bool = True) -> tuple[Mark, bool]:
        """What is known of an exception, and whether it is new here, so that the caller has to count it."""
        marks = dict_of(error)
        fresh = Mark(error)
        fresh.counted, fresh.leaf = counted, not group_members(error)
        mark = marks.setdefault(self._key, fresh)
        if mark is not fresh:
            if isinstance(mark, Mark) and mark.is_of(error):
                return mark, False
            with self._declaring:
                if marks.get(self._key) is not mark:  # somebody else found out at the same time
                    return marks[self._key], False
                marks[self._key] = fresh
        return fresh, True

    def _number(self, error: BaseException) -> int:
        """The number that an exception has, or is to have: whoever asks first gives it one."""
        mark = dict_of(error).get(self._key)
        if not isinstance(mark, Mark):
            return 0
        return self._number_of(mark) if mark.leaf and mark.counted else mark.number

    def _number_of(self, mark: Mark) -> int:
        if not mark.number:
            with self._declaring:
                if not mark.number:
                    mark.number = next(self._numbers)
        return mark.number

    def _captured(
        self,
        error: BaseException,
        component: str,
        severity: str,
        task: str | None,
        number: Callable[[BaseException], int] | None = None,
    ) -> ErrorRecord:
        return self._capture(
            error,
            component=component,
            severity=severity,
            time=self.clock.time(),
            task=task,
            route=self._paths.resolve(component),
            number=number or self._number,
        )

    def _count_new(
        self, error: BaseException, mark: Mark, component: str, severity: str, task: str | None
    ) -> ErrorRecord:
        if not group_members(error):

            def numbered(each: BaseException) -> int:
                # Of this mark: by now, a thread that raises the same object may have put its own into the exception.
                return self._number_of(mark) if each is error else self._number(each)

            mark.record = record = self._captured(error, component, severity, task, numbered)
            self._seen(record)
            self._deliver(record)
            return record
        fresh = [leaf for leaf in _leaves(error) if self._is_new(leaf)]
        mark.record = record = self._captured(error, component, severity, task)
        inside = {leaf.number: leaf for leaf in leaves(record)}
        beyond = []
        for leaf in fresh:
            number = self._number(leaf)
            if number not in inside:  # the bounds of the capture cut it off: it goes on its own
                beyond.append(self._captured(leaf, component, severity, task))
            self._seen(inside.get(number) or beyond[-1])
        if len(fresh) > len(beyond):
            self._deliver(record, errors=len(fresh) - len(beyond))
        for each in beyond:
            self._deliver(each)
        return record

    def _is_new(self, leaf: BaseException) -> bool:
        mark, new = self._mark(leaf)
        if not new and not mark.counted:
            self._settle(mark, leaf)
        return new

    def _settle(
        self,
        mark: Mark,
        error: BaseException | None = None,
        component: str = "",
        severity: str = "error",
        task: str | None = None,
    ) -> ErrorRecord:
        """Count an error whose record waited, or is being made by another thread just now."""
        with self._declaring:
            first, mark.counted = not mark.counted, True
            if first:
                mark.number = next(self._numbers)
        record = mark.record
        if record is None:
            assert error is not None
            record = self._captured(error, component, severity, task)
        if first:
            mark.record = record = replace(record, number=mark.number)
            self._seen(record)
            self._deliver(record)
        return record

    # -- telling -----------------------------------------------------------------------------------------------------

    def _deliver(self, record: ErrorRecord, *, errors: int = 1, depth: int = 0) -> None:
        """Give a record to its sink. What is reported meanwhile by this thread is delivered after that."""
        waiting: deque[tuple[ErrorRecord, int, int]] | None = getattr(self._delivering, "waiting", None)
        if waiting is not None:
            waiting.append((record, errors, self._delivering.depth + 1))
            return
        self._delivering.depth = -1  # before anybody can find that there is something waiting
        waiting = deque([(record, errors, depth)])
        while waiting:  # once more: a finalizer may have put something in after the last look
            self._delivering.waiting = waiting
            try:
                while waiting:
                    self._give(*waiting.popleft())
            except BaseException:  # a signal's: what waits is kept and counted, if not delivered
                while waiting:  # a finalizer may put more in
                    record, errors, _ = waiting.popleft()
                    self._keep(record, errors, "undelivered")
                raise
            finally:
                self._delivering.waiting = None

    def _give(self, record: ErrorRecord, errors: int, depth: int) -> None:
        receive = self._receivers.get(record.route[-1]) if record.route else None
        became = "undelivered"
        try:
            if receive is not None and depth <= _MOST_NESTED:
                # Only for as long as the sink runs: what a signal's handler reports beside it is not what it reports.
                self._delivering.depth = depth
                receive(record)
                became = "delivered"
        except Exception as problem:
            self.report(problem, component=f"sink {record.route[-1]}", ended=True)
        finally:
            self._delivering.depth = -1
            self._keep(record, errors, became)

    def _keep(self, record: ErrorRecord, errors: int, became: str) -> None:
        self._journal.add(record)
        for _ in range(errors):
            self._note(became)

    def _seen(self, record: ErrorRecord) -> None:
        self._note("seen", record)
        if self._monitoring is not None:
            try:
                self._monitoring.error_seen(record)
            except Exception as problem:  # it promised not to: kept, but it is not told of its own failure
                if not getattr(self._delivering, "monitoring", False):
                    self._delivering.monitoring = True
                    try:
                        self._journal.add(self._captured(problem, "monitoring", "error", None))
                    finally:
                        self._delivering.monitoring = False

    def _note(self, what: str, record: ErrorRecord | None = None) -> None:
        self._pending.append((what, record))
        self._count_pending()

    def _count_pending(self) -> None:
        # Not inside of the block: after a call a signal's handler may come, and has to find its thread.
        me = get_ident()
        while self._pending and not self._lock.locked():
            # By ``with``, so that a signal's exception cannot leave it held. It may be waited for, for as long as
            # another thread takes to count; never for this one, of which what comes in between has let it go again.
            with self._lock:
                self._holder = me
                try:
                    self._take_pending()
                finally:
                    self._holder = 0

    def _take_pending(self) -> None:
        now = self.clock.now()
        while self._pending:
            what, record = self._pending.popleft()
            if record is None:
                self._done[what] += 1
            else:
                self._all.add(now)
                self._by_kind.add(record.kind, now)
                self._by_component.add(record.component, now)

    # -- looking -----------------------------------------------------------------------------------------------------

    def recent(self, component: str | None = None) -> tuple[ErrorRecord, ...]:
        """The last error of each kind and place that is kept, the one that was seen longest ago first."""
        return tuple(entry.record for entry in self._journal.entries(component))

    def entries(self, component: str | None = None) -> tuple[JournalEntry, ...]:
        """The same, with how often and when."""
        return self._journal.entries(component)

    def statistics(self) -> ErrorStatistics:
        """What was seen, and what became of it. Exact for whatever was reported before this was called."""
        me = get_ident()
        if self._holder == me:  # from a finalizer that interrupts the counting: as it stands
            return self._look()
        with self._lock:
            self._holder = me
            try:
                self._take_pending()
                return self._look()
            finally:
                self._holder = 0

    def _look(self) -> ErrorStatistics:
        now = self.clock.now()
        return ErrorStatistics(
            seen=self._all.total,
            rate=self._all.rate(now),
            by_component=self._by_component.totals(),
            by_kind=self._by_kind.totals(),
            rate_by_component=self._by_component.rates(now),
            rate_by_kind=self._by_kind.rates(now),
            **self._done,
        )

    def _after_fork(self) -> None:
        self._lock, self._holder = allocate_lock(), 0
        self._declaring, self._delivering = RLock(), local()
        self._journal.after_fork()

    def __repr__(self) -> str:
        return (
            f"<ErrorManager: {self._all.total} errors seen, {self._done['undelivered']} undelivered; {self._paths!r}>"
        )


def _leaves(error: BaseException) -> Iterable[BaseException]:
    """The errors in a group, each once; of others (a cancellation, an interrupt) only where there is nothing else."""
    found: dict[int, BaseException] = {}
    groups: list[BaseException] = [error]
    passed: set[int] = set()
    while groups:
        group = groups.pop()
        if id(group) in passed:
            continue
        passed.add(id(group))
        for member in group_members(group):
            if group_members(member):
                groups.append(member)
            else:
                found.setdefault(id(member), member)
    errors = [leaf for leaf in found.values() if isinstance(leaf, Exception)]
    return errors or list(found.values())


def _nothing_left() -> None:
    return None


if TYPE_CHECKING:
    _check: type[IErrorManager] = ErrorManager
