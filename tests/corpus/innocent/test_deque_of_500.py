"""The last 500 requests, for the status page."""
import time
from collections import deque, namedtuple

Request = namedtuple("Request", "at path status")
recent = deque(maxlen=500)


def serve(path):
    recent.append(Request(time.time(), path + "?" + "q" * 40, 200))
    return recent[-1].status


def test_serve():
    assert serve("/search") == 200
