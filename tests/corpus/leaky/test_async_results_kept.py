"""asyncio.run leaves its futures in a module list."""
import asyncio

LEAKS = "memory.growth"

_pending = []


async def fetch(n):
    fut = asyncio.get_running_loop().create_future()
    _pending.append(fut)
    fut.set_result([n] * 100)
    return await fut


def test_fetch():
    assert len(asyncio.run(fetch(3))) == 100
