"""A process that is killed: ``python -m validation_suites.state.child MODULE:FACTORY``.

It has imported everything, and forks a child for each line it is given, so that a kill costs milliseconds. A line is a
request in JSON, and so is its answer. The child does its work, tells of each transition on a pipe when ``fire`` has
returned, and is ended by ``kill -9`` always: no store is ever closed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any, NoReturn

from pytest_coresys.subjects import load_factory, make
from validation_suites.state.measures import FLIP

SINGLE, PAIR = ("one", "two"), ("left", "right")
_PATIENCE = 60.0  # seconds, a watchdog


def reopen(factory: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """A manager over a store that is there already: one that keeps machines has them back by ``recover``, if it has it,
    or by itself."""
    manager = make(factory, {**options, "path": Path(options["path"])})
    if callable(getattr(manager, "recover", None)):
        manager.recover([FLIP])
    return manager


def tell_of(error: BaseException, tell: Callable[[str], None]) -> None:
    """A failure, as a line."""
    tell("failed " + f"{type(error).__name__}: {error}".replace(" ", "_").replace("\n", "_")[:500])


def _one(manager: Any, name: str) -> list[Any]:
    return [manager.fire(name, "go")]


def storm(factory: Callable[..., Any], options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Threads fire, two at a machine each, one at two that move together, and tell of each that was made."""
    manager = reopen(factory, options)
    there = set(manager.names())
    for name in (*SINGLE, *PAIR):
        if name not in there:
            manager.define(name, FLIP)
    tell("ready 0")

    def again_and_again(fire: Callable[[], Iterable[Any]]) -> None:
        try:
            while True:
                for record in fire():
                    tell(f"{record.machine} {record.sequence}")
        except BaseException as error:
            tell_of(error, tell)

    works: list[Callable[[], Iterable[Any]]] = [lambda: manager.fire_all(dict.fromkeys(PAIR, "go"))]
    works += [partial(_one, manager, name) for name in SINGLE]
    for work in works:
        threading.Thread(target=again_and_again, args=(work,), daemon=True).start()
    threading.Event().wait(_PATIENCE)


def opening(factory: Callable[..., Any], options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Open a store, and tell how many microseconds that took until all machines were ready."""
    began = perf_counter()
    manager = reopen(factory, options)
    names = manager.names()
    for name in names:
        manager.state(name)
    tell(f"microseconds {round((perf_counter() - began) * 1e6)}")
    tell(f"machines {len(names)}")
    for name in names:
        tell(f"{name} {manager.describe(name).sequence}")
    tell("done 0")
    threading.Event().wait(_PATIENCE)


def plainly(factory: Callable[..., Any], options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """What opening is compared with: a new process reads a row of a small database by SQLite alone."""
    import sqlite3

    began = perf_counter()
    database = sqlite3.connect(Path(options["path"]) / "reference.db")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE IF NOT EXISTS machine (name TEXT)")
    database.execute("SELECT * FROM machine").fetchall()
    tell(f"microseconds {round((perf_counter() - began) * 1e6)}")
    tell("done 0")
    threading.Event().wait(_PATIENCE)


def adding(factory: Callable[..., Any], options: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Make some transitions of one machine, one after the other, and leave the store as it is then."""
    manager = reopen(factory, options)
    if "m" not in manager.names():
        manager.define("m", FLIP)
    for _ in range(options["entries"]):
        manager.fire("m", "go")
    tell("done 0")
    threading.Event().wait(_PATIENCE)


WORK = {"storm": storm, "opening": opening, "adding": adding, "plainly": plainly}


def serve(factory: Callable[..., Any]) -> None:
    """Answer requests until there are none: ``do``, ``options``, ``after`` (seconds, after the word ``until``)."""
    for line in sys.stdin:
        request = json.loads(line)
        told = _killed(partial(WORK[request["do"]], factory, request["options"]), request["until"], request["after"])
        print(json.dumps(told), flush=True)


def _killed(work: Callable[[Callable[[str], None]], None], until: str, after: float) -> dict[str, Any]:
    """The last number that was told under each name, and errors in words. It is killed ``after`` seconds after the
    word ``until`` was told, or a failure; at once counted, where that is empty."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _work(work, reading, writing)
    os.close(writing)
    text, rest = bytearray(), monotonic() + _PATIENCE
    deadline = monotonic() + after if not until else rest
    more = True
    while more and monotonic() < deadline:
        if select.select([reading], [], [], max(deadline - monotonic(), 0))[0]:
            piece = os.read(reading, 65536)
            text += piece
            more = bool(piece)
            if b"failed " in text:  # nothing more is to come
                break
            if until and f"{until} ".encode() in text:
                until, deadline = "", min(monotonic() + after, rest)
    os.kill(child, signal.SIGKILL)
    while more:
        piece = os.read(reading, 65536)
        text += piece
        more = bool(piece)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return _answer(bytes(text), killed=os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)


def _answer(text: bytes, *, killed: bool) -> dict[str, Any]:
    told: dict[str, int] = {}
    problems = [] if killed else ["it was not killed, but ended by itself"]
    for line in text.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name == "failed":
            problems.append(value.replace("_", " "))
        elif value.isdigit():
            told[name] = int(value)
    return {"told": told, "problems": problems}


def _work(work: Callable[[Callable[[str], None]], None], reading: int, writing: int) -> NoReturn:
    def tell(line: str) -> None:
        os.write(writing, f"{line}\n".encode())  # short enough to be written whole, whoever else writes

    try:
        os.close(reading)
        work(tell)
    except BaseException as error:
        tell_of(error, tell)
        threading.Event().wait(_PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    serve(load_factory("state", sys.argv[1]))
