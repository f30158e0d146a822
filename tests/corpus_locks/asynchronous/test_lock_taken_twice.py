"""A lock of asyncio is not re-entrant."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


class Cache:
    def __init__(self):
        self.lock, self.entries = asyncio.Lock(), {}

    async def put(self, key):
        async with self.lock:  # SITE
            self.entries[key] = 1

    async def put_all(self, keys):
        async with self.lock:  # SITE
            for key in keys:
                await self.put(key)


def test_put_all():
    async def main():
        await Cache().put_all("ab")

    asyncio.run(main())
