"""A process of its own is heard to its end, whatever that is, and leaves nothing running."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coresys.clock import monotonic, pauses
from coresys.measure import meters
from pytest_coresys.engine import warden
from pytest_coresys.engine.forked import Message, Send
from pytest_coresys.engine.warden import Ending, how_it_ended, run_watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no safe fork here")


def run(
    work: Callable[[Send], None], *, limit: float | None = 60.0, own_group: bool = True
) -> tuple[Ending, list[Message]]:
    heard: list[Message] = []
    return run_watched(work, limit=limit, own_group=own_group, on_message=heard.append), heard


def is_gone(pid: int) -> bool:
    """Whether nothing runs there, once the system has done away with what was killed.

    A dead process may wait for the system's first one to take note of it.
    """
    for _ in pauses(monotonic() + 10, 0.01):
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
    return False


def told(ending: Ending) -> str:
    return how_it_ended(ending, phase="its call", limit="1 s")


def test_messages_arrive_in_order_and_the_end_is_told() -> None:
    def work(send: Send) -> None:
        for n in range(5):
            send({"n": n, "big": "x" * 200_000})

    ending, heard = run(work)
    assert [message["n"] for message in heard] == [0, 1, 2, 3, 4]
    assert (ending.over, ending.status, ending.timed_out, ending.broke) == (True, 0, False, None)


def die_by_segfault(send: Send) -> None:
    ctypes.string_at(0)


def die_by_stack(send: Send) -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 3)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda send: os._exit(7), "ended its process with exit status 7 in its call"),
        (lambda send: os._exit(0), "ended its process with exit status 0 in its call"),
        (die_by_segfault, "was killed by SIGSEGV (Segmentation fault) in its call, at "),
        (lambda send: os.killpg(0, signal.SIGKILL), "was killed by SIGKILL (Killed) in its call"),
        (die_by_stack, f"was killed by signal {signal.SIGRTMIN + 3} in its call"),
        (lambda send: sys.exit("no"), "its process broke in its call: SystemExit: no"),
        (lambda send: os.kill(os.getppid(), signal.SIGKILL), "its process was lost in its call"),
    ],
    ids=["exit", "exit 0", "segfault", "group", "real time", "raises", "kills its warden"],
)
def test_how_it_died_is_told(work: Callable[[Send], None], words: str) -> None:
    def does(send: Send) -> None:
        send({"n": 1})
        work(send)
        threading.Event().wait(60)  # what kills its warden is ended with it, a moment later

    ending, heard = run(does)
    assert heard == [{"n": 1}]
    assert not ending.over
    assert told(ending).startswith(words), told(ending)


def hangs_here(send: Send) -> None:
    send({"limit": 0.2})
    threading.Event().wait(60)


def test_what_hangs_is_ended_and_says_where_it_stood() -> None:
    ending, _ = run(hangs_here, limit=None)
    assert ending.timed_out
    assert not ending.over
    first, _, rest = told(ending).partition("\n\n")
    assert first.startswith("took longer than 1 s, and was ended in its call, at ")
    assert first.endswith(" in hangs_here")
    assert "test_warden.py" in rest
    assert "/pytest_coresys/" not in rest


def backtracks(send: Send) -> None:
    send({"limit": 0.3})
    assert re.match(r"(a+)+$", "a" * 60 + "b") is None


def holds_the_interpreter(send: Send) -> None:
    send({"limit": 0.3})
    ctypes.PyDLL(None).sleep(60)


def waits_in_c(send: Send) -> None:
    send({"limit": 0.3})
    ctypes.CDLL(None).sleep(60)


def has_a_thread_that_backtracks(send: Send) -> None:
    thread = threading.Thread(target=backtracks, args=(send,))
    thread.start()
    thread.join()


def is_stopped(send: Send) -> None:
    send({"limit": 0.3})
    os.kill(os.getpid(), signal.SIGSTOP)
    threading.Event().wait(60)


def has_closed_descriptors(send: Send) -> None:
    os.closerange(3, 256)
    backtracks(send)


@pytest.mark.parametrize(
    ("work", "function"),
    [
        (backtracks, "backtracks"),
        (holds_the_interpreter, "holds_the_interpreter"),
        (waits_in_c, "waits_in_c"),
        (has_a_thread_that_backtracks, "has_a_thread_that_backtracks"),
        (is_stopped, "is_stopped"),
        (has_closed_descriptors, "backtracks"),
    ],
)
def test_where_a_call_into_c_hangs_is_named_whether_it_holds_the_interpreter_or_not(
    work: Callable[[Send], None], function: str
) -> None:
    ending, _ = run(work, limit=30.0)
    assert ending.timed_out
    first, _, rest = told(ending).partition("\n\n")
    assert re.search(rf"was ended in its call, at .*test_warden\.py:\d+ in {function}$", first), told(ending)
    assert work is not has_a_thread_that_backtracks or " in backtracks" in rest


def blocks_all(send: Send) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    backtracks(send)


def ignores_all(send: Send) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    backtracks(send)


def closes_all(send: Send) -> None:
    os.closerange(3, 4096)
    backtracks(send)


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (blocks_all, "it blocks all signals, that too by which it is asked"),
        (ignores_all, "it has another handler for the signal by which it is asked"),
        (closes_all, "it did not answer; it may have closed all descriptors"),
    ],
)
def test_where_it_cannot_be_told_it_is_told_why(work: Callable[[Send], None], why: str) -> None:
    ending, _ = run(work, limit=30.0)
    assert ending.timed_out
    assert told(ending) == f"took longer than 1 s, and was ended in its call; where it stood is not known: {why}"


def test_a_limit_can_be_lifted() -> None:
    def lifts(send: Send) -> None:
        send({"limit": None})
        threading.Event().wait(0.5)
        send({"n": 1})

    ending, heard = run(lifts, limit=0.25)
    assert ending.over
    assert heard == [{"n": 1}]


def test_what_answers_the_question_by_going_on_is_late() -> None:
    def sleeps(send: Send) -> None:
        ctypes.CDLL(None).sleep(60)  # which a signal ends
        send({"n": 1})
        threading.Event().wait(60)

    ending, heard = run(sleeps, limit=0.3)
    assert ending.timed_out
    assert not ending.over
    assert heard in ([], [{"late": {"n": 1}}])


@pytest.mark.parametrize("own_group", [True, False])
def test_nothing_that_it_started_outlives_it(own_group: bool) -> None:
    def starts(send: Send) -> None:
        pids = [subprocess.Popen(["sleep", "600"], start_new_session=True).pid for _ in range(3)]
        if not (pid := os.fork()):
            os.setsid()
            orphan = subprocess.Popen(["sleep", "600"])
            send({"pids": [orphan.pid]})
            os._exit(0)
        os.waitpid(pid, 0)
        send({"pids": pids, "group": os.getpgid(0)})
        os._exit(1)

    before = meters.descriptors()
    ending, heard = run(starts, own_group=own_group)
    assert ending.status is not None
    assert os.WEXITSTATUS(ending.status) == 1
    (message,) = heard  # a copy of the process that goes on with its code is not heard
    assert (message["group"] == os.getpgid(0)) is not own_group
    for pid in message["pids"]:
        assert is_gone(pid)
    assert meters.descriptors() == before


def test_not_even_what_is_another_process_each_time_it_is_looked_at() -> None:
    def starts(send: Send) -> None:
        send({"group": os.getpgid(0)})
        if not os.fork():
            while not os.fork():
                pass
            os._exit(0)

    _, heard = run(starts)
    with pytest.raises(ProcessLookupError):
        os.killpg(heard[0]["group"], 0)


def test_a_process_that_closed_all_is_heard_all_the_same() -> None:
    def closes(send: Send) -> None:
        os.closerange(3, 1000)
        for _ in range(20):
            os.open(os.devnull, os.O_RDWR)  # at the numbers that ours had
        send({"n": 1})

    ending, heard = run(closes)
    assert heard == [{"n": 1}]
    assert ending.over


def test_an_error_of_the_listener_ends_the_process() -> None:
    def waits(send: Send) -> None:
        send({"pid of it": os.getpid()})
        threading.Event().wait(60)

    pids = []

    def fails(message: Message) -> None:
        pids.append(message["pid of it"])
        raise ValueError("of the listener")

    with pytest.raises(ValueError, match="of the listener"):
        run_watched(waits, limit=60, own_group=True, on_message=fails)
    assert is_gone(pids[0])


def test_an_interruption_is_handed_on_wherever_it_finds_us(tmp_path: Path) -> None:
    here = os.getpid()
    for turn in range(20):
        tidied = tmp_path / str(turn)

        def waits(send: Send, tidied: Path = tidied) -> None:
            try:
                os.kill(here, signal.SIGINT)
                # A signal on the brink of a wait does not end it: that is Python's own, and not what this is about.
                while True:
                    threading.Event().wait(0.01)
            finally:
                tidied.touch()

        with pytest.raises(KeyboardInterrupt):
            run(waits)
        assert tidied.exists(), turn


def test_an_interruption_that_another_thread_takes_is_handed_on_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held off from the one thread, the other takes it, and Python calls the handler in the first."""
    tidied, over = tmp_path / "tidied", threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    made = warden._Listener

    def interrupted_meanwhile(*given: Any) -> Any:
        assert other.ident is not None
        signal.pthread_kill(other.ident, signal.SIGINT)
        for _ in pauses(monotonic() + 0.1, 0.001):
            pass
        return made(*given)

    def waits(send: Send) -> None:
        try:
            while True:
                threading.Event().wait(0.01)
        finally:
            tidied.touch()

    monkeypatch.setattr(warden, "_Listener", interrupted_meanwhile)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(waits)
        assert tidied.exists()
        assert signal.getsignal(signal.SIGINT) is before
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        over.set()
        other.join()
