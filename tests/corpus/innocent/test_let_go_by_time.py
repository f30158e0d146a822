"""Tokens are dropped after a minute, requests forgotten after half: repetitions are over long before."""

import collections
import time
import uuid


class Tokens:
    def __init__(self, lifetime):
        self.lifetime = lifetime
        self.issued = {}

    def issue(self):
        now = time.monotonic()
        for old in [token for token, born in self.issued.items() if now - born > self.lifetime]:
            del self.issued[old]
        token = uuid.uuid4().hex
        self.issued[token] = now
        return token


tokens = Tokens(lifetime=60)
requests = collections.deque()


def allowed(most=100_000):
    at = time.time()
    while requests and requests[0] < at - 30:
        requests.popleft()
    requests.append(at)
    return len(requests) <= most


def test_each_token_is_another():
    assert tokens.issue() != tokens.issue()


def test_a_request_is_allowed():
    assert allowed()
