"""Results as the run file has them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pytest_coresys.criteria.model import Criterion, Result
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.wire import plain, plain_number, plain_text


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
        "min_samples": criterion.min_samples,
        "recorded": plain(result.recorded),
    }
    if result.interval is not None:
        data["interval"] = [plain_number(end) for end in result.interval]
    if result.parts:
        data["parts"] = {plain_text(name): status for name, status in result.parts.items()}
    return data


def criterion_from_dict(data: Mapping[str, Any]) -> Criterion:
    """The criterion that an entry of the run file is about. What is derived rests on what it says its parts are."""
    return Criterion(
        id=data["id"],
        statistic=data["statistic"],
        comparison=data["comparison"],
        limit=data["limit"],
        unit=data["unit"],
        shown_limit=data.get("shown_limit", ""),
        title=data.get("title", ""),
        area=data.get("area", ""),
        kind=data.get("kind", "requirement"),
        level=data.get("level", "error"),
        min_samples=data.get("min_samples", 1),
        measured=data.get("measured", ""),
        goal=data.get("goal", ""),
        source=data.get("source", ""),
        parts=tuple(data.get("parts", {})),
    )


def softened(
    entries: Sequence[dict[str, Any]], told: Callable[[Sequence[str]], str | None] = lambda over: None
) -> list[dict[str, Any]]:
    """The criteria of a run, where none that is derived fails it by parts that fail nothing: each part that is over is
    of level warn. ``told`` gives a line for the report of such a one, by the parts that are over."""
    warned = {each["id"] for each in entries if each.get("level") == "warn"}
    return [_softened(each, warned, told) for each in entries]


def _softened(
    entry: dict[str, Any], warned: Collection[str], told: Callable[[Sequence[str]], str | None]
) -> dict[str, Any]:
    if entry["statistic"] != "derived" or entry["verdict"] != "over" or entry.get("level") == "warn":
        return entry
    over = [name for name, verdict in entry.get("parts", {}).items() if verdict == "over"]
    if not over or not all(name in warned for name in over):
        return entry
    line = told(over)
    return {**entry, "level": "warn", "details": [*([line] if line else []), *entry.get("details", [])]}


def samples_from_dict(data: Mapping[str, Any]) -> Samples:
    """What was recorded for it; what an entry says without having recorded anything (a stranger's) is nothing."""
    recorded = data.get("recorded")
    if not recorded:
        return Samples()
    histogram = data.get("histogram") or {"bounds": [], "counts": []}
    buckets = list(zip(histogram["bounds"], histogram["counts"], strict=True))
    return Samples.from_plain({**recorded, "buckets": buckets, "details": data.get("details", [])})
