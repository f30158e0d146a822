"""One text buffer that is written to for ever."""

import io

OUT = io.StringIO()


def test_message():
    OUT.write("a message of forty characters, roughly.\n")
