"""An inbox of asyncio's with 900 places: the oldest message goes where it is full."""
import asyncio
import uuid

inbox = asyncio.Queue(900)


def post(message):
    try:
        inbox.put_nowait(message)
    except asyncio.QueueFull:
        inbox.get_nowait()
        inbox.put_nowait(message)


def test_post():
    post(uuid.uuid4().hex)
    assert inbox.qsize()
