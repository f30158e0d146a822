"""What has to be tried in a process of its own: interpreter exits, forks, signals, and the depth of stacks."""

from __future__ import annotations

import os
import signal

import pytest
from threads_helping import child, interpreters, no_threads_left  # noqa: F401  # autouse

from coresys.threads import ThreadPool

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["", "pool.shutdown(wait=False)", "del pool"])
def test_an_interpreter_that_ends_does_what_was_queued(how: str) -> None:
    result = child(
        f"""
import time
from coresys.threads import ThreadPool
pool = ThreadPool(2)
def work(n):
    time.sleep(0.01)
    print(n, flush=True)
for n in range(10):
    pool.submit(work, n)
{how}
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert sorted(map(int, result.stdout.split())) == list(range(10))


@pytest.mark.slow
def test_a_task_that_submits_while_the_interpreter_ends_is_refused() -> None:
    result = child(
        """
import threading, time
from coresys.threads import ThreadPool
pool = ThreadPool(2)
def work():
    time.sleep(0.1)
    try:
        pool.submit(print, "ran")
    except RuntimeError as error:
        print(error, flush=True)
pool.submit(work)
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "cannot schedule new futures after interpreter shutdown"


@pytest.mark.slow
def test_submitting_in_atexit_is_refused() -> None:
    result = child(
        """
import atexit
from coresys.threads import ThreadPool
pool = ThreadPool(2)
@atexit.register
def late():
    try:
        pool.submit(print, "ran")
    except RuntimeError as error:
        print(error, flush=True)
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "cannot schedule new futures after interpreter shutdown"


@needs_fork
@pytest.mark.slow
def test_a_pool_can_be_used_in_a_forked_child_and_the_parents_tasks_say_what_became_of_them() -> None:
    result = child(
        """
import os, sys, threading
from coresys.threads import ThreadPool, AtomicCounter
pool, counter = ThreadPool(2), AtomicCounter(5)
inside, leave = threading.Event(), threading.Event()
def block():
    inside.set()
    leave.wait(20)
running = pool.submit(block)
assert inside.wait(20)
queued, named = pool.submit(int), pool.submit_with(int, channel="c")
for round in range(3):
    pid = os.fork()
    if pid == 0:
        assert pool.submit(pow, 2, 3).result(20) == 8
        assert pool.submit_with(int, channel="c", priority="system").result(20) == 0
        assert queued.cancelled() and named.cancelled()
        assert "forked" in str(running.exception(0))
        assert counter.add() == 6
        pool.shutdown()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
leave.set()
assert (queued.result(20), named.result(20), running.result(20)) == (0, 0, None)
pool.shutdown()
"""
    )
    assert result.returncode == 0, result.stderr


@needs_fork
@pytest.mark.slow
def test_a_child_that_is_forked_in_a_task_ends() -> None:
    result = child(
        """
import os, threading
from coresys.threads import ThreadPool
pool = ThreadPool(2, reserved=0)
def fork():
    pid = os.fork()
    if pid == 0:
        assert pool.submit(pow, 2, 3).result(20) == 8
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(pool.submit(fork).result(30))
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "0"


SIGNALS = """
import signal, sys, threading, time
from coresys.threads import *
from coresys.threads.held import here
H = LockHierarchy("h", ["a", "b"])
a, b, r, w = OrderedLock(H["a"]), OrderedLock(H["b"]), OrderedRLock(H["a"]), ReadWriteLock(H["b"])
everything = [a, b, r, w._gate]
stop = threading.Event()
def other():
    while not stop.is_set():
        with a, b: pass
        with r: pass
        with w.reading(): pass
        time.sleep(0.0001)
thread = threading.Thread(target=other, daemon=True)
thread.start()
def plain():
    with a:
        with b: pass
def again():
    with r:
        with r: pass
def timed():
    with a.within(5):
        pass
def read():
    with w.reading(): pass
def write():
    with w.writing(): pass
def both():
    with w.writing():
        with w.reading(): pass
seconds, hits, rounds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0, 0, 0
import random
random.seed(1)
end = time.monotonic() + seconds
step = 0
while time.monotonic() < end:
    body = (plain, again, timed, read, write, both)[step % 6]
    step += 1
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-4))
        while True:
            body()
            rounds += 1
    except KeyboardInterrupt:
        hits += 1
    mine = [lock.name for lock in (*everything, w._gate.share()) if lock.owned()]
    if mine:
        print("left held:", body.__name__, mine)
        break
stop.set()
thread.join(20)
print("hits", hits > 50, "hang" if thread.is_alive() else "free")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("version", [f"3.{minor}" for minor in range(10, 15)])
def test_an_interrupt_out_of_nowhere_never_leaves_a_lock_held(version: str) -> None:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    handler = "import signal\nsignal.signal(signal.SIGALRM, signal.default_int_handler)\n"
    result = child(handler + SIGNALS, python=python)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == "hits True free\n"


DEPTHS = {
    "nested json": "json.loads('[' * DEPTH + ']' * DEPTH)",
    "json back": "json.dumps(nested(900))",
    "json back, deep": "json.dumps(nested(DEPTH))",
    "repr": "repr(nested(DEPTH))",
    "comparison": "nested(DEPTH) == nested(DEPTH)",
    "regex": "re.match('(?:' * 200 + 'a' + ')*' * 200, 'a' * 500)",
    "calls": "down(900)",
    "repr of objects": "repr(chain(min(DEPTH, 5_000)))",
    "comparison of objects": "chain(min(DEPTH, 5_000)) == chain(min(DEPTH, 5_000))",
    "sort": "sorted([chain(800), chain(800)], key=repr)",
    "compile": "compile('(' * 90 + ')' * 90, 'x', 'eval')",
    "import": "__import__('importlib').import_module('xml.dom.minidom')",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "kilobytes", "depth"),
    [(f"3.{minor}", kilobytes, 50_000) for minor in (10, 11, 12) for kilobytes in (512, 1024)]
    # 3.13 lets C code recurse 10,000 levels deep before it raises, which takes 2 MiB; see the page about threads.
    + [("3.13", 1024, 4_000), ("3.13", 2048, 50_000)],
)
def test_deep_recursion_in_a_worker_raises_and_never_kills_the_process(
    version: str, kilobytes: int, depth: int
) -> None:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    script = f"""
import json, re, sys
from coresys.threads import ThreadPool
DEPTH = {depth}
def nested(depth):
    made = []
    for _ in range(depth):
        made = [made]
    return made
def down(left):
    return 0 if left == 0 else 1 + down(left - 1)
class Link:
    def __init__(self, inner): self.inner = inner
    def __repr__(self): return "L" + repr(self.inner)
    def __eq__(self, other): return self.inner == other.inner
    def __del__(self): pass
def chain(depth):
    made = None
    for _ in range(depth):
        made = Link(made)
    return made
DEPTHS = {DEPTHS!r}
pool = ThreadPool(2, stack_size={kilobytes} * 1024)
for name, code in DEPTHS.items():
    def run():
        try:
            eval(code)
        except (RecursionError, MemoryError, re.error, SyntaxError, json.JSONDecodeError, RuntimeError) as error:
            return type(error).__name__
        return "fine"
    print(name, pool.submit(run).result(60), flush=True)
"""
    result = child(script, timeout=120, python=python)
    assert result.returncode == 0, (result.stdout, result.stderr[-2000:])
    told = result.stdout.splitlines()
    assert len(told) == len(DEPTHS)
    assert "calls fine" in told


def test_only_daemons_may_be_left_behind_at_the_end() -> None:
    with ThreadPool(1) as pool:
        pool.wait_at_exit(True)
        with pytest.raises(ValueError, match="no daemons"):
            pool.wait_at_exit(False)
    with ThreadPool(1, daemon=True) as pool:
        pool.wait_at_exit(True)
        pool.wait_at_exit(False)
        assert pool.submit(pow, 2, 5).result() == 32
