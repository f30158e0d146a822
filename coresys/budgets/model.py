"""Limits, evidence and verdicts: the words that probes, the judge and the reports share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["off", "warn", "error"]
Status = Literal["within", "near", "over", "not_measured"]
EvidenceKind = Literal["screened", "repeated"]


@dataclass(frozen=True, slots=True)
class Limit:
    """The budget of one measure for one test.

    ``maximum`` and ``near`` are in the measure's base unit (bytes, seconds, ratio, count); ``maximum`` is None
    only while the level is "off". ``origin`` tells where the value was written (``default``, ``profile ci``,
    ``pyproject.toml:12``, ``marker``, ``--coresys-set``); ``reason`` is what its author gave as reason.
    """

    key: str
    maximum: float | None
    level: Level = "error"
    origin: str = "default"
    near: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one measure.

    ``value`` is None when nothing could be measured, and ``why`` then says so. ``screened`` evidence comes from
    one run and shows nothing below ``resolution``; ``repeated`` evidence is a rate per repetition that held.
    """

    key: str
    value: float | None
    kind: EvidenceKind = "screened"
    resolution: float = 0.0
    series: tuple[float, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one measure of one test, with all that a report needs to explain it."""

    key: str
    status: Status
    value: float | None
    limit: float | None
    unit: str
    level: Level
    origin: str
    evidence: EvidenceKind
    resolution: float
    why: str | None = None
    series: tuple[float, ...] = ()
    reason: str | None = None
