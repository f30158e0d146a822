"""A reply is awaited under the lock that whoever answers takes first; here the answer is there before."""
import queue
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"
BECAUSE = "what a producer locks and lets go before it puts is not taken for what its item needs, for it may be past that"


class Client:
    def __init__(self):
        self.lock = threading.Lock()
        self.replies, self.sent = queue.Queue(), 0

    def serve(self):
        with self.lock:  # SITE
            self.sent += 1
        self.replies.put("pong")

    def ask(self):
        with self.lock:  # SITE
            return self.replies.get()  # SITE


def test_ask():
    client = Client()
    server = threading.Thread(target=client.serve)
    server.start()
    server.join()
    assert client.ask() == "pong"
