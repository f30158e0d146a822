import abc


class Drawable(abc.ABC):
    pass


def adapt(name):
    cls = type(name, (), {"draw": lambda self: name})
    Drawable.register(cls)
    return cls


def test_adapt():
    circle = adapt("Circle")()
    assert isinstance(circle, Drawable)
    assert not isinstance(3, Drawable)
