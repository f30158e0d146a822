"""A console buffer that keeps the last 16 KB of text."""
import datetime

_screen = ""


def show(line):
    global _screen
    _screen = (_screen + f"{datetime.datetime.now():%H:%M:%S} {line}\n")[-16384:]


def test_show():
    show("job finished " + "." * 60)
    assert _screen.endswith(".\n")
