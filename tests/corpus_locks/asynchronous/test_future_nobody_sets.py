"""A future that was handed out and forgotten."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_reply():
    async def main():
        reply = asyncio.get_running_loop().create_future()
        return await reply  # SITE

    asyncio.run(main())
