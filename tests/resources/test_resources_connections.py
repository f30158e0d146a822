"""Connections: never more than there may be, in turn, checked, and never lost or lent twice."""

from __future__ import annotations

import asyncio
import doctest
import gc
import os
import pickle
import random
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting, untraced
from storms import no_threads_left, stormy

from coresys.errors.hierarchy import (
    ConnectionLimitError,
    ConnectionReleasedError,
    ConnectionsClosedError,
    ConnectionsExhaustedError,
    ReentrantCallError,
    ResourcesNotClosedError,
)
from coresys.resources import connections
from coresys.resources.connections import Checkout, ConnectionPool
from coresys.testing.fakes import FakeClock

__all__ = ["no_threads_left", "stormy"]  # fixtures


class Connection:
    """One to a server that there is not."""

    def __init__(self, server: Server, number: int) -> None:
        self.server, self.number, self.alive, self.closed, self.used = server, number, True, 0, 0

    def close(self) -> None:
        self.closed += 1
        self.server.open.discard(self)
        if self.server.close_fails:
            raise OSError("it does not close")

    def healthy(self) -> bool:
        self.server.checks += 1
        return self.alive


class Server:
    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.open: set[Connection] = set()
        self.most_open, self.checks, self.close_fails, self.refuses = 0, 0, False, False

    def connect(self) -> Connection:
        if self.refuses:
            raise ConnectionRefusedError("nobody listens")
        made = Connection(self, len(self.made))
        self.made.append(made)
        self.open.add(made)
        self.most_open = max(self.most_open, len(self.open))
        return made


def pool_of(server: Server, **given: Any) -> ConnectionPool[Connection]:
    chosen: dict[str, Any] = {"close": Connection.close, "most": 2, "timeout": 0.0, **given}
    return ConnectionPool("db", server.connect, **chosen)


@pytest.fixture
def server() -> Server:
    return Server()


def test_one_is_made_when_it_is_needed_and_used_again(server: Server) -> None:
    pool = pool_of(server)
    assert server.made == []
    with pool.acquire(owner="a") as first:
        pass
    with pool.acquire(owner="b") as second:
        assert second is first
    figures = pool.statistics()
    assert (figures.made, figures.idle, figures.busy, figures.open, figures.checkouts) == (1, 1, 0, 1, 2)


def test_no_more_are_open_than_there_may_be_and_who_has_them_is_told(server: Server) -> None:
    clock = FakeClock()
    pool = pool_of(server, now=clock.now)
    first = pool.acquire(owner="a")
    line = sys._getframe().f_lineno - 1
    clock.advance(3)
    second = pool.acquire(owner="a")
    with pytest.raises(
        ConnectionsExhaustedError,
        match=rf"no connection of pool 'db' was free for 'b' within 0 s: of 2, held by 'a' 2; one is out for 3 s, "
        rf"taken at .*test_resources_connections.py:{line}$",
    ) as refused:
        pool.acquire(owner="b")
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), again.holders, again.oldest_age) == (str(refused.value), (("a", 2),), 3.0)
    record = first.record
    assert (record.owner, record.pool, record.seconds, str(record.where)) == ("a", "db", 3.0, f"{__file__}:{line}")
    assert [each.number for each in pool.checkouts("a")] == [1, 2]
    assert pool.checkouts("b") == ()
    first.release()
    second.release()
    assert pool.statistics().refused == 1


def test_an_owner_may_hold_so_many(server: Server) -> None:
    pool = pool_of(server, per_owner=1)
    with pool.acquire(owner="a"):
        with pytest.raises(ConnectionLimitError, match="'a' holds 1 of the 1 connections of pool 'db'"):
            pool.acquire(owner="a")
        pool.acquire(owner="b").release()
    pool.acquire(owner="a").release()


def test_what_was_given_back_is_used_by_nobody(server: Server) -> None:
    checkout = pool_of(server).acquire(owner="a")
    checkout.release()
    for use in (checkout.release, checkout.discard, lambda: checkout.connection, checkout.__enter__):
        with pytest.raises(ConnectionReleasedError, match=r"of pool 'db' that 'a' had .* has been released"):
            use()
    assert repr(checkout) == "<Checkout of 'db': released>"


# -- broken, and too old ---------------------------------------------------------------------------------------------


def test_a_broken_one_is_found_when_it_is_taken_and_another_is_had(server: Server) -> None:
    pool = pool_of(server, healthy=Connection.healthy)
    pool.acquire(owner="a").release()
    server.made[0].alive = False
    with pool.acquire(owner="a") as connection:
        assert connection is not server.made[0]
    assert (server.made[0].closed, pool.statistics().broken) == (1, 1)


def test_one_that_was_used_a_moment_ago_is_not_asked(server: Server) -> None:
    clock = FakeClock()
    pool = pool_of(server, healthy=Connection.healthy, check_after=5.0, now=clock.now)
    for seconds, checks in ((0, 0), (4, 0), (5, 1), (1, 1)):
        clock.advance(seconds)
        pool.acquire(owner="a").release()
        assert server.checks == checks


def test_a_check_that_raises_tells_that_it_is_broken(server: Server) -> None:
    def fails(connection: Connection) -> bool:
        raise OSError("gone")

    pool = pool_of(server, healthy=fails)
    pool.acquire(owner="a").release()
    pool.acquire(owner="a").release()
    assert (len(server.made), pool.statistics().broken) == (2, 1)


@pytest.mark.parametrize(
    ("error", "closed"), [(ValueError, 0), (ConnectionResetError, 1), (TimeoutError, 1), (KeyboardInterrupt, 1)]
)
def test_an_error_that_tells_of_a_broken_one_closes_it(server: Server, error: type[BaseException], closed: int) -> None:
    pool = pool_of(server)
    with pytest.raises(error), pool.acquire(owner="a"):
        raise error
    assert (server.made[0].closed, pool.statistics().broken) == (closed, closed)
    assert pool.statistics().busy == 0


def test_one_that_cannot_be_reset_is_closed(server: Server) -> None:
    def reset(connection: Connection) -> None:
        connection.used += 1
        if connection.used == 2:
            raise sqlite3.OperationalError("no rollback")

    pool = pool_of(server, reset=reset)
    for _ in range(2):
        pool.acquire(owner="a").release()
    assert (server.made[0].closed, pool.statistics().broken, pool.statistics().open) == (1, 1, 0)


def test_what_is_too_old_or_idle_for_too_long_is_closed(server: Server) -> None:
    clock = FakeClock()
    pool = pool_of(server, lifetime=100.0, most_idle_time=10.0, now=clock.now)
    pool.acquire(owner="a").release()
    clock.advance(10)
    pool.acquire(owner="a").release()
    assert (len(server.made), server.made[0].closed) == (2, 1)
    checkout = pool.acquire(owner="a")
    clock.advance(100)
    checkout.release()
    assert (server.made[1].closed, pool.statistics().expired, pool.statistics().broken) == (1, 2, 0)


def test_a_check_by_call_closes_what_is_broken_or_expired(server: Server) -> None:
    clock = FakeClock()
    pool = pool_of(server, most=4, healthy=Connection.healthy, most_idle_time=60.0, now=clock.now)
    for checkout in [pool.acquire(owner="a") for _ in range(4)]:
        checkout.release()
    server.made[1].alive = False
    assert pool.check() == 1
    assert [each.closed for each in server.made] == [0, 1, 0, 0]
    clock.advance(60)
    assert pool.check() == 3
    assert (pool.statistics().open, server.open) == (0, set())


def test_only_so_many_stay_idle(server: Server) -> None:
    pool = pool_of(server, most=3, most_idle=1)
    for checkout in [pool.acquire(owner="a") for _ in range(3)]:
        checkout.release()
    figures = pool.statistics()
    assert (figures.idle, figures.open, figures.broken, figures.expired) == (1, 1, 0, 0)


def test_where_none_can_be_made_the_place_is_free_again(server: Server) -> None:
    pool = pool_of(server)
    server.refuses = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            pool.acquire(owner="a")
    assert (pool.statistics().failed, pool.statistics().open) == (3, 0)
    server.refuses = False
    pool.acquire(owner="a").release()


# -- in turn ---------------------------------------------------------------------------------------------------------


def waits(pool: ConnectionPool[Connection], order: list[str], owner: str, line: int) -> threading.Thread:
    def run() -> None:
        try:
            with pool.acquire(owner=owner, timeout=30):
                order.append(owner)
        except ConnectionsClosedError:
            order.append(f"{owner}: closed")

    thread = threading.Thread(target=run)
    thread.start()
    while len(pool._waiting) < line:
        pass
    return thread


def test_who_came_first_is_served_first(server: Server) -> None:
    pool, order = pool_of(server, most=1), list[str]()
    checkout = pool.acquire(owner="a")
    threads = [waits(pool, order, name, at) for at, name in enumerate("bcdef", 1)]
    checkout.release()
    for thread in threads:
        thread.join()
    assert order == list("bcdef")
    assert len(server.made) == 1


def test_who_waits_gets_the_place_of_one_that_broke(server: Server) -> None:
    pool, order = pool_of(server, most=1), list[str]()
    checkout = pool.acquire(owner="a")
    thread = waits(pool, order, "b", 1)
    checkout.discard()
    thread.join()
    assert (order, len(server.made), server.most_open) == (["b"], 2, 1)


def test_who_waits_gets_the_place_of_one_that_could_not_be_made(server: Server) -> None:
    order: list[str] = []
    pool: ConnectionPool[Connection]

    def connect() -> Connection:
        if not order:
            threads.append(waits(pool, order, "b", 1))
            order.append("failed")
            raise ConnectionRefusedError
        return server.connect()

    threads: list[threading.Thread] = []
    pool = ConnectionPool("db", connect, close=Connection.close, most=1)
    with pytest.raises(ConnectionRefusedError):
        pool.acquire(owner="a")
    threads[0].join()
    assert order == ["failed", "b"]


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_eight_threads_never_have_one_at_once_nor_more_than_there_may_be(server: Server) -> None:
    pool = pool_of(server, most=3, timeout=60.0, healthy=Connection.healthy, reset=lambda connection: None)
    wrong: list[str] = []

    def work(name: str) -> None:
        chosen = random.Random(name)
        for _ in range(300):
            checkout = pool.acquire(owner=name)
            connection = checkout.connection
            connection.used += 1
            if connection.used != 1 or connection.closed:
                wrong.append(f"{name} has one of another")
            connection.used -= 1
            kind = chosen.random()
            if kind < 0.1:
                connection.alive = False
            if kind < 0.2:
                checkout.discard()
            elif kind < 0.25:
                del checkout  # lost
            else:
                checkout.release()

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    figures = pool.statistics()
    assert (figures.busy, figures.waiting, figures.checkouts) == (0, 0, 2400)
    assert figures.open == figures.idle == len(server.open)
    assert server.most_open <= 3
    assert figures.leaked == len(pool.leaked()) > 0
    pool.close()
    assert server.open == set()
    assert all(each.closed == 1 for each in server.made)


# -- lost ------------------------------------------------------------------------------------------------------------


def test_one_that_was_lost_is_told_with_its_place_and_closed(server: Server) -> None:
    told: list[Any] = []
    pool = pool_of(server, most=1, on_leak=told.append)
    pool.acquire(owner="a")
    line = sys._getframe().f_lineno - 1
    gc.collect()
    pool.acquire(owner="b").release()
    (record,) = pool.leaked()
    assert (record.owner, str(record.where), told) == ("a", f"{__file__}:{line}", [record])
    assert (server.made[0].closed, pool.statistics().leaked, pool.statistics().broken) == (1, 1, 0)


def test_all_of_an_owner_are_closed_under_it(server: Server) -> None:
    pool = pool_of(server)
    checkout, other = pool.acquire(owner="a"), pool.acquire(owner="b")
    assert pool.release_owner("a") == 1
    assert [each.closed for each in server.made] == [1, 0]
    with pytest.raises(ConnectionReleasedError):
        checkout.release()
    other.release()


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_closed_pool_lends_nothing_and_closes_what_comes_back(server: Server) -> None:
    pool, order = pool_of(server), list[str]()
    checkout, idle = pool.acquire(owner="a"), pool.acquire(owner="a")
    idle.release()
    third = pool.acquire(owner="a")
    thread = waits(pool, order, "b", 1)
    assert [record.owner for record in pool.close()] == ["a", "a"]
    thread.join()
    assert order == ["b: closed"]
    with pytest.raises(ConnectionsClosedError, match="'c' asked for a connection, but pool 'db' has been closed"):
        pool.acquire(owner="c")
    checkout.release()
    third.release()
    assert (server.open, pool.close(), pool.statistics().open) == (set(), (), 0)
    assert "closed" in repr(pool)


def test_what_does_not_close_is_told_in_the_end(server: Server) -> None:
    server.close_fails = True
    pool = pool_of(server)
    pool.acquire(owner="a").release()
    with pytest.raises(ResourcesNotClosedError, match="1 of 1 resources of 'db' failed to close: db: OSError: it does"):
        pool.close()
    assert pool.close() == ()


def test_a_pool_of_nothing_is_refused(server: Server) -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        pool_of(server, most=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_in_a_forked_child_no_connection_of_the_parent_is_used_or_closed(server: Server) -> None:
    pool = pool_of(server)
    idle, out = pool.acquire(owner="a"), pool.acquire(owner="a")
    idle.release()
    pool._lock.acquire()  # as if another thread were inside
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with pool.acquire(owner="b") as mine:
                fresh = mine.number == 2
            out.release()
            pool.close()
            gc.collect()
            status = 0 if fresh and [each.closed for each in server.made] == [0, 0, 1] else 2
        finally:
            os._exit(status)
    pool._lock.release()
    assert os.waitpid(pid, 0)[1] == 0
    out.release()
    assert pool.statistics().idle == 2
    pool.close()


# -- interruptions ---------------------------------------------------------------------------------------------------

FILES = {connections.__file__}
WORK = ["acquire new", "acquire idle", "acquire broken", "release", "discard", "reset", "check", "close"]


def prepared(what: str, server: Server) -> tuple[ConnectionPool[Connection], Callable[[], object], list[Any]]:
    reset = (lambda connection: None) if what == "reset" else None
    pool = pool_of(server, most=4, healthy=Connection.healthy, reset=reset)
    kept: list[Any] = [pool.acquire(owner="handler"), pool.acquire(owner="a"), pool.acquire(owner="a")]
    if what in ("acquire idle", "acquire broken", "check", "close"):
        kept.pop().release()
        server.made[2].alive = what == "acquire idle"
    checkout: Checkout[Connection] = kept[-1]
    work: dict[str, Callable[[], object]] = {
        "release": checkout.release,
        "reset": checkout.release,
        "discard": checkout.discard,
        "check": pool.check,
        "close": pool.close,
    }
    return pool, work.get(what, lambda: kept.append(pool.acquire(owner="a"))), kept


@pytest.fixture
def light_heap() -> Iterator[None]:
    """What is there already is not looked through each time that garbage is collected."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@NOT_TRACED
@pytest.mark.usefixtures("light_heap")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a with statement of 3.10 may be interrupted before its block")
@pytest.mark.parametrize("what", WORK)
def test_an_interruption_at_any_place_loses_no_place_and_lends_nothing_twice(what: str) -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        server = Server()
        pool, work, kept = prepared(what, server)
        hitting = Hitting(FILES, at, same_handler=True)
        there_are_more = hitting.watching(work)
        where = f"{what}, {hitting.where}"
        assert pool._lock.acquire(timeout=1), where
        pool._lock.release()
        del work
        kept.clear()
        gc.collect()
        figures = pool.statistics()
        assert (figures.busy, figures.open) == (0, figures.idle), where
        assert not any(each.closed for each in (held.it for held in pool._idle)), where
        assert len({id(held) for held in pool._idle}) == len(pool._idle), where
        if what != "close":
            checkouts = [pool.acquire(owner="b") for _ in range(4)]
            assert len({id(each.connection) for each in checkouts}) == 4, where
            for each in checkouts:
                each.release()
        assert all(each.closed <= 1 for each in server.made), where
    assert at > 5


@NOT_TRACED
@pytest.mark.parametrize("what", WORK)
def test_a_handler_of_a_signal_never_waits_for_the_thread_that_it_interrupts(what: str) -> None:
    at, there_are_more, refused = 0, True, 0
    while there_are_more:
        at += 1
        server = Server()
        pool, work, kept = prepared(what, server)
        mine, said = [kept.pop(0)], list[str]()

        def come_in(pool: ConnectionPool[Connection] = pool, mine: list[Any] = mine, said: list[str] = said) -> None:
            mine.pop().release()
            try:
                pool.acquire(owner="handler").release()
                pool.check()
            except ReentrantCallError as error:
                said.append(error.action)
            except (ConnectionsClosedError, ConnectionsExhaustedError):
                pass

        hitting = Hitting(FILES, at, untraced(come_in))
        there_are_more = hitting.watching(work)
        refused += len(said)
        where = f"{what}, {hitting.where}"
        del work
        for each in (*kept, *mine):
            if each.number:
                each.release()
        figures = pool.statistics()
        assert (figures.busy, figures.open) == (0, figures.idle), where
        assert all(each.closed <= 1 for each in server.made), where
        pool.close()
        assert server.open == set(), where
    assert refused > 3


# -- in a loop -------------------------------------------------------------------------------------------------------


def test_tasks_wait_in_turn_while_the_loop_goes_on(server: Server) -> None:
    pool, order = pool_of(server, most=1, timeout=30.0, healthy=Connection.healthy), list[str]()

    async def use(name: str) -> None:
        async with pool.acquire_async(owner=name) as connection:
            order.append(f"{name} {connection.number}")
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(use(name) for name in "abc"))

    asyncio.run(all_of_them())
    assert order == ["a 0", "b 0", "c 0"]
    assert (pool.statistics().busy, pool.statistics().open) == (0, 1)


def test_the_place_of_an_async_checkout_is_that_of_its_block(server: Server) -> None:
    pool = pool_of(server)

    async def use() -> None:
        async with pool.acquire_async(owner="a"):
            (record,) = pool.checkouts()
            assert str(record.where) == f"{__file__}:{sys._getframe().f_lineno - 2}"

    asyncio.run(use())


def test_a_task_that_waits_in_vain_or_is_cancelled_leaves_nothing(server: Server) -> None:
    pool = pool_of(server, most=1)

    async def use(timeout: float) -> None:
        async with pool.acquire_async(owner="b", timeout=timeout):
            raise AssertionError("there is none")

    async def main() -> None:
        checkout = pool.acquire(owner="a")
        with pytest.raises(ConnectionsExhaustedError):
            await use(0.001)
        task = asyncio.ensure_future(use(30))
        while not pool._waiting:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.statistics().waiting == 0
        checkout.release()
        assert (pool.statistics().idle, pool.statistics().busy) == (1, 0)

    asyncio.run(main())


def test_a_task_that_is_cancelled_as_it_is_served_gives_its_place_on(server: Server) -> None:
    pool = pool_of(server, most=1)

    async def use() -> None:
        async with pool.acquire_async(owner="b", timeout=30):
            raise AssertionError("it was cancelled")

    async def main() -> None:
        checkout = pool.acquire(owner="a")
        task = asyncio.ensure_future(use())
        while not pool._waiting:
            await asyncio.sleep(0)
        checkout.release()  # it is served
        task.cancel()  # before it runs
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (pool.statistics().idle, pool.statistics().open) == (1, 1)

    asyncio.run(main())


def test_what_is_made_for_a_task_that_was_cancelled_meanwhile_is_not_lost(server: Server) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def connect() -> Connection:
        begun.set()
        assert go_on.wait(30)
        return server.connect()

    pool = ConnectionPool("db", connect, close=Connection.close, most=1)

    async def use() -> None:
        async with pool.acquire_async(owner="b"):
            raise AssertionError("it was cancelled")

    async def main() -> None:
        task = asyncio.ensure_future(use())
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        while pool.statistics().idle != 1:
            await asyncio.sleep(0)
        assert (pool.statistics().busy, pool.statistics().open) == (0, 1)

    asyncio.run(main())


@pytest.mark.parametrize(("error", "closed"), [(ValueError, 0), (ConnectionResetError, 1)])
def test_an_error_in_a_block_of_a_task_closes_a_broken_one(server: Server, error: type[Exception], closed: int) -> None:
    pool = pool_of(server)

    async def use() -> None:
        async with pool.acquire_async(owner="a"):
            raise error

    with pytest.raises(error):
        asyncio.run(use())
    assert (server.made[0].closed, pool.statistics().busy) == (closed, 0)


def test_the_example_runs() -> None:
    result = doctest.testmod(connections, extraglobs={"sqlite3": sqlite3})
    assert (result.attempted, result.failed) == (4, 0)
