"""From evidence and a limit to a verdict. Pure; every boundary is a row in its tests."""

from __future__ import annotations

import math

from coresys.budgets.model import Evidence, Limit, Status, Verdict

NEAR_SHARE = 0.9


def judge(evidence: Evidence, limit: Limit, unit: str) -> Verdict:
    """Judge one measure. What was not measured is never within, whatever its limit."""
    return Verdict(
        key=limit.key,
        status=_status(evidence.value, limit),
        value=evidence.value,
        limit=limit.maximum,
        unit=unit,
        level=limit.level,
        origin=limit.origin,
        evidence=evidence.kind,
        resolution=evidence.resolution,
        why=evidence.why,
        series=evidence.series,
        reason=limit.reason,
    )


def _status(value: float | None, limit: Limit) -> Status:
    if value is None or math.isnan(value):
        return "not_measured"
    if limit.maximum is None:
        return "within"
    if value > limit.maximum:
        return "over"
    near = limit.near if limit.near is not None else NEAR_SHARE * limit.maximum
    return "near" if limit.maximum > 0 and value >= near else "within"


def worst(statuses: list[Status]) -> Status:
    """The verdict of a whole from those of its parts: over, else not measured, else near, else within."""
    for status in ("over", "not_measured", "near"):
        if status in statuses:
            return status
    return "within"
