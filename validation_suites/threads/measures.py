"""What is measured of a thread manager, known by its protocol, and of values that threads share. Each function returns
the faults it finds, in words, or the figure that its criterion judges."""

from __future__ import annotations

import ctypes
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from coresys.errors.hierarchy import LockOwnershipError
from coresys.measure import meters
from validation_suites.resources.measures import whole
from validation_suites.running import PATIENCE, Runner, at_once, environment, in_words, name_of, switching
from validation_suites.state.measures import DOOR
from validation_suites.threads.racing import Lock, until

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager, IStateManager, IThreadManager


# -- workers ---------------------------------------------------------------------------------------------------------


class Inside:
    """Which threads run a task now, and how many there were at once at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idents: Counter[int] = Counter()
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self._idents[threading.get_ident()] += 1
            self.most = max(self.most, len(self._idents))

    def __exit__(self, *exc: object) -> None:
        ident = threading.get_ident()
        with self._lock:
            self._idents[ident] -= 1
            if not self._idents[ident]:
                del self._idents[ident]


def most_workers(
    manager: IThreadManager, tasks: int = 10_000, pairs: int = 1_000, patience: float = PATIENCE
) -> tuple[float, list[str]]:
    """How many threads there are at most, with tasks that block, and with tasks that wait for tasks of their own; and
    what went wrong. The tasks count for themselves: what the manager says is not all that is believed."""
    before, inside, gate = set(threading.enumerate()), Inside(), threading.Event()
    most = 0

    def look() -> None:
        nonlocal most
        there = sum(thread not in before for thread in threading.enumerate())
        most = max(most, there, manager.statistics().workers, inside.most)

    def block() -> None:
        with inside:
            gate.wait(patience)

    def outer(number: int) -> int:
        with inside:
            return manager.submit(inner, number).result(patience)

    def inner(number: int) -> int:
        with inside:
            return number * number

    blocked: list[Future[Any]] = []
    for number in range(tasks):
        # Some at the highest priority, for which there may be workers of their own.
        blocked.append(manager.submit_with(block, priority="system") if number % 10 == 9 else manager.submit(block))
        if number % 500 == 0:
            look()
    until(lambda: inside.most >= manager.statistics().workers, 1.0)
    look()
    gate.set()
    faults = _unfinished(blocked, patience, "of the tasks that block")
    look()
    nested = [manager.submit(outer, number) for number in range(pairs)]
    faults += _unfinished(nested, patience, "of the tasks that wait for a task")
    look()
    if not faults and [future.result() for future in nested] != [number * number for number in range(pairs)]:
        faults.append("results of tasks are not theirs")
    return float(most), faults


def _unfinished(futures: Sequence[Future[Any]], patience: float, what: str) -> list[str]:
    deadline = time.monotonic() + patience
    errors: Counter[str] = Counter()
    for future in futures:
        try:
            future.result(max(deadline - time.monotonic(), 0.0))
        except Exception as error:
            errors[in_words(error)] += 1
    return [f"{count} {what} did not end well: {error}" for error, count in errors.items()]


# -- priorities ------------------------------------------------------------------------------------------------------

LEVELS = ("system", "processing", "monitoring")
_OUT_OF_TURN = 8  # one start in so many may be of a low priority out of turn, which keeps it from starving


def priority_faults(manager: IThreadManager, each: int = 64) -> list[str]:
    """Of a manager with one worker: how a backlog of mixed priorities is started. Starts before something of a higher
    priority count, but for one in eight; and what is low has to start though high tasks never end to come."""
    order: list[str] = []
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(PATIENCE)

    held = manager.submit_with(wait, priority="system")
    if not begun.wait(PATIENCE):
        return ["a task of an idle manager is not begun"]
    names = [level for level in reversed(LEVELS) for _ in range(each)]  # the low ones are there first
    futures = [manager.submit_with(partial(order.append, level), priority=level) for level in names]
    gate.set()
    faults = _unfinished([held, *futures], PATIENCE, "tasks")
    faults += _out_of_turn(order, each)
    return faults + _starved(manager)


def _out_of_turn(order: Sequence[str], each: int) -> list[str]:
    left = dict.fromkeys(LEVELS, each)
    early: list[str] = []
    for at, level in enumerate(order):
        if any(left[higher] for higher in LEVELS[: LEVELS.index(level)]):
            early.append(f"start {at + 1} is of {level}, with higher ones waiting")
        left[level] -= 1
    allowed = len(order) // _OUT_OF_TURN
    return [] if len(early) <= allowed else early[allowed:]


def _starved(manager: IThreadManager, most: int = 2_000) -> list[str]:
    """A low task, beside system tasks each of which submits its successor: as many as there were before it."""
    faults = []
    for level in LEVELS[1:]:
        started, ended = threading.Event(), threading.Event()
        before, starved = [0], list[str]()

        def successor(
            level: str, before: list[int], starved: list[str], started: threading.Event, ended: threading.Event
        ) -> None:
            before[0] += 1
            if started.is_set():
                ended.set()
            elif before[0] >= most:
                starved.append(level)
                ended.set()
            else:
                manager.submit_with(partial(successor, level, before, starved, started, ended), priority="system")

        for _ in range(2):  # one is always there when the other ends
            manager.submit_with(partial(successor, level, before, starved, started, ended), priority="system")
        low = manager.submit_with(started.set, priority=level)
        if not ended.wait(PATIENCE) or starved:
            faults.append(f"a task of {level} had not begun after {before[0]} system tasks")
        faults += _unfinished([low], PATIENCE, f"tasks of {level}")
    return faults


# -- channels --------------------------------------------------------------------------------------------------------


def channel_faults(manager: IThreadManager, tasks: int = 20_000, channels: int = 100, seed: int = 1) -> list[str]:
    """Tasks of random lengths in channels: two at once in one, and tasks that come before their predecessors."""
    dice = random.Random(seed)
    inside: list[int | None] = [None] * channels
    last = [-1] * channels
    overlaps, disorder = Counter[int](), Counter[int]()
    futures: list[Future[Any]] = []

    def work(key: int, number: int, length: float) -> None:
        overlaps[key] += inside[key] is not None
        inside[key] = number
        disorder[key] += number <= last[key]
        last[key] = number
        if length > 0.97:
            time.sleep(0.0005)
        overlaps[key] += inside[key] != number
        inside[key] = None

    with switching(1e-5):
        for number in range(tasks):
            key = dice.randrange(channels)
            task = partial(work, key, number, dice.random())
            priority = dice.choice(LEVELS)
            futures.append(manager.submit_with(task, priority=priority, channel=f"channel-{key}"))
        faults = _unfinished(futures, PATIENCE, "tasks of channels")
    faults += [f"channel {key}: two at once, {count} times" for key, count in overlaps.items() if count]
    return faults + [f"channel {key}: out of order, {count} times" for key, count in disorder.items() if count]


# -- stacks ----------------------------------------------------------------------------------------------------------


def stack_size() -> int | None:
    """Bytes of address space of the calling thread's stack; None where the system does not tell."""
    try:
        libc = ctypes.CDLL(None)
        itself, read, size_of, destroy = (
            libc.pthread_self,
            libc.pthread_getattr_np,
            libc.pthread_attr_getstacksize,
            libc.pthread_attr_destroy,
        )
    except (OSError, TypeError, AttributeError):
        return None
    itself.restype = ctypes.c_ulong
    read.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
    attributes, size = ctypes.create_string_buffer(256), ctypes.c_size_t()
    if read(itself(), attributes):
        return None
    size_of(attributes, ctypes.byref(size))
    destroy(attributes)
    return size.value


def worker_stack(manager: IThreadManager) -> int | None:
    """That of a worker."""
    return manager.submit(stack_size).result(PATIENCE)


def deep_recursion_faults(factory: Callable[..., Any], patience: float = 120.0) -> list[str]:
    """What becomes of a process whose worker recurses as deep as it can, in Python and in C: it must go on.

    In a process of its own, which makes the manager by the factory's name. Raises CannotBeNamed.
    """
    command = [sys.executable, "-m", "validation_suites.threads.deep", name_of(factory)]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=patience, check=False, env=environment()
        )
    except subprocess.TimeoutExpired:
        return [f"deep recursion did not end within {patience:.0f} s"]
    told = found.stdout.split()
    if found.returncode == 0 and told[-1:] == ["whole"]:
        return []
    after = told[-1] if told else "the start"
    how = f"by signal {-found.returncode}" if found.returncode < 0 else f"with status {found.returncode}"
    line = found.stderr.strip().splitlines()[-1:] or [""]
    return [f"the process ended {how}, after {after}: {line[0]}".rstrip(": ")]


# -- ends ------------------------------------------------------------------------------------------------------------


def locks_left_held(manager: Any, ranks: Sequence[str], waiters: int = 4, patience: float = PATIENCE) -> list[str]:
    """Shut a manager down while its locks are held, and waited for: what is held after that, and who waits still.

    Holders and waiters are no tasks of the manager, which would wait for those.
    """
    leave, holding = threading.Event(), threading.Semaphore(0)
    locks: list[Lock] = [manager.lock(rank, name=rank) for rank in ranks]

    def hold(lock: Lock) -> None:
        with lock:
            holding.release()
            leave.wait(4 * patience)

    def wait(lock: Lock) -> None:
        with lock:
            pass

    holders = [Runner(partial(hold, lock)) for lock in locks]
    for _ in holders:
        holding.acquire(timeout=PATIENCE)
    waiting = [Runner(partial(wait, lock)) for lock in locks for _ in range(waiters)]
    until(lambda: sum(each.waiting for each in manager.locks()) >= len(waiting), min(patience, 1.0))
    faults: list[str] = []
    try:
        ending = Runner(manager.shutdown)
        ending.join(patience)
        if ending.is_alive() or ending.problem is not None:
            faults.append(f"the shutdown {'hangs' if ending.is_alive() else f'raised {ending.problem}'}")
        deadline = time.monotonic() + patience
        for each in waiting:
            each.join(max(deadline - time.monotonic(), 0.0))
        still = sum(each.is_alive() for each in waiting)
        faults += [f"{still} of {len(waiting)} threads wait still"] if still else []
        faults += [f"{lock.name} is held by {lock.holder}" for lock in manager.locks() if lock.holder is not None]
        faults += [f"{lock.name} is waited for by {lock.waiting}" for lock in manager.locks() if lock.waiting]
        faults += [f"a waiter got {rank} from its holder" for rank in _got_it(waiting, ranks, waiters)]
    finally:
        leave.set()
        for each in (*holders, *waiting):
            each.join(patience)
    # A holder leaves as ever; what it lets go by then is not its business any more.
    return faults + [f"a holder raised {each.problem}" for each in holders if each.problem is not None]


def _got_it(waiting: Sequence[Runner], ranks: Sequence[str], waiters: int) -> Iterable[str]:
    """Those who came in while the lock was another's: they ended, and were told nothing."""
    for at, each in enumerate(waiting):
        if not each.is_alive() and each.problem is None:
            yield ranks[at // waiters]


def leftovers(build: Callable[[], Any], load: Callable[[Any], None], patience: float = PATIENCE) -> list[str]:
    """Build something, load it, shut it down in the middle of that: threads, descriptors and tasks of asyncio that are
    there after it and were not before."""
    descriptors, threads, tasks = meters.descriptors(), set(threading.enumerate()), len(meters.pending_tasks())
    built = build()
    load(built)
    ending = Runner(built.shutdown)
    ending.join(patience)
    faults = []
    if ending.is_alive() or ending.problem is not None:
        faults.append(f"the shutdown {'hangs' if ending.is_alive() else f'raised {ending.problem}'}")
    del built

    def others() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in threads and thread is not ending]

    # A thread that has told its last is there for a moment more.
    until(lambda: not others() and not meters.descriptors() - descriptors, patience if not faults else 0.0)
    faults += [f"thread {thread.name} is left" for thread in others()]
    faults += [f"{meters.describe_descriptor(fd)} is left" for fd in sorted(meters.descriptors() - descriptors)]
    more = len(meters.pending_tasks()) - tasks
    return faults + ([f"{more} tasks of asyncio are left"] if more > 0 else [])


def cancelled_faults(manager: IThreadManager, tasks: int = 200, patience: float = PATIENCE) -> list[str]:
    """Shut a manager down whose workers are all busy, and have what is queued cancelled: what is run all the same."""
    gate, begun = threading.Event(), threading.Semaphore(0)
    numbers: list[int] = []

    def block(number: int) -> None:
        numbers.append(number)
        begun.release()
        gate.wait(4 * patience)

    futures = [manager.submit(block, number) for number in range(tasks)]
    begun.acquire(timeout=patience)
    ending = Runner(lambda: manager.shutdown(True, cancel_futures=True))
    until(lambda: sum(future.cancelled() for future in futures) + len(numbers) >= tasks, patience)
    gate.set()
    ending.join(patience)
    cancelled = sum(future.cancelled() for future in futures)
    faults = [] if cancelled else [f"of {tasks} tasks, most of them queued, none was cancelled"]
    if cancelled + len(numbers) != tasks:
        faults.append(f"of {tasks} tasks {len(numbers)} were run, and {cancelled} cancelled")
    if ending.is_alive() or ending.problem is not None:
        faults.append(f"the shutdown {'hangs' if ending.is_alive() else f'raised {ending.problem}'}")
    return faults


# -- values that threads share ---------------------------------------------------------------------------------------


class Counting(Protocol):
    """A counter that several threads use."""

    def add(self, amount: int = 1) -> int: ...

    def get(self) -> int: ...

    def compare_and_set(self, expected: int, value: int) -> bool: ...


def counter_faults(make: Callable[[], Counting], threads: int = 8, turns: int = 2_000) -> list[str]:
    """Additions, and steps by compare-and-set, of threads that change places after each microsecond: totals, and that
    no two are told the same number."""
    counter, stepped = make(), make()
    told: list[list[int]] = [[] for _ in range(threads)]

    def work(number: int) -> None:
        for _ in range(turns):
            told[number].append(counter.add())
        done = 0
        while done < turns // 4:
            seen = stepped.get()
            done += stepped.compare_and_set(seen, seen + 1)

    faults = at_once(partial(work, number) for number in range(threads))
    numbers = {value for row in told for value in row}
    if counter.get() != threads * turns:
        faults.append(f"{threads * turns} additions came to {counter.get()}")
    if len(numbers) != threads * turns:
        faults.append(f"{threads * turns} additions were told {len(numbers)} numbers")
    if stepped.get() != threads * (turns // 4):
        faults.append(f"{threads * (turns // 4)} steps by compare-and-set came to {stepped.get()}")
    return faults


class Total:
    """A number that is read and written in two steps: what is wrong without a lock shows."""

    def __init__(self) -> None:
        self.value = 0

    def add(self) -> None:
        value = self.value
        for _ in range(3):
            pass
        if not value % 50:
            time.sleep(0)  # somebody else's turn, if the lock lets them in
        self.value = value + 1


def lock_total_faults(lock: Lock, threads: int = 8, turns: int = 1_000) -> list[str]:
    """A number that is added to under the lock only."""
    total = Total()

    def work() -> None:
        for _ in range(turns):
            with lock:
                total.add()

    faults = at_once([work] * threads)
    if total.value != threads * turns:
        faults.append(f"{threads * turns} additions under a lock came to {total.value}")
    return faults


def task_total_faults(manager: IThreadManager, threads: int = 8, turns: int = 300) -> list[str]:
    """Tasks that several threads submit: each is run once, and the manager's own account is exact."""
    before = manager.statistics()
    ran: list[list[int]] = [[] for _ in range(threads)]
    futures: list[list[Future[None]]] = [[] for _ in range(threads)]

    def submit(number: int) -> None:
        for turn in range(turns):
            futures[number].append(manager.submit(ran[number].append, turn))

    faults = at_once(partial(submit, number) for number in range(threads))
    with switching():
        faults += _unfinished([future for row in futures for future in row], PATIENCE, "tasks")
    after, every = manager.statistics(), threads * turns
    lost = sum(sorted(row) != list(range(turns)) for row in ran)
    faults += [f"of {lost} threads, tasks were not run, or more than once"] if lost else []
    for what in ("submitted", "completed"):
        seen = getattr(after, what) - getattr(before, what)
        faults += [f"{every} tasks, and {seen} {what}"] if seen != every else []
    return faults


def slot_faults(resources: IResourceManager, threads: int = 8, turns: int = 150, size: int = 4096) -> list[str]:
    """Buffers that threads take, mark, keep for a moment and give back: two with one, another owner's bytes in a fresh
    one, and an account that is not at zero in the end."""
    faults: Counter[str] = Counter()
    size = whole(resources, size)

    def work(number: int) -> None:
        mark, owner = bytes([number + 1]) * 64, f"storm-{number}"
        for turn in range(turns):
            with resources.lease(size, owner=owner, timeout=PATIENCE) as view:
                fresh = bytes(view[:64])
                if fresh.strip(b"\0") and fresh.strip(mark[:1]):
                    faults["a fresh buffer has bytes of another owner"] += 1
                view[:64] = mark
                if turn % 5 == 0:
                    time.sleep(0.0001)
                if bytes(view[:64]) != mark:
                    faults["a buffer was lent to two at once"] += 1

    told = at_once(partial(work, number) for number in range(threads))
    left = [lease for lease in resources.leases() if lease.owner.startswith("storm-")]
    if left:
        faults[f"{len(left)} buffers are lent still"] += 1
    return [*told, *(f"{what}, {count} times" for what, count in faults.items())]


# -- protected data --------------------------------------------------------------------------------------------------


class Held(Protocol):
    """A value that may be had only while its lock is held."""

    @property
    def value(self) -> Any: ...


def protection_faults(make: Callable[[Any, Total], Held], lock: Lock, threads: int = 8, turns: int = 500) -> list[str]:
    """Guarded data in a storm: who has the lock gets it, alone; who has not is refused, always."""
    total = Total()
    guarded = make(lock, total)
    faults: Counter[str] = Counter()

    def work(number: int) -> None:
        dice = random.Random(number)
        for _ in range(turns):
            if dice.random() < 0.2:
                try:
                    found = guarded.value
                except LockOwnershipError:
                    continue
                faults[f"{type(found).__name__} was handed out without its lock"] += 1
            with lock:
                guarded.value.add()

    told = at_once(partial(work, number) for number in range(threads))
    told += [f"{what}, {count} times" for what, count in faults.items()]
    added = sum(1 for number in range(threads) for dice in [random.Random(number)] for _ in range(turns)
                if dice.random() >= 0.2)  # fmt: skip
    if not told and total.value != added:
        told.append(f"{added} additions to guarded data came to {total.value}")
    return told


# -- state, from several threads -------------------------------------------------------------------------------------


def state_faults(manager: IStateManager, threads: int = 8, turns: int = 2_000) -> list[str]:
    """Threads that push and pull one machine: each transition begins where the one before it led to, and has the number
    after its; the history that is kept says the same."""
    name = "door of the storm"
    manager.define(name, DOOR)
    made: list[list[Any]] = [[] for _ in range(threads)]
    refused = Counter[str]()

    def work(number: int) -> None:
        for turn in range(turns):
            try:
                made[number].append(manager.fire(name, ("push", "pull")[(turn + number) % 2]))
            except Exception as error:
                refused[type(error).__name__] += 1

    faults = at_once(partial(work, number) for number in range(threads))
    records = sorted((record for row in made for record in row), key=lambda record: record.sequence)
    faults += [f"{count} times {kind}" for kind, count in refused.items() if kind != "TransitionRefusedError"]
    faults += _broken_chain(records, "what was told", first=1)
    kept = manager.history(name)
    faults += _broken_chain(kept, "the history", first=len(records) - len(kept) + 1)
    known = {record.sequence: record.target for record in records}
    faults += [f"the history tells number {each.sequence} otherwise" for each in kept
               if known.get(each.sequence) != each.target][:3]  # fmt: skip
    there = manager.describe(name)
    if records and (there.sequence, there.state) != (records[-1].sequence, records[-1].target):
        faults.append(f"it stands at {there.state}, number {there.sequence}, and was led to {records[-1].target}")
    return faults


def _broken_chain(records: Sequence[Any], what: str, first: int) -> list[str]:
    if not records:
        return [f"{what} is empty"]
    faults = []
    numbers = [record.sequence for record in records]
    if numbers != list(range(first, first + len(records))):
        gap = next(at for at, number in enumerate(numbers) if number != first + at)
        faults.append(f"{what}: number {numbers[gap]} where {first + gap} was due")
    broken = [new for old, new in zip(records, records[1:], strict=False) if new.source != old.target]
    if broken:
        faults.append(f"{what}: {len(broken)} transitions do not begin where the one before led to")
    return faults
