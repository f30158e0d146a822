"""Parents before children, all of one class and one line."""
import threading


class Folder:
    def __init__(self):
        self.lock, self.folders, self.size = threading.Lock(), [], 1

    def total(self):
        with self.lock:
            return self.size + sum(folder.total() for folder in self.folders)


def test_total():
    root = Folder()
    for _ in range(3):
        child = Folder()
        child.folders = [Folder(), Folder()]
        root.folders.append(child)
    totals = []
    threads = [threading.Thread(target=lambda: totals.append(root.total())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [10] * 4
