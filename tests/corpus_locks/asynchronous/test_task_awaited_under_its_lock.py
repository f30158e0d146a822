"""A task is awaited under the lock that it takes; here it is past that."""
import asyncio

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_close():
    async def main():
        lock, log = asyncio.Lock(), []

        async def work():
            async with lock:  # SITE
                log.append("worked")
            await asyncio.sleep(0.05)

        task = asyncio.create_task(work())
        while not log:
            await asyncio.sleep(0)
        async with lock:  # SITE
            await task  # SITE
        return log

    assert asyncio.run(main()) == ["worked"]
