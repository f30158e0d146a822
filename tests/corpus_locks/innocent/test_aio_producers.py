"""Producers and consumers over a bounded queue of asyncio, ended by cancelling."""
import asyncio


def test_all_get_there():
    async def main():
        jobs, seen = asyncio.Queue(maxsize=2), []

        async def produce(start):
            for number in range(start, start + 20):
                await jobs.put(number)

        async def consume():
            while True:
                seen.append(await jobs.get())
                await asyncio.sleep(0)
                jobs.task_done()

        consumers = [asyncio.create_task(consume()) for _ in range(3)]
        await asyncio.gather(produce(0), produce(20))
        await jobs.join()
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        return seen

    assert sorted(asyncio.run(main())) == list(range(40))
