"""A lock for each thread, in its own storage: they share the place where they are made."""
import threading

local, shared = threading.local(), threading.Lock()


def own():
    if not hasattr(local, "lock"):
        local.lock = threading.Lock()
    return local.lock


def work(turn, seen):
    first, second = (own(), shared) if turn % 2 else (shared, own())
    with first:
        with second:
            seen.append(turn)


def test_each_has_its_own():
    seen = []
    threads = [threading.Thread(target=work, args=(turn, seen)) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(6))
