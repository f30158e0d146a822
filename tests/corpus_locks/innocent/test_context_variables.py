"""Locks in context variables, in copies of contexts, run by threads."""
import contextvars
import threading

current = contextvars.ContextVar("current")


def work(seen):
    with current.get():
        seen.append(threading.current_thread().name)


def test_contexts():
    seen = []
    for _ in range(3):
        current.set(threading.Lock())
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work, seen))
        thread.start()
        thread.join()
    assert len(seen) == 3
