"""The longest time that a loop was kept, with the name of what kept it; and that nothing stays patched."""

from __future__ import annotations

import asyncio
import time
from asyncio.events import Handle

from coresys.measure.loopwatch import LoopWatch

ORIGINAL = Handle._run


async def blocks() -> None:
    time.sleep(0.03)


async def innocent() -> None:
    await asyncio.sleep(0.001)


async def both() -> None:
    await innocent()
    await asyncio.create_task(blocks())


def test_what_blocked_the_loop_is_named() -> None:
    watch = LoopWatch()
    watch.start()
    asyncio.run(both())
    reading = watch.stop()
    assert reading.value is not None
    assert reading.value >= 0.03
    assert "blocks" in reading.details[0]
    assert (reading.where[0].path, reading.where[0].line) == (__file__, blocks.__code__.co_firstlineno)
    assert Handle._run is ORIGINAL


async def blocks_and_waits() -> None:
    time.sleep(0.03)
    await asyncio.sleep(0.001)


async def outer() -> None:
    await blocks_and_waits()


def test_of_one_that_waits_now_the_place_is_its_own_line_and_not_that_of_asyncio() -> None:
    watch = LoopWatch()
    watch.start()
    asyncio.run(outer())
    reading = watch.stop()
    assert "blocks_and_waits" in reading.details[0]
    assert (reading.where[0].path, reading.where[0].line) == (__file__, blocks_and_waits.__code__.co_firstlineno + 2)


def test_without_a_loop_nothing_was_blocked() -> None:
    watch = LoopWatch()
    watch.start()
    assert watch.stop().value == 0.0


def test_what_others_put_over_it_stays_and_it_becomes_transparent() -> None:
    watch = LoopWatch()
    watch.start()
    ours = Handle._run

    def theirs(handle: Handle) -> None:
        ours(handle)

    Handle._run = theirs  # type: ignore[method-assign, assignment]
    try:
        watch.stop()
        assert Handle._run is theirs
        asyncio.run(blocks())
        assert watch.stop().value == 0.0, "it had stopped"
    finally:
        Handle._run = ORIGINAL  # type: ignore[method-assign]
