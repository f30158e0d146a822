"""Three locks of asyncio in a ring, over tasks that never meet."""
import asyncio

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "asyncio"


async def use(first, second):
    async with first:  # SITE
        await asyncio.sleep(0)
        async with second:  # SITE
            return 1


def test_ring():
    async def main():
        a, b, c = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        return [await asyncio.create_task(use(*pair)) for pair in ((a, b), (b, c), (c, a))]

    assert asyncio.run(main()) == [1, 1, 1]
