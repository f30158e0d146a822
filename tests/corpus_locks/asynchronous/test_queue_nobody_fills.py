"""A worker waits for a queue whose producer has ended."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_consume():
    async def main():
        inbox = asyncio.Queue()

        async def produce():
            await inbox.put(1)

        await asyncio.create_task(produce())
        return [await inbox.get() for _ in range(2)]  # SITE

    asyncio.run(main())
