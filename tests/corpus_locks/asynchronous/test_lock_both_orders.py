"""Two coroutines that take two locks of asyncio in both orders, one after the other."""
import asyncio

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "asyncio"


async def move(source, target, log):
    async with source:  # SITE
        async with target:  # SITE
            log.append("moved")


def test_there_and_back():
    async def main():
        one, other, log = asyncio.Lock(), asyncio.Lock(), []
        await move(one, other, log)
        await move(other, one, log)
        return log

    assert asyncio.run(main()) == ["moved", "moved"]
