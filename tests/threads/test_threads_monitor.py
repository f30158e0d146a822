"""What the kernel says of threads: read right from its files, None where it says nothing, and right of known loads."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from threads_helping import PATIENCE, Runner, no_threads_left  # noqa: F401  # autouse

from coresys.system_records import LockStatistics, ThreadRecord
from coresys.threads import OrderedLock, contention, thread_records

linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no such kernel files here")


def of(ident: int) -> ThreadRecord:
    (found,) = [record for record in thread_records() if record.ident == ident]
    return found


def write(folder: Path, native: int, **files: str) -> None:
    (folder / str(native)).mkdir(parents=True)
    for name, text in files.items():
        (folder / str(native) / name).write_text(text)


STAT = "77 (a (strange) name) S 1 1 1 0 -1 4194304 0 0 0 0 150 50 0 0 20 0 1 0 1 1 1 1"
STATUS = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"


@pytest.mark.parametrize(
    ("files", "cpu", "queue", "switches"),
    [
        ({"schedstat": "1500000000 250000000 7", "status": STATUS, "comm": "x"}, 1.5, 0.25, (12, 3)),
        ({"schedstat": "0 0 0", "stat": STAT, "status": STATUS, "comm": "x"}, 2.0, None, (12, 3)),
        ({"stat": STAT, "comm": "x"}, 2.0, None, (None, None)),
        (
            {"schedstat": "what?", "stat": "77 (x", "status": "voluntary_ctxt_switches:\tmany\n", "comm": "x"},
            None,
            None,
            (None, None),
        ),
        ({"comm": "x"}, None, None, (None, None)),
    ],
)
def test_what_the_kernel_does_not_say_is_none(
    tmp_path: Path,
    files: dict[str, str],
    cpu: float | None,
    queue: float | None,
    switches: tuple[int | None, int | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    write(tmp_path, 77, **files)
    (record,) = [each for each in thread_records(tmp_path) if each.native_id == 77]
    assert (record.name, record.ident, record.daemon) == ("x", None, True)
    assert (record.cpu_seconds, record.run_queue_seconds) == (cpu, queue)
    assert (record.voluntary_switches, record.involuntary_switches) == switches


def test_threads_are_listed_where_there_is_no_such_kernel(tmp_path: Path) -> None:
    records = thread_records(tmp_path / "none")
    assert [record.name for record in records] == [thread.name for thread in threading.enumerate()]
    assert all(record.cpu_seconds is record.run_queue_seconds is None for record in records)


@linux
@pytest.mark.slow
def test_processor_time_of_a_busy_thread_is_its_own() -> None:
    ident = threading.get_ident()
    before, started = of(ident).cpu_seconds, time.thread_time()
    while time.thread_time() - started < 0.2:
        pass
    used, after = time.thread_time() - started, of(ident).cpu_seconds
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(used, rel=0.1)


@linux
def test_every_wait_is_a_voluntary_switch() -> None:
    ping, pong = threading.Semaphore(0), threading.Semaphore(0)
    turns = 200

    def answer() -> tuple[int, int]:
        before = of(threading.get_ident()).voluntary_switches
        for _ in range(turns):
            assert ping.acquire(timeout=PATIENCE)
            pong.release()
        after = of(threading.get_ident()).voluntary_switches
        assert before is not None
        assert after is not None
        return before, after

    runner = Runner(answer)
    for _ in range(turns):
        ping.release()
        assert pong.acquire(timeout=PATIENCE)
    before, after = runner.finish()
    assert after - before >= turns / 2  # at least: it may find its turn come already, and waits for the interpreter too


@linux
def test_whoever_does_not_ask_for_switches_gets_all_else() -> None:
    ident = threading.get_ident()
    before = of(ident)
    (found,) = [record for record in thread_records(switches=False) if record.ident == ident]
    after = of(ident)
    assert (found.voluntary_switches, found.involuntary_switches) == (None, None)
    assert (found.name, found.native_id) == (before.name, before.native_id)
    assert before.cpu_seconds is not None
    assert found.cpu_seconds is not None
    assert after.cpu_seconds is not None
    assert before.cpu_seconds <= found.cpu_seconds <= after.cpu_seconds


@linux
def test_the_time_in_the_run_queue_only_grows() -> None:
    ident = threading.get_ident()
    seen = [of(ident).run_queue_seconds for _ in range(3)]
    if None in seen:
        pytest.skip("the kernel counts no run-queue time")
    assert seen == sorted(seen)  # type: ignore[type-var]  # none of them is None


def test_contention_names_the_locks_that_were_waited_for_longest_first() -> None:
    def lock(name: str, waited: float, timeouts: int = 0) -> LockStatistics:
        return LockStatistics(name, 0, 5, int(waited > 0), waited, waited, timeouts, None, 0)

    found = contention([lock("quiet", 0), lock("some", 0.1), lock("most", 3), lock("late", 0, 1)])
    assert [each.name for each in found] == ["most", "some", "late"]
    assert contention([OrderedLock().statistics()]) == ()


@linux
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts what CPython does")
def test_reading_the_threads_leaves_no_descriptor_open() -> None:
    def open_now() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    thread_records()
    before = open_now()
    for _ in range(5):
        thread_records()
    assert open_now() == before
