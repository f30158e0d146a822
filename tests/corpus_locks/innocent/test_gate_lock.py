"""Both orders, always under a third lock."""
import threading


class Tree:
    def __init__(self):
        self.lock = threading.RLock()
        self.left, self.right = threading.Lock(), threading.Lock()
        self.turns = 0

    def rotate_left(self):
        with self.lock, self.left, self.right:
            self.turns -= 1

    def rotate_right(self):
        with self.lock, self.right, self.left:
            self.turns += 1


def test_rotations():
    tree = Tree()
    threads = [threading.Thread(target=work) for work in (tree.rotate_left, tree.rotate_right) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tree.turns == 0
