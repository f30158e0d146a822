"""A child process is awaited under a lock of asyncio, while the others wait for the lock."""
import asyncio
import sys


def test_child():
    async def main():
        lock = asyncio.Lock()

        async def run():
            async with lock:
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
                return await process.wait()

        return await asyncio.gather(run(), run())

    assert asyncio.run(main()) == [0, 0]
