"""A raw _thread blocked on a lock: threading knows nothing of it."""
import _thread

LEAKS = "threads.leaked"
gates = []


def spawn():
    gate = _thread.allocate_lock()
    gate.acquire()
    gates.append(gate)
    return _thread.start_new_thread(gate.acquire, ())


def test_spawn():
    assert spawn()
