"""An event whose setter was cancelled."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_ready():
    async def main():
        ready = asyncio.Event()

        async def start():
            await asyncio.sleep(30)
            ready.set()

        task = asyncio.create_task(start())
        await asyncio.sleep(0)
        task.cancel()
        await ready.wait()  # SITE

    asyncio.run(main())
