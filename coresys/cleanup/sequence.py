"""In what order steps are taken: pure.

By phase first, then by what each says it comes after, those that are to be the last of their phase after all others,
then as they were declared. A step that comes after one of
another channel brings that one along: what uses a thing has to be done with it before it is taken down.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from heapq import heapify, heappop, heappush

from coresys.errors.hierarchy import CleanupOrderError
from coresys.system_records import CleanupStep

PHASES = ("stop-intake", "drain", "flush", "release", "verify")
"""What is done of everything before the next is begun: nothing new comes in; what is there is worked off; what is kept
is written; what is held is let go; what is left is looked for."""


def checked(steps: Mapping[str, CleanupStep], added: CleanupStep) -> None:
    """Raise CleanupOrderError where a step cannot be added to others.

    Its phase is none, its name is taken, it comes after itself, through whatever others, or after one of a later phase.
    Names in ``after`` need not be there yet.
    """
    if added.phase not in PHASES:
        raise CleanupOrderError(step=added.name, problem=f"there is no phase {added.phase!r}: {', '.join(PHASES)}")
    if added.name in steps:
        raise CleanupOrderError(step=added.name, problem="there is a step of that name")
    if added.deadline is not None and not added.deadline >= 0:
        raise CleanupOrderError(step=added.name, problem=f"a deadline of {added.deadline} s")
    together = {**steps, added.name: added}
    for name, step in together.items():
        for before in step.after:
            other = together.get(before)
            if other is not None and PHASES.index(other.phase) > PHASES.index(step.phase):
                raise CleanupOrderError(
                    step=added.name,
                    problem=f"{name!r} ({step.phase}) cannot come after {before!r}, which is of a later phase "
                    f"({other.phase})",
                )
    circle = _circle(together, added.name)
    if circle:
        raise CleanupOrderError(step=added.name, problem=f"it comes after itself: {' after '.join(circle)}")


def _circle(steps: Mapping[str, CleanupStep], start: str) -> list[str]:
    """Names along which a step comes after itself, itself at both ends; empty where it does not."""
    came_from: dict[str, str] = {}
    at = [start]
    while at:
        name = at.pop()
        step = steps.get(name)
        for before in step.after if step is not None else ():
            if before == start:
                back = [start]
                while name != start:
                    back.append(name)
                    name = came_from[name]
                return [start, *back[:0:-1], start]
            if before not in came_from:
                came_from[before] = name
                at.append(before)
    return []


def concerned(steps: Mapping[str, CleanupStep], channel: str | None) -> set[str]:
    """The steps of a channel, of those within it, and all that they come after, of whatever channel; None: all.

    ``orders/eu`` is within ``orders``.
    """
    if channel is None:
        return set(steps)
    found: set[str] = set()
    at = [step.name for step in steps.values() if step.channel == channel or step.channel.startswith(f"{channel}/")]
    while at:
        name = at.pop()
        if name in steps and name not in found:
            found.add(name)
            at += steps[name].after
    return found


def in_order(steps: Iterable[CleanupStep]) -> list[CleanupStep]:
    """The steps as they are to be taken. What a step comes after and is not among them is not waited for."""
    given = list(steps)
    numbers = {step.name: number for number, step in enumerate(given)}
    followers: dict[str, list[int]] = {}
    open_of = [0] * len(given)
    for number, step in enumerate(given):
        for before in set(step.after) & numbers.keys():
            followers.setdefault(before, []).append(number)
            open_of[number] += 1
    # The least of what is free is always next: nothing comes after what is of a later phase, so that where a step is
    # not free, one is that it comes after, of its phase or an earlier one.
    places = [(PHASES.index(step.phase), step.last, number) for number, step in enumerate(given)]
    free = [place for place, left in zip(places, open_of, strict=True) if not left]
    heapify(free)
    ordered: list[CleanupStep] = []
    while free:
        step = given[heappop(free)[2]]
        ordered.append(step)
        for number in followers.get(step.name, ()):
            open_of[number] -= 1
            if not open_of[number]:
                heappush(free, places[number])
    return ordered


def missing(steps: Iterable[CleanupStep], known: Container[str]) -> list[tuple[str, str]]:
    """Each step with a name that it comes after and that is not known: a slip of the pen, more often than not."""
    return [(step.name, before) for step in steps for before in step.after if before not in known]


__all__ = ["PHASES", "checked", "concerned", "in_order", "missing"]
