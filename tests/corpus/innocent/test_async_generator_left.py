"""An async generator left in the middle, inside asyncio.run, which ends it."""
import asyncio


async def ticks():
    n = 0
    while True:
        yield n
        n += 1
        await asyncio.sleep(0)


async def main():
    async for n in ticks():
        if n == 3:
            return n


def test_main():
    assert asyncio.run(main()) == 3
