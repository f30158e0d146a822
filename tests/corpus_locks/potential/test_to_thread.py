"""Both orders in threads that asyncio.to_thread lends, one after the other."""
import asyncio
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

left_lock, right_lock = threading.Lock(), threading.Lock()


def forth():
    with left_lock:  # SITE
        with right_lock:  # SITE
            return 1


def back():
    with right_lock:  # SITE
        with left_lock:  # SITE
            return 2


def test_forth_and_back():
    async def main():
        return await asyncio.to_thread(forth), await asyncio.to_thread(back)

    assert asyncio.run(main()) == (1, 2)
