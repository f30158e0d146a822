"""weakref.finalize on an object that lives for ever."""
import weakref

LEAKS = "memory.growth"


class App:
    pass


app = App()


def close(resource):
    resource.clear()


def open_resource():
    resource = dict.fromkeys(range(10), "open")
    weakref.finalize(app, close, resource).atexit = False
    return resource


def test_open_resource():
    assert len(open_resource()) == 10
