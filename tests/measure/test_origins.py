"""For each kind of thing that can be left behind, made for real: the line that made it is named.

The line that is to be named carries the comment ``# here``; where something is to stand, ``# stands``.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import ctypes
import gc
import inspect
import mmap
import multiprocessing
import os
import queue
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from coresys.measure import meters, origins_trace
from coresys.measure import origins as origins_module
from coresys.measure.origins import KINDS, Leftover, origins
from coresys.records import Location

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not all kinds can be told elsewhere")

THIS = os.path.basename(__file__)
FOLDER = os.path.dirname(__file__)


class Keep:
    """What the leaking functions keep, and how to be rid of it."""

    def __init__(self, folder: Path) -> None:
        self.things: list[Any] = []
        self.release = threading.Event()
        self.file = folder / "kept.txt"
        self.file.write_text("x" * 100)

    def wait(self) -> None:
        self.release.wait()  # stands

    def __call__(self, thing: Any) -> Any:
        self.things.append(thing)
        return thing


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    descriptors, threads = meters.descriptors(), meters.native_threads()
    processes = meters.children()
    kept = Keep(tmp_path)
    alive = set(threading.enumerate())
    yield kept
    kept.release.set()
    for pid in meters.children() - processes:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    for thing in kept.things:
        if isinstance(thing, subprocess.Popen):
            thing.wait()
        elif isinstance(thing, ThreadPoolExecutor):
            thing.shutdown()
        elif hasattr(thing, "close"):
            with contextlib.suppress(OSError, ValueError):
                thing.close()
    for thread in set(threading.enumerate()) - alive:
        thread.join(5)  # a loop's thread must not lose its descriptors while it runs
    kept.things.clear()
    gc.collect()
    for number in meters.descriptors() - descriptors:
        with contextlib.suppress(OSError):
            os.close(number)
    until = time.monotonic() + 5
    while meters.native_threads() - threads and time.monotonic() < until:
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What is left here on purpose does not end, however long one waits."""
    if "shortly" not in request.node.name:
        monkeypatch.setattr(origins_module, "_GRACE", 0.02)


def find(run: Callable[[], object], *kinds: str, **more: Any) -> list[Leftover]:
    return origins(run, kinds=kinds, is_user=lambda path: path == __file__, root_path=FOLDER, **more)


def marked_line(function: Callable[..., object], mark: str = "# here") -> tuple[str, int]:
    lines, first = inspect.getsourcelines(function)
    return THIS, first + next(at for at, line in enumerate(lines) if line.rstrip().endswith(mark))


def place(location: Location) -> tuple[str, int]:
    return location.path, location.line


# -- descriptors --------------------------------------------------------------------------------------------------


def keeps_open(keep: Keep) -> None:
    before = len(keep.things)
    file = open(keep.file)  # noqa: SIM115  # here
    keep(file)
    assert len(keep.things) > before


def keeps_os_open(keep: Keep) -> None:
    number = os.open(keep.file, os.O_RDONLY)  # here
    os.read(number, 1)


def keeps_socket(keep: Keep) -> None:
    server = socket.socket()  # here
    server.bind(("127.0.0.1", 0))
    keep(server)


def keeps_socketpair(keep: Keep) -> None:
    pair = socket.socketpair()  # here
    for end in pair:
        keep(end)


def keeps_pipe(keep: Keep) -> None:
    reading, writing = os.pipe()  # here
    os.write(writing, b"x")
    os.read(reading, 1)


def keeps_dup(keep: Keep) -> None:
    copy = os.dup(0)  # here
    null = os.open(os.devnull, os.O_RDONLY)
    os.close(null)
    assert copy > 0


def keeps_epoll(keep: Keep) -> None:
    poller = select.epoll()  # here
    poller.poll(0)
    keep(poller)


def keeps_map(keep: Keep) -> None:
    with open(keep.file, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # here
    keep(mapped)


def keeps_temporary_file(keep: Keep) -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # here
    file.write(b"abc")
    keep(file)


def keeps_database(keep: Keep) -> None:
    connection = sqlite3.connect(keep.file.with_suffix(".db"))  # here
    connection.execute("select 1").fetchone()
    keep(connection)


def keeps_what_libc_opened(keep: Keep) -> None:
    libc = ctypes.CDLL(None)
    path = os.fsencode(keep.file)
    number = libc.open(path, os.O_RDONLY)  # here
    os.read(number, 1)


def keeps_selected_number(keep: Keep) -> None:
    wanted = 200
    while wanted in meters.descriptors():
        wanted += 1
    os.dup2(0, wanted)  # here
    keep(wanted)


def keeps_what_takes_a_closed_number(keep: Keep) -> None:
    for end in os.pipe():
        os.close(end)
    first = os.open(keep.file, os.O_RDONLY)
    second = os.open(keep.file, os.O_RDONLY)
    os.close(first)
    os.close(second)
    keep(os.pipe())  # here


@pytest.mark.parametrize(
    ("leak", "what", "count"),
    [
        (keeps_open, "file ", 1),
        (keeps_os_open, "file ", 1),
        (keeps_socket, "socket inet stream 127.0.0.1:", 1),
        (keeps_socketpair, "socket unix stream", 2),
        (keeps_pipe, "pipe", 2),
        (keeps_dup, "", 1),
        (keeps_epoll, "eventpoll", 1),
        (keeps_map, "file ", 1),
        (keeps_temporary_file, "file ", 1),
        (keeps_database, "file ", 1),
        (keeps_what_libc_opened, "file ", 1),
        (keeps_selected_number, "", 1),
        (keeps_what_takes_a_closed_number, "pipe", 2),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.parametrize("tracer", ["usual", "settrace"])
def test_a_kept_descriptor_is_traced_to_the_line_that_opened_it(
    leak: Callable[[Keep], None], what: str, count: int, tracer: str, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tracer == "settrace":
        monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    leak(keep)
    (found,) = find(partial(leak, keep), "descriptor")
    assert found.kind == "descriptor"
    assert found.what.startswith("fd ")
    assert what in found.what
    assert found.details[0] == f"{count} per run"
    assert [place(location) for location in found.locations] == [marked_line(leak)]
    assert found.locations[0].function == leak.__name__
    assert found.locations[0].note == "opened here"


def test_what_worker_threads_open_is_not_blamed_on_the_thread_that_hands_out_work(keep: Keep) -> None:
    def opens() -> None:
        number = os.open(keep.file, os.O_RDONLY)  # here
        os.read(number, 1)

    def run() -> None:
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(opens) for _ in range(24)]:
                future.result()

    found = find(run, "descriptor")
    # What one worker opens while another is between two lines may be seen at that line: the most are at the right one.
    assert place(found[0].locations[0]) == marked_line(opens)
    counts = [int(leftover.details[0].removesuffix(" per run")) for leftover in found]
    assert sum(counts) == 24
    assert counts[0] >= 16
    assert found[0].details[-1] == f"and {counts[0] - 5} more"


def test_what_was_open_before_or_is_closed_or_is_garbage_is_not_left(keep: Keep) -> None:
    keep(open(keep.file))  # noqa: SIM115

    def run() -> None:
        with open(keep.file):
            pass
        ring: list[Any] = [select.epoll()]  # which closes itself without a warning
        ring.append(ring)

    assert find(run, "descriptor") == []


# -- threads ------------------------------------------------------------------------------------------------------


def starts_thread(keep: Keep) -> None:
    thread = threading.Thread(target=keep.wait, name="poller", daemon=True)
    thread.start()  # here
    assert thread.is_alive()


def starts_subclass(keep: Keep) -> None:
    class Poller(threading.Thread):
        def run(self) -> None:
            keep.wait()

    Poller(name="poller", daemon=True).start()  # here


def starts_timer(keep: Keep) -> None:
    timer = threading.Timer(3600, keep.wait)
    timer.daemon = True
    timer.start()  # here
    keep(contextlib.closing(timer)).close = timer.cancel


def starts_executor(keep: Keep) -> None:
    pool = keep(ThreadPoolExecutor(1))
    pool.submit(int).result()  # here


def starts_raw_thread(keep: Keep) -> None:
    _thread.start_new_thread(keep.wait, ())  # here


def starts_loop(keep: Keep) -> None:
    loop = asyncio.new_event_loop()

    def work() -> None:
        loop.run_forever()
        loop.close()

    threading.Thread(target=work, name="bridge", daemon=True).start()  # here
    keep(contextlib.closing(loop)).close = lambda: loop.call_soon_threadsafe(loop.stop)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leak", "what", "stands"),
    [
        (starts_thread, "thread 'poller' target Keep.wait()", THIS),
        (starts_subclass, "thread 'poller' target starts_subclass.<locals>.Poller.run()", THIS),
        (starts_timer, "target Keep.wait()", "threading.py"),
        (starts_executor, "target _worker()", "thread.py"),
        (starts_raw_thread, "thread ", THIS),
        (starts_loop, "thread 'bridge' target starts_loop.<locals>.work()", THIS),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.parametrize("tracer", ["usual", "settrace"])
def test_a_thread_that_goes_on_is_traced_to_the_line_that_started_it(
    leak: Callable[[Keep], None], what: str, stands: str, tracer: str, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tracer == "settrace":
        monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    (found,) = find(partial(leak, keep), "thread", "native thread")
    assert found.kind == "thread"
    assert what in found.what
    assert "1 per run" in found.details
    started, standing = found.locations
    assert (place(started), started.note) == (marked_line(leak), "started here")
    assert (os.path.basename(standing.path), standing.note) == (stands, "stands here now")


@pytest.mark.slow
def test_a_thread_stands_where_the_users_code_waits(keep: Keep) -> None:
    (found,) = find(partial(starts_thread, keep), "thread")
    assert place(found.locations[1]) == marked_line(Keep.wait, "# stands")
    assert found.details == ("1 per run", "daemon")


class Pool:
    """Workers, and a thread that takes what they made, which nobody ends."""

    def __init__(self, keep: Keep, size: int) -> None:
        self.jobs: queue.Queue[Any] = queue.Queue()
        self.workers = [threading.Thread(target=self.work) for _ in range(size)]
        for worker in self.workers:
            worker.start()
        threading.Thread(target=keep.wait, name="collector", daemon=True).start()  # here

    def work(self) -> None:
        while self.jobs.get() is not None:
            pass

    def stop(self) -> None:
        for _ in self.workers:
            self.jobs.put(None)
        for worker in self.workers:
            worker.join()


def test_a_thread_that_another_saw_first_is_traced_to_the_line_that_started_it(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thread.start() waits for what it started, and others run before it has. One in ten were blamed on them."""
    monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)  # where calls are seen one by one it was right

    def run() -> None:
        pool = Pool(keep, 4)
        for job in range(10):
            pool.jobs.put(job)
        pool.stop()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(30):
            (found,) = find(run, "thread", repetitions=1)
            assert place(found.locations[0]) == marked_line(Pool.__init__)
    finally:
        sys.setswitchinterval(interval)


def opens_each_time(run: Callable[[], object], function: Callable[..., object], keep: Keep) -> None:
    """What ``run`` leaves open is told as of the marked line of the function, again and again."""
    try:
        for _ in range(5):
            (found,) = find(run, "descriptor", repetitions=1)
            assert place(found.locations[0]) == marked_line(function)
    finally:
        for descriptor in keep.things:
            os.close(descriptor)
        keep.things.clear()


def test_what_a_thread_opened_under_an_unknown_name_is_not_anothers_who_waits_for_a_connection(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``accept`` makes descriptors, as its name says, but not all that come while it waits for one."""
    monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    opens = getattr(os, "mem" + "fd_create")  # stands for a function of an extension module

    begun, wait = threading.Lock(), socket.socket._accept  # type: ignore[attr-defined]

    class Listening(socket.socket):
        def _accept(self) -> Any:
            # In one line: this thread sees nothing any more before there is a connection.
            return begun.release() or wait(self)  # type: ignore[func-returns-value]

    def serve(listening: socket.socket) -> None:
        listening.accept()[0].close()

    def run() -> None:
        begun.acquire()
        with Listening() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            server = threading.Thread(target=serve, args=(listening,))
            server.start()
            begun.acquire()
            keep(opens("kept"))  # here
            begun.release()
            socket.create_connection(listening.getsockname()).close()
            server.join()

    opens_each_time(run, run, keep)


def test_what_a_thread_opened_under_an_unknown_name_is_not_that_of_a_line_that_opened_something_and_waited(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    opens = getattr(os, "mem" + "fd_create")

    def leak(go: Any, done: Any) -> None:
        go.acquire()
        keep(opens("kept"))  # here
        done.release()

    def busy(file: Any, go: Any, done: Any) -> None:
        _ = go.release(), done.acquire()  # on one line, so that this thread sees nothing in between
        file.close()

    def run() -> None:
        go, done = threading.Lock(), threading.Lock()
        go.acquire()
        done.acquire()
        thread = threading.Thread(target=leak, args=(go, done))
        thread.start()
        busy(open(os.devnull, encoding="utf-8"), go, done)  # noqa: SIM115
        thread.join()

    opens_each_time(run, leak, keep)


def starts_native_thread(keep: Keep) -> None:
    libc = ctypes.CDLL(None)
    libc.pthread_create.argtypes = [ctypes.c_void_p] * 4
    thread = ctypes.c_ulong()
    gate = ctypes.create_string_buffer(64)  # room for a sem_t
    libc.sem_init(gate, 0, 0)
    assert libc.pthread_create(ctypes.byref(thread), None, libc.sem_wait, gate) == 0  # here
    keep(contextlib.closing(keep)).close = lambda: (libc.sem_post(gate), libc.pthread_join(thread, None))


@pytest.mark.slow
@pytest.mark.parametrize("tracer", ["usual", "settrace"])
def test_a_thread_that_c_code_made_is_traced_to_the_line_that_called_it(
    tracer: str, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tracer == "settrace":
        monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    (found,) = find(partial(starts_native_thread, keep), "native thread")
    assert found.kind == "native thread"
    assert [place(location) for location in found.locations] == [marked_line(starts_native_thread)]


def test_a_thread_that_ends_shortly_after_the_run_is_not_left(keep: Keep) -> None:
    def run() -> None:
        gate = threading.Event()
        thread = threading.Thread(target=gate.wait)
        thread.start()
        gate.set()

    assert find(run, "thread", "native thread") == []


# -- processes ----------------------------------------------------------------------------------------------------


def starts_command(keep: Keep) -> None:
    process = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)  # here
    keep(process)
    keep(process.stdout)
    keep(process.stdin)


def forks(keep: Keep) -> None:
    pid = os.fork()  # here
    if pid == 0:
        try:
            signal.pause()
        finally:
            os._exit(0)


def starts_multiprocessing(keep: Keep) -> None:
    process = multiprocessing.get_context("fork").Process(target=signal.pause, name="helper", daemon=True)
    process.start()  # here
    keep(process)


def spawns(keep: Keep) -> None:
    os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)  # here


def leaves_a_zombie(keep: Keep) -> None:
    pid = os.fork()  # here
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it is multi-threaded, if an earlier test was
@pytest.mark.parametrize(
    ("leak", "what"),
    [
        (starts_command, "sleep 60"),
        (forks, ""),
        (starts_multiprocessing, ""),
        (spawns, "sleep 60"),
        (leaves_a_zombie, "(ended, never waited for)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.parametrize("tracer", ["usual", "settrace"])
def test_a_process_that_is_left_is_traced_to_the_line_that_started_it(
    leak: Callable[[Keep], None], what: str, tracer: str, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tracer == "settrace":
        monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    (found,) = find(partial(leak, keep), "process")
    assert found.what.startswith("process ")
    assert what in found.what
    assert [place(location) for location in found.locations] == [marked_line(leak)]
    assert ("multiprocessing 'helper'" in found.details) == (leak is starts_multiprocessing)


# -- tasks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


async def inner() -> None:
    await asyncio.sleep(3600)  # stands


async def beat() -> None:
    await inner()


async def creates_task() -> None:
    made = asyncio.create_task(beat())  # here
    await asyncio.sleep(0)
    assert not made.done()


async def makes_a_task_itself() -> None:
    made = asyncio.Task(beat(), loop=asyncio.get_running_loop())  # here
    await asyncio.sleep(0)
    assert not made.done()


async def gathers() -> None:
    both = asyncio.gather(beat(), beat())  # here
    await asyncio.sleep(0)
    assert not both.done()


@pytest.mark.parametrize("leak", [creates_task, makes_a_task_itself, gathers], ids=lambda leak: leak.__name__)
@pytest.mark.parametrize("tracer", ["usual", "settrace"])
def test_a_pending_task_is_traced_to_the_line_that_created_it_and_to_where_it_waits(
    leak: Callable[[], Coroutine[Any, Any, None]],
    tracer: str,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if tracer == "settrace":
        monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)
    (found,) = find(lambda: loop.run_until_complete(leak()), "task")
    assert found.what.startswith("task 'Task-")
    assert found.what.endswith("coro beat()")
    created, standing = found.locations
    assert (place(created), created.note) == (marked_line(leak), "created here")
    assert (place(standing), standing.note) == (marked_line(inner, "# stands"), "stands here now")
    assert found.details[0] == ("2 per run" if leak is gathers else "1 per run")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_task_is_traced_to_its_creator_though_it_runs_before_that_has_it(
    loop: asyncio.AbstractEventLoop,
) -> None:
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # mypy checks for Python 3.10
    (found,) = find(lambda: loop.run_until_complete(creates_task()), "task")
    assert place(found.locations[0]) == marked_line(creates_task)


def submits(loop: asyncio.AbstractEventLoop) -> None:
    coroutine = beat()  # here
    asyncio.run_coroutine_threadsafe(coroutine, loop)


def test_a_task_of_a_loop_in_an_older_thread_is_traced_to_where_its_coroutine_was_made(keep: Keep) -> None:
    loop = asyncio.new_event_loop()

    def run() -> None:
        submits(loop)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5)

    async def end() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        (found,) = find(run, "task")
        assert place(found.locations[0])[0] == THIS
        assert place(found.locations[0]) in (marked_line(submits), marked_line(submits, "loop)"))
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# -- the rules ----------------------------------------------------------------------------------------------------


def test_several_kinds_are_told_at_once(keep: Keep) -> None:
    def run() -> None:
        keeps_pipe(keep)
        starts_thread(keep)

    found = find(run, *KINDS)
    assert sorted(leftover.kind for leftover in found) == ["descriptor", "thread"]


def test_without_a_users_file_the_innermost_place_outside_the_standard_library_is_named(keep: Keep) -> None:
    (found,) = origins(partial(keeps_temporary_file, keep), kinds=["descriptor"], is_user=lambda path: False)
    assert (found.locations[0].path, found.locations[0].line) == (__file__, marked_line(keeps_temporary_file)[1])


def test_a_run_that_tells_a_problem_ends_it_with_what_the_run_before_left(keep: Keep) -> None:
    problems = iter([None, "assert False"])
    runs: list[int] = []

    def run() -> str | None:
        runs.append(1)
        keeps_pipe(keep)
        return next(problems)

    (found,) = find(run, "descriptor", repetitions=5)
    assert found.details[0] == "2 per run"
    assert len(runs) == 2


def test_no_run_is_begun_when_the_time_is_up(keep: Keep) -> None:
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        keeps_pipe(keep)

    assert find(run, "descriptor", repetitions=5, seconds=0.0) != []
    assert len(runs) == 1


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such kind: 'sockets'; there are descriptor, native thread"):
        find(lambda: None, "sockets")


def test_kinds_that_the_system_cannot_tell_are_left_out(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> set[int]:
        raise OSError("no such file")

    for name in ("descriptors", "children", "native_threads"):
        monkeypatch.setattr(meters, name, refuse)
    (found,) = find(partial(starts_thread, keep), *KINDS)
    assert found.kind == "thread"
    assert place(found.locations[0]) == marked_line(starts_thread)
    monkeypatch.undo()


@pytest.mark.parametrize("tracer", ["usual", "settrace"])
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_everything_is_put_back(tracer: str, fails: bool, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    if tracer == "settrace":
        monkeypatch.setattr(origins_trace, "_free_tool", lambda: None)

    def state() -> tuple[object, ...]:
        tools = getattr(sys, "monitoring", None)
        return (
            sys.gettrace(),
            threading.gettrace(),
            sys.getprofile(),
            sys.get_coroutine_origin_tracking_depth(),
            [tools.get_tool(number) for number in range(6)] if tools else None,
            meters.descriptors(),
        )

    def run() -> None:
        with open(keep.file):
            if fails:
                raise LookupError("of the run")

    def own(frame: Any, event: str, argument: Any) -> None:
        return None

    outer = sys.gettrace()
    sys.settrace(own)
    try:
        before = state()
        with pytest.raises(LookupError, match="of the run") if fails else contextlib.nullcontext():
            find(run, *KINDS)
        after = state()
    finally:
        sys.settrace(outer)
    assert after == before
    assert after[0] is own


def test_nothing_that_a_run_drops_is_kept_alive_by_the_tracer(keep: Keep) -> None:
    class Dropped:
        alive = 0

        def __init__(self) -> None:
            Dropped.alive += 1
            self.file = open(keep.file)  # noqa: SIM115

        def __del__(self) -> None:
            Dropped.alive -= 1
            self.file.close()

    seen: list[int] = []

    def run() -> None:
        Dropped()
        seen.append(Dropped.alive)
        keep(os.pipe())

    (found,) = find(run, "descriptor")
    assert seen == [0, 0]
    assert found.details[0] == "2 per run"


def test_a_forked_child_is_not_traced(keep: Keep) -> None:
    reading, writing = os.pipe()

    def run() -> None:
        pid = os.fork()
        if pid == 0:
            try:
                on = any(switch.on for switch in list(origins_trace._switches))
                os.write(writing, b"traced" if on else b"free")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    assert find(run, "process", repetitions=1) == []
    assert os.read(reading, 10) == b"free"
    os.close(reading)
    os.close(writing)


def test_no_place_is_one_of_the_watch_of_locks_through_which_a_thread_waits() -> None:
    package = os.path.dirname(os.path.dirname(origins_module.__file__))
    watch = os.path.join(package, "threads", "watching", "waits.py"), 164, "<lambda>"
    naming = origins_module._Naming(lambda path: path == __file__, "")
    standing = naming.stands((watch, (threading.__file__, 327, "wait")))
    assert standing is not None
    assert standing.path == threading.__file__
    assert naming.stands((watch,)) is None
