"""Two bounded semaphores of one permit, by hand."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Line:
    def __init__(self):
        self.tx, self.rx = threading.BoundedSemaphore(1), threading.BoundedSemaphore(1)
        self.log = []

    def send(self):
        self.tx.acquire()  # SITE
        self.rx.acquire()  # SITE
        self.log.append("sent")
        self.rx.release()
        self.tx.release()

    def receive(self):
        self.rx.acquire()  # SITE
        self.tx.acquire()  # SITE
        self.log.append("received")
        self.tx.release()
        self.rx.release()


def test_send_and_receive():
    line = Line()
    for work in (line.send, line.receive):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert line.log == ["sent", "received"]
