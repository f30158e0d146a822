"""Threads that work in steps, with a barrier between any two."""
import threading


def test_steps():
    barrier, lock, steps = threading.Barrier(4), threading.Lock(), []

    def work():
        for step in range(5):
            with lock:
                steps.append(step)
            barrier.wait(20)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert steps == sorted(steps)
