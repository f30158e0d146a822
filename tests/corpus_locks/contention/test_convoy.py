"""Three threads stand behind one long hold: few waits, each of them long."""
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"

snapshot_lock = threading.Lock()


def snapshot(inside):
    with snapshot_lock:
        inside.set()
        time.sleep(0.3)


def read(seen):
    with snapshot_lock:  # SITE
        seen.append(1)


def test_readers_come_after():
    inside, seen = threading.Event(), []
    writer = threading.Thread(target=snapshot, args=(inside,))
    readers = [threading.Thread(target=read, args=(seen,)) for _ in range(3)]
    writer.start()
    assert inside.wait(10)
    for reader in readers:
        reader.start()
    for thread in (writer, *readers):
        thread.join()
    assert len(seen) == 3
