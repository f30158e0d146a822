"""A background task started on a loop that lives on; nobody cancels it."""
import asyncio

LEAKS = "tasks.leaked"

loop = asyncio.new_event_loop()


async def heartbeat():
    while True:
        await asyncio.sleep(3600)


async def connect():
    asyncio.ensure_future(heartbeat())
    await asyncio.sleep(0)
    return "connected"


def test_connect():
    assert loop.run_until_complete(connect()) == "connected"
