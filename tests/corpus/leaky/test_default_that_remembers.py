"""A default argument remembers all names. That another function checks how many it has in its own is no help."""
import uuid

LEAKS = "memory.growth"


def is_new(name, seen=set()):
    if name in seen:
        return False
    seen.add(name)
    return True


def merge(pages, seen=()):
    if len(seen) > 1000:
        seen = seen[:1000]
    return [page for page in pages if page not in seen]


def test_a_name_is_new_once():
    name = uuid.uuid4().hex
    assert is_new(name)
    assert not is_new(name)
    assert merge([name]) == [name]
