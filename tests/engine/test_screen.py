"""The counters of the first run: what a thread reserves is not in use, what is kept is."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the counters are those of Linux"),
]

# In a process of its own, that has started no thread yet. Prints what each step added, in bytes.
PROGRAM = """
import threading
from pytest_coresys.engine.screen import Screen

screen = Screen()
screen.read()
before = screen.read()

def added():
    global before
    now = screen.read()
    step, before = now.since(before), now
    return step.memory

def work():
    kept.extend(bytes(1000) for _ in range(SIZE))

kept, SIZE = [], 0
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(added())
SIZE = 1000
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(added())
large = bytearray(20_000_000)
print(added())
del large
print(added())
"""


def test_what_threads_reserve_is_not_taken_for_growth_and_what_they_keep_is() -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    threads, kept, large, freed = map(int, out.split())
    assert abs(threads) < 256 * 1024
    assert 900_000 < kept < 1_400_000
    assert 19_900_000 < large < 20_200_000
    assert -20_200_000 < freed < -19_900_000
