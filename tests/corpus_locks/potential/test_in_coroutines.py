"""Coroutines that take locks of threads: other threads take them as well."""
import asyncio
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

table_lock, index_lock = threading.Lock(), threading.Lock()


async def insert(rows):
    with table_lock:  # SITE
        with index_lock:  # SITE
            rows.append(1)


async def vacuum(rows):
    with index_lock:  # SITE
        with table_lock:  # SITE
            rows.clear()


def test_both_on_one_loop():
    async def main():
        rows = []
        await asyncio.gather(insert(rows), vacuum(rows))
        return rows

    assert asyncio.run(main()) == []
