"""Generic aliases and ABC registrations of throw-away classes (weak caches)."""
import typing
from collections.abc import Mapping, Sized


def test_generics():
    class Box(typing.Generic[typing.TypeVar("T")]):
        def __len__(self):
            return 0

    Mapping.register(Box)
    assert isinstance(Box(), Sized) and issubclass(Box, Mapping)
    assert typing.get_args(typing.Dict[str, Box]) == (str, Box)
