"""What the tests of state machines have in common."""

from __future__ import annotations

from coresys.state import State, TransitionTable, on
from coresys.testing.fakes import FakeClock

FLIP = TransitionTable(
    "flip", states=[State("a", initial=True), State("b")], transitions=[on("go", "a", "b"), on("go", "b", "a")]
)
DOOR = TransitionTable(
    "door",
    states=[State("shut", initial=True), State("open"), State("gone", final=True)],
    transitions=[on("open", "shut", "open"), on("shut", "open", "shut"), on("burn", ["open", "shut"], "gone")],
)


def frozen() -> FakeClock:
    """A clock that stands at 1000 s, as its time of day does."""
    return FakeClock(1000.0, time=1000.0)
