"""A child is forked while a lock is held, and takes it after it was told to begin anew."""
import os
import threading


def test_child():
    lock, other = threading.Lock(), threading.Lock()
    with lock:
        pid = os.fork()
        if pid == 0:
            lock._at_fork_reinit()
            with other, lock:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    with lock, other:
        assert lock.locked()
