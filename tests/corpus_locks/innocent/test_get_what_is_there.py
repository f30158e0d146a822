"""A queue is emptied under a lock that producers take as well, but only after looking that something is there."""
import queue
import threading


class Mailbox:
    def __init__(self):
        self.lock, self.mail = threading.Lock(), queue.Queue()

    def post(self, letter):
        with self.lock:
            self.mail.put(letter)

    def collect(self):
        with self.lock:
            letters = []
            while not self.mail.empty():
                letters.append(self.mail.get())
            return letters


def test_collect():
    mailbox = Mailbox()
    threads = [threading.Thread(target=mailbox.post, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mailbox.collect()) == ["a", "b", "c"]
