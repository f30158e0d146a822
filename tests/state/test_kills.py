"""kill -9 at random moments: nothing that was acknowledged is lost, and what moves together moved together.

The thousand are in ``benchmarks/core.py``; these are fifty.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from state_helping import FLIP

from coresys.state import SQLiteStore, StateManager

SCRIPT = Path(__file__).with_name("killed.py")


def run_and_kill(store: Path, durability: str, after: float) -> dict[str, int]:
    """Start the process, kill it some seconds after it began to fire; the last number acknowledged of each."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(store), durability], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready 0\n"
        acknowledged: dict[str, int] = {}
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        for line in child.stdout:
            name, sequence = line.split()
            acknowledged[name] = int(sequence)
    assert child.returncode == -signal.SIGKILL
    return acknowledged


def check(store: Path, acknowledged: dict[str, int]) -> list[str]:
    """What is wrong with a store after a kill."""
    wrong = []
    with StateManager(store=SQLiteStore(store)) as manager:
        manager.recover([FLIP])
        for name, least in acknowledged.items():
            for each in ("left", "right") if name == "pair" else (name,):
                if manager.machine(each).sequence < least:
                    wrong.append(f"{each}: {least} acknowledged, {manager.machine(each).sequence} there")
        if manager.machine("left").last.sequence != manager.machine("right").last.sequence:
            wrong.append("half of a pair")
        for machine in manager:
            history = machine.history(1000)
            chain = [(record.sequence, record.source) for record in history[1:]]
            if chain != [(record.sequence + 1, record.target) for record in history[:-1]]:
                wrong.append(f"{machine.name}: the chain is broken")
            if history and (history[-1].sequence, history[-1].target) != (machine.sequence, machine.state):
                wrong.append(f"{machine.name}: state and history differ")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(("durability", "times"), [("process", 40), ("power", 10)])
def test_nothing_acknowledged_is_lost_to_a_kill(tmp_path: Path, durability: str, times: int) -> None:
    store = tmp_path / "states.db"
    seed = random.Random(7)
    most = 0
    for _ in range(times):
        acknowledged = run_and_kill(store, durability, seed.uniform(0, 0.05))
        most = max(most, *acknowledged.values(), 0) if acknowledged else most
        assert check(store, acknowledged) == []
    assert most > times  # it was killed at work, not before it began


def test_the_check_sees_what_is_lost(tmp_path: Path) -> None:
    with StateManager(store=SQLiteStore(tmp_path / "states.db")) as manager:
        for name in ("one", "left", "right"):
            manager.add(name, FLIP)
        manager.fire("one", "go")
        manager.fire("left", "go")
    assert check(tmp_path / "states.db", {"one": 2, "pair": 1}) == [
        "one: 2 acknowledged, 1 there",
        "right: 1 acknowledged, 0 there",
        "half of a pair",
    ]
