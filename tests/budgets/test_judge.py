"""A verdict at its boundaries."""

from __future__ import annotations

import pytest

from coresys.budgets.judge import judge, worst
from coresys.budgets.model import Evidence, Limit, Status


@pytest.mark.parametrize(
    ("value", "maximum", "status"),
    [
        (0, 0, "within"),
        (1, 0, "over"),
        (89, 100, "within"),
        (90, 100, "near"),
        (100, 100, "near"),
        (101, 100, "over"),
        (None, 100, "not_measured"),
        (5, None, "within"),
    ],
)
def test_the_verdict_at_the_limit(value: float | None, maximum: float | None, status: Status) -> None:
    assert judge(Evidence("memory.growth", value), Limit("memory.growth", maximum), "B").status == status


def test_the_whole_is_never_better_than_its_parts() -> None:
    assert worst(["within", "near", "not_measured", "over"]) == "over"
    assert worst(["within", "near", "not_measured"]) == "not_measured"
    assert worst(["within", "near"]) == "near"
    assert worst([]) == "within"
