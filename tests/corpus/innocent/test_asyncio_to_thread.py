"""asyncio.to_thread: the loop's own executor ends with the loop."""
import asyncio


async def main():
    return await asyncio.gather(*(asyncio.to_thread(pow, n, 2) for n in range(4)))


def test_squares():
    assert asyncio.run(main()) == [0, 1, 4, 9]
