"""Commands that ended, but whose output pipes are kept open."""
import subprocess

LEAKS = "descriptors.leaked"
_done = []


def output(*cmd):
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE)
    line = p.stdout.readline()
    p.wait()
    _done.append(p)
    return line


def test_output():
    assert output("echo", "hi") == b"hi\n"
