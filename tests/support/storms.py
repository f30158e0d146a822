"""For tests of threads: nothing is left behind, and threads change places as often as they can."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Every test leaves as many threads as it found, and the switch interval as it was."""
    before, interval = set(threading.enumerate()), sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    if set(threading.enumerate()) - before:
        gc.collect()  # a dropped pool in a failed test's frames
    until = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.001)
    assert not left


@pytest.fixture
def stormy() -> Iterator[None]:
    """Threads change places after a microsecond, as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
