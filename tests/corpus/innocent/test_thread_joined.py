"""A thread, started and joined."""
import threading


def test_thread():
    out = []
    t = threading.Thread(target=out.extend, args=([1, 2],))
    t.start()
    t.join()
    assert out == [1, 2]
