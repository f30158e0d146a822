"""What a child makes of what it finds out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from coresys.measure.attribution import Attribution
from coresys.records import Location
from pytest_coresys.engine import repetition

LINE = Location("test_it.py", 3)


@pytest.mark.parametrize(
    ("found", "names", "may_end"),
    [
        (Attribution(lines=(LINE,)), ["fixture database"], True),
        # Rows of a database in memory: nothing of Python's, and in one of a hundred runs no line either.
        (Attribution(native="native: 98 B per run"), ["fixture database"], True),
        (Attribution(lines=(LINE,)), [], False),
        (Attribution(lines=(LINE,), holders=(("app.py:1 global CACHE",),)), ["fixture database"], False),
    ],
)
def test_what_nobody_is_seen_to_hold_may_be_held_by_what_a_wider_fixture_returned(
    found: Attribution, names: list[str], may_end: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repetition, "wider_values", lambda item: names)
    work: Any = SimpleNamespace(_item=None)
    told = repetition.Work._kept_by_a_fixture(work, found)
    assert told == ("no holder was found, and fixture database, which is still up, may be it" if may_end else None)


@pytest.mark.parametrize(
    ("chains", "said"),
    [
        ([("socket.getfqdn", "MagicMock", "dict['_mock_mock_calls']", "_CallList[895]", "_Call")], True),
        ([("socket.getfqdn", "MagicMock", "_CallList[895]", "_Call"), ("app.py:3 global _kept", "list[9]")], False),
        ([("app.py:3 global notifier", "Mock", "dict['_mock_mock_calls']", "_CallList[895]", "_Call")], False),
        ([("os.listeners", "list[895]", "Mock", "dict['_mock_mock_calls']", "_CallList[0]", "_Call")], False),
        ([], False),
    ],
    ids=["put into others' code", "and something else", "of a module of the user's", "mocks that are kept", "nobody"],
)
def test_calls_that_a_mock_remembers_go_with_it(chains: list[tuple[str, ...]], said: bool) -> None:
    assert (repetition.recorded_by_a_mock(chains) is not None) is said
