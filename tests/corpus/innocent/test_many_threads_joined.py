"""Eight threads behind a barrier, all joined."""
import threading


def test_counter():
    lock = threading.Lock()
    barrier = threading.Barrier(8)
    total = 0

    def work():
        nonlocal total
        barrier.wait()
        for _ in range(10):
            with lock:
                total += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert total == 80
