"""Start ``python -m pytest`` for inner suites from a process that has imported already what each of them imports.

Half of what such a run takes is starting an interpreter and importing pytest and ourselves. Here that is done once: a
server forks for each run, and what it forks goes on as ``python -m pytest`` would, with arguments, folder, environment
and streams of its own, and ends as an interpreter does, but for a last collection.

A run is started in earnest where that would not be the same: where a variable that the interpreter reads when it starts
is another one than the server's, where all plugins are loaded (pytest warns of their modules that are there already),
or where CORESYS_TEST_FRESH is set, as ``make long`` has it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest

_FRESH = "CORESYS_TEST_FRESH"
_READ_AT_START = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "CORESYS_PURE_LOCKS")  # or where our modules are imported
_PATH = "PYTHONPATH"  # the child puts more into sys.path
_REQUEST, _ANSWER = 1 << 18, 64  # bytes at most
_STREAMS = 3
_HUNG = 300.0  # seconds


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith(_READ_AT_START) and key != _PATH}


_AT_START = dict(os.environ)


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether a run with this environment is the same if it is forked."""
    if not sys.platform.startswith("linux") or environment.get(_FRESH):
        return False
    if not environment.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        return False
    return _read_at_start(environment) == _read_at_start(_AT_START)


@contextlib.contextmanager
def fresh_interpreters() -> Iterator[None]:
    """In the block each run has an interpreter that was started for it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(_FRESH, "1")
        yield


class Forking:
    """Stands for ``pytester.run``: what runs pytest by this interpreter is forked, all else is as ever."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester, self._run = pytester, pytester.run

    def __call__(
        self, *words: str | os.PathLike[str], timeout: float | None = None, stdin: object = b""
    ) -> pytest.RunResult:
        arguments = _of_pytest(words)
        environment = dict(os.environ)
        added = [os.getcwd(), environment.get(_PATH, "")]
        environment[_PATH] = os.pathsep.join(filter(None, added))  # as pytester has it
        if arguments is None or not isinstance(stdin, bytes) or not can_be_forked(environment):
            return self._run(*words, timeout=timeout, **({} if stdin == b"" else {"stdin": stdin}))  # type: ignore[arg-type]
        written = [Path(self._pytester.path, name) for name in ("stdout", "stderr")]
        source, sink = os.pipe()
        began = time.perf_counter()
        with open(source, "rb") as reads, written[0].open("wb") as out, written[1].open("wb") as errors:
            with open(sink, "wb") as writes:
                writes.write(stdin)
            try:
                status = Server.running().run(arguments, environment, (reads, out, errors), timeout=timeout or _HUNG)
            except TimeoutError:
                raise self._pytester.TimeoutExpired(f"{arguments}: {timeout} s") from None
        duration = time.perf_counter() - began
        out_lines, error_lines = (path.read_text(encoding="utf-8").splitlines() for path in written)
        print("\n".join((*out_lines, *error_lines)))  # shown where the test fails
        return pytest.RunResult(status, out_lines, error_lines, duration)


def _of_pytest(words: Sequence[str | os.PathLike[str]]) -> list[str] | None:
    """What pytest is given in this command; None if it is another one."""
    texts = [os.fspath(word) for word in words]
    if texts[:1] != [sys.executable]:
        return None
    if texts[1:2] == ["-mpytest"]:
        return texts[2:]
    return texts[3:] if texts[1:3] == ["-m", "pytest"] else None


class Server:
    """The process that forks, started when it is first asked for; it ends with ours, and is no child of it."""

    _running: Server | None = None

    def __init__(self) -> None:
        self._socket, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        subprocess.run(
            [sys.executable, __file__, str(its.fileno())],
            stdin=subprocess.DEVNULL,
            env=_AT_START,
            pass_fds=[its.fileno()],
            check=True,
        )
        its.close()

    @classmethod
    def running(cls) -> Server:
        """The one of this process."""
        if cls._running is None:
            cls._running = cls()
        return cls._running

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], streams: Sequence[IO[Any]], *, timeout: float
    ) -> int:
        """Run pytest in the present folder, with stdin, stdout and stderr. Returns what Popen would as its status.

        Raises TimeoutError, and nothing of it is there any more.
        """
        request = {"arguments": list(arguments), "folder": os.getcwd(), "environment": dict(environment)}
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [stream.fileno() for stream in streams])
            child = self._answer()
            self._socket.settimeout(timeout)
            try:
                return self._answer()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(child, signal.SIGKILL)
                self._socket.settimeout(None)
                self._answer()
                raise
            finally:
                self._socket.settimeout(None)
        except TimeoutError:
            raise
        except BaseException:  # an answer may come yet, which would be taken for that to the next request
            Server._running = None
            self._socket.close()
            raise

    def _answer(self) -> int:
        answer = self._socket.recv(_ANSWER)
        if not answer:
            raise RuntimeError("the server of inner runs has died")
        return int(answer)


# -- in the server ----------------------------------------------------------------------------------------------------

# What every run imports. Not the plugins themselves, which pytest imports its own way.
_IMPORTED = ("pytest", "_pytest.pytester", "execnet", "psutil", "pytest_coresys.session")


def _serve(connection: socket.socket) -> None:
    """Fork for each request, one at a time, until nobody is there to ask."""
    from _pytest.config import default_plugins

    gc.disable()
    for name in (*_IMPORTED, *(f"_pytest.{name}" for name in default_plugins)):
        importlib.import_module(name)
    gc.freeze()  # or pytest, which collects three times at its end, looks all of it through
    gc.enable()
    given = os.environ.get(_PATH, "").split(os.pathsep)  # which each run has of its own
    base = [path for path in sys.path if path != os.path.dirname(__file__) and path not in given]
    while True:
        request, descriptors, _, _ = socket.recv_fds(connection, _REQUEST, _STREAMS)
        if not request:
            return
        child = os.fork()
        if child == 0:
            connection.close()
            _become(json.loads(request), descriptors, base)
        for descriptor in descriptors:
            os.close(descriptor)
        # Who asked may be gone, and what was begun ends by itself.
        with contextlib.suppress(BrokenPipeError):
            connection.send(str(child).encode())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            connection.send(str(status).encode())


def _become(request: dict[str, Any], descriptors: Sequence[int], base: Sequence[str]) -> NoReturn:
    """Go on as ``python -m pytest`` with these arguments, in that folder and environment."""
    for stream, descriptor in enumerate(descriptors):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    added = [path for path in os.environ.get(_PATH, "").split(os.pathsep) if path]
    sys.path[:] = [os.getcwd(), *added, *base]
    sys.argv[:] = ["-m", *request["arguments"]]
    sys.orig_argv[:] = [sys.executable, "-m", "pytest", *request["arguments"]]
    atexit.register(gc.freeze)  # all that is left goes with the process: looking it through takes as long as a run
    # As the interpreter ends: with the status of what is raised, and all that was registered for the end.
    runpy._run_module_as_main("pytest")  # type: ignore[attr-defined]
    sys.exit()


if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        _serve(listening)
