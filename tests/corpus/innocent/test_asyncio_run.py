"""asyncio.run whose background tasks are cancelled at the end."""
import asyncio


async def ticker():
    while True:
        await asyncio.sleep(0.001)


async def main():
    background = [asyncio.create_task(ticker()) for _ in range(3)]
    await asyncio.sleep(0.002)
    return len(background)


def test_main():
    assert asyncio.run(main()) == 3
