"""A table with a thousand places is there, all of them empty but one; what grows is a text."""
import uuid

LEAKS = "memory.growth"

places = [None] * 1000
report = ""


def note(line):
    global report
    places[0] = line
    report += line + "\n"


def test_note():
    note(uuid.uuid4().hex)
    assert report
