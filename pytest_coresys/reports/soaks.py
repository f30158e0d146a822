"""What the processes of a run soaked, put together for the run file; and the lines about it for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from coresys.budgets.units import format_quantity
from pytest_coresys.config.durations import duration_text
from pytest_coresys.reports import again
from pytest_coresys.reports.words import counted
from pytest_coresys.wire import WORST_FIRST

RATE = "memory.growth_rate"


def soak_series(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The part ``soak`` of the run file: by key the series of the process that is worst, and the others behind it."""
    keys = dict.fromkeys(key for result in results for key in result["series"])
    found: dict[str, Any] = {}
    for key in keys:
        each = [{**result["series"][key], "worker": result["worker"]} for result in results if key in result["series"]]
        worst, *others = sorted(each, key=_badness)
        found[key] = {**worst, "others": others}
    return found


def soak_facts(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is told of each process: how long, how many rounds, which looks."""
    return [{name: value for name, value in each.items() if name not in ("series", "findings")} for each in results]


def unmeasured(key: str, why: str, **limit: Any) -> dict[str, Any]:
    """The entry of a series that there is not."""
    entry = {"times": [], "values": [], "interval": [0, 0], "verdict": "not_measured", "value": None, "why": why}
    return {**entry, **limit}


def _badness(entry: Mapping[str, Any]) -> tuple[int, float, str]:
    return WORST_FIRST.index(entry["verdict"]), -(entry["value"] or 0.0), entry["worker"] or ""


# -- lines ----------------------------------------------------------------------------------------------------------


def head(run: Mapping[str, Any]) -> str:
    """``soak: 90 s in 4,012 rounds of 12 tests``."""
    facts = run["run"]["soak"]
    if not facts:
        return "soak: none"
    elapsed, rounds = (max(each[name] for each in facts) for name in ("elapsed", "rounds"))
    tests = sum(each["tests"] for each in facts)
    workers = f" in each of {len(facts)} workers" if len(facts) > 1 else ""
    planned = duration_text(facts[0]["planned"])
    text = f"soak: {duration_text(elapsed)} of {planned}{workers}, {counted(rounds, 'round')}"
    text += f"{' at most' if len(facts) > 1 else ''} of {counted(tests, 'test')}"
    ended = {each["ended"] for each in facts}
    text += "; ended at a look" if "early" in ended else ""
    return text + ("; interrupted" if "interrupted" in ended else "")


def rows(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A verdict and a sentence for each series."""
    for key, entry in run["soak"].items():
        worker = f" ({entry['worker']})" if entry.get("worker") else ""
        yield entry["verdict"], f"{key}{worker}  {_figure(key, entry)}"


def _figure(key: str, entry: Mapping[str, Any]) -> str:
    limit = entry.get("limit")
    told = "" if limit is None else f"; limit {format_quantity(limit, entry['unit'])}, set by {entry['origin']}"
    if key == RATE:
        low, high = (format_quantity(end, "B/h") for end in entry["interval"])
        if entry["value"] is None:
            return f"not measured: {entry['why']}{told}"
        return f"{format_quantity(entry['value'], 'B/h')}, between {low} and {high}{told}"
    if entry["value"] is None:
        return f"not measured: {entry['why']}"
    values = entry["values"]
    if entry["unit"] == "ratio":
        return f"{format_quantity(entry['value'], 'ratio')} stranded since the warm-up{told}"
    change = f"{format_quantity(values[0], 'count')} to {format_quantity(values[-1], 'count')}"
    return f"{change}, {entry['value']:.3g} a round{told}"


def advice(run: Mapping[str, Any], runner: str) -> list[str]:
    """What to try next: a command, not to be shortened."""
    entry = run["soak"].get(RATE, {})
    if entry.get("verdict") == "over":
        grows = [test for each in run["findings"] if each["key"] == RATE for test in each["tests"]]
        if not grows:
            return ["try: soak half of the tests, and then half of those that grow"]
        return [f"to see the line: {again.of_tests(run, grows[:1], runner, profile='strict')}"]
    if entry.get("verdict") == "not_measured" and entry.get("needed"):
        return [f'to tell: --coresys-soak "{duration_text(entry["needed"])}" may be long enough']
    return []
