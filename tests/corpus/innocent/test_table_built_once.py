"""A table is built when it is asked for first, of text that is dropped: what that leaves unused, it leaves once."""

import functools
import json

import pytest


@functools.cache
def names():
    rows = [{"id": number, "name": f"n{number}", "tags": [f"a{number}", f"b{number}"]} for number in range(40_000)]
    return {row["id"]: row["name"] for row in json.loads(json.dumps(rows))}


@pytest.mark.parametrize("number", range(4))
def test_numbers(number):
    assert number + 1 > number


def test_a_name():
    assert names()[5] == "n5"


def test_another():
    assert names()[6] == "n6"
