"""A verdict at its boundaries."""

from __future__ import annotations

import itertools
import math

import pytest

from coresys.budgets.judge import judge, worst
from coresys.budgets.model import Evidence, Level, Limit, Status


@pytest.mark.parametrize(
    ("value", "maximum", "near", "status"),
    [
        (0, 0, None, "within"),
        (1, 0, None, "over"),
        (-1, 0, None, "within"),
        (89, 100, None, "within"),
        (90, 100, None, "near"),
        (100, 100, None, "near"),
        (101, 100, None, "over"),
        (math.inf, 100, None, "over"),
        (39, 100, 40, "within"),
        (40, 100, 40, "near"),
        (99, 100, 100, "within"),
        (100, 100, 100, "near"),
        (0, 100, 0, "near"),
        (0, 0, 0, "within"),
        (None, 100, None, "not_measured"),
        (None, 0, None, "not_measured"),
        (None, None, None, "not_measured"),
        (5, None, None, "within"),
    ],
)
def test_the_verdict_at_the_limit(
    value: float | None, maximum: float | None, near: float | None, status: Status
) -> None:
    limit = Limit("memory.growth", maximum, near=near)
    assert judge(Evidence("memory.growth", value), limit, "B").status == status


@pytest.mark.parametrize("level", ["off", "warn", "error"])
def test_the_level_does_not_change_the_verdict(level: Level) -> None:
    verdict = judge(Evidence("threads.leaked", 1.0), Limit("threads.leaked", 0.0, level), "count")
    assert (verdict.status, verdict.level) == ("over", level)


def test_a_verdict_carries_all_that_explains_it() -> None:
    evidence = Evidence("memory.growth", 7.0, "repeated", 16.0, (7.0, 7.0), "because")
    limit = Limit("memory.growth", 5.0, "warn", "pyproject.toml:3", reason="#412")
    verdict = judge(evidence, limit, "B")
    assert (verdict.key, verdict.value, verdict.limit, verdict.unit) == ("memory.growth", 7.0, 5.0, "B")
    assert (verdict.level, verdict.origin, verdict.reason) == ("warn", "pyproject.toml:3", "#412")
    assert (verdict.evidence, verdict.resolution, verdict.series, verdict.why) == (
        "repeated",
        16.0,
        (7.0, 7.0),
        "because",
    )


def test_the_whole_is_never_better_than_its_parts() -> None:
    order: list[Status] = ["over", "not_measured", "near", "within"]
    for parts in itertools.product(order, repeat=3):
        assert worst(list(parts)) == min(parts, key=order.index)
    assert worst([]) == "within"
