"""Two threads, each of which joins the other."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


def test_both_end():
    threads = []
    both = threading.Barrier(2)

    def run(other):
        both.wait(10)
        threads[other].join()  # SITE

    threads += [threading.Thread(target=run, args=(other,), daemon=True) for other in (1, 0)]
    for thread in threads:
        thread.start()
    threads[0].join()
