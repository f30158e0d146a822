"""A weak cache whose values are kept alive by a cycle through a global."""
import weakref

LEAKS = "memory.growth"


class Image:
    recent = set()

    def __init__(self, name):
        self.name = name
        self.pixels = bytes(4096)
        Image.recent.add(self)


cache = weakref.WeakValueDictionary()


def load(name):
    img = Image(name)
    cache[name] = img
    return img


def test_load():
    assert load("cat.png").name == "cat.png"
