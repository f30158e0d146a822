"""Contenders that take turns, so that a bad moment of the machine hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence


def interleaved(
    rounds: int,
    contenders: dict[str, Callable[[], float]],
    of: Callable[[Sequence[float]], float] = statistics.median,
) -> dict[str, float]:
    """The median (or the least, with ``min``) of what each measures, over that many rounds."""
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            seen[name].append(measure())
    return {name: of(values) for name, values in seen.items()}
