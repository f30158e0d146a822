"""Interns a new name a run and drops it."""
import sys
import uuid


def test_intern():
    name = sys.intern("n_" + uuid.uuid4().hex)
    assert name is sys.intern(str(name))
