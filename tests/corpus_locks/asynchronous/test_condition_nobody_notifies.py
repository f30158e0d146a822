"""A notification that came before the wait."""
import asyncio

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "asyncio"


def test_notified():
    async def main():
        changed = asyncio.Condition()
        async with changed:
            changed.notify_all()
        async with changed:
            await changed.wait()  # SITE

    asyncio.run(main())
