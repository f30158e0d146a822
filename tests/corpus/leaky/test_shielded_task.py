"""wait_for gives up on a shielded task; the task stays behind."""
import asyncio

LEAKS = "tasks.leaked"
_loop = None


def run(coro):
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
    return _loop.run_until_complete(coro)


async def slow_query():
    await asyncio.Event().wait()


in_flight = set()


async def query_with_timeout():
    task = asyncio.ensure_future(slow_query())
    in_flight.add(task)
    try:
        await asyncio.wait_for(asyncio.shield(task), 0.001)
    except asyncio.TimeoutError:
        return "timeout"


def test_times_out():
    assert run(query_with_timeout()) == "timeout"
