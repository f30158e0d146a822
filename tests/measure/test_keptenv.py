"""What the C library keeps of the environment is what is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest

from coresys.measure import malloccache
from coresys.measure.keptenv import KeptEnvironment
from coresys.measure.malloccache import MallocCache
from coresys.measure.meters import MallocMeter

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")


@linux
def test_it_counts_what_malloc_has_in_use_more(monkeypatch: pytest.MonkeyPatch) -> None:
    meter, cache, kept = MallocMeter(), MallocCache(), KeptEnvironment()
    monkeypatch.setenv("CORESYS_TOKEN", "first")  # a name that is new makes the whole list longer
    values = [uuid.uuid4().hex * length for length in (1, 2, 5) for _ in range(200)]
    with kept.watching():
        cache.fill()
        before = meter.read()[0]
        for value in values:
            os.environ["CORESYS_TOKEN"] = value
        cache.fill()
        grown = meter.read()[0] - before
    assert grown * 0.98 <= kept.bytes <= grown * 1.2
    assert kept.bytes > 50_000


@linux
def test_a_value_that_was_there_before_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptEnvironment()
    with kept.watching():
        for _ in range(3):
            monkeypatch.setenv("CORESYS_TOKEN", "the same")
    once = kept.bytes
    assert 0 < once <= 112


def test_the_real_one_is_put_back_and_still_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.putenv
    with KeptEnvironment().watching():
        assert os.putenv is not real
        monkeypatch.setenv("CORESYS_TOKEN", "seen")
        assert subprocess.check_output("echo $CORESYS_TOKEN", shell=True).strip() == b"seen"
    assert os.putenv is real


@linux
def test_an_emptied_cache_shows_the_next_chunk_at_once() -> None:
    malloc, free = malloccache._functions()
    assert malloc is not None
    assert free is not None
    cache, meter = MallocCache(), MallocMeter()
    cache.fill()
    before = meter.read()[0]
    hidden = malloc(600)
    assert meter.read()[0] - before < 300
    malloccache.empty_cache()
    before = meter.read()[0]
    seen = malloc(600)
    assert meter.read()[0] - before > 300
    for chunk in (hidden, seen):
        assert chunk is not None
        free(chunk)
