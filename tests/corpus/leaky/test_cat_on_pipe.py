"""A coprocess on a pipe, kept open with it."""
import subprocess

LEAKS = "processes.leaked"

_coprocesses = []


class Coprocess:
    def __init__(self):
        self.p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        _coprocesses.append(self)

    def ask(self, line):
        self.p.stdin.write(line)
        return self.p.stdout.readline()


def test_ask():
    assert Coprocess().ask(b"hello\n") == b"hello\n"
