"""Calls tests of the validation suites as a run does, on subjects of our choice, and judges what they recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from pytest_coresys.criteria import recorder
from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.model import Result
from pytest_coresys.criteria.recorder import Collector, CriteriaRecorder
from validation_suites.conftest import Effort, Subject
from validation_suites.keeping import Kept

SMALL = Effort(soak=False, kills=10, storm_seconds=0.2, growth_seconds=1.0)


def results(
    test: Callable[..., object], factories: Mapping[str, Callable[..., Any]] | None = None, **fixtures: Any
) -> dict[str, Result]:
    """What a test of a suite comes to on these subjects, by criterion. ``fixtures`` are given beside the usual ones."""
    collector = Collector(builtin())
    collector.begin()
    subject = Subject(dict(factories or {}))
    kept = Kept(None, "", "", ())
    given = {
        "subject": subject,
        "coresys_criteria": CriteriaRecorder(collector),
        "effort": SMALL,
        "kept": kept,
        **fixtures,
    }
    try:
        test(**{name: given[name] for name in inspect.signature(test).parameters})
    finally:
        subject.end()
    samples = collector.end()
    return {name: judge(collector.file.criteria[name], each) for name, each in samples.items()}


class SteppingClock:
    """Stands in for ``perf_counter`` of what times a subject: it stands still, but for what the subject says it takes.

    Each reading is a tenth of a microsecond after the one before.
    """

    def __init__(self) -> None:
        self.now = 0.0

    @classmethod
    def put_into(cls, monkeypatch: pytest.MonkeyPatch, timings: ModuleType) -> SteppingClock:
        """A new one, in the place of the clock of what times a subject, and of what times its reference."""
        clock = cls()
        monkeypatch.setattr(timings, "perf_counter", clock)
        monkeypatch.setattr(recorder, "perf_counter", clock)
        return clock

    def __call__(self) -> float:
        self.now += 1e-7
        return self.now

    def spend(self, seconds: float) -> None:
        """So much time passes."""
        self.now += seconds


__all__ = ["SMALL", "SteppingClock", "results"]
