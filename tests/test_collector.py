"""The collector is put off for a block, and always let in again: after a signal, and in the child of a fork."""

from __future__ import annotations

import gc
import os
import sys
import threading
import types
import warnings

import pytest

from coresys import collector
from coresys.collector import put_off


class LateError(Exception):
    """What the handler of a signal raises."""


def test_a_signal_whose_handler_raises_as_it_is_put_off_leaves_it_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals are looked for when a call returns, so that of ``gc.disable`` too."""

    def disable() -> None:
        gc.disable()
        raise LateError

    its = types.SimpleNamespace(disable=disable, enable=gc.enable, isenabled=gc.isenabled)
    monkeypatch.setattr(collector, "gc", its)
    assert gc.isenabled()
    try:
        with pytest.raises(LateError), put_off():
            pass
        assert gc.isenabled()
    finally:
        gc.enable()


def test_within_a_block_it_stays_off_to_the_end_of_the_outer_one() -> None:
    with put_off():
        with put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def in_a_child() -> int:
    """1 where the collector is in, in the child of a fork."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, in 3.12 and later
        child = os.fork()
    if child == 0:
        os._exit(gc.isenabled())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("enabled", [True, False])
def test_a_fork_beside_the_block_of_another_thread_has_it_as_it_was(enabled: bool) -> None:
    """The thread that would let it in again is not there."""
    inside, leave = threading.Event(), threading.Event()

    def block() -> None:
        with put_off():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=block)
    (gc.enable if enabled else gc.disable)()
    try:
        thread.start()
        inside.wait()
        assert in_a_child() == enabled
    finally:
        leave.set()
        thread.join()
        left = gc.isenabled()
        gc.enable()
    assert left is enabled


@pytest.mark.skipif(sys.platform == "win32", reason="no forks here")
def test_a_fork_within_a_block_goes_on_in_it() -> None:
    with put_off():
        assert in_a_child() == 0
    assert in_a_child() == 1
