"""What is charged to a fixture where not everything can be listed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from coresys.measure.leftovers import KINDS, Kind
from pytest_coresys.engine.owners import FixtureOwners

KEY = "descriptors.leaked"


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_what_could_not_be_listed_is_charged_to_nobody(monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    """Before the setup, after it, or when it has fallen."""
    calls = iter(range(100))

    def take() -> Mapping[Any, Any]:
        if next(calls) == fails_at:
            raise AssertionError("patched by somebody")
        return KINDS_BEFORE[KEY].take()

    monkeypatch.setitem(KINDS, KEY, Kind(take, KINDS_BEFORE[KEY].describe))
    owners = FixtureOwners(lambda: 0)
    owners.begin(1)
    kept = os.open(os.devnull, os.O_RDONLY)
    try:
        owners.made(1, "fixture f")
        assert owners.made_now[2] == (1 if fails_at == 2 else 0)
        owners.falling(1)
        fallen = owners.gone(1)
        left = None if fallen is None else owners.left_of(fallen)
        assert left is None
    finally:
        os.close(kept)


def test_what_could_be_listed_is_charged() -> None:
    owners = FixtureOwners(lambda: 0)
    owners.begin(1)
    kept = os.open(os.devnull, os.O_RDONLY)
    try:
        owners.made(1, "fixture f")
        owners.falling(1)
        fallen = owners.gone(1)
        assert fallen is not None
        left = owners.left_of(fallen)
        assert left is not None
        assert list(left.things) == [KEY]
    finally:
        os.close(kept)


KINDS_BEFORE = dict(KINDS)
