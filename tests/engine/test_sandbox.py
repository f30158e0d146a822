"""A forked child that cannot be noticed: what it shares with its parent, it gives up."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.engine import sandbox
from pytest_coresys.engine.forked import Send, run_in_child, why_no_fork

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux only")


def in_sandbox(work: Any, folder: Path) -> dict[str, Any]:
    """Run ``work(guard) -> dict`` in an isolated child."""

    def child(send: Send) -> None:
        sandbox.isolate_descriptors({send.writer})  # type: ignore[attr-defined]
        sandbox.isolate_mappings()
        guard = sandbox.Guard(folder, allow_subprocess=True)
        guard.install()
        send(work(guard))

    return run_in_child(child, timeout=20).merged()


def test_a_write_to_an_inherited_file_is_not_seen_outside(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w+b", buffering=0) as file:
        file.write(b"before")
        sent = in_sandbox(lambda _guard: {"written": os.write(file.fileno(), b" child")}, tmp_path / "own")
        file.write(b" after")
    assert sent["written"] == 6
    assert (tmp_path / "log").read_bytes() == b"before after"


def test_an_inherited_socket_leads_nowhere() -> None:
    one, other = socket.socketpair()
    with one, other:
        in_sandbox(lambda _guard: {"sent": os.write(one.fileno(), b"x")}, Path("/nonexistent"))
        other.setblocking(False)
        with pytest.raises(BlockingIOError, match="temporarily unavailable"):
            other.recv(1)


def test_writing_what_was_there_before_is_refused_and_what_is_new_is_reported(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    def work(guard: sandbox.Guard) -> dict[str, Any]:
        (tmp_path / "new").write_text("new")
        try:
            (tmp_path / "old").write_text("changed")
        except PermissionError:
            pass
        return {"refusal": guard.refusal, "left": guard.leftovers()}

    sent = in_sandbox(work, tmp_path / "own")
    assert "old" in sent["refusal"]
    assert sent["left"] == [str(tmp_path / "new")]
    assert (tmp_path / "old").read_text() == "old"


def test_a_kept_event_loop_works_in_the_child_and_afterwards_in_the_parent() -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.sleep(0))

        def work(_guard: sandbox.Guard) -> dict[str, Any]:
            return {"value": loop.run_until_complete(loop.run_in_executor(None, lambda: 7))}

        assert in_sandbox(work, Path("/nonexistent"))["value"] == 7
        assert loop.run_until_complete(asyncio.sleep(0, 8)) == 8
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def test_a_child_that_hangs_is_ended_and_what_it_had_sent_is_kept() -> None:
    def child(send: Send) -> None:
        send({"seen": 1})
        while True:
            os.read(os.pipe()[0], 1)

    result = run_in_child(child, timeout=0.3)
    assert result.merged()["seen"] == 1
    assert "did not end" in (result.problem or "")


def test_a_child_that_crashes_is_told_apart() -> None:
    result = run_in_child(lambda _send: os._exit(3), timeout=20)
    assert result.problem == "ended before it was done"


def test_forking_is_safe_here() -> None:
    assert why_no_fork() is None
