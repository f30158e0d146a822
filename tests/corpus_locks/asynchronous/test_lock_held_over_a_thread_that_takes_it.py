"""A lock of threads, held over the await of a thread of the loop's pool that takes it."""
import asyncio
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_held_over_to_thread():
    lock = threading.Lock()

    def work():
        with lock:  # SITE
            return 1

    async def main():
        with lock:  # SITE
            return await asyncio.to_thread(work)  # SITE

    asyncio.run(main())


def test_what_comes_after_runs():
    assert asyncio.run(asyncio.sleep(0, 1)) == 1
