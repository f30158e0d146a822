"""A lock that is born taken, and let go by whoever has the answer."""
import threading


class Reply:
    def __init__(self):
        self.lock, self.value = threading.Lock(), None
        self.lock.acquire()

    def set(self, value):
        self.value = value
        self.lock.release()

    def get(self):
        with self.lock:
            return self.value


def test_reply():
    for number in range(20):
        reply = Reply()
        thread = threading.Thread(target=reply.set, args=(number,))
        thread.start()
        assert reply.get() == number
        thread.join()
