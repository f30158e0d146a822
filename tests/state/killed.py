"""A process that is killed: fires, says what was acknowledged, one line each, and never ends by itself.

python killed.py STORE DURABILITY
"""

from __future__ import annotations

import os
import random
import sys
import threading

from state_helping import FLIP

from coresys.state import SQLiteStore, StateManager

SINGLES = ("one", "two")
PAIR = ("left", "right")  # are only ever moved together


def open_manager(path: str, durability: str) -> StateManager:
    store = SQLiteStore(path, durability="power" if durability == "power" else "process")
    manager = StateManager(store=store)
    manager.recover([FLIP])
    for name in (*SINGLES, *PAIR):
        if name not in manager:
            manager.add(name, FLIP)
    return manager


def say(name: str, sequence: int) -> None:
    os.write(1, f"{name} {sequence}\n".encode())  # one write: a line is there whole, or not at all


def single(manager: StateManager, name: str) -> None:
    machine = manager.machine(name)
    while True:
        machine.fire("go", cause="x" * random.randrange(200))
        say(name, machine.sequence)


def pair(manager: StateManager) -> None:
    while True:
        left, right = manager.fire_all(dict.fromkeys(PAIR, "go"))
        assert left.sequence == right.sequence
        say("pair", left.sequence)


def main(path: str, durability: str) -> None:
    manager = open_manager(path, durability)
    say("ready", 0)
    for name in SINGLES:
        threading.Thread(target=single, args=(manager, name), daemon=True).start()
    pair(manager)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
