"""What others have of the processor is not on this clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

from coresys.clock import monotonic
from coresys.measure import undisturbed
from coresys.measure.undisturbed import UndisturbedClock

# On one processor, beside a process that does not rest: half of the time is the other's.
PROGRAM = """
import os, subprocess, sys, time
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from coresys.measure.undisturbed import UndisturbedClock
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
clock = UndisturbedClock()
began, wall = clock.now(), time.monotonic()
while time.process_time() < 1: pass
print(clock.now() - began, time.monotonic() - wall, clock.waited())
other.kill()
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the figure is Linux's")
def test_waiting_for_a_processor_takes_no_time_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    undisturbed_, wall, waited = map(float, done.stdout.split())
    assert waited > 0
    assert undisturbed_ < 0.9 * wall
    assert undisturbed_ == pytest.approx(wall - waited, abs=0.1)


def test_where_the_system_tells_nothing_it_is_wall_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: str, size: int) -> None:
        raise NotImplementedError(path)

    monkeypatch.setattr(undisturbed, "ProcFile", missing)
    clock = UndisturbedClock()
    before = monotonic()
    now = clock.now()
    assert before <= now <= monotonic()
    assert clock.waited() == 0
