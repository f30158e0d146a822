"""asyncio.to_thread with a lock that the coroutine takes as well, never across an await."""
import asyncio
import threading


def test_both():
    lock, log = threading.Lock(), []

    def work(number):
        with lock:
            log.append(number)

    async def main():
        tasks = [asyncio.to_thread(work, number) for number in range(5)]
        with lock:
            log.append("main")
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert len(log) == 6
