"""Eight threads, all operations, a switch of threads each microsecond: every chain whole, every watcher told once."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from coresys.errors.hierarchy import RollbackError, StateError, TransitionRefusedError
from coresys.state import State, StateManager, TransitionTable, Trigger, inside, on
from coresys.system_records import TransitionRecord


@pytest.fixture
def tiny_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def moody(trigger: Trigger) -> None:
    if trigger.payload == "fail":
        raise RuntimeError("planted")


def echo(trigger: Trigger) -> None:
    if trigger.payload == "echo":
        trigger.machine.fire("stay")


TABLE = TransitionTable(
    "storm",
    states=[
        State("a", initial=True),
        State("b", entry=(inside(moody), echo)),
        State("c", entry=(inside(echo),)),
        State("broken", error=True),
    ],
    transitions=[
        on("next", "a", "b", guards=[lambda trigger: trigger.payload != "no"]),
        on("next", "b", "c"),
        on("next", "c", "a"),
        on("stay", ["a", "b", "c"], "a"),
        on("mend", "broken", "a"),
    ],
)
NAMES = [f"m{number}" for number in range(5)]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_switches")
@pytest.mark.parametrize("seed", range(3))
def test_a_storm_leaves_every_chain_whole_and_tells_everything_once(seed: int) -> None:
    told: list[TransitionRecord] = []
    late: list[StateError] = []
    manager = StateManager(history_count=10**6, history_bytes=10**9, on_error=late.append)
    for name in NAMES:
        manager.add(name, TABLE)
    manager.watch(told.append)
    unexpected: list[BaseException] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        start.wait()
        for _ in range(150):
            name = dice.choice(NAMES)
            try:
                match dice.randrange(10):
                    case 0:
                        some = dice.sample(NAMES, 3)
                        manager.fire_all(dict.fromkeys(some, "next"), {some[0]: dice.choice([None, "fail", "echo"])})
                    case 1:
                        manager.rollback(name, dice.randrange(1, 4))
                    case 2:
                        manager.snapshot(name, "here")
                        manager.rollback(name, to_snapshot="here")
                    case 3:
                        manager.fire(name, "mend")
                    case 4:
                        history = manager.history(name, 5)
                        assert [each.sequence for each in history] == sorted(each.sequence for each in history)
                        manager.statistics()
                    case _:
                        payload = dice.choice([None, None, "fail", "echo", "no"])
                        manager.fire(name, dice.choice(["next", "next", "stay"]), payload)
            except (TransitionRefusedError, RollbackError):
                pass
            except StateError as error:
                if "planted" not in str(error):
                    unexpected.append(error)
            except BaseException as error:
                unexpected.append(error)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert unexpected == []
    # What is queued by an observer may be refused by then: nothing else came late.
    assert {type(cause) for error in late for cause in getattr(error, "causes", ())} <= {TransitionRefusedError}
    for name in NAMES:
        history = manager.history(name)
        assert [record.sequence for record in history] == list(range(1, manager.machine(name).sequence + 1))
        assert all(later.source == earlier.target for earlier, later in zip(history, history[1:], strict=False))
        assert Counter(record for record in told if record.machine == name) == Counter(history)
    assert manager.statistics().transitions == len(told) > 300
