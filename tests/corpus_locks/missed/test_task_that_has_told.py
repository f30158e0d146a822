"""A task is awaited under the lock that it takes; here it is past that."""
import asyncio

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "asyncio"
BECAUSE = "who was told something by a task may know that it is done with the lock"


def test_close():
    async def main():
        lock, log, past = asyncio.Lock(), [], asyncio.Event()

        async def work():
            async with lock:  # SITE
                log.append("worked")
            past.set()

        task = asyncio.create_task(work())
        await past.wait()
        async with lock:  # SITE
            await task  # SITE
        return log

    assert asyncio.run(main()) == ["worked"]
