"""Permits that are not given back."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_three_calls():
    async def main():
        permits = asyncio.Semaphore(2)

        async def call():
            await permits.acquire()  # SITE
            return 1

        return [await call() for _ in range(3)]

    asyncio.run(main())
