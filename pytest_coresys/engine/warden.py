"""Run a function in a process of its own, and tell how that ended, whatever it did: exited, crashed, or hung.

Between the tests' process and the one that may do anything stands a third, the warden. It takes what the function's
process leaves running, also where that died at once, and ends it: nobody else could tell whose it was. It says how
the process ended, which the pipe alone does not: a program that the function started may hold it open for ever.

The function's process is in a process group of its own: a signal to "all of us" must not reach the tests' process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from coresys.clock import monotonic, sleep
from coresys.measure.system import System
from pytest_coresys.engine import forked, sandbox
from pytest_coresys.engine.forked import Message, Send

_LOOK = 0.5  # seconds, between two looks at whether the warden still lives
_TO_ANSWER = 1.0  # seconds, for a process that hangs to say where it stands
_TO_DIE = 5.0  # seconds, for a process that was killed, and for what it left
_MOST_TEXT = 64 * 1024
# Nobody's: real-time signals have no meaning of their own. The handler is in C, and answers whatever Python does.
_ASKED = getattr(signal, "SIGRTMAX", 0) - 2

_write, _exit = os.write, forked._exit  # what is tested may put something else in their place


@dataclass(slots=True)
class Ending:
    """How the process ended. ``status`` is what ``waitpid`` gives, or None where that is not known.

    ``over``: it did all it was to do. ``timed_out``: it was ended for the time it took. ``stood`` is what faulthandler
    wrote of its threads: when it was asked, or when it crashed; ``silent`` is why it could not be asked. ``broke``: an
    error that nobody caught.
    """

    status: int | None = None
    over: bool = False
    timed_out: bool = False
    stood: str = ""
    silent: str = ""
    broke: str | None = None
    seconds: float = 0.0


def run_watched(
    work: Callable[[Send], None], *, limit: float | None, own_group: bool, on_message: Callable[[Message], None]
) -> Ending:
    """Run ``work(send)`` in a process of its own, for ``limit`` seconds at most, and hand on what it sends.

    A message with a ``limit`` in it is for us: from now on so long, or None for as long as it takes. One that comes
    when the time is up is handed on as ``late``. Raises OSError when no process could be made, and whatever
    ``on_message`` raises, when the process has been ended.
    """
    reader, writer = os.pipe()
    notes = os.memfd_create("coresys-stood")
    parent = os.getpid()
    ending = Ending()
    started = monotonic()
    held = _HeldInterruption()  # nothing may be raised between the fork and the block that sees to its end
    try:
        pid = forked._fork()
    except OSError:
        for fd in (reader, writer, notes):
            os.close(fd)
        held.let_go()
        raise
    if pid == 0:
        forked._be_the_child(lambda send: _watch_over(work, send, notes, own_group, held), reader, writer, parent)
    listener = _Listener(reader, pid, notes, ending, on_message)
    try:
        try:
            os.close(writer)
            held.let_go()
            listener.listen(limit)
        except KeyboardInterrupt:
            # Out of the terminal's group, it has not heard of it. Its fixtures are to put away what they made.
            listener.let_it_end(interrupt=own_group)
            raise
    finally:
        os.close(reader)
        forked._end(pid)
        ending.seconds = monotonic() - started
        ending.stood = _read(notes)
        os.close(notes)
    return ending


class _HeldInterruption:
    """SIGINT, held off from here on until it is let go.

    The thread's mask alone does not: where another thread takes the signal, Python calls the handler in this one.
    """

    def __init__(self) -> None:
        self._came = False
        here = threading.current_thread() is threading.main_thread()  # where Python calls it
        handler = signal.getsignal(signal.SIGINT)
        self._handler = handler if here and callable(handler) else None
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._note)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True

    def let_go(self) -> None:
        """Have it handled as before, and one that came meanwhile now."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)  # first: once it is handled it may raise
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            if self._came:
                self._handler(signal.SIGINT, sys._getframe())


# -- the two processes ------------------------------------------------------------------------------------------------


def _watch_over(work: Callable[[Send], None], send: Send, notes: int, own_group: bool, held: _HeldInterruption) -> None:
    """What the warden does."""
    writer: int = send.writer  # type: ignore[attr-defined]  # set by forked
    sandbox.adopt_orphans()
    warden = os.getpid()
    pid = forked._fork()
    if pid == 0:
        _be_the_one(work, writer, warden, notes, own_group, held)
    # Ctrl-C, which is held off here, is for the tests' process, which then ends us.
    _, status = os.waitpid(pid, 0)
    _end_what_is_left()
    os.write(writer, b"\n")  # its last line may be torn
    send({"status": status})


def _end_what_is_left() -> None:
    until = monotonic() + _TO_DIE
    while (left := forked._descendants(os.getpid())) and monotonic() < until:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        sleep(0.001)


def _be_the_one(
    work: Callable[[Send], None], writer: int, warden: int, notes: int, own_group: bool, held: _HeldInterruption
) -> None:
    """What the process does in which the work is done. Never returns."""
    status, send = 1, None
    try:
        forked._end_with(warden)
        if own_group:
            os.setpgid(0, 0)
        held.let_go()
        notes = _out_of_reach(notes)
        faulthandler.enable(file=notes)
        faulthandler.register(_ASKED, file=notes, all_threads=True)
        send = _Sender(writer, warden)
        send({"pid": os.getpid()})
        work(send)
        send({"over": True})
        status = 0
    except BaseException:  # nothing may escape into the code of which this is a copy
        try:
            if send is not None:
                send({"broke": traceback.format_exc()[-_MOST_TEXT:]})
        except BaseException:
            pass
    finally:
        _exit(status)


_HIGHEST = 1024  # descriptors; higher numbers take the system larger tables


def _out_of_reach(fd: int) -> int:
    """The descriptor under a high number: a test of a daemon closes all that are low, and another file would get it."""
    import fcntl  # not on Windows, where nobody gets here
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    soft = _HIGHEST if soft == resource.RLIM_INFINITY else soft
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, min(soft, _HIGHEST) - 8)
    except (OSError, OverflowError):  # that many are open, or may not be
        return fd
    os.close(fd)
    return high


class _Sender:
    """Sends messages of this process; of a copy that the work made of it, and left running its code, none."""

    def __init__(self, writer: int, warden: int) -> None:
        self._writer, self._pid = writer, System.getpid()
        self._pipe = _identity(writer)
        self._again = f"/proc/{warden}/fd/{writer}"

    def __call__(self, message: Message) -> None:
        if System.getpid() != self._pid:
            _exit(1)
        data = json.dumps(message).encode("ascii") + b"\n"
        if _identity(self._writer) != self._pipe:  # closed by the work, and maybe a file of its own by now
            self._writer = os.open(self._again, os.O_WRONLY | os.O_CLOEXEC)
        while data:
            data = data[_write(self._writer, data) :]


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = System.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


# -- the tests' process -----------------------------------------------------------------------------------------------


class _Listener:
    """Hears what comes through the pipe until the warden has told the end, or there is no warden any more."""

    def __init__(
        self, reader: int, warden: int, notes: int, ending: Ending, on_message: Callable[[Message], None]
    ) -> None:
        self._reader, self._warden, self._notes = reader, warden, notes
        self._ending, self._on_message = ending, on_message
        self._pid: int | None = None
        self._deadline: float | None = None
        self._pending = b""
        self._deaf = self._interrupts = False

    def let_it_end(self, *, interrupt: bool) -> None:
        """Wait for the end for some seconds, whatever it still says."""
        self._deaf, self._interrupts = True, interrupt
        if self._pid is None:  # its first message may have been lost to the very interruption
            self._pid = next(iter(forked._descendants(self._warden)), None)
        self._interrupt()
        self.listen(_TO_DIE)

    def _interrupt(self) -> None:
        """Once, as soon as it is known whom."""
        if self._interrupts and self._pid is not None:
            self._interrupts = False
            try:
                os.kill(self._pid, signal.SIGINT)
            except OSError:
                pass

    def listen(self, limit: float | None) -> None:
        """Hear it for so many seconds at most, and end it then."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        self._deadline = None if limit is None else monotonic() + limit
        while True:
            left = _LOOK if self._deadline is None else max(self._deadline - monotonic(), 0.0)
            if poll.poll(min(left, _LOOK) * 1000):
                data = os.read(self._reader, 65536)
                if not data or self._heard(data):
                    return
            elif self._deadline is not None and monotonic() >= self._deadline:
                if self._ending.timed_out or self._deaf:
                    return  # killed, and yet not gone; or waited for, in vain
                self._end_it()
            elif not _lives(self._warden):
                return

    def _heard(self, data: bytes) -> bool:
        """Take what was read; whether that was the end."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            try:
                message: dict[str, Any] = json.loads(line)
            except ValueError:  # empty, or torn: it died in the midst of it
                continue
            if "status" in message:
                self._ending.status = message["status"]
                return True
            self._take(message)
        return False

    def _take(self, message: dict[str, Any]) -> None:
        if self._deaf:
            self._pid = message.get("pid", self._pid)
            self._interrupt()
            return
        if self._ending.timed_out:
            # It was asked where it stands, which ends a sleep, and goes on until it is killed: too late, but what it
            # printed may be in it.
            self._on_message({"late": message})
            return
        if "pid" in message:
            self._pid = message["pid"]
        elif "limit" in message:
            self._deadline = None if message["limit"] is None else monotonic() + message["limit"]
        elif "over" in message:
            self._ending.over = True
        elif "broke" in message:
            self._ending.broke = message["broke"]
        elif message:
            self._on_message(message)

    def _end_it(self) -> None:
        """Ask it where it stands, and kill it: the warden tells the end, having ended what it left."""
        self._ending.timed_out = True
        self._deadline = monotonic() + _TO_DIE + _TO_ANSWER
        if self._pid is None:
            return
        try:
            os.kill(self._pid, _ASKED)
            os.kill(self._pid, signal.SIGCONT)  # one that was stopped answers then
            until, seen = monotonic() + _TO_ANSWER, ""
            while monotonic() < until:
                sleep(0.002)
                now = _read(self._notes)
                if now and now == seen:
                    break
                seen = now
            if not seen:
                self._ending.silent = _why_silent(self._pid)
            os.kill(self._pid, signal.SIGKILL)
        except OSError:
            pass  # gone meanwhile


def _why_silent(pid: int) -> str:
    """Why a process did not say where it stands."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        facts = {name: value for name, _, value in (line.partition(":") for line in file)}
    asked = 1 << (_ASKED - 1)
    if int(facts["SigBlk"], 16) & asked:
        return "it blocks all signals, that too by which it is asked"
    if not int(facts["SigCgt"], 16) & asked:
        return "it has another handler for the signal by which it is asked"
    return "it did not answer; it may have closed all descriptors"


def _lives(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except OSError:
        return False


def _read(fd: int) -> str:
    return os.pread(fd, _MOST_TEXT, 0).decode("utf-8", "replace")


# -- in words -----------------------------------------------------------------------------------------------------


def how_it_ended(ending: Ending, *, phase: str, limit: str) -> str:
    """What to tell of a process that did not come to its end: the first line says it all, then where it stood.

    ``phase`` is what it was in ("its call"), ``limit`` how long it was given and by whom ("10 s, by its marker").
    """
    place = _innermost(ending.stood)
    where = f", at {place}" if place else ""
    if ending.broke is not None:
        last = ending.broke.strip().splitlines()[-1]
        return f"its process broke in {phase}: {last}\n\n{ending.broke.strip()}"
    if ending.timed_out:
        first = f"took longer than {limit}, and was ended in {phase}{where}"
        first += f"; where it stood is not known: {ending.silent}" if ending.silent and not place else ""
    elif ending.status is None:
        first = f"its process was lost in {phase}: somebody ended it, or waited for it in our place"
    elif os.WIFSIGNALED(ending.status):
        first = f"was killed by {_signal_name(os.WTERMSIG(ending.status))} in {phase}{where}"
    else:
        code = os.WEXITSTATUS(ending.status)
        first = f"ended its process with exit status {code} in {phase} (os._exit, or another program in its place)"
    stood = _shortened(ending.stood)
    return f"{first}\n\n{stood}" if stood else first


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    text = signal.strsignal(number)
    return f"{name} ({text})" if text else name


_OF_THE_RUNNER = ("/_pytest/", "/pluggy/", "/pytest_coresys/", "/pytest/__main__.py")


def _is_runners(line: str) -> bool:
    return any(part in line for part in _OF_THE_RUNNER)


def _frames(stood: str) -> list[str]:
    """The lines of the thread that was asked, or that crashed, without the runner's."""
    _, found, rest = stood.partition("Current thread")
    if not found:
        _, found, rest = stood.partition("hread 0x")
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return [line for line in lines if line.startswith("  File ") and not _is_runners(line)]


def _innermost(stood: str) -> str:
    """``tests/test_a.py:12 in test_x``: the innermost frame that is not installed, or the innermost."""
    frames = _frames(stood)
    best = next((line for line in frames if "-packages/" not in line and "/lib/python3" not in line), None)
    line = best or (frames[0] if frames else "")
    path, _, rest = line.removeprefix('  File "').partition('", line ')
    number, _, name = rest.partition(" in ")
    return f"{os.path.relpath(path)}:{number} in {name}" if name else ""


def _shortened(stood: str) -> str:
    lines = [line for line in stood.splitlines() if not (line.startswith("  File ") and _is_runners(line))]
    return "\n".join(lines[:60]).strip()
