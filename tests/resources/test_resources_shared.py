"""Tiers that several processes use: tokens travel, what comes back is lent again, who was killed keeps nothing."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from coresys.errors.hierarchy import (
    LeaseInUseError,
    LeaseLimitError,
    LeaseReleasedError,
    SharedTierError,
)
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.shared import LeaseToken
from coresys.resources.tiers import Tier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who died is told apart by locks of Linux")

TIERS = Tier("shared", 8192, 2, shared=True), Tier("private", 16384, 1)


@pytest.fixture
def pools() -> Iterator[BufferPools]:
    given = BufferPools(TIERS, timeout=0.0)
    name = segment(given)
    yield given
    given.release_owner("a")
    given.close()
    assert not os.path.exists(name), "it was removed"


def segment(given: BufferPools) -> str:
    return f"/dev/shm{getattr(given._slabs[0], 'name')}"  # noqa: B009  # of a slab that is shared


def busy(given: BufferPools) -> int:
    return given.statistics()[0].busy


def upper(token: LeaseToken) -> None:
    """What a child does."""
    with token.open() as view:
        view[:] = bytes(view).upper()


def hold(token: LeaseToken, told: Connection) -> None:
    lease = token.open()
    told.send("open")
    told.recv()
    lease.release()
    told.send("released")
    told.recv()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_lease_is_handed_to_another_process_and_comes_back(pools: BufferPools, method: str) -> None:
    lease = pools.lease(5, owner="a")
    lease.view[:] = b"bytes"
    token = lease.hand_over()
    assert len(pickle.dumps(token)) < 250
    with pytest.raises(LeaseReleasedError):
        lease.view[0]
    context: Any = multiprocessing.get_context(method)
    child = context.Process(target=upper, args=(token,))
    child.start()
    child.join()
    assert child.exitcode == 0
    with pools.lease(5, owner="a") as again:
        assert bytes(again) == b"BYTES"
    assert (busy(pools), pools.usage("a").leased, pools.leaked()) == (0, 0, ())


def test_it_stays_charged_until_it_comes_back(pools: BufferPools) -> None:
    pools.limit("a", lease=8192)
    token = pools.lease(10, owner="a").hand_over()
    with pytest.raises(LeaseLimitError):
        pools.lease(1, owner="a")
    assert [record.owner for record in pools.leases()] == ["a"]
    lease = token.open()
    with pytest.raises(LeaseLimitError):
        pools.lease(1, owner="a")
    lease.release()
    pools.lease(1, owner="a").release()


def test_a_token_is_good_once(pools: BufferPools) -> None:
    token = pools.lease(10, owner="a").hand_over()
    lease = token.open()
    with pytest.raises(LeaseInUseError, match="open in another process"):
        token.open()
    lease.release()
    for use in (token.open, lease.release, lambda: lease.view, lease.__enter__):
        with pytest.raises(LeaseReleasedError, match="handed to this process"):
            use()
    assert busy(pools) == 0
    with pools.lease(10, owner="a"), pytest.raises(LeaseReleasedError):
        token.open()


def test_what_travels_can_be_taken_back_and_what_is_open_cannot(pools: BufferPools) -> None:
    first, second = (pools.lease(10, owner="a").hand_over() for _ in range(2))
    lease = second.open()
    with pytest.raises(LeaseInUseError):
        pools.release_owner("a")
    assert busy(pools) == 1
    with pytest.raises(LeaseReleasedError):
        first.open()
    with pytest.raises(LeaseInUseError):
        pools.close()
    lease.release()
    assert busy(pools) == 0


def test_who_waits_gets_what_another_process_gives_back(pools: BufferPools) -> None:
    leases = [pools.lease(10, owner="a") for _ in range(2)]
    opened = leases.pop().hand_over().open()
    got: list[int] = []

    def wait() -> None:
        with pools.lease(10, owner="b", timeout=30) as view:
            got.append(len(view))

    thread = threading.Thread(target=wait)
    thread.start()
    while not pools._waiting:
        pass
    opened.release()
    thread.join()
    assert got == [10]


@pytest.mark.slow
def test_the_lease_of_a_process_that_was_killed_is_told_and_taken_back(pools: BufferPools) -> None:
    context = multiprocessing.get_context("fork")
    token = pools.lease(10, owner="a").hand_over()
    line = sys._getframe().f_lineno - 1
    mine, its = context.Pipe()
    child = context.Process(target=hold, args=(token, its))
    child.start()
    assert mine.recv() == "open"
    assert (busy(pools), pools.leaked()) == (1, ())
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    (record,) = pools.leaked()
    assert (record.owner, str(record.where)) == ("a", f"{__file__}:{line}")
    assert busy(pools) == 0


def test_what_was_dropped_by_whoever_opened_it_is_told(pools: BufferPools) -> None:
    pools.lease(10, owner="a").hand_over().open()
    gc.collect()
    assert len(pools.leaked()) == 1
    assert busy(pools) == 0


def test_what_something_stands_on_stays_with_whoever_opened_it(pools: BufferPools) -> None:
    lease = pools.lease(10, owner="a").hand_over().open()
    stands = pickle.PickleBuffer(lease.view)
    with pytest.raises(LeaseInUseError):
        lease.release()
    assert busy(pools) == 1
    stands.release()
    piece = lease.view[2:4]
    with pytest.raises(LeaseInUseError):
        lease.release()
    piece.release()
    lease.view[:] = b"0123456789"
    lease.release()
    assert busy(pools) == 0


def test_another_owner_gets_no_bytes_that_another_process_wrote(pools: BufferPools) -> None:
    with pools.lease(8192, owner="a").hand_over().open() as view:
        view[:] = b"s" * 8192
    with pools.lease(8192, owner="b") as mine:
        assert bytes(mine) == bytes(8192)


def test_only_what_is_shared_and_not_used_is_handed_over(pools: BufferPools) -> None:
    private = pools.lease(16384, owner="a")
    with pytest.raises(SharedTierError, match="tier 'private': it is not shared"):
        private.hand_over()
    lease = pools.lease(10, owner="a")
    stands = pickle.PickleBuffer(lease.view)
    with pytest.raises(LeaseInUseError):
        lease.hand_over()
    stands.release()
    lease.release()
    with pytest.raises(LeaseReleasedError):
        lease.hand_over()
    private.release()
    heap = BufferPools((Tier("shared", 4096, 1, shared=True),), exhausted="overflow")
    held = heap.lease(1, owner="a")
    over = heap.lease(1, owner="a")
    with pytest.raises(SharedTierError, match="on the heap"):
        over.hand_over()
    over.release()
    held.release()
    heap.close()


def test_what_cools_gives_shared_memory_back_and_is_zero(pools: BufferPools) -> None:
    leases = [pools.lease(8192, owner="a") for _ in range(2)]
    for lease in leases:
        lease.view[:] = b"x" * 8192
        lease.release()
    before = os.stat(segment(pools)).st_blocks
    assert pools.cool() == 16384
    assert before - os.stat(segment(pools)).st_blocks == 16384 // 512
    with pools.lease(8192, owner="a") as view:
        assert not any(view)


def test_a_view_that_closes_takes_back_what_travels_and_tells_what_is_open() -> None:
    resources = ResourceManager(BufferPools(TIERS, timeout=0.0))
    view = resources.view("t")
    travels, opened = view.lease(1, owner="a").hand_over(), view.lease(1, owner="b").hand_over().open()
    left = view.close()
    assert [record.owner for record in left.leases] == ["a", "b"]
    assert [record.owner for record in left.in_use] == ["b"]
    with pytest.raises(LeaseReleasedError):
        travels.open()
    opened.release()
    assert resources.statistics()[0].busy == 0
    resources.pools.close()


def in_child(work: Any) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_in_a_forked_child_it_lends_nothing_and_leaves_all_to_the_parent(pools: BufferPools) -> None:
    lease = pools.lease(5, owner="a")
    lease.view[:] = b"bytes"

    def work() -> None:
        for size in (1, 5):
            with pytest.raises(SharedTierError, match="in a forked child it lends nothing"):
                pools.lease(size, owner="b")
        with pytest.raises(LeaseReleasedError):
            lease.release()
        pools.lease(16384, owner="b").release()
        with pytest.raises(LeaseInUseError):
            pools.close()  # the view is here still
        lease.lent.view.release()
        pools.close()

    in_child(work)
    assert bytes(lease.view) == b"bytes"
    assert os.path.exists(segment(pools))
    lease.release()


def test_what_was_opened_before_a_fork_is_the_parents(pools: BufferPools) -> None:
    lease = pools.lease(5, owner="a").hand_over().open()
    in_child(lease.release)
    assert busy(pools) == 1
    lease.release()
    assert busy(pools) == 0


FORGETS = """
    import os, sys
    from coresys.resources.pools import BufferPools
    from coresys.resources.tiers import Tier
    pools = BufferPools((Tier("shared", 4096, 2, shared=True),))
    lease = pools.lease(10, owner="a")
    lease.view[:] = b"x" * 10
    print(pools._slabs[0].name, flush=True)
    how = sys.argv[1]
    if how == "child":
        import multiprocessing
        token = lease.hand_over()
        def work():
            with token.open() as view:
                view[0] = 1
        for method in ("fork",):
            child = multiprocessing.get_context(method).Process(target=work)
            child.start(); child.join()
            assert child.exitcode == 0
        assert pools.statistics()[0].busy == 0
    if how == "killed":
        os.kill(os.getpid(), 9)
    if how == "closed":
        lease.release()
        pools.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["forgotten", "closed", "child", "killed"])
def test_a_segment_is_removed_once_however_its_process_ends(how: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORGETS), how], capture_output=True, text=True, timeout=60
    )
    assert not os.path.exists(f"/dev/shm{ended.stdout.strip()}"), "the tracker has the pipe, and so was waited for"
    assert ended.returncode == (-9 if how == "killed" else 0)
    if how == "killed":
        assert "leaked shared_memory" in ended.stderr
    else:
        assert ended.stderr == ""
