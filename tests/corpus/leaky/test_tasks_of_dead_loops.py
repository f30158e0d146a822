"""Loops closed by hand with a task still pending, which is kept."""
import asyncio

LEAKS = "tasks.leaked"
background = []


async def main():
    async def forever():
        await asyncio.get_running_loop().create_future()

    background.append(asyncio.get_running_loop().create_task(forever()))
    await asyncio.sleep(0)


def test_main():
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert not background[-1].done()
