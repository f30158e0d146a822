"""A bounded history of 50 events."""
from collections import deque

history = deque(maxlen=50)


def record(**event):
    history.append(event)


def test_record():
    record(kind="login", user="ann" * 30)
    assert history[-1]["kind"] == "login"
