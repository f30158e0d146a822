"""A new event loop per test, never closed: three descriptors each."""
import asyncio

LEAKS = "descriptors.leaked"

loops = []


def run(coro):
    loop = asyncio.new_event_loop()
    loops.append(loop)
    return loop.run_until_complete(coro)


async def answer():
    await asyncio.sleep(0)
    return 42


def test_answer():
    assert run(answer()) == 42
