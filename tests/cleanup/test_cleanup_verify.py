"""A cleanup says what it left."""

from __future__ import annotations

import asyncio
import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from coresys.cleanup.manager import CleanupManager
from coresys.cleanup.verify import Baseline, Level, Probe, lease_probe, memory_level, process_probes
from coresys.resources.manager import ResourceManager
from coresys.system_records import CleanupStep

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def test_what_was_there_before_is_nobodys_fault() -> None:
    with tempfile.TemporaryFile():
        assert Baseline(process_probes("descriptors", "threads")).left() == ()


@linux
def test_threads_descriptors_and_mappings_that_are_left_are_named() -> None:
    baseline, gate = Baseline(process_probes()), threading.Event()
    thread = threading.Thread(target=gate.wait, name="straggler")
    thread.start()
    with tempfile.NamedTemporaryFile(suffix=".left") as file:
        file.write(b"x" * 4096)
        file.flush()
        with mmap.mmap(file.fileno(), 4096):
            left = "\n".join(baseline.left())
    gate.set()
    thread.join()
    assert "threads: thread 'straggler'" in left
    assert file.name in left
    assert "descriptors: " in left
    assert "mappings: 1 x " in left
    assert baseline.left() == ()


def test_a_task_that_is_left_is_named() -> None:
    async def main() -> tuple[str, ...]:
        baseline = Baseline(process_probes("tasks"))
        task = asyncio.ensure_future(asyncio.sleep(60))
        await asyncio.sleep(0)
        left = baseline.left()
        task.cancel()
        return left

    (line,) = asyncio.run(main())
    assert line.startswith("tasks: task ")
    assert "sleep()" in line


def test_a_lease_that_is_left_is_named_with_its_place() -> None:
    resources = ResourceManager()
    cleanup = CleanupManager(probes=[lease_probe(resources, "upload")])
    cleanup.verify_from_here()
    lease, other = resources.lease(100, owner="upload"), resources.lease(100, owner="another")
    line = sys._getframe().f_lineno - 1
    report = cleanup.run()
    assert report.left == (f"leases: lease 1 of 'upload', 100 bytes, taken at {__file__}:{line}",)
    assert not report.complete
    cleanup.add(CleanupStep("release"), lambda: resources.release_owner("upload"))
    assert cleanup.run().complete
    other.release()
    del lease


def test_memory_that_is_left_is_told_where_it_is_more_than_allowed() -> None:
    baseline = Baseline([memory_level(1 << 20)])
    kept = bytearray(8 << 20)
    (line,) = baseline.left()
    assert line.startswith("memory: 8 MiB more than before, 1 MiB allowed") or line.startswith("memory: 8.")
    del kept
    assert baseline.left() == ()


@pytest.mark.parametrize(("now", "left"), [(12.0, 0), (12.5, 1), (5.0, 0)])
def test_a_level_may_be_as_much_higher_as_is_allowed(now: float, left: int) -> None:
    figures = [10.0]
    baseline = Baseline([Level("queue", lambda: figures[-1], allowed=2.0)])
    figures.append(now)
    assert len(baseline.left()) == left


def test_a_probe_that_cannot_look_is_not_measured_and_says_why() -> None:
    broken = [False]

    def take() -> Mapping[Any, Any]:
        if broken[0]:
            raise RuntimeError("no longer")
        return {}

    def never() -> Mapping[Any, Any]:
        raise OSError("not here")

    cleanup = CleanupManager(probes=[Probe("never", never, str), Probe("at first", take, str)])
    cleanup.verify_from_here()
    broken[0] = True
    report = cleanup.run()
    assert report.unmeasured == (("never", "OSError: not here"), ("at first", "RuntimeError: no longer"))
    assert report.left == ()


def test_one_whose_description_fails_is_told_all_the_same() -> None:
    there: dict[str, int] = {}

    def describe(identity: Any, thing: Any) -> str:
        raise LookupError("gone")

    baseline = Baseline([Probe("things", lambda: dict(there), describe)])
    there["it"] = 1
    assert baseline.left() == ("things: 'it' (LookupError while it was described)",)


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(
        ValueError, match="there is no probe 'sockets': threads, descriptors, processes, tasks, mappings"
    ):
        process_probes("sockets")


def test_a_run_of_one_channel_says_nothing_of_what_others_have() -> None:
    with tempfile.TemporaryFile() as first:
        cleanup = CleanupManager(probes=process_probes("descriptors"))
        cleanup.verify_from_here()
        second = os.dup(first.fileno())
        assert cleanup.run(channel="one").left == ()
        assert len(cleanup.run().left) == 1
        os.close(second)
