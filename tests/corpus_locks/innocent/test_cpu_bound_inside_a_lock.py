"""The computing itself is done under the lock: with one interpreter nobody could have gone faster without."""
import threading


def test_counts():
    lock, counts = threading.Lock(), {}

    def work(name):
        for number in range(3_000):
            with lock:
                counts[name] = counts.get(name, 0) + sum(range(number % 50))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(counts.values())) == 1
