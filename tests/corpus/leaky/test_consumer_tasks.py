"""Consumers that wait for a queue for ever, on the loop of a module fixture."""
import asyncio

import pytest

LEAKS = "tasks.leaked"


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


consumers = set()


async def start_consumer(queue, out):
    async def consume():
        while True:
            out.append(await queue.get())

    consumers.add(asyncio.create_task(consume(), name="consumer"))


def test_consumes(loop):
    async def scenario():
        queue, out = asyncio.Queue(), []
        await start_consumer(queue, out)
        await queue.put(1)
        for _ in range(3):
            await asyncio.sleep(0)
        return out

    assert loop.run_until_complete(scenario()) == [1]
