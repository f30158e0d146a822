"""Many coroutines through one lock of asyncio, and two locks in one order."""
import asyncio


def test_gather():
    async def main():
        one, other, log = asyncio.Lock(), asyncio.Lock(), []

        async def work(number):
            async with one:
                await asyncio.sleep(0)
                async with other:
                    log.append(number)

        await asyncio.gather(*(work(number) for number in range(10)))
        return log

    assert sorted(asyncio.run(main())) == list(range(10))
