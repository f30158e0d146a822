"""Requests by a number of ten bits, which goes round."""

import itertools

ids = itertools.cycle(range(1024))
requests = {}


def send(body):
    number = next(ids)
    requests[number] = {"body": body, "tries": 1}
    return number


def test_a_request_is_kept_by_its_number():
    assert requests[send("ping")]["body"] == "ping"
