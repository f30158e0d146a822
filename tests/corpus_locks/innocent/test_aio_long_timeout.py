"""Nothing happens for longer than a deadlock would take to be called one, and then a timer fires."""
import asyncio


def test_timer():
    async def main():
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(5.5, done.set_result, 1)
        return await done

    assert asyncio.run(main()) == 1
