"""Waits that would last for ever, but for their timeouts."""
import asyncio


def test_timeouts():
    async def main():
        lock, inbox, event = asyncio.Lock(), asyncio.Queue(), asyncio.Event()
        missed = 0
        async with lock:
            for wait in (lock.acquire, inbox.get, event.wait):
                try:
                    await asyncio.wait_for(wait(), 0.02)
                except asyncio.TimeoutError:
                    missed += 1
        return missed

    assert asyncio.run(main()) == 3
