"""Philosophers who take their forks in a circle, of whom a semaphore lets one fewer sit down than there are."""
import asyncio
import threading


def test_threads():
    waiter = threading.Semaphore(2)
    forks = [threading.Lock() for _ in range(3)]
    eaten = []

    def philosopher(number):
        for _ in range(5):
            with waiter, forks[number], forks[(number + 1) % 3]:
                eaten.append(number)

    threads = [threading.Thread(target=philosopher, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(eaten) == 15


def test_tasks():
    async def main():
        waiter = asyncio.BoundedSemaphore(4)
        forks = [asyncio.Lock() for _ in range(5)]
        eaten = []

        async def philosopher(number):
            async with waiter, forks[number], forks[(number + 1) % 5]:
                await asyncio.sleep(0)
                eaten.append(number)

        await asyncio.gather(*(philosopher(number) for number in range(5)))
        return len(eaten)

    assert asyncio.run(main()) == 5
