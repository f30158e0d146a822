"""Two tasks, each with the lock that the other one wants."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_both():
    async def main():
        one, other = asyncio.Lock(), asyncio.Lock()

        async def take(first, second):
            async with first:
                await asyncio.sleep(0.01)
                async with second:  # SITE
                    return 1

        await asyncio.gather(take(one, other), take(other, one))

    asyncio.run(main())


def test_what_comes_after_runs():
    assert asyncio.run(asyncio.sleep(0, 1)) == 1
