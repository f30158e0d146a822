"""The built-in profiles: how much effort a run makes, and the budgets that come with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a run may repeat.

    ``share`` is the part of the run's time that repetitions may take (0.2 is 20 %; None: without limit), but
    never less than ``min_seconds`` in all; ``max_repetitions`` caps each test (0: never repeat).
    """

    share: float | None
    min_seconds: float
    max_repetitions: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of effort and budgets; ``budgets`` are values as a configuration file would give them."""

    name: str
    effort: Effort
    budgets: Mapping[str, object] = field(default_factory=dict)


DEFAULT_PROFILE = "default"

# Three seconds in all profiles, so that small suites are judged in full even at the smallest share.
PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(DEFAULT_PROFILE, Effort(share=0.20, min_seconds=3.0, max_repetitions=1000)),
        Profile("ci", Effort(share=0.50, min_seconds=3.0, max_repetitions=1000)),
        Profile(
            "strict",
            Effort(share=None, min_seconds=3.0, max_repetitions=2000),
            budgets={"globals.changed": {"level": "error"}},
        ),
        # Beside --coresys-soak: rounds in the process itself are the effort, and children only get what is left.
        Profile("soak", Effort(share=0.05, min_seconds=3.0, max_repetitions=1000)),
    )
}
