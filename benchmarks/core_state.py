"""coresys.state beside transitions, python-statemachine, and the raw system calls; ratios of one run.

python benchmarks/core_state.py                 # a minute or two
python benchmarks/core_state.py --kills 1000    # and kill -9 at a thousand random moments
python benchmarks/core_state.py --sync 1        # as on a device whose sync takes a millisecond longer
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from turns import interleaved  # noqa: E402

from coresys.state import Machine, SQLiteStore, State, StateManager, TransitionTable, inside, on  # noqa: E402
from coresys.state.scope import Scope  # noqa: E402
from coresys.system_records import MachineRecord  # noqa: E402

FLIP = TransitionTable(
    "flip", states=[State("a", initial=True), State("b")], transitions=[on("go", "a", "b"), on("go", "b", "a")]
)


def yes(trigger: object) -> bool:
    return True


def tell(trigger: object) -> None:
    pass


BUSY = TransitionTable(
    "busy",
    states=[State("a", initial=True, exit=(tell,), entry=(tell,)), State("b", exit=(tell,), entry=(tell,))],
    transitions=[
        on("go", "a", "b", guards=[yes] * 3, observers=[tell, tell, inside(tell)]),
        on("go", "b", "a", guards=[yes] * 3, observers=[tell, tell, inside(tell)]),
    ],
)

Round = Callable[[], float]  # seconds of one call


def loop(call: Callable[[], object], times: int) -> Round:
    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(times):
            call()
        return (time.perf_counter() - begin) / times

    return measure


def warmed(rounds: int, contenders: dict[str, Round]) -> dict[str, float]:
    """The median of each, in seconds a call, after one that does not count."""
    for each in contenders.values():
        each()
    return interleaved(rounds, contenders)


def table(title: str, figures: dict[str, float], base: str, unit: float = 1e6, word: str = "us") -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:46} {value * unit:12.3f} {word}   x {value / figures[base]:9.2f}")


def transition_contenders() -> dict[str, Round]:
    moves = {("a", "go"): "b", ("b", "go"): "a"}
    holder = {"state": "a"}

    def raw() -> None:
        holder["state"] = moves[holder["state"], "go"]

    ours = Machine(FLIP)
    busy = Machine(BUSY)
    found: dict[str, Round] = {
        "coresys": loop(lambda: ours.fire("go"), 5000),
        "coresys, 3 guards, 6 observers (1 inside)": loop(lambda: busy.fire("go"), 2000),
        "raw: dictionary and assignment": loop(raw, 20000),
    }
    try:
        from transitions import Machine as Theirs
        from transitions.extensions import LockedMachine

        def model(kind: Any, **more: Any) -> Any:
            return kind(
                states=["a", "b"],
                transitions=[
                    {"trigger": "go", "source": "a", "dest": "b", **more},
                    {"trigger": "go", "source": "b", "dest": "a", **more},
                ],
                initial="a",
            )

        plain, locked = model(Theirs), model(LockedMachine)
        asked = model(Theirs, conditions=[lambda: True], after=[lambda: None])
        version = importlib.metadata.version("transitions")
        found[f"transitions {version}"] = loop(lambda: plain.go(), 1000)
        found[f"transitions {version}, 1 guard, 1 observer"] = loop(lambda: asked.go(), 1000)
        found[f"transitions {version} LockedMachine"] = loop(lambda: locked.go(), 300)
    except ImportError:
        print("transitions is not installed: left out")
    try:
        from statemachine import State as TheirState
        from statemachine import StateMachine as Theirs2

        class Flip(Theirs2):
            a = TheirState(initial=True)
            b = TheirState()
            go = a.to(b) | b.to(a)

        version = importlib.metadata.version("python-statemachine")
        theirs = Flip()
        found[f"python-statemachine {version}"] = loop(lambda: theirs.send("go"), 200)
    except ImportError:
        print("python-statemachine is not installed: left out")
    return found


IN_ALL = 1_000_000  # transitions of the eight threads, in all rounds together


def threads(rounds: int) -> dict[str, float]:
    """Seconds an attempt, of 8 threads on one machine; and whether the history is whole, of a million."""

    def storm(fire: Callable[[], object], times: int) -> Round:
        def measure() -> float:
            def work() -> None:
                for _ in range(times):
                    fire()

            workers = [threading.Thread(target=work) for _ in range(8)]
            begin = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return (time.perf_counter() - begin) / (8 * times)

        return measure

    scope = Scope(history_count=10**7, history_bytes=10**10)
    machine = Machine(FLIP, scope=scope)
    each = -(-IN_ALL // (8 * (rounds + 1)))  # and a round that is not counted
    contenders = {"coresys": storm(lambda: machine.fire("go"), each)}
    try:
        from transitions.extensions import LockedMachine

        locked: Any = LockedMachine(
            states=["a", "b"],
            transitions=[["go", "a", "b"], ["go", "b", "a"]],
            initial="a",
        )
        contenders["transitions LockedMachine"] = storm(lambda: locked.go(), 100)
    except ImportError:
        pass
    found = warmed(rounds, contenders)
    entries = machine._history or ()  # as they are kept: a million records would take a gigabyte
    ends = list(itertools.chain([(0, "a")], ((entry[0], entry[4]) for entry in entries)))
    whole = len(ends) == machine.sequence + 1 and all(
        (entry[0], entry[3]) == (number + 1, state) for (number, state), entry in zip(ends, entries, strict=False)
    )
    print(f"\n{machine.sequence:,} transitions by 8 threads: {'none lost, none doubled' if whole else 'NOT WHOLE'}")
    return found


def sizes() -> dict[str, float]:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [Machine(FLIP, "m") for _ in range(10_000)]
    machine = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    long = Machine(FLIP, scope=Scope(history_count=10**6, history_bytes=10**9))
    long.fire("go")
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10_000):
        long.fire("go")
    entry = (tracemalloc.get_traced_memory()[0] - before) / 10_000
    tracemalloc.stop()
    print(f"\nbytes of a new machine {machine:.0f} (goal 250), of an entry of its history {entry:.0f} (goal 200)")
    return {"bytes of a machine": machine, "bytes of an entry": entry}


def durable(folder: Path, rounds: int) -> dict[str, float]:
    def fresh(durability: Any) -> Round:
        manager = StateManager(store=SQLiteStore(folder / f"{durability}.db", durability=durability))
        machine = manager.add("m", FLIP)
        return loop(lambda: machine.fire("go"), 200)

    descriptor = os.open(folder / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def raw() -> None:
        os.write(descriptor, b"x" * 64)
        os.fdatasync(descriptor)

    return warmed(
        rounds,
        {
            "raw: append 64 bytes, fdatasync": loop(raw, 200),
            "coresys, process": fresh("process"),
            "coresys, power": fresh("power"),
        },
    )


def group_commit(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds a durable transition, of 1 and of 8 threads, each with a machine of its own."""
    manager = StateManager(store=SQLiteStore(folder / "group.db", durability="power"))
    machines = [manager.add(f"m{number}", FLIP) for number in range(8)]

    def run(count: int) -> Round:
        def measure() -> float:
            def work(machine: Machine) -> None:
                for _ in range(100):
                    machine.fire("go")

            workers = [threading.Thread(target=work, args=(machine,)) for machine in machines[:count]]
            begin = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return (time.perf_counter() - begin) / (100 * count)

        return measure

    return warmed(rounds, {"1 thread": run(1), "8 threads": run(8)})


RECOVER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from coresys.state import SQLiteStore, State, StateManager, TransitionTable, on
flip = TransitionTable("flip", states=[State("a", initial=True), State("b")],
                       transitions=[on("go", "a", "b"), on("go", "b", "a")])
begin = time.perf_counter()
manager = StateManager(store=SQLiteStore(sys.argv[1], history_rows=10**7, history_bytes=10**10))
machines = manager.recover([flip])
print(time.perf_counter() - begin, machines[0].sequence)
"""


def recovery(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds from opening a store to all machines ready, in a new process."""
    paths = {}
    for entries in (1_000, 100_000, 1_000_000):
        path = folder / f"recover{entries}.db"
        store = SQLiteStore(path, history_rows=10**7, history_bytes=10**10)
        store.create(MachineRecord("m", "flip", "a", 0, 0.0))
        database = store._database
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO history VALUES (1, ?, 1e9, 'go', ?, ?, 'a cause', 'an actor')",
            ((n, "ab"[(n + 1) % 2], "ab"[n % 2]) for n in range(1, entries + 1)),
        )
        database.execute("UPDATE machine SET sequence = ?, state = ?", (entries, "ab"[entries % 2]))
        database.execute("COMMIT")
        store.close()
        paths[f"{entries:,} entries"] = path

    def measure(path: Path) -> Round:
        def once() -> float:
            done = subprocess.run(
                [sys.executable, "-c", RECOVER, str(path), str(ROOT)], capture_output=True, text=True, check=True
            )
            return float(done.stdout.split()[0])

        return once

    return warmed(rounds, {name: measure(path) for name, path in paths.items()})


def kills(folder: Path, times: int) -> int:
    """kill -9 at random moments; returns how many stores were not as they should be."""
    import random

    sys.path.insert(0, str(ROOT / "tests" / "state"))
    from test_kills import check, run_and_kill

    wrong = acknowledged = 0
    for number in range(times):
        durability = "power" if number % 4 == 0 else "process"
        store = folder / f"killed-{durability}.db"
        seen = run_and_kill(store, durability, random.uniform(0, 0.05))
        problems = check(store, seen)
        acknowledged = max(acknowledged, *seen.values(), 0) if seen else acknowledged
        for problem in problems:
            print(f"  kill {number}: {problem}")
        wrong += bool(problems)
    print(f"\n{times} times kill -9 (up to {acknowledged:,} acknowledged by one machine): {wrong} stores were wrong")
    return wrong


# Where a sync takes no longer than a page fault, "power" is compared with nothing: raw and ours wait this much longer.
SLOW_SYNC = """
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
int fsync(int fd) { usleep(MICROSECONDS); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { usleep(MICROSECONDS); return syscall(SYS_fdatasync, fd); }
"""


def again_with_slow_syncs(milliseconds: float) -> int:
    """Run this again with every sync that much slower, for SQLite and for the raw calls. Needs a C compiler."""
    with tempfile.TemporaryDirectory() as name:
        source, library = Path(name) / "sync.c", Path(name) / "sync.so"
        source.write_text(SLOW_SYNC, encoding="utf-8")
        delay = f"-DMICROSECONDS={round(milliseconds * 1000)}"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", delay, "-o", str(library), str(source)], check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), "CORESYS_SLOW_SYNC": str(milliseconds)}
        print(f"every sync takes {milliseconds:g} ms longer", flush=True)
        return subprocess.run([sys.executable, *sys.argv], env=environment).returncode


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--sync", type=float, metavar="MS", help="make every sync so many milliseconds slower (Linux)")
    parser.add_argument("--folder", type=Path, help="where stores are made: a disk that is the one in question")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    if options.sync and "CORESYS_SLOW_SYNC" not in os.environ:
        return again_with_slow_syncs(options.sync)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        figures["transition"] = warmed(options.rounds, transition_contenders())
        table("one transition: validated, recorded, thread-safe", figures["transition"], "coresys")
        figures["threads"] = threads(options.rounds)
        table("the same, 8 threads on one machine, an attempt", figures["threads"], "coresys")
        figures["make"] = warmed(options.rounds, {"a new machine": loop(lambda: Machine(FLIP, "m"), 5000)})
        table("making one", figures["make"], "a new machine")
        figures["sizes"] = sizes()
        figures["durable"] = durable(folder, options.rounds)
        table("one durable transition", figures["durable"], "raw: append 64 bytes, fdatasync")
        figures["group"] = group_commit(folder, max(3, options.rounds // 3))
        table("power, threads with machines of their own, a transition", figures["group"], "8 threads")
        figures["recovery"] = recovery(folder, max(3, options.rounds // 3))
        table("recovery in a new process", figures["recovery"], "1,000 entries", 1e3, "ms")
        if options.kills:
            figures["kills"] = {"times": options.kills, "wrong": kills(folder, options.kills)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures.get("kills", {}).get("wrong") else 0


if __name__ == "__main__":
    sys.exit(main())
