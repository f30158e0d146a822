"""An asyncio loop run in a thread, never stopped."""
import asyncio
import threading

LEAKS = "threads.leaked"


class Bridge:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True, name="bridge").start()

    def call(self, coro):
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result(5)


async def double(x):
    return 2 * x


def test_bridge():
    assert Bridge().call(double(4)) == 8
