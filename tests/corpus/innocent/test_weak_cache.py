"""A cache with weak values."""
import uuid
import weakref

images = weakref.WeakValueDictionary()


class Image:
    def __init__(self):
        self.pixels = bytearray(10_000)


def load(name):
    img = images.get(name)
    if img is None:
        img = images[name] = Image()
    return img


def test_load():
    name = uuid.uuid4().hex
    a = load(name)
    assert load(name) is a
