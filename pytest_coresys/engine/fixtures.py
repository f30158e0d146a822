"""Judges what wider fixtures leave: by repeating a test that uses them, with their setup and teardown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from coresys.budgets.model import Limit
from coresys.budgets.units import format_quantity
from coresys.records import Finding
from pytest_coresys import wire
from pytest_coresys.config.resolve import Accept
from pytest_coresys.engine.accepted import with_agreed
from pytest_coresys.engine.owners import Fallen, FixtureOwners, LeftByFixture
from pytest_coresys.engine.plan import Plan
from pytest_coresys.engine.repeater import Repeater, Whole
from pytest_coresys.engine.runner import Beyond


@dataclass(frozen=True, slots=True)
class _Up:
    owner: str
    scope: str
    item: pytest.Item


class FixtureJudge:
    """Told when fixtures rise and fall. What one left is confirmed between tests, never in the middle of one."""

    def __init__(
        self,
        repeater: Repeater,
        read_memory: Callable[[], int | None],
        *,
        plan_of: Callable[[pytest.Item, str], Plan],
        accepts: Sequence[Accept] = (),
    ) -> None:
        """``plan_of`` says what a fixture of a scope is held to that a test uses."""
        self._owners = FixtureOwners(read_memory)
        self._plan_of, self._accepts = plan_of, accepts
        self._repeater = repeater
        self._up: dict[int, _Up] = {}
        self._fallen: list[tuple[_Up, Fallen]] = []
        self._findings: list[dict[str, Any]] = []
        self._told: set[str] = set()  # owners of which there is nothing more to be said
        self._suspected: set[str] = set()

    @property
    def made_now(self) -> list[int]:
        """What wider fixtures made during the test that runs, in the order of the screen's counters."""
        return self._owners.made_now

    @made_now.setter
    def made_now(self, counts: list[int]) -> None:
        self._owners.made_now = counts

    def begin(self, key: int) -> None:
        """The setup of a fixture begins."""
        self._owners.begin(key)

    def made(self, key: int, owner: str, scope: str, item: pytest.Item) -> None:
        """Its setup is over."""
        self._owners.made(key, owner)
        self._up[key] = _Up(owner, scope, item)

    def falling(self, key: int) -> None:
        """Its teardown begins."""
        self._owners.falling(key)

    def gone(self, key: int) -> None:
        """Its teardown is over."""
        up = self._up.pop(key, None)
        fallen = self._owners.gone(key)
        if up is not None and fallen is not None:
            self._fallen.append((up, fallen))

    def judge(self) -> None:
        """Confirm what fixtures left that fell since the last call."""
        fallen, self._fallen = self._fallen, []
        if fallen:
            self._repeater.on_wait()  # what ends by itself gets its grace
        for up, each in fallen:
            left = None if up.owner in self._told else self._owners.left_of(each)
            if left is not None:
                self._findings += [wire.finding_to_dict(finding) for finding in self._judged(up, left)]

    def add(self, finding: Finding) -> None:
        """One more, that was seen elsewhere."""
        agreed = with_agreed((), [finding], self._accepts)[1]
        self._findings += [wire.finding_to_dict(each) for each in agreed]

    def take(self) -> list[dict[str, Any]]:
        """Findings of the run since the last call."""
        findings, self._findings = self._findings, []
        return findings

    def _judged(self, up: _Up, left: LeftByFixture) -> list[Finding]:
        plan = self._plan_of(up.item, up.scope)
        over = {key: things for key, things in left.things.items() if _is_over(plan, key, len(things))}
        grown = not left.things and _is_over(plan, "memory.growth", left.grown)
        if not over and not grown:
            return []  # allowed to those that used it now; others may not allow it
        if plan.no_repeat is None:
            self._told.add(up.owner)
        elif up.owner in self._suspected:
            return []
        self._suspected.add(up.owner)
        findings = []
        if over:
            whole = self._repeated(up, plan)
            for key, things in over.items():
                each = [repetition.get(up.owner, {}).get(key, 0) for repetition in whole.left]
                if each and not all(_is_over(plan, key, count) for count in each[1:]):
                    continue  # once, not each time: something that lives as long as the process
                level = plan.limits[key].level if each else "suspicion"
                finding = _finding(up, plan.limits[key], things, level, whole.why)
                findings.append(replace(finding, locations=whole.places.get(key, ())))
        else:
            text = f"memory.growth: {format_quantity(left.grown, 'B')} kept by its setup and teardown, seen once"
            findings.append(Finding("memory.growth", "suspicion", text, owner=up.owner, tests=(up.item.nodeid,)))
        return with_agreed((), findings, self._accepts)[1]

    def _repeated(self, up: _Up, plan: Plan) -> Whole:
        if plan.no_repeat is not None:
            return Whole(why=f"not repeated: coresys_no_repeat of {up.item.name}: {plan.no_repeat}")
        return self._repeater.repeat_whole(up.item, Beyond(up.item, up.scope), self._take_fallen)

    def _take_fallen(self) -> list[LeftByFixture]:
        fallen, self._fallen = self._fallen, []
        found = (self._owners.left_of(each) for _, each in fallen)
        return [left for left in found if left is not None]


def _is_over(plan: Plan, key: str, count: int) -> bool:
    """Whether so much of it is more than the fixture may leave."""
    maximum = plan.limits[key].maximum
    return key in plan.wanted and maximum is not None and count > maximum


def _finding(up: _Up, limit: Limit, things: list[str], level: str, why: str | None) -> Finding:
    by = "its" if level == "suspicion" else "each"
    most = format_quantity(limit.maximum or 0, "count")
    summary = f"{limit.key}: {len(things)} left by {by} teardown > {most} ({limit.origin})"
    details = [*things[:5], *([f"seen once; {why}"] if why else [])]
    return Finding(limit.key, level, summary, details=tuple(details), owner=up.owner, tests=(up.item.nodeid,))
