"""Everybody waits for a child process, which takes its time."""
import subprocess
import sys
import threading


def test_child():
    done, status = threading.Event(), []

    def run():
        status.append(subprocess.run([sys.executable, "-c", "import time; time.sleep(5.5)"]).returncode)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    done.wait()
    thread.join()
    assert status == [0]
