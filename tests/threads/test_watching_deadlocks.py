"""Deadlocks that happen: who waits for whom, when it is one, in whom it is broken; and real ones, each in a process."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coresys.errors.hierarchy import DeadlockError
from coresys.threads.watching import chains, deadlocks, raw, waits
from coresys.threads.watching.chains import Ident, Party
from coresys.threads.watching.deadlocks import look
from coresys.threads.watching.locks import Lock, RLock
from coresys.threads.watching.waits import Wait


def where_taken(*, by_with: bool) -> tuple[Any, int]:
    lock = Lock._around(raw.allocate_lock(), (None, 0))
    if by_with:
        with lock:
            return lock._ident.code, lock._ident.offset
    lock.acquire()
    return lock._ident.code, lock._ident.offset


class World:
    """Threads that only seem to wait; each may be looked from."""

    def __init__(self) -> None:
        self.now = 100.0
        self.taken = where_taken(by_with=True)
        self.parties: list[Party] = []

    def lock(self, holder: Party | None, make: Any = Lock) -> Any:
        lock = make._around((raw.allocate_lock if make is Lock else raw.RLock)(), (None, 0), "a lock")
        lock._me = holder
        lock._ident.code, lock._ident.offset = self.taken
        return lock

    def thread(self) -> Party:
        party = Party(1000 + len(self.parties))
        party.thread = -1 - len(self.parties)
        self.parties.append(party)
        return party

    def waits(self, party: Party, lock: Any, *, patient: bool = True) -> Wait:
        wait = Wait(party, lock._ident, lock, None, patient=patient)
        wait.since = self.now
        self.now += 1
        party.waiting = wait
        party.turn += 1
        return wait


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    monkeypatch.setattr(deadlocks, "monotonic", lambda: made.now)
    monkeypatch.setattr(deadlocks, "_all_stand", lambda members: True)
    monkeypatch.setattr(deadlocks, "_say", lambda text: None)
    before = deadlocks.count()
    yield made
    for _ in range(deadlocks.count() - before):
        deadlocks.broken.pop()
    deadlocks._count = before


def ring(world: World, size: int, make: Any = Lock) -> list[Wait]:
    """Each thread holds a lock and waits for the next one's."""
    threads = [world.thread() for _ in range(size)]
    locks = [world.lock(thread, make) for thread in threads]
    return [world.waits(thread, locks[(at + 1) % size]) for at, thread in enumerate(threads)]


@pytest.mark.parametrize("make", [Lock, RLock])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_a_circle_is_broken_in_the_last_to_begin_by_its_second_look(world: World, size: int, make: Any) -> None:
    waiting = ring(world, size, make)
    for wait in waiting[:-1]:
        look(wait)
        look(wait)
    look(waiting[-1])
    with pytest.raises(DeadlockError) as caught:
        look(waiting[-1])
    assert len(caught.value.cycle) == len(caught.value.threads) == size
    assert deadlocks.since(deadlocks.count() - 1)[0].thread == waiting[-1].party.name


def test_one_that_moved_between_two_looks_is_looked_at_anew(world: World) -> None:
    first, last = ring(world, 2)
    look(last)
    first.party.turn += 2  # it had its lock, and waits once more
    look(last)
    with pytest.raises(DeadlockError):
        look(last)


def test_who_may_wait_for_a_thread_that_was_told_is_told_soon_but_not_in_the_next_test(world: World) -> None:
    _, last = ring(world, 2)
    look(last)
    with pytest.raises(DeadlockError):
        look(last)
    assert deadlocks._patience({}, True) == deadlocks.AGAIN
    chains.renew()
    assert deadlocks._patience({}, True) == deadlocks.QUIET


def test_whoever_waits_for_a_circle_is_not_the_one_to_break(world: World) -> None:
    waiting = ring(world, 2)
    outside = world.waits(world.thread(), world.lock(waiting[0].party))
    look(outside)
    look(outside)
    look(waiting[1])
    with pytest.raises(DeadlockError):
        look(waiting[1])


def test_a_circle_with_a_lock_that_somebody_acquired_is_given_time_for_it_may_be_a_signal(world: World) -> None:
    """A third thread lets it go, perhaps, as it may that of a reply; what a ``with`` took is its holder's to let go."""
    world.taken = where_taken(by_with=False)
    waiting = ring(world, 2)
    for _ in range(3):
        look(waiting[1])
    world.now += deadlocks.QUIET
    with pytest.raises(DeadlockError):
        look(waiting[1])


def test_a_circle_of_reentrant_locks_is_broken_at_once_however_they_were_taken(world: World) -> None:
    world.taken = None, 0
    waiting = ring(world, 2, RLock)
    look(waiting[1])
    with pytest.raises(DeadlockError):
        look(waiting[1])


@pytest.mark.parametrize("impatient", [0, 1])
def test_a_circle_with_a_timeout_in_it_opens_by_itself(world: World, impatient: int) -> None:
    waiting = ring(world, 2)
    waiting[impatient].patient = False
    for wait in waiting * 3:
        look(wait)


def test_a_lock_that_is_nobodys_at_the_moment_is_about_to_be_somebodys(world: World) -> None:
    first, last = ring(world, 2)
    first.lock._me = None
    for _ in range(3):
        look(last)


def test_a_holder_that_runs_ends_every_wait(world: World) -> None:
    _, last = ring(world, 2)
    last.lock._me.waiting = None
    for _ in range(3):
        look(last)


def test_a_lock_that_was_ever_handed_over_may_be_again(world: World) -> None:
    first, last = ring(world, 2)
    first.lock._ident.handed = True
    world.now += 100
    for wait in (first, last) * 3:
        look(wait)  # this very thread runs


def test_who_waits_for_itself_while_others_run_is_suspected_once(world: World, capfd: Any) -> None:
    me = world.thread()
    wait = world.waits(me, world.lock(me))
    before = len(deadlocks.suspected)
    for _ in range(3):
        look(wait)
    assert len(deadlocks.suspected) == before  # not yet
    world.now += deadlocks.QUIET
    for _ in range(3):
        look(wait)
    assert len(deadlocks.suspected) == before + 1
    assert "waited 4 s for a lock" in deadlocks.suspected.pop()


class Pool:
    def __init__(self, threads: list[Party | None], most: int) -> None:
        self._max_workers = most
        self._threads = []
        for party in threads:
            thread = threading.Thread()
            if party is not None:
                thread.__dict__["_coresys_party"] = party
            self._threads.append(thread)


def pending(world: World, party: Party, pool: Pool) -> Wait:
    future: Any = type("Future", (), {"_state": "PENDING"})()
    future._coresys_pool = lambda: pool
    wait = Wait(party, Ident("future", (None, 0)), None, None, patient=True, thing=future)
    wait.since = world.now
    party.waiting, party.turn = wait, party.turn + 1
    return wait


def test_a_pool_all_of_whose_workers_wait_for_it_is_given_time_first(world: World) -> None:
    one, other = world.thread(), world.thread()
    pool = Pool([one, other], 2)
    pending(world, one, pool)
    last = pending(world, other, pool)
    for _ in range(3):
        look(last)
    world.now += deadlocks.QUIET
    with pytest.raises(DeadlockError):
        look(last)


@pytest.mark.parametrize("free", ["idle", "unknown", "to be started"])
def test_a_pool_with_a_worker_to_spare_goes_on(world: World, free: str) -> None:
    one, other = world.thread(), world.thread()
    workers: dict[str, list[Party | None]] = {"idle": [one, other], "unknown": [one, None], "to be started": [one]}
    last = pending(world, one, Pool(workers[free], 2))
    world.now += 100
    for _ in range(3):
        look(last)


def test_the_error_survives_being_pickled_and_says_it_as_before() -> None:
    error = DeadlockError(lock="a", cycle=(("t", "a", "u"),), sites=(("f:1", "f:2"),))
    assert error.threads == ()
    more = DeadlockError(
        lock="a", cycle=(("t", "a", "u"),), sites=(("f:1", "f:2"),), threads=(("t", ("b",), ("f:1",)),)
    )
    assert str(more) == str(error) == "deadlock: t waits at f:1 for 'a', held by u, acquired at f:2"
    assert pickle.loads(pickle.dumps(more)).threads == more.threads


def test_a_waiter_is_as_a_raw_lock() -> None:
    waiter = waits.Waiter()
    assert waiter.acquire()
    assert waiter.locked()
    assert not waiter.acquire(False)
    assert not waiter.acquire(True, 0.001)
    waiter.release()
    with pytest.raises(RuntimeError):
        waiter.release()


def test_no_notice_is_lost_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notices come at any moment of a slice of no length: each wakes one who waits for ever."""
    monkeypatch.setattr(waits, "FIRST", 1e-6)
    monkeypatch.setattr(waits, "LONGEST", 2e-6)
    monkeypatch.setattr(threading, "_allocate_lock", waits.make_waiter)
    condition, turns, rounds = threading.Condition(), [0], 300

    def play(mine: int) -> None:
        for _ in range(rounds):
            with condition:
                while turns[0] % 2 != mine:
                    condition.wait()
                turns[0] += 1
                condition.notify()

    threads = [threading.Thread(target=play, args=(mine,), daemon=True) for mine in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert turns[0] == 2 * rounds


PRELUDE = """
import json, queue, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from coresys.errors.hierarchy import DeadlockError
from coresys.threads.watching import deadlocks
from coresys.threads.watching.install import install, uninstall
deadlocks.QUIET, deadlocks.AGAIN = 0.6, 0.4
install()
deadlocks.keep_silent(True)
told, lock = [], threading.Lock()
def caught(work):
    try: return work()
    except DeadlockError as error: told.append(threading.current_thread().name); return error
def holding(one, other, ready):
    with one:
        ready.wait()
        with other: return 1
def end():
    print(json.dumps({"count": deadlocks.count(), "told": told, "names": [[[s.wanted, s.holder] for s in b.threads]
        for b in deadlocks.broken], "suspected": len(deadlocks.suspected)}))
"""

REAL = {
    "two locks": """
one, other, ready = threading.Lock(), threading.RLock(), threading.Barrier(2)
threads = [threading.Thread(target=holding, args=(*each, ready)) for each in ((one, other), (other, one))]
[t.start() for t in threads]; [t.join() for t in threads]
""",
    "three locks": """
locks, ready = [threading.Lock() for _ in range(3)], threading.Barrier(3)
threads = [threading.Thread(target=holding, args=(locks[n], locks[(n + 1) % 3], ready)) for n in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
""",
    "join": """
def work():
    time.sleep(0.05)
    with lock: pass
thread = threading.Thread(target=work); thread.start()
def join():
    with lock: thread.join()
caught(join); thread.join()
""",
    "result": """
def work():
    time.sleep(0.05)
    with lock: pass
with ThreadPoolExecutor(1) as pool:
    future = pool.submit(work)
    def result():
        with lock: future.result()
    caught(result)
""",
    "a pool that waits for itself": """
with ThreadPoolExecutor(1) as pool:
    caught(lambda: pool.submit(lambda: pool.submit(int).result()).result())
""",
    "a pool that waits for itself in the end": """
pool = ThreadPoolExecutor(1)
pool.submit(lambda: caught(lambda: pool.submit(int).result()))
from coresys.threads.watching.chains import parties
while not any(party.waiting for party in parties()): time.sleep(0.01)
import atexit; atexit.register(lambda: print(json.dumps({"count": 1, "told": [], "names": [], "suspected": 0})))
uninstall()
""",
    "items that nobody puts, when all else has ended": """
def get(): caught(queue.Queue().get); done.append(1)
done = []
threads = [threading.Thread(target=get) for _ in range(3)]
for t in threads: t.start(); time.sleep(0.05)
import atexit
last = lambda: print(json.dumps({"count": 1 + (told[0] != threads[-1].name), "told": [], "names": [], "suspected": 0}))
atexit.register(last)
uninstall()
""",
    "a lock taken twice": "lock.acquire(); caught(lock.acquire)",
    "an item that nobody puts": "caught(queue.Queue().get)",
    "an item that is put under the lock": """
items = queue.Queue()
def put():
    time.sleep(0.05)
    with lock: items.put(1)
thread = threading.Thread(target=put); thread.start()
def get():
    with lock: items.get()
caught(get); thread.join()
""",
    "an event that nobody sets, beside idle workers": """
pool = ThreadPoolExecutor(2); [pool.submit(int).result() for _ in range(3)]
caught(threading.Event().wait); pool.shutdown()
""",
    "a loop whose thread waits for one that waits for the loop": """
import asyncio
async def main():
    loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    future = pool.submit(lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 1), loop).result())
    caught(future.result)
    assert await asyncio.wrap_future(future) == 1
    pool.shutdown()
asyncio.run(main())
""",
    "a lock held over an await of a thread that takes it": """
import asyncio
def work():
    with lock: return 1
async def main():
    with lock: return await asyncio.to_thread(work)
caught(lambda: asyncio.run(main()))
""",
    "a semaphore": "s = threading.Semaphore(1); s.acquire(); caught(s.acquire)",
    "a thread that died of it is waited for": """
one, other, ready, done = threading.Lock(), threading.Lock(), threading.Barrier(2), threading.Event()
def work(*given):
    holding(*given)
    if threading.current_thread().name == "first": time.sleep(0)
    else: done.set()
threads = [threading.Thread(target=work, args=(*each, ready), name=name)
    for name, each in (("first", (one, other)), ("second", (other, one)))]
[t.start() for t in threads]; [t.join() for t in threads]
done.is_set() or caught(done.wait)
""",
}

INNOCENT = {
    "a signal that a third thread lets go": """
done, ready = threading.Lock(), threading.Event()
done.acquire()
def ask():
    with lock:
        ready.set()
        done.acquire()
def reply():
    time.sleep(0.4)
    done.release()
threads = [threading.Thread(target=ask), threading.Thread(target=reply)]
threads[0].start(); ready.wait(); threads[1].start()
with lock: pass
[t.join() for t in threads]
""",
    "a timeout in the circle": """
ready = threading.Barrier(2)
one, other = threading.Lock(), threading.Lock()
def tries():
    with one:
        ready.wait()
        if other.acquire(timeout=1.5): other.release()
threads = [threading.Thread(target=tries), threading.Thread(target=holding, args=(other, one, ready))]
[t.start() for t in threads]; [t.join() for t in threads]
""",
    "a lock as a signal": """
lock.acquire()
threading.Timer(1.5, lock.release).start()
lock.acquire()
""",
    "an event that comes late": """
done = threading.Event()
def late(): time.sleep(1.5); done.set()
threading.Thread(target=late).start()
done.wait()
""",
    "an event that a signal sets": """
done = threading.Event()
signal.signal(signal.SIGALRM, lambda *_: done.set())
signal.setitimer(signal.ITIMER_REAL, 1.5)
done.wait()
""",
    "a process that is waited for": """
import subprocess
done = threading.Event()
def late(): subprocess.run([sys.executable, "-c", "import time; time.sleep(1.5)"]); done.set()
threading.Thread(target=late).start()
done.wait()
""",
    "an item that comes over a pipe": """
import os
items = queue.Queue(); r, w = os.pipe()
threading.Thread(target=lambda: items.put(os.read(r, 1))).start()
pid = os.fork()
if not pid: time.sleep(1.5); os.write(w, b"x"); os._exit(0)
items.get(); os.waitpid(pid, 0)
""",
    "a loop that is blocked": """
import asyncio
async def main():
    return await asyncio.to_thread(time.sleep, 1.5)
asyncio.run(main())
""",
    "a lock held over an await that a timer ends": """
import asyncio
def work():
    with lock: return 1
async def main():
    with lock:
        waits = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.sleep(2.5)
    return await waits
asyncio.run(main())
""",
    "a lock held over an await, and by a thread that runs before": """
import asyncio
before = threading.Event()
def hold():
    with lock: before.set(); time.sleep(3)
def work():
    with lock: return 1
async def main():
    threading.Thread(target=hold).start(); before.wait()
    return await asyncio.to_thread(work)
asyncio.run(main())
""",
    "a lock held over an await of another thread than the one that waits for it": """
import asyncio
def work():
    with lock: return 1
async def main():
    with lock:
        threading.Thread(target=work).start()
        return await asyncio.to_thread(time.sleep, 3)
asyncio.run(main())
""",
    "a lock held over an await that a signal lets go": """
import asyncio
signal.signal(signal.SIGALRM, lambda *_: lock.release())
signal.setitimer(signal.ITIMER_REAL, 3.5)
def work():
    with lock: return 1
async def main():
    lock.acquire()
    return await asyncio.to_thread(work)
asyncio.run(main())
""",
    "idle workers while others work": """
items = queue.Queue()
for _ in range(3): threading.Thread(target=items.get, daemon=True).start()
time.sleep(1.5)
""",
    "work that takes long": """
with ThreadPoolExecutor(2) as pool:
    futures = [pool.submit(time.sleep, 1.5) for _ in range(4)]
    [future.result() for future in futures]
""",
    "a future that is cancelled while nobody works on it": """
deadlocks.QUIET = 4
pool = ThreadPoolExecutor(1); inner = []
def outer():
    inner.append(pool.submit(int)); return inner[0].exception()
future = pool.submit(outer)
time.sleep(1.5)
inner[0].cancel()
try: future.result()
except BaseException: pass
""",
}


def result_of(code: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code) + "\nend()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_what_would_hang_ends(name: str) -> None:
    found, errors = result_of(REAL[name])
    assert found["count"] == (2 if found["told"] == ["MainThread"] and "died" in name else 1), errors
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("name", INNOCENT)
def test_what_would_end_is_left_alone(name: str) -> None:
    found, errors = result_of(INNOCENT[name])
    assert found["count"] == 0
    assert found["suspected"] == (name in ("a lock as a signal", "a lock held over an await that a signal lets go")), (
        errors
    )


ALL_WAIT = """
from coresys.threads.watching import chains, waits
deadlocks.QUIET, deadlocks.AGAIN, waits.FIRST, waits.LONGEST = 4, 0.2, 0.01, 0.02
walked, frames = set(), deadlocks.current_frames
deadlocks.current_frames = lambda: (walked.add(threading.current_thread().name), frames())[1]
def all_have_looked():
    waiting = {party: party.waiting for party in chains.parties() if party.thread != threading.get_ident()}
    lasting = {party: its for party, its in waiting.items() if its is not None}
    if len(lasting) < MOST: return False
    for its in lasting.values(): before.setdefault(its, its.looked)
    return all(its.looked >= before[its] + 60 for its in lasting.values())
before = {}  # a wait, and how often it had looked when all others waited too
def busy():
    while not all_have_looked(): time.sleep(0.01)
    print(json.dumps(sorted(walked)), flush=True)
    os._exit(0)
import os
queues = [queue.Queue() for _ in range(10)]
for number, items in enumerate(queues):
    threading.Thread(target=items.get, name=f"waits {number}", daemon=True).start()
    time.sleep(0.01)
thread = threading.Thread(target=busy)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "who"),
    [
        pytest.param("MOST = 11; thread.start(); threading.Event().wait()", "MainThread", id="the main thread waits"),
        pytest.param("MOST = 10; thread.start()", "waits 9", id="the main thread has ended"),
    ],
)
def test_of_many_that_wait_only_the_one_that_would_be_told_walks_all_stacks(end: str, who: str) -> None:
    """Each look walks all of them: where each of hundreds of threads did, twice a second, nobody else got to run."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + ALL_WAIT + end], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [who], done.stderr


@pytest.mark.slow
def test_the_threads_and_what_they_wait_for_are_named() -> None:
    found, _ = result_of(REAL["join"])
    assert sorted(found["names"][0]) == [
        ["lock", "MainThread"],
        ["the end of thread Thread-1 (work)", "Thread-1 (work)"],
    ]


def test_locks_of_one_name_are_numbered_the_first_too() -> None:
    made = [Lock() for _ in range(2)]
    single = Lock()
    names = list(deadlocks.names_of([made[1]._ident, single._ident, made[0]._ident, made[1]._ident]).values())
    line = inspect.currentframe().f_lineno - 3  # type: ignore[union-attr]
    assert names == [f"the lock made at test_watching_deadlocks.py:{line} #1", "single", names[0][:-1] + "2"]


@pytest.mark.skipif(not deadlocks._FUTEX, reason="the calls of this system are not known")
@pytest.mark.parametrize(
    ("call", "for_ever"),
    [
        ("{futex} 0x7f10 0x189 0x0 0x0 0x0 0xffffffff 0x7ffc 0x7f1a\n", True),
        ("{futex} 0x7f10 0x189 0x0 0x7f33 0x0 0xffffffff 0x7ffc 0x7f1a\n", False),  # a library's timer, perhaps
        ("7 0x7f10 0x189 0x0 0x0 0x0 0xffffffff 0x7ffc 0x7f1a\n", False),
        ("running\n", False),
        ("-1 0x7ffc 0x7f1a\n", False),
        ("", False),
    ],
)
def test_a_thread_of_a_library_waits_for_others_only_if_it_has_no_timeout(call: str, for_ever: bool) -> None:
    assert deadlocks.waits_for_ever(call.format(futex=deadlocks._FUTEX)) is for_ever
