"""A helper process left running."""
import subprocess

LEAKS = "processes.leaked"


def start_helper():
    return subprocess.Popen(
        ["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_helper_starts():
    assert start_helper().poll() is None
