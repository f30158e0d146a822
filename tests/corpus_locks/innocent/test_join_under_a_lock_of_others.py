"""A thread is joined under a lock that it never takes, by a thread that takes its lock elsewhere."""
import threading


def test_rebuild():
    index_lock, rows_lock, rows = threading.Lock(), threading.Lock(), []

    def load():
        with rows_lock:
            rows.append(1)

    loader = threading.Thread(target=load)
    loader.start()
    with index_lock:
        loader.join()
        with rows_lock:
            assert rows == [1]
