"""Tests that run alone: who waits for whom. Threads open files of their own, as processes do."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pytest_coresys.criteria.quiet import Quiet

pytestmark = pytest.mark.skipif(not Quiet("any").works, reason="this system has no flock")
WAIT = 30.0


def test_nobody_runs_beside_one_that_runs_alone(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    inside: list[str] = []
    faults: list[str] = []
    guard = threading.Lock()

    def run(name: str, alone: bool) -> None:
        for _ in range(50):
            with quiet.alone() if alone else quiet.together():
                with guard:
                    if inside and (alone or "alone" in inside):
                        faults.append(f"{name} beside {inside}")
                    inside.append("alone" if alone else name)
                os.sched_yield()
                with guard:
                    inside.remove("alone" if alone else name)

    threads = [threading.Thread(target=run, args=(f"t{at}", at < 2)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)
    assert faults == []


def test_those_that_need_not_be_alone_run_at_once(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    both = threading.Barrier(2)

    def run() -> None:
        with quiet.together():
            both.wait(WAIT)  # broken if one waits for the other

    thread = threading.Thread(target=run)
    thread.start()
    with quiet.together():
        both.wait(WAIT)
    thread.join(WAIT)
    assert not both.broken


def test_who_waits_to_be_alone_is_not_overtaken_by_those_that_come_later(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    order: list[str] = []

    def alone() -> None:
        with quiet.alone():
            order.append("alone")

    def later() -> None:
        with quiet.together():
            order.append("later")

    with quiet.together():
        waiting = threading.Thread(target=alone)
        waiting.start()
        with open(
            tmp_path / next(path.name for path in tmp_path.iterdir() if path.name.endswith("turn")), "rb"
        ) as turn:
            _until_locked(turn.fileno())
        after = threading.Thread(target=later)
        after.start()
        assert order == []
    waiting.join(WAIT)
    after.join(WAIT)
    assert order == ["alone", "later"]


def _until_locked(turn: int) -> None:
    import fcntl

    while True:
        try:
            fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        fcntl.flock(turn, fcntl.LOCK_UN)
        os.sched_yield()


def test_a_child_that_lives_on_holds_nothing_back(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    read, write = os.pipe()
    with quiet.alone():
        child = os.fork()
        if child == 0:  # it has what was open, and ends when it is told to
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        with quiet.alone():
            pass
        with quiet.together():
            pass
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)


def test_a_child_of_one_that_is_killed_holds_nothing_back(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    read, write = os.pipe()
    told, tell = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(write)
        with quiet.together():
            if os.fork() == 0:  # a daemon, say: it ends when it is told to
                os.write(tell, b"x")
                os.read(read, 1)
            os._exit(0)  # in the middle of its test
    os.waitpid(worker, 0)
    os.read(told, 1)
    taken = threading.Thread(target=_alone_once, args=(quiet,), daemon=True)
    taken.start()
    taken.join(5.0)
    hangs = taken.is_alive()
    for each in (write, read, told, tell):
        os.close(each)
    assert not hangs


def _alone_once(quiet: Quiet) -> None:
    with quiet.alone():
        pass


def test_a_child_that_comes_out_of_a_test_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    inside = quiet.alone()
    inside.__enter__()
    child = os.fork()
    if child == 0:
        try:
            inside.__exit__(None, None, None)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with open(next(path for path in tmp_path.iterdir() if path.name.endswith("run")), "rb") as run:
        with pytest.raises(BlockingIOError):
            _try_to_lock(run.fileno())
        inside.__exit__(None, None, None)
        _try_to_lock(run.fileno())


def _try_to_lock(run: int) -> None:
    import fcntl

    fcntl.flock(run, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_there_is_no_place_for_the_locks_tests_run_all_the_same(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path / "gone")
    ran = []
    with quiet.alone():
        ran.append("alone")
    with quiet.together():
        ran.append("together")
    assert ran == ["alone", "together"]
    assert quiet.problem.endswith("No such file or directory")


def test_nothing_is_left_when_the_run_is_over(tmp_path: Path) -> None:
    quiet = Quiet("run", tmp_path)
    with quiet.alone():
        assert list(tmp_path.iterdir())
    quiet.remove()
    quiet.remove()
    assert list(tmp_path.iterdir()) == []
