"""A daemon thread that ends by itself within 50 ms."""
import threading
import time


def test_background():
    done = threading.Event()

    def work():
        done.set()
        time.sleep(0.03)

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(5)
