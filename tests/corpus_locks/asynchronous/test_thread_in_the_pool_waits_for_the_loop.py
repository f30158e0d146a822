"""A thread of the loop's pool waits for a coroutine of the loop, which waits for that thread without awaiting."""
import asyncio
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_both_wait():
    async def main():
        loop = asyncio.get_running_loop()

        def in_thread():
            return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 1), loop).result()  # SITE

        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(in_thread).result()  # SITE
        finally:
            pool.shutdown(wait=False)

    asyncio.run(main())
