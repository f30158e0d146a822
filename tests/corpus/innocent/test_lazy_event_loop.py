"""A module-wide event loop made on first use and used again."""
import asyncio

_loop = None


def run(coro):
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
    return _loop.run_until_complete(coro)


async def work():
    parts = await asyncio.gather(*(asyncio.sleep(0, n) for n in range(5)))
    return sum(parts)


def test_work():
    assert run(work()) == 10
