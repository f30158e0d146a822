"""The counters against what is known to have been allocated, and what they say where they can't be read."""

from __future__ import annotations

import pytest

from coresys.measure import meters


def test_the_allocators_statistics_are_read_to_the_byte() -> None:
    meter = meters.PymallocMeter()
    meter.read()
    before = meter.read()[0]
    kept = [bytes(67) for _ in range(1000)]  # 33 bytes of header, and a null: blocks of 112
    grown = meter.read()[0] - before
    del kept
    assert 112_000 <= grown < 112_000 + 16 * 1024
    assert meter.read()[0] - before < 16 * 1024


def test_figures_in_a_form_that_is_not_known_are_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = meters.PymallocMeter()
    monkeypatch.setattr(meter, "text", lambda: b"Heaps: 5 in use")
    with pytest.raises(NotImplementedError, match="in a form unknown here"):
        meter.read()


def test_no_statistics_at_all_are_those_of_another_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = meters.PymallocMeter()
    monkeypatch.setattr(meter, "text", lambda: b"")  # as under PYTHONMALLOC=malloc
    assert meter.read() == (0, 0, 0)
