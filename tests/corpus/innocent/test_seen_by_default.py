"""A default argument that remembers up to a thousand names, and then begins anew."""
import uuid


def is_new(name, seen=set()):
    if len(seen) > 1000:
        seen.clear()
    if name in seen:
        return False
    seen.add(name)
    return True


def test_a_name_is_new_once():
    name = uuid.uuid4().hex
    assert is_new(name)
    assert not is_new(name)
