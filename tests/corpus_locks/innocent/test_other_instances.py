"""Both orders, but never of the same two locks: the one pair is of parents, the other of children."""
import threading


class Pair:
    def __init__(self):
        self.front, self.back = threading.Lock(), threading.Lock()

    def forwards(self):
        with self.front:
            with self.back:
                return "forwards"

    def backwards(self):
        with self.back:
            with self.front:
                return "backwards"


def test_each_pair_has_its_order():
    one, other = Pair(), Pair()
    said = []
    threads = [threading.Thread(target=lambda work=work: said.append(work())) for work in (one.forwards, other.backwards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["backwards", "forwards"]
