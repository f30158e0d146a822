"""A task group whose tasks wait for one another in one direction."""
import asyncio

SINCE = (3, 11)


def test_group():
    async def main():
        ready, log = asyncio.Event(), []

        async def first():
            log.append("first")
            ready.set()

        async def second():
            await ready.wait()
            log.append("second")

        async with asyncio.TaskGroup() as group:
            group.create_task(second())
            group.create_task(first())
        return log

    assert asyncio.run(main()) == ["first", "second"]
