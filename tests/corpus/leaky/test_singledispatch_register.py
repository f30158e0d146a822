"""Implementations registered on a generic function for throw-away types."""
from functools import singledispatch

LEAKS = "memory.growth"


@singledispatch
def describe(obj):
    return "thing"


def test_describe_special():
    class Special:
        pass

    describe.register(Special, lambda obj: "special")
    assert describe(Special()) == "special"
