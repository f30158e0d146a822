"""A future that was handed out, and whose request was dropped."""
from concurrent.futures import Future

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


class Broker:
    def __init__(self):
        self.waiting = {}

    def ask(self, number):
        self.waiting[number] = Future()
        return self.waiting[number]

    def answer(self, number, text):
        self.waiting.get(number, Future()).set_result(text)


def test_ask():
    broker = Broker()
    future = broker.ask(1)
    broker.answer(2, "for somebody else")
    assert future.result() == "for somebody else"  # SITE
