"""When to stop repeating, from the readings alone. Pure.

Invariant: "leak" is said only of a series that grew through ``MINIMUM`` repetitions or more and did not fade;
whatever stays open when the effort is spent is "unclear", which fails nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from coresys.measure.series import judge_series

Conclusion = Literal["more", "flat", "leak", "unclear", "too few"]

WARM_UP = 5
SCREEN = 24


@dataclass(frozen=True, slots=True)
class Rule:
    """How many repetitions a measure needs before it is called a leak, and how many make it certain."""

    minimum: int
    certain: int


# A cache of 300 entries is still growing at the 250th repetition; a pool of threads or connections is smaller.
MEMORY = Rule(minimum=40, certain=600)
COUNTED = Rule(minimum=12, certain=100)


def conclude(values: Sequence[float], rule: Rule, *, spent: bool, floor: float = 0.0) -> Conclusion:
    """What the readings after each repetition (warm-up left out) show so far."""
    count = len(values)
    if count < min(SCREEN, rule.certain) and not spent:
        return "more"
    if count < 9:
        return "too few"
    trend = judge_series(values, floor=floor).trend
    if trend == "flat" or (trend == "fading" and count >= 96):
        return "flat"
    if trend == "growing" and (count >= rule.certain or (spent and count >= rule.minimum)):
        return "leak"
    return "unclear" if spent else "more"
