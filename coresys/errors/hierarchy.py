"""The errors of coresys. This module imports nothing, so every layer may raise from it."""

from __future__ import annotations

from typing import Any


class CoreSysError(Exception):
    """Base of all errors that coresys raises. Values are attributes, and survive pickling."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ would call the subclass with the message alone, which keyword-only
        # constructors refuse: rebuild without calling it, and put the attributes back.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[CoreSysError], args: tuple[Any, ...], state: dict[str, Any]) -> CoreSysError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UnitError(CoreSysError, ValueError):
    """A quantity could not be read: no unit, an unknown one, or a wrong one for its measure.

    ``key`` is the measure that it was written for, where that is known.
    """

    def __init__(self, *, text: object, unit: str, problem: str, key: str | None = None) -> None:
        self.text, self.unit, self.problem, self.key = text, unit, problem, key
        super().__init__(f"{key} = {text!r}: {problem}" if key else f"{text!r}: {problem}")


class UnknownMeasureError(CoreSysError, ValueError):
    """A budget was given for a measure that does not exist, or not here; ``problem`` names the nearest valid key."""

    def __init__(self, *, key: str, problem: str) -> None:
        self.key, self.problem = key, problem
        super().__init__(problem)


class BudgetExceededError(CoreSysError, AssertionError):
    """A part of a test, or of any program, used more than ``coresys.budget(...)`` allowed it.

    ``key`` is the first measure that was over, ``exceeded`` are all of them; ``details`` tells about each.
    """

    def __init__(
        self, *, key: str, actual: str, limit: str, details: tuple[str, ...] = (), exceeded: tuple[str, ...] = ()
    ) -> None:
        self.key, self.actual, self.limit, self.details = key, actual, limit, details
        self.exceeded = exceeded or (key,)
        super().__init__("\n".join([f"{key}: {actual} > {limit}", *(f"  {line}" for line in details)]))


class BudgetNotMeasuredError(CoreSysError):
    """A measure of ``coresys.budget(...)`` could not be taken, so that nobody can say whether it was within."""

    def __init__(self, *, key: str, why: str) -> None:
        self.key, self.why = key, why
        super().__init__(f"{key}: not measured: {why}")


class StateError(CoreSysError):
    """Base of what state machines, their tables and stores raise."""


class TableError(StateError, ValueError):
    """A transition table is wrong in itself; ``problems`` names everything that is, not the first thing only."""

    def __init__(self, *, table: str, problems: tuple[str, ...]) -> None:
        self.table, self.problems = table, problems
        super().__init__("\n  ".join([f"transition table {table!r}:", *problems]))


# The reason of a refusal by guards: for a timer, which asks again and again, no more than an answer.
GUARDED_OFF = "its guards say no"


class TransitionRefusedError(StateError):
    """An event was refused, and nothing changed: not declared here, guarded off, or its payload not valid.

    ``state`` is where the machine stands, ``allowed`` are the events that are declared there.
    """

    def __init__(self, *, machine: str, state: str, event: str, reason: str, allowed: tuple[str, ...]) -> None:
        self.machine, self.state, self.event, self.reason, self.allowed = machine, state, event, reason, allowed
        declared = ", ".join(allowed) if allowed else "none"
        super().__init__(
            f"{machine}: {event!r} refused in state {state!r}: {reason}; events declared there: {declared}"
        )


class TransitionFailedError(StateError):
    """A transition was begun and undone, for ``phase`` (guard, observer, store) raised; see ``__cause__``.

    ``source`` is the state it began in, ``state`` the one the machine is in now: the same, or the declared error state.
    """

    def __init__(self, *, machine: str, source: str, event: str, phase: str, problem: str, state: str) -> None:
        self.machine, self.source, self.event, self.phase = machine, source, event, phase
        self.problem, self.state = problem, state
        stands = "undone" if state == source else f"undone, and the error state {state!r} entered"
        super().__init__(f"{machine}: {event!r} in state {source!r}: {phase} raised {problem}; {stands}")


class _WithCauses:
    """For errors that have ``causes``, which are anybody's.

    One that does not come out of pickle again would keep the error from doing so, and is replaced by what stands for
    it. Each travels as the bytes of the trial: errors may be within one another, and each level would be walked twice.
    """

    def __reduce__(self: Any) -> tuple[Any, ...]:
        state = {**self.__dict__, "causes": ()}
        return _rebuild_with_causes, (type(self), self.args, state, tuple(map(_sent, self.causes)))

    def __copy__(self: Any) -> Any:  # with the very causes: nothing is sent anywhere
        return _rebuild(type(self), self.args, self.__dict__)


class ObserverFailedError(_WithCauses, StateError):
    """A transition **was made**; what ran after it raised: observers, or events that observers had queued.

    ``causes`` are those exceptions in their order; the first is the ``__cause__`` too.
    """

    def __init__(
        self, *, machine: str, event: str, source: str, target: str, sequence: int, causes: tuple[BaseException, ...]
    ) -> None:
        self.machine, self.event, self.source, self.target = machine, event, source, target
        self.sequence, self.causes = sequence, causes
        what = "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes)
        super().__init__(
            f"{machine}: {event!r} was made ({source!r} to {target!r}, number {sequence}); then observers raised {what}"
        )


def _sent(cause: BaseException) -> tuple[bytes | None, str]:
    import pickle  # only where errors are sent

    try:
        sent = pickle.dumps(cause)
        pickle.loads(sent)
    except Exception as problem:
        return None, f"{type(cause).__name__}: {cause} (itself it cannot be pickled: {problem})"
    return sent, ""


def _rebuild_with_causes(
    cls: type[CoreSysError], args: tuple[Any, ...], state: dict[str, Any], sent: tuple[tuple[bytes | None, str], ...]
) -> CoreSysError:
    import pickle

    causes = tuple(CoreSysError(text) if data is None else pickle.loads(data) for data, text in sent)
    return _rebuild(cls, args, {**state, "causes": causes})


class RollbackError(StateError, ValueError):
    """There is nothing to go back to: no such snapshot, or a sequence number that the history does not reach."""

    def __init__(self, *, machine: str, wanted: str, problem: str) -> None:
        self.machine, self.wanted, self.problem = machine, wanted, problem
        super().__init__(f"{machine}: cannot go back to {wanted}: {problem}")


class UnknownMachineError(StateError, LookupError):
    """No machine of that name is held here; ``near`` are names that look like it."""

    def __init__(self, *, machine: str, near: tuple[str, ...] = ()) -> None:
        self.machine, self.near = machine, near
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        super().__init__(f"no machine {machine!r}{hint}")


class DuplicateMachineError(StateError, ValueError):
    """A machine of that name exists already, here or in the store (``where``)."""

    def __init__(self, *, machine: str, where: str) -> None:
        self.machine, self.where = machine, where
        super().__init__(f"machine {machine!r} exists already in {where}")


class StoreError(StateError):
    """A store could not keep, or could not give back, what it was asked to."""

    def __init__(self, *, store: str, problem: str) -> None:
        self.store, self.problem = store, problem
        super().__init__(f"{store}: {problem}")


class StoreConflictError(StoreError):
    """Somebody else has written to this machine: the store holds a number that is not the one before ``sequence``."""

    def __init__(self, *, store: str, machine: str, sequence: int, found: int | None) -> None:
        self.machine, self.sequence, self.found = machine, sequence, found
        held = "does not hold it" if found is None else f"holds number {found}"
        super().__init__(
            store=store,
            problem=f"machine {machine!r} is to get number {sequence}, but the store {held}: "
            "another process writes to it, or it was released",
        )


class RouteError(CoreSysError, ValueError):
    """A route of errors cannot be declared: it closes a circle, or gives a name two meanings."""

    def __init__(self, *, component: str, to: str, problem: str) -> None:
        self.component, self.to, self.problem = component, to, problem
        super().__init__(f"errors of {component!r} cannot go on to {to!r}: {problem}")


class CircuitOpenError(CoreSysError):
    """A call was refused without being made, for too many before it failed.

    ``retry_after`` are the seconds until one is let through to try; ``failures`` is what opened the circuit.
    """

    def __init__(self, *, circuit: str, retry_after: float, failures: str) -> None:
        self.circuit, self.retry_after, self.failures = circuit, retry_after, failures
        super().__init__(
            f"circuit {circuit!r} is open ({failures}): not called; the next call is let through in {retry_after} s"
        )


class ThreadsError(CoreSysError):
    """Base of what locks, pools and what stands around threads raise."""


class RankError(ThreadsError, ValueError):
    """A lock hierarchy is wrong in itself, or has no such rank; ``problem`` says which."""

    def __init__(self, *, hierarchy: str, problem: str) -> None:
        self.hierarchy, self.problem = hierarchy, problem
        super().__init__(f"lock hierarchy {hierarchy!r}: {problem}")


class LockError(ThreadsError):
    """Base of what a lock raises; ``lock`` is its name."""

    lock: str


class LockOrderError(LockError, RuntimeError):
    """A lock was requested out of order; it was refused before anything was waited for.

    ``wanted`` and ``held`` are the locks, with their ranks (None: unranked) and the places (file:line) where the one
    was requested and the other acquired. ``rule`` says what was broken.
    """

    def __init__(
        self,
        *,
        wanted: str,
        rank: str | None,
        site: str,
        held: str,
        held_rank: str | None,
        held_site: str,
        rule: str,
    ) -> None:
        self.lock = self.wanted = wanted
        self.rank, self.site = rank, site
        self.held, self.held_rank, self.held_site, self.rule = held, held_rank, held_site, rule
        super().__init__(
            f"lock {wanted!r} (rank {rank or 'none'}) requested at {site} while holding {held!r} "
            f"(rank {held_rank or 'none'}), acquired at {held_site}: {rule}"
        )


class LockTimeoutError(LockError, TimeoutError):
    """A lock was not free in time. ``waited`` is in seconds; ``holding`` are the locks the waiter holds itself.

    ``holder`` and ``holder_site`` are the thread that had it and where it took it, None where that was not known.
    """

    def __init__(
        self,
        *,
        lock: str,
        timeout: float,
        waited: float,
        holder: str | None,
        holder_site: str | None,
        holding: tuple[str, ...],
    ) -> None:
        self.lock, self.timeout, self.waited = lock, timeout, waited
        self.holder, self.holder_site, self.holding = holder, holder_site, holding
        by = f"held by {holder}" if holder else "its holder is not known"
        place = f", acquired at {holder_site}" if holder_site else ""
        mine = f"; the waiter holds {', '.join(holding)}" if holding else ""
        super().__init__(f"lock {lock!r} not free within {timeout:g} s (waited {waited:.3f} s): {by}{place}{mine}")


class DeadlockError(LockError, RuntimeError):
    """Threads wait for one another in a circle; raised in one of them, whose leaving breaks it.

    ``cycle`` has a (thread, lock it waits for, thread that holds that lock) for each; the first is the one it is raised
    in. ``sites`` has, in the same order, the two places (file:line) of that: where the thread waits, and where the
    holder took the lock. What is no lock has no such place, nor a holder where anybody could have ended the wait: they
    are empty then. ``threads`` has, where that is known, of each thread its name, what it holds, and its stack
    (file:line in function, the innermost first).
    """

    def __init__(
        self,
        *,
        lock: str,
        cycle: tuple[tuple[str, str, str], ...],
        sites: tuple[tuple[str, str], ...],
        threads: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (),
    ) -> None:
        self.lock, self.cycle, self.sites, self.threads = lock, cycle, sites, threads
        told = "; ".join(
            f"{waiter} waits at {waits_at} for {wanted!r}"
            + (f", held by {holder}" if holder else "")
            + (f", acquired at {taken_at}" if taken_at else "")
            for (waiter, wanted, holder), (waits_at, taken_at) in zip(cycle, sites, strict=True)
        )
        super().__init__(f"deadlock: {told}")


class TaskDeadlockError(DeadlockError):
    """Tasks of an asyncio event loop wait for one another, or for what nobody is left to do; raised in one of them.

    ``cycle`` and ``sites`` are as of ``DeadlockError``, for tasks: the second of the sites is empty where what a task
    waits for is no lock that another one took. ``quiet``: nothing could have woken the loop any more.
    """

    def __init__(
        self,
        *,
        lock: str,
        cycle: tuple[tuple[str, str, str], ...],
        sites: tuple[tuple[str, str], ...],
        quiet: bool,
    ) -> None:
        super().__init__(lock=lock, cycle=cycle, sites=sites)
        self.quiet = quiet
        lines = [
            f"  {waiter} waits at {waits_at} for {wanted}" + (f", taken by {holder} at {taken_at}" if taken_at else "")
            for (waiter, wanted, holder), (waits_at, taken_at) in zip(cycle, sites, strict=True)
        ]
        what = "nothing can wake the event loop any more" if quiet else "they wait for each other for ever"
        self.args = ("\n".join([f"deadlock of asyncio tasks, {what}:", *lines]),)


class LockClosedError(LockError, RuntimeError):
    """The lock was closed, before or during the wait for it."""

    def __init__(self, *, lock: str) -> None:
        self.lock = lock
        super().__init__(f"lock {lock!r} is closed")


class LockOwnershipError(LockError, RuntimeError):
    """Something was done that only the holder of a lock may do; ``holder`` is who has it, None for nobody."""

    def __init__(self, *, lock: str, action: str, thread: str, holder: str | None) -> None:
        self.lock, self.action, self.thread, self.holder = lock, action, thread, holder
        super().__init__(f"{action} needs lock {lock!r}, which {thread} does not hold; holder: {holder or 'nobody'}")


class QueueFullError(ThreadsError, RuntimeError):
    """A pool's queue had no room, at once or within ``timeout`` seconds."""

    def __init__(self, *, pool: str, queued: int, limit: int, timeout: float | None) -> None:
        self.pool, self.queued, self.limit, self.timeout = pool, queued, limit, timeout
        within = "" if timeout is None else f" within {timeout:g} s"
        super().__init__(f"pool {pool!r}: {queued} tasks queued of {limit} allowed, no room{within}")


class StackSizeError(ThreadsError, ValueError):
    """A stack size for threads was refused: below the floor at which deep C recursion kills a process, or not to be
    had on this platform. Sizes in bytes."""

    def __init__(self, *, size: int, floor: int, problem: str) -> None:
        self.size, self.floor, self.problem = size, floor, problem
        super().__init__(f"stack size of {size} bytes: {problem} (least {floor})")


class TaskCycleError(ThreadsError, RuntimeError):
    """A task waits for itself, through whatever others: no number of workers could end that."""

    def __init__(self, *, task: str) -> None:
        self.task = task
        super().__init__(f"task {task} waits for its own result")


class OrderingError(CoreSysError, AssertionError):
    """Threads did not make the steps that a test stated, in their order.

    ``step`` is the one that it is about, and ``standing`` has each thread that took part, and what it does.
    """

    def __init__(self, *, problem: str, step: str | None, standing: tuple[tuple[str, str], ...]) -> None:
        self.problem, self.step, self.standing = problem, step, standing
        places = "; ".join(f"{name} {place}" for name, place in standing)
        super().__init__(f"{problem}: {places}" if places else problem)


class ResourceError(CoreSysError):
    """Base of what goes wrong with resources that have an owner."""


class PoolsClosedError(ResourceError, RuntimeError):
    """Buffers were asked for, or about, after their pools had been closed, or the ``channel`` that is named."""

    def __init__(self, *, owner: str = "", channel: str = "") -> None:
        self.owner, self.channel = owner, channel
        asked = f"{owner!r} asked for a buffer, but " if owner else ""
        super().__init__(f"{asked}{f'channel {channel!r} has' if channel else 'the pools have'} been closed")


class ReentrantCallError(ResourceError, RuntimeError):
    """Pools were called by a finalizer, or by a signal's handler, that ran in the middle of a change of theirs.

    Their lock is held by the very thread that calls, which would wait for itself. To give a lease back is allowed even
    there: it is taken back when the change is over.
    """

    def __init__(self, *, action: str) -> None:
        self.action = action
        super().__init__(
            f"{action} was called from a finalizer or a signal handler that interrupted a change of the same pools in "
            "this thread: do it later, or in another thread"
        )


class LeaseSizeError(ResourceError, ValueError):
    """A buffer was asked for of a size that no tier has; ``largest`` is what a buffer may have, in bytes."""

    def __init__(self, *, size: int, owner: str, largest: int) -> None:
        self.size, self.owner, self.largest = size, owner, largest
        super().__init__(f"{owner!r} asked for a buffer of {size} bytes; there are such of 1 to {largest}")


class LeaseLimitError(ResourceError, RuntimeError):
    """An owner asked for more than it may hold; nothing was taken. All figures are bytes, of whole slots.

    Where a ``channel`` is named, ``held`` and ``limit`` are those of all owners in it together. Where it is the one
    buffer that is too large, whatever the owner holds, ``largest`` is what a buffer of its may have, and ``limit`` is
    that too; else ``largest`` is None.
    """

    def __init__(
        self,
        *,
        owner: str,
        wanted: int,
        held: int,
        limit: int,
        why: str = "",
        channel: str = "",
        largest: int | None = None,
    ) -> None:
        self.owner, self.wanted, self.held, self.limit, self.why = owner, wanted, held, limit, why
        self.channel, self.largest = channel, largest
        if largest is not None:
            super().__init__(f"{owner!r} asked for a buffer of {wanted} bytes: {why}")
            return
        holds = f"all in channel {channel!r} together hold" if channel else "holds"
        they = "they" if channel else "it"
        super().__init__(
            f"{owner!r} asked for {wanted} bytes and {holds} {held} of the {limit} that {they} may hold"
            f"{f': {why}' if why else ''}; release some, or raise {'the' if channel else 'its'} limit"
        )


class HeapLimitError(ResourceError, RuntimeError):
    """An owner holds as much on the heap as it may, or all together do: it may not begin to take more. In bytes."""

    def __init__(self, *, owner: str, held: int, limit: int, why: str) -> None:
        self.owner, self.held, self.limit, self.why = owner, held, limit, why
        super().__init__(f"{owner!r} may not take more of the heap: {held} bytes are held of {limit}: {why}")


class PoolExhaustedError(ResourceError, TimeoutError):
    """No buffer of a tier was free for an owner; ``holders`` are those who hold most, with how many, the first most."""

    def __init__(
        self, *, tier: str, owner: str, slots: int, reserved: int, waited: float, holders: tuple[tuple[str, int], ...]
    ) -> None:
        self.tier, self.owner, self.slots, self.reserved, self.waited = tier, owner, slots, reserved, waited
        self.holders = holders
        kept = f", {reserved} free ones are kept for others" if reserved else ""
        most = ", ".join(f"{name!r} {count}" for name, count in holders)
        held = f"held by {most or 'nobody'}"
        super().__init__(f"no {tier} buffer was free for {owner!r} within {waited:.3g} s: of {slots}{kept}; {held}")


class SharedTierError(ResourceError, ValueError):
    """Something was asked of a tier that only one shared by processes can do, or only in the process that made it."""

    def __init__(self, *, tier: str, problem: str) -> None:
        self.tier, self.problem = tier, problem
        super().__init__(f"tier {tier!r}: {problem}")


class LeaseReleasedError(ResourceError, ValueError):
    """A buffer was used, or given back, that had been given back; ``where`` is the place that it was lent at."""

    def __init__(self, *, number: int, owner: str, where: str | None = None) -> None:
        self.number, self.owner, self.where = number, owner, where
        super().__init__(f"lease {number} of {owner!r}{f' ({where})' if where else ''} has been released")


class LeaseInUseError(ResourceError, BufferError):
    """A buffer can't be given back: something else still uses its view, as a call in another thread does."""

    def __init__(self, *, number: int, owner: str, where: str | None = None) -> None:
        self.number, self.owner, self.where = number, owner, where
        super().__init__(
            f"lease {number} of {owner!r}{f' ({where})' if where else ''} cannot be released while something else "
            "uses its memory (a call in another thread, say): let that come to its end first"
        )


class ConnectionsClosedError(ResourceError, RuntimeError):
    """A connection was asked for after its pool had been closed."""

    def __init__(self, *, pool: str, owner: str = "") -> None:
        self.pool, self.owner = pool, owner
        asked = f"{owner!r} asked for a connection, but " if owner else ""
        super().__init__(f"{asked}pool {pool!r} has been closed")


class ConnectionLimitError(ResourceError, RuntimeError):
    """An owner asked for one more connection than it may hold; nothing was taken."""

    def __init__(self, *, pool: str, owner: str, held: int, limit: int) -> None:
        self.pool, self.owner, self.held, self.limit = pool, owner, held, limit
        super().__init__(
            f"{owner!r} holds {held} of the {limit} connections of pool {pool!r} that it may hold; release one, or "
            "raise the limit"
        )


class ConnectionsExhaustedError(ResourceError, TimeoutError):
    """No connection was free for an owner within its time.

    ``holders``: who holds most, with how many; ``oldest``: where the one that is out for longest was taken, and
    ``oldest_age`` the seconds since.
    """

    def __init__(
        self,
        *,
        pool: str,
        owner: str,
        most: int,
        waited: float,
        holders: tuple[tuple[str, int], ...] = (),
        oldest: str | None = None,
        oldest_age: float = 0.0,
    ) -> None:
        self.pool, self.owner, self.most, self.waited, self.holders = pool, owner, most, waited, holders
        self.oldest, self.oldest_age = oldest, oldest_age
        held = ", ".join(f"{name!r} {count}" for name, count in holders) or "nobody"
        since = f"; one is out for {oldest_age:.3g} s, taken at {oldest}" if oldest else ""
        super().__init__(
            f"no connection of pool {pool!r} was free for {owner!r} within {waited:.3g} s: of {most}, held by {held}"
            f"{since}"
        )


class ConnectionReleasedError(ResourceError, ValueError):
    """A connection was used, or given back, through a checkout that had been given back; ``where`` it was taken."""

    def __init__(self, *, pool: str, owner: str, where: str | None = None) -> None:
        self.pool, self.owner, self.where = pool, owner, where
        super().__init__(
            f"the connection of pool {pool!r} that {owner!r} had{f' ({where})' if where else ''} has been released"
        )


class DuplicateResourceError(ResourceError, ValueError):
    """An owner has a resource of that name already; ``where`` is the place that it was registered at."""

    def __init__(self, *, name: str, owner: str, where: str | None = None) -> None:
        self.name, self.owner, self.where = name, owner, where
        super().__init__(f"{owner!r} has a resource {name!r} already{f', registered at {where}' if where else ''}")


class DuplicateChannelError(ResourceError, ValueError):
    """A channel of that name is open already; ``where`` is the place that it was opened at."""

    def __init__(self, *, channel: str, where: str | None = None) -> None:
        self.channel, self.where = channel, where
        super().__init__(f"channel {channel!r} is open already{f', since {where}' if where else ''}: close it first")


class UnknownResourceError(ResourceError, LookupError):
    """An owner has no resource of that name."""

    def __init__(self, *, name: str, owner: str) -> None:
        self.name, self.owner = name, owner
        super().__init__(f"{owner!r} has no resource {name!r}")


class ResourcesNotClosedError(ResourceError):
    """Some of what an owner had could not be closed, all else was; ``problems``: name and error of each, as text."""

    def __init__(self, *, owner: str, closed: int, problems: tuple[tuple[str, str], ...]) -> None:
        self.owner, self.closed, self.problems = owner, closed, problems
        told = "; ".join(f"{name}: {error}" for name, error in problems)
        super().__init__(f"{len(problems)} of {closed + len(problems)} resources of {owner!r} failed to close: {told}")


class CleanupError(CoreSysError):
    """Base of what goes wrong with taking things down."""


class CleanupOrderError(CleanupError, ValueError):
    """A step of a cleanup cannot be declared; nothing was changed."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"cleanup step {step!r}: {problem}")


class CleanupIncompleteError(CleanupError):
    """A cleanup was gone through to its end, but some of it failed, hung, or left something; by step, as text.

    ``errors`` are what was raised, in the order it was; from Python 3.11 on they are the cause too, as one group.
    """

    def __init__(
        self,
        *,
        failed: tuple[tuple[str, str], ...],
        hung: tuple[str, ...] = (),
        left: tuple[str, ...] = (),
        errors: tuple[BaseException, ...] = (),
    ) -> None:
        self.failed, self.hung, self.left, self.errors = failed, hung, left, errors
        told = [f"{step} failed: {problem}" for step, problem in failed]
        told += [f"{step} hung" for step in hung]
        told += [f"left: {line}" for line in left]
        super().__init__(f"the cleanup is not complete: {'; '.join(told)}")

    def __reduce__(self) -> tuple[Any, ...]:
        # The texts travel; what was raised may not be able to.
        return (_rebuild, (type(self), self.args, {**self.__dict__, "errors": ()}))


class IsolationError(CoreSysError):
    """Base of what is wrong with the environment of a test; ``environment`` is its name."""

    environment: str


class DuplicateEnvironmentError(IsolationError, ValueError):
    """An environment of that name is open."""

    def __init__(self, *, environment: str) -> None:
        self.environment = environment
        super().__init__(f"environment {environment!r} is open already")


class UnknownEnvironmentError(IsolationError, LookupError):
    """No environment of that name is open."""

    def __init__(self, *, environment: str) -> None:
        self.environment = environment
        super().__init__(f"no environment {environment!r} is open")


class LeftBehindError(IsolationError):
    """A test left something in its environment, which has been taken away; ``left``: a line for each thing."""

    def __init__(self, *, environment: str, left: tuple[str, ...]) -> None:
        self.environment, self.left = environment, left
        super().__init__("\n  ".join([f"{len(left)} left behind in environment {environment!r}:", *left]))


class ComponentError(CoreSysError):
    """Base of what the component manager raises; ``component`` is the name of the one it is about."""

    component: str


class ComponentSpecError(ComponentError, ValueError):
    """A component is declared wrongly in itself; ``problem`` says how."""

    def __init__(self, *, component: str, problem: str) -> None:
        self.component, self.problem = component, problem
        super().__init__(f"component {component!r}: {problem}")


class DuplicateComponentError(ComponentError, ValueError):
    """A component of that name is declared already."""

    def __init__(self, *, component: str) -> None:
        self.component = component
        super().__init__(f"component {component!r} is registered already")


class ComponentCycleError(ComponentError, ValueError):
    """A component would need itself, through those in ``cycle``: each needs the one after it, the last is the first."""

    def __init__(self, *, component: str, cycle: tuple[str, ...]) -> None:
        self.component, self.cycle = component, cycle
        super().__init__(f"component {component!r} would need itself: {' needs '.join(map(repr, cycle))}")


class UnknownComponentError(ComponentError, LookupError):
    """No component of that name is registered here. ``needed_by`` is who needs it, None where it was asked for by the
    caller; ``near`` are names that look like it."""

    def __init__(self, *, component: str, needed_by: str | None = None, near: tuple[str, ...] = ()) -> None:
        self.component, self.needed_by, self.near = component, needed_by, near
        needed = f", which {needed_by!r} needs" if needed_by is not None else ""
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        super().__init__(f"no component {component!r} is registered{needed}{hint}")


class OutsideViewError(ComponentError, LookupError):
    """A view was asked to change what is not its own part; nothing was changed. ``view`` says which part that is."""

    def __init__(self, *, component: str, view: str, problem: str) -> None:
        self.component, self.view, self.problem = component, view, problem
        super().__init__(f"component {component!r} is outside of the view of {view}: {problem}")


class ChangeRefusedError(ComponentError):
    """A validation hook refused a change; nothing was changed. ``hook`` is its name, ``reason`` what it said."""

    def __init__(self, *, component: str, action: str, hook: str, reason: str) -> None:
        self.component, self.action, self.hook, self.reason = component, action, hook, reason
        super().__init__(f"{action} of {component!r} was refused by {hook}: {reason}")


class ComponentBusyError(ComponentError, RuntimeError):
    """A change was not begun, for another one is at work on the same components and to wait for it would be in vain,
    or was so for as long as was allowed. ``problem`` says which."""

    def __init__(self, *, component: str, action: str, problem: str) -> None:
        self.component, self.action, self.problem = component, action, problem
        super().__init__(f"{action} of {component!r} was not begun: {problem}")


class StartFailedError(_WithCauses, ComponentError):
    """A component did not start, and what had been started for it was stopped again.

    ``component`` is the first that failed. ``problems`` are component and error, as text, of everything that went
    wrong, also while stopping again; ``causes`` those exceptions, in the same order. ``__cause__`` is the first, or a
    group of all (from Python 3.11 on).
    """

    def __init__(
        self,
        *,
        component: str,
        action: str,
        problems: tuple[tuple[str, str], ...],
        causes: tuple[BaseException, ...] = (),
    ) -> None:
        self.component, self.action, self.problems, self.causes = component, action, problems, causes
        told = "; ".join(f"{name}: {error}" for name, error in problems)
        super().__init__(f"{action}: {component!r} did not start; {told}")


class StopFailedError(_WithCauses, ComponentError):
    """Components failed to stop; all others were stopped all the same. As StartFailedError in its attributes."""

    def __init__(
        self,
        *,
        component: str,
        action: str,
        problems: tuple[tuple[str, str], ...],
        causes: tuple[BaseException, ...] = (),
    ) -> None:
        self.component, self.action, self.problems, self.causes = component, action, problems, causes
        told = "; ".join(f"{name}: {error}" for name, error in problems)
        super().__init__(f"{action}: {component!r} did not stop as it should; {told}")


class InterfaceError(ComponentError, TypeError):
    """What a component provides is not what the interface asks for, or that is no interface; ``problem`` says how."""

    def __init__(self, *, component: str, interface: str, problem: str) -> None:
        self.component, self.interface, self.problem = component, interface, problem
        super().__init__(f"component {component!r} cannot provide {interface}: {problem}")


class NotProvidedError(ComponentError, LookupError):
    """A component asked for an interface that none of those it needs provides now; ``problem`` says why."""

    def __init__(self, *, component: str, interface: str, problem: str) -> None:
        self.component, self.interface, self.problem = component, interface, problem
        super().__init__(f"component {component!r} cannot have {interface}: {problem}")
