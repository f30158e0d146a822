"""Run a function in a forked child and bring back what it sends, whatever becomes of the child.

The child leaves by the C library's ``_exit``: no exit handler, no flush, no fixture of the parent runs there, nor
what somebody put in the place of ``os._exit`` (coverage saves its data there). It sends JSON lines through a pipe,
so that what it had found is kept even if it is killed in the end.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the public getsignal makes an enum each time
import ctypes
import json
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coresys.clock import monotonic

Message = dict[str, Any]
Send = Callable[[Message], None]


@dataclass(slots=True)
class ChildResult:
    """Messages of the child in order, how long it took, and how it ended if not by itself."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    problem: str | None = None

    def merged(self) -> dict[str, Any]:
        """All messages as one dict; later ones win."""
        return {key: value for message in self.messages for key, value in message.items()}


_FORKS = hasattr(os, "fork") and sys.platform.startswith("linux")


def why_no_fork() -> str | None:
    """Why forking is not safe here and now, or None."""
    if not _FORKS:
        return "this platform has no safe fork"
    if threading.current_thread() is not threading.main_thread():
        return "the tests do not run in the main thread"
    if _signal.getsignal(signal.SIGCHLD) not in (signal.SIG_DFL, None):
        return "a handler for SIGCHLD is installed"
    return None


def _fork() -> int:
    """``os.fork``, not by the name that others may have put something else in the place of.

    Since 3.12 it warns when threads are alive. That is about the child's locks: ours is allowed to hang, it is then
    ended by its parent. As an error (``-W error``) the warning would be raised in the parent, after the fork.
    """
    import posix  # there is none on Windows

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return posix.fork()


def run_in_child(
    work: Callable[[Send], None],
    *,
    timeout: float,
    patience: float | None = None,
    on_message: Callable[[Message], None] | None = None,
) -> ChildResult:
    """Fork, run ``work(send)`` in the child, collect what it sends until it ends or the time is up (seconds).

    A child is a copy with one thread: a lock that another thread of the parent held at that moment stays locked in
    it for ever, and a pool whose threads were not copied never answers. So one that has sent nothing for
    ``patience`` seconds is taken for hung, and ended. An empty message is a sign of life and nothing else; one with a
    ``patience`` in it says how long to wait from there on. Raises OSError when no process could be made.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    started = monotonic()
    try:
        pid = _fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        _be_the_child(work, reader, writer, parent)
    os.close(writer)
    result = ChildResult()
    try:
        finished, silent = _collect(
            reader, result, started + timeout, timeout if patience is None else patience, on_message
        )
    finally:
        os.close(reader)
        _end(pid)
    result.seconds = monotonic() - started
    if silent is not None:
        result.problem = f"did nothing for {silent:.1f} s" + _blame_threads()
    elif not finished:
        result.problem = f"did not end within {timeout:.1f} s"
    elif not result.messages or not result.messages[-1].get("done"):
        result.problem = "ended before it was done"
    return result


def _blame_threads() -> str:
    others = threading.active_count() - 1
    if not others:
        return ""
    return (
        f"; {others} thread{'s' if others > 1 else ''} beside the test's own did not come along (and may hold a lock)"
    )


def _find_exit() -> Callable[[int], object]:
    try:
        leave: Callable[[int], object] = ctypes.PyDLL(None)._exit
    except (AttributeError, OSError, TypeError):
        leave = os._exit
    return leave


_exit = _find_exit()


def _end_with(parent: int) -> None:
    """Have this process killed when its parent dies: nobody else would end it."""
    pr_set_pdeathsig = 1
    ctypes.PyDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before that was said
        _exit(1)


def _be_the_child(work: Callable[[Send], None], reader: int, writer: int, parent: int) -> None:
    status = 1
    try:
        _end_with(parent)
        os.close(reader)

        def send(message: Message) -> None:
            data = json.dumps(message).encode("utf-8", "backslashreplace") + b"\n"
            while data:
                data = data[os.write(writer, data) :]

        send.writer = writer  # type: ignore[attr-defined]  # the sandbox must leave this descriptor alone
        work(send)
        send({"done": True})
        status = 0
    except BaseException as error:  # nothing may escape into the parent's code, of which this is a copy
        try:
            os.write(writer, json.dumps({"crash": f"{type(error).__name__}: {error}"[:500]}).encode() + b"\n")
        except BaseException:
            pass
    finally:
        # Stay until the parent has ended what still runs below: once this process is gone nobody can tell whose it was.
        os.kill(os.getpid(), signal.SIGSTOP)
        _exit(status)


def _collect(
    reader: int,
    result: ChildResult,
    deadline: float,
    patience: float,
    on_message: Callable[[Message], None] | None,
) -> tuple[bool, float | None]:
    """Read messages until the pipe is closed. Whether that was in time, and if not because of silence, how long."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    pending = b""
    while True:
        left = deadline - monotonic()
        if left <= 0:
            return False, None
        if not poll.poll(min(left, patience) * 1000):
            return False, None if left <= patience else patience
        data = os.read(reader, 65536)
        if not data:
            return True, None
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if not message:
                continue
            patience = message.get("patience", patience)
            result.messages.append(message)
            if on_message is not None:
                on_message(message)
        if result.messages and not result.messages[-1].keys().isdisjoint(("done", "crash")):
            return True, None  # descendants of the child may hold the pipe open for ever


def _end(pid: int) -> None:
    """End the child and everything below it, and take its exit status."""
    for victim in (*_descendants(pid), pid):
        try:
            os.kill(victim, signal.SIGKILL)
        except OSError:
            pass
    try:
        os.waitpid(pid, 0)
    except OSError:
        pass  # somebody waits for all children: it is gone, which is what counts


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    pending = [pid]
    while pending:
        current = pending.pop()
        try:
            tasks = os.listdir(f"/proc/{current}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{current}/task/{task}/children", "rb") as file:
                    below = [int(word) for word in file.read().split()]
            except OSError:
                continue
            found += below
            pending += below
    return found
