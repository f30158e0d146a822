"""Partial functions queued and never run."""
from functools import partial

LEAKS = "memory.growth"
queue = []


def send(to, *, subject):
    return f"{to}: {subject}"


def send_later(to, subject):
    job = partial(send, to, subject=subject)
    queue.append(job)
    return job


def test_send_later():
    assert send_later("a@b.c", "hi")() == "a@b.c: hi"
