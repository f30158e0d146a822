"""All is taken out, and nothing is said to be done."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_join():
    async def main():
        jobs = asyncio.Queue()
        await jobs.put(1)
        await jobs.get()
        await jobs.join()  # SITE

    asyncio.run(main())
