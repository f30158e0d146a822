"""One text buffer that is written to for ever."""

import io

LEAKS = "memory.growth"
OUT = io.StringIO()


def test_message():
    OUT.write("a message of forty characters, roughly.\n")
