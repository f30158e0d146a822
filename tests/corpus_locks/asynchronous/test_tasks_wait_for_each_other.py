"""A task waits for a task that waits for it."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_both():
    async def main():
        tasks = []

        async def follow(other):
            await asyncio.sleep(0)
            while True:
                done, _ = await asyncio.wait([tasks[other]])  # SITE
                return done

        tasks += [asyncio.create_task(follow(1)), asyncio.create_task(follow(0))]
        await tasks[0]

    asyncio.run(main())
