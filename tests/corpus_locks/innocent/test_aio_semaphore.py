"""A semaphore of three for ten coroutines, and a condition among them."""
import asyncio


def test_ten():
    async def main():
        permits, done = asyncio.Semaphore(3), asyncio.Condition()
        count = 0

        async def work():
            nonlocal count
            async with permits:
                await asyncio.sleep(0.001)
            async with done:
                count += 1
                done.notify_all()

        tasks = [asyncio.create_task(work()) for _ in range(10)]
        async with done:
            await done.wait_for(lambda: count == 10)
        await asyncio.gather(*tasks)
        return count

    assert asyncio.run(main()) == 10
