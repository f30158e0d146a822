"""Two re-entrant locks: re-entry helps one thread, not two."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Node:
    def __init__(self):
        self.lock = threading.RLock()
        self.children, self.total = [], 0

    def add(self, child):
        with self.lock:  # SITE
            self.children.append(child)
            with child.lock:  # SITE
                child.total += 1


class Leaf(Node):
    def __init__(self, parent):
        super().__init__()
        self.parent = parent

    def bump(self):
        with self.lock:  # SITE
            self.total += 1
            with self.parent.lock:  # SITE
                self.parent.total += 1


def test_add_and_bump():
    root = Node()
    leaf = Leaf(root)
    root.add(leaf)
    leaf.bump()
    assert (root.total, leaf.total) == (1, 2)
