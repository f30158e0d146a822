"""What a report holds comes back as it was; what is no plain value, as its text."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from pytest_coresys.engine.parcel import pack, unpack


def there_and_back(value: object) -> Any:
    return unpack(json.loads(json.dumps(pack(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**70),
        1.5,
        math.inf,
        "zwölf \udcff \x00",
        b"\x00\xff",
        [],
        (),
        {},
        [1, (2, [3, ()])],
        {"a": {1: (None,), (2, "b"): [b"c"]}, "t": 1, "d": [1], "b": "x"},
        ("file.py", 3, "Skipped: why"),
    ],
    ids=repr,
)
def test_plain_values_come_back_the_same(value: object) -> None:
    found = there_and_back(value)
    assert found == value
    assert type(found) is type(value)


class _Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class _Text(str):
    __slots__ = ()


def test_other_objects_become_texts() -> None:
    circle: list[object] = [1]
    circle.append(circle)
    assert there_and_back([{1, 2} - {2}, _Odd(), _Text("sub"), 10**5000 > 0]) == ["{1}", "<_Odd>", "sub", True]
    assert there_and_back(math.nan) != there_and_back(math.nan)
    assert json.dumps(pack(circle)).count('"..."') == 1
    assert there_and_back(10**5000) in ("<int>", str(there_and_back(10**5000)))
