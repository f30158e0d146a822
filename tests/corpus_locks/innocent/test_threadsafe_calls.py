"""Threads hand coroutines to a loop and wait for them; the loop waits for the threads by awaiting."""
import asyncio
import threading


def test_both_ways():
    lock, log = threading.Lock(), []

    async def note(number):
        with lock:
            log.append(number)
        return number

    def in_thread(loop, number):
        return asyncio.run_coroutine_threadsafe(note(number), loop).result()

    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(asyncio.to_thread(in_thread, loop, number) for number in range(4)))

    assert asyncio.run(main()) == [0, 1, 2, 3]
    assert sorted(log) == [0, 1, 2, 3]
