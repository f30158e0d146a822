"""functools.cached_property on objects that go away."""
from functools import cached_property


class Circle:
    def __init__(self, r):
        self.r = r

    @cached_property
    def points(self):
        return [(self.r * i, i) for i in range(500)]


def test_points():
    c = Circle(2)
    assert c.points is c.points
