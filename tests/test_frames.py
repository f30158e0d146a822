"""Frames of all threads are taken without the collector, where that would be a deadlock."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from coresys import frames

OLD = sys.version_info < (3, 11, 9)


def test_the_frames_of_all_threads_are_those_of_the_interpreter() -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()
    found = frames.current_frames()
    gate.set()
    thread.join()
    assert {threading.get_ident(), thread.ident} <= found.keys()
    assert found[threading.get_ident()] is sys._getframe()
    assert (frames.current_frames is sys._current_frames) is not OLD


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_put_off_and_stands_as_it_did(monkeypatch: pytest.MonkeyPatch, enabled: bool) -> None:
    seen = []

    def take() -> dict[int, object]:
        seen.append(gc.isenabled())
        return {}

    monkeypatch.setattr(frames, "_current_frames", take)
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        frames._without_collector()
        assert seen == [False]
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_the_collector_goes_on_where_taking_them_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[int, object]:
        raise MemoryError

    monkeypatch.setattr(frames, "_current_frames", fail)
    with pytest.raises(MemoryError):
        frames._without_collector()
    assert gc.isenabled()


def test_of_two_at_once_none_has_the_collector_come_back_early(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def first() -> dict[int, object]:
        inside.set()
        leave.wait()
        seen.append(gc.isenabled())
        return {}

    monkeypatch.setattr(frames, "_current_frames", first)
    threads = [threading.Thread(target=frames._without_collector) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    leave.set()
    for thread in threads:
        thread.join()
    assert seen == [False, False]
    assert gc.isenabled()
