"""A child process is waited for under a lock."""
import subprocess
import threading

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"

git_lock = threading.Lock()


def git(statuses):
    with git_lock:  # SITE
        statuses.append(subprocess.run(["sleep", "0.1"], check=False).returncode)


def test_three_at_once():
    statuses = []
    threads = [threading.Thread(target=git, args=(statuses,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0, 0, 0]
