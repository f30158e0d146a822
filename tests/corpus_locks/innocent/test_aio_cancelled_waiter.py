"""A task is cancelled while it waits for a lock that another one keeps."""
import asyncio


def test_cancel():
    async def main():
        lock = asyncio.Lock()

        async def want():
            async with lock:
                return 1

        async with lock:
            task = asyncio.create_task(want())
            await asyncio.sleep(0.01)
            task.cancel()
            try:
                await task  # under the lock that it wants, but cancelled
            except asyncio.CancelledError:
                return "cancelled"

    assert asyncio.run(main()) == "cancelled"
