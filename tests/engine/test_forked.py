"""What a forked child sends comes back whole, however it ends; and nothing of it stays."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coresys.measure import meters
from pytest_coresys.engine import forked
from pytest_coresys.engine.forked import Message, Send, run_in_child, why_no_fork

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

LONG = 60.0


def test_messages_come_back_in_order_and_later_ones_win() -> None:
    def work(send: Send) -> None:
        send({"a": 1, "b": 1})
        send({"b": 2, "text": "zwölf \udcff \n"})

    heard: list[object] = []
    result = run_in_child(work, timeout=LONG, on_message=heard.append)
    assert result.problem is None
    assert result.messages == heard == [{"a": 1, "b": 1}, {"b": 2, "text": "zwölf \udcff \n"}, {"done": True}]
    assert result.merged() == {"a": 1, "b": 2, "text": "zwölf \udcff \n", "done": True}


def test_a_message_larger_than_the_pipe_arrives_whole() -> None:
    big = "x" * 1_000_000
    assert run_in_child(lambda send: send({"big": big}), timeout=LONG).merged()["big"] == big


def kill_self(send: Send) -> None:
    send({"found": 1})
    os.kill(os.getpid(), signal.SIGKILL)


def raise_error(send: Send) -> None:
    send({"found": 1})
    raise SystemExit("no")


def leave(send: Send) -> None:
    send({"found": 1})
    os._exit(0)


@pytest.mark.parametrize(
    ("work", "crash"),
    [(kill_self, None), (raise_error, "SystemExit: no"), (leave, None)],
    ids=["kill", "raise", "exit"],
)
def test_what_was_found_before_the_end_is_kept(work: Callable[[Send], None], crash: str | None) -> None:
    result = run_in_child(work, timeout=LONG)
    assert result.merged().get("found") == 1
    assert result.problem == "ended before it was done"
    assert result.merged().get("crash") == crash


def test_one_that_goes_on_too_long_is_ended_and_what_it_sent_kept() -> None:
    def work(send: Send) -> None:
        send({"pid": os.getpid()})
        time.sleep(LONG)

    result = run_in_child(work, timeout=0.2)
    assert result.problem == "did not end within 0.2 s"
    with pytest.raises(ProcessLookupError):
        os.kill(result.merged()["pid"], 0)


def test_one_that_falls_silent_is_ended_early_and_what_it_sent_kept() -> None:
    def work(send: Send) -> None:
        for _ in range(20):
            time.sleep(0.1)
            send({})  # signs of life: in all it takes longer than the patience is
        send({"found": 1, "patience": 0.3})
        time.sleep(LONG)

    result = run_in_child(work, timeout=LONG, patience=1.5)
    assert result.merged() == {"found": 1, "patience": 0.3}
    assert (result.problem or "").startswith("did nothing for 0.3 s")
    assert result.seconds < LONG / 2


def test_one_that_hangs_in_a_lock_of_another_thread_is_ended_early() -> None:
    lock, held, release = threading.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait()

    def wait_for_lock(send: Send) -> None:
        with lock:
            send({"never": 1})

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        result = run_in_child(wait_for_lock, timeout=LONG, patience=0.2)
    finally:
        release.set()
        thread.join()
    assert result.problem is not None
    assert result.problem.startswith("did nothing for 0.2 s; ")
    assert result.problem.endswith("beside the test's own did not come along (and may hold a lock)")
    assert result.seconds < LONG / 2


def test_processes_below_it_end_with_it() -> None:
    def work(send: Send) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        send({"below": child.pid})

    below = run_in_child(work, timeout=LONG).merged()["below"]
    assert ends(below)


def ends(pid: int) -> bool:
    until = time.monotonic() + LONG / 2
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def test_it_ends_with_its_parent() -> None:
    def parent(send: Send) -> None:
        def child(tell: Send) -> None:
            tell({"pid": os.getpid()})
            time.sleep(LONG)

        def tell_and_leave(message: Message) -> None:
            send(message)
            os._exit(0)

        run_in_child(child, timeout=LONG, on_message=tell_and_leave)

    grandchild = run_in_child(parent, timeout=LONG).merged()["pid"]
    assert ends(grandchild)


def test_no_descriptor_and_no_child_stays() -> None:
    run_in_child(lambda send: None, timeout=LONG)
    before = os.listdir("/proc/self/fd"), meters.children()
    for _ in range(5):
        run_in_child(lambda send: None, timeout=LONG)
    assert (os.listdir("/proc/self/fd"), meters.children()) == before


def test_it_leaves_without_what_was_put_in_the_place_of_exit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Coverage does that, to save its data first."""
    monkeypatch.setattr(os, "_exit", lambda status: (tmp_path / "saved").write_text("x"))
    assert run_in_child(lambda send: None, timeout=LONG).problem is None
    assert not (tmp_path / "saved").exists()


def test_a_failing_fork_is_an_oserror_and_leaves_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise OSError("no more processes")

    monkeypatch.setattr(forked, "_fork", fail)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="no more processes"):
        run_in_child(lambda send: None, timeout=LONG)
    assert os.listdir("/proc/self/fd") == before


def test_where_forking_is_not_safe_it_says_why() -> None:
    assert why_no_fork() is None
    answers: list[str | None] = []
    thread = threading.Thread(target=lambda: answers.append(why_no_fork()))
    thread.start()
    thread.join()
    assert answers == ["the tests do not run in the main thread"]
    own = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        assert why_no_fork() == "a handler for SIGCHLD is installed"
    finally:
        signal.signal(signal.SIGCHLD, own)


def test_the_child_does_not_hang_on_what_other_threads_of_the_parent_do() -> None:
    """The interpreter's own locks must be in order in the child, whatever Python code runs elsewhere just then."""
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            re.compile("a")
            importlib.import_module("json")

    threads = [threading.Thread(target=busy) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    try:
        results = [run_in_child(lambda send: send({"seen": 1}), timeout=60, patience=30) for _ in range(100)]
    finally:
        sys.setswitchinterval(interval)
        done.set()
        for thread in threads:
            thread.join()
    assert [result.problem for result in results] == [None] * 100
