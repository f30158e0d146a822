"""Results as the run file has them."""

from __future__ import annotations

from typing import Any

from pytest_coresys.criteria.model import Result
from pytest_coresys.wire import plain_number, plain_text


def result_to_dict(result: Result) -> dict[str, Any]:
    """One entry of ``criteria``. ``interval`` is there of slopes, ``parts`` of what is derived."""
    criterion = result.criterion
    truth = criterion.unit == "bool"
    data: dict[str, Any] = {
        "id": plain_text(criterion.id),
        "verdict": result.verdict,
        "value": result.value if truth or result.value is None else plain_number(result.value),
        "limit": criterion.limit if truth else plain_number(criterion.limit),
        "comparison": criterion.comparison,
        "unit": plain_text(criterion.unit),
        "statistic": criterion.statistic,
        "samples": result.samples,
        "histogram": {
            "bounds": [plain_number(edge) for edge, _ in result.histogram],
            "counts": [count for _, count in result.histogram],
        },
        "evidence": [plain_text(nodeid) for nodeid in result.evidence],
        "trend": [],
        "why": None if result.why is None else plain_text(result.why),
        "title": plain_text(criterion.title),
        "area": plain_text(criterion.area),
        "kind": criterion.kind,
        "level": criterion.level,
        "shown_limit": plain_text(criterion.shown_limit),
        "measured": plain_text(criterion.measured),
        "goal": plain_text(criterion.goal),
        "source": plain_text(criterion.source),
        "details": [plain_text(line) for line in result.details],
    }
    if result.interval is not None:
        data["interval"] = [plain_number(end) for end in result.interval]
    if result.parts:
        data["parts"] = {plain_text(name): status for name, status in result.parts.items()}
    return data
