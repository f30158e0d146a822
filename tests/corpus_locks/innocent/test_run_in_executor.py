"""Blocking work in an executor, awaited by the loop, with two locks in one order."""
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor


def test_executor():
    a, b, log = threading.Lock(), threading.Lock(), []

    def work(number):
        with a, b:
            log.append(number)
        return number

    async def main():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(3) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, work, number) for number in range(6)))

    assert asyncio.run(main()) == list(range(6))
    assert sorted(log) == list(range(6))
