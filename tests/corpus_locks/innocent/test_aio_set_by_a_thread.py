"""A future that a thread sets, seconds later, while nothing is scheduled on the loop."""
import asyncio
import threading


def test_thread():
    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        timer = threading.Timer(5.5, loop.call_soon_threadsafe, (done.set_result, 1))
        timer.start()
        return await done

    assert asyncio.run(main()) == 1
