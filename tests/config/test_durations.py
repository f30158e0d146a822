"""The DURATION of --coresys-soak: read with its unit, or refused with the nearest valid one."""

from __future__ import annotations

import pytest

from pytest_coresys.config.durations import duration_text, parse_duration
from pytest_coresys.config.errors import ValueProblem


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90 s", 90.0), ("1 h", 3600.0), ("1.5min", 90.0), ("1500 ms", 1.5), ("1 s", 1.0), (" 2 H ", 7200.0)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("90", 'write a unit; did you mean "90 s"?'),
        ("90 sec", 'did you mean "90 s"?'),
        ("1 hour", 'did you mean "1 h"?'),
        ("15 minuts", 'did you mean "15 min"?'),
        ("1.5 m", 'did you mean "1.5 min"?'),
        ("2 KB", "write a unit of time (s, min, h)"),
        ("soon", 'write a number and a unit, such as "90 s", "15 min" or "1 h"'),
        ("", "write a number and a unit"),
        ("-5 s", "write a number and a unit"),
        ("inf s", "write a number and a unit"),
        ("999 ms", 'is too short for a soak: write "1 s" or more'),
        ("0 s", "is too short for a soak"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_nearest_that_is(text: str, told: str) -> None:
    with pytest.raises(ValueProblem) as raised:
        parse_duration(text)
    assert told in raised.value.problem
    assert f'"{text}"' in raised.value.problem


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0 s"),
        (90.0, "90 s"),
        (179.96, "180 s"),
        (180.0, "3 min"),
        (600.0, "10 min"),
        (3600.0, "1 h"),
        (5400, "1.5 h"),
    ],
)
def test_a_duration_is_shown_as_one_would_write_it(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
