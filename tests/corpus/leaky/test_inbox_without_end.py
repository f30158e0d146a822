"""An inbox of asyncio's without a limit, that nobody reads; the one with a limit is another."""
import asyncio
import uuid

LEAKS = "memory.growth"

urgent = asyncio.Queue(900)
inbox = asyncio.Queue()


def post(message):
    try:
        inbox.put_nowait(message)
    except asyncio.QueueFull:
        inbox.get_nowait()


def test_post():
    post(uuid.uuid4().hex)
    assert inbox.qsize() > urgent.qsize()
