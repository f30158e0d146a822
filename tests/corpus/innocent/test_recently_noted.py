"""The last 900 notes, in a dict that is made anew with each."""
import itertools
import uuid

recent = {}


def note(key, value):
    global recent
    recent[key] = value
    recent = dict(itertools.islice(reversed(list(recent.items())), 900))


def test_note():
    note(uuid.uuid4().hex, 1)
    assert len(recent) <= 900
