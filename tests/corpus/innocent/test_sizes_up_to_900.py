"""An example of each size; from 900 on they count as large."""
import itertools
import uuid

sizes = itertools.count()
example = {}


def note(size, text):
    example[min(size, 900)] = text


def test_note():
    note(next(sizes), uuid.uuid4().hex)
    assert len(example) <= 901
