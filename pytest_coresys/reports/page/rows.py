"""All criteria: a row for each success criterion and for each budget that tests are held to, all on one scale. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pytest_coresys.measures import MEASURES
from pytest_coresys.reports import pictures
from pytest_coresys.reports.model import SKIPPED_BY_MARKER
from pytest_coresys.reports.page.again import Again
from pytest_coresys.reports.page.cards import Card, buckets_of, title_of
from pytest_coresys.reports.page.remedies import of_criterion
from pytest_coresys.reports.reading import suspected
from pytest_coresys.reports.words import (
    ALL_STATES,
    OVER,
    PART,
    SIGNS,
    STATES,
    SUSPECT,
    UNMEASURED,
    WARN,
    WITHIN,
    State,
    counted,
    figure_of,
    is_below,
    limit_of,
    quantity,
    share_of,
    share_text,
    state_of,
)

BUDGETS = "Budgets of the tests"
SOAK = "The soak"
_LAST_RUNS = 20
_MOST_EVIDENCE = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion or budget. ``chart`` is a picture or a sentence; ``why`` is there if nothing was measured.

    ``meaning`` says what the statistic is, and ``remedy`` how to measure what was not. ``evidence`` says how many tests
    it rests on, and ``link`` leads to them. ``of_run`` tells of findings that no test owns, and ``cards`` are the
    numbers of those that are about them. ``more`` is what the opened row tells.
    """

    id: str
    title: str
    state: State
    target: str
    measured: str
    statistic: str
    meaning: str
    chart: pictures.Drawing | str
    trend: pictures.Drawing | str
    evidence: str
    link: str
    why: str
    remedy: str
    more: Mapping[str, Any]
    of_run: str = ""
    cards: tuple[int, ...] = ()

    @property
    def of_run_at(self) -> str:
        """Where the findings of the run are told: the first of their cards, or the suspicions, which have none."""
        if self.cards:
            return f"#fix~{self.cards[0]}"
        return "#suspicions" if self.state is SUSPECT else "#fix"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one area, and how many of them are in which state, the worst first."""

    name: str
    rows: tuple[Row, ...]
    folded: bool = False

    @property
    def counts(self) -> list[tuple[State, int]]:
        """For the head of the group."""
        return counts_of(self.rows)


def counts_of(rows: Iterable[Row]) -> list[tuple[State, int]]:
    """How many rows are in which state, the worst first."""
    numbers = Counter(row.state for row in rows)
    return [(state, numbers[state]) for state in ALL_STATES if state in numbers]


def groups(run: Mapping[str, Any], shown: Sequence[Card] = ()) -> list[Group]:
    """Budgets first, then what a soak judged, then the criteria by area. ``shown`` are the cards that the page has.

    Criteria of which no test of this run said anything are there, and folded: they are about other runs.
    """
    found = [Group(BUDGETS, tuple(_budgets(run, shown)))]
    taken = {row.id for row in found[0].rows}
    if run["soak"]:
        found.append(Group(SOAK, tuple(_soaked(run["soak"], taken))))
    again, known = Again(run), {each["id"]: each for each in run["criteria"]}
    told = bool(run["run"].get("criteria", {}).get("told", run["criteria"]))
    areas: dict[str, list[Row]] = {}
    for each in run["criteria"]:
        areas.setdefault(each.get("area") or each["id"].partition(".")[0], []).append(_criterion(each, known, again))
    found += [Group(_area(name), tuple(rows), folded=not told) for name, rows in areas.items()]
    return [group for group in found if group.rows]


def _area(name: str) -> str:
    return {"success": "Success criteria", "validation": "Validation checks"}.get(
        name, name.replace("_", " ").capitalize()
    )


# -- budgets of tests ------------------------------------------------------------------------------------------------


def _budgets(run: Mapping[str, Any], shown: Sequence[Card]) -> Iterable[Row]:
    by_key: dict[str, list[_Held]] = {}
    for test in run["tests"]:
        doubtful = suspected(test)
        for key, measure in test["measures"].items():
            if measure["level"] != "off":
                state = state_of(measure, suspected=key in doubtful)
                by_key.setdefault(key, []).append(_Held(measure, state, test["outcome"] in _PROVES))
    of_run = _findings_of_run(run, by_key)
    keys = dict.fromkeys([*by_key, *of_run])
    return [_with_run(_budget(key, by_key.get(key, ())), of_run.get(key, ()), shown) for key in keys]


def _findings_of_run(run: Mapping[str, Any], held: Collection[str]) -> dict[str, list[Mapping[str, Any]]]:
    """What no test owns (two tests together, a fixture of several), by key; what a soak found has a row there."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for finding in run["findings"]:
        key = finding["key"]
        if (key in held or key in MEASURES) and (key not in run["soak"] or finding.get("owner")):
            found.setdefault(key, []).append(finding)
    return found


_STATE_OF_LEVEL: Mapping[str, State] = {"error": OVER, "warn": WARN, "suspicion": SUSPECT}


def _with_run(row: Row, findings: Sequence[Mapping[str, Any]], shown: Sequence[Card]) -> Row:
    """The row as bad as the findings of the run of its key: no test owns them, and no test's verdict tells of them."""
    if not findings:
        return row
    number = counted(len(findings), "finding")
    states = Counter(_STATE_OF_LEVEL[each["level"]] for each in findings)
    worst = min([row.state, *states], key=ALL_STATES.index)
    is_worse = worst is not row.state
    told = ", ".join(f"{states[state]} {state.word}" for state in ALL_STATES if states[state])
    cards = tuple(at for at, card in enumerate(shown, 1) if card.of_run and card.key == row.id)
    return replace(
        row,
        state=worst,
        measured=number if is_worse else row.measured,
        statistic="" if is_worse else row.statistic,  # "of the run" stands beside it, and leads to them
        chart=row.chart or ("not measured in any test" if row.link else "in no single test"),
        why="",
        remedy="",
        more={**row.more, "run": f"{number} of the run: {told}", "cards": cards},
        of_run=f"{number} of the run",
        cards=cards,
    )


_PROVES = frozenset({"passed", "xpassed"})


class _Held(NamedTuple):
    """A test's measure, and whether the test is one of which anybody expects it: neither skipped nor failed."""

    measure: Mapping[str, Any]
    state: State
    proves: bool

    @property
    def is_missing(self) -> bool:
        """Whether it should have been measured, and was not. What a marker leaves out is left out on purpose."""
        on_purpose = str(self.measure["why"]).startswith(SKIPPED_BY_MARKER)
        return self.state is UNMEASURED and self.proves and not on_purpose


def _budget(key: str, held: Sequence[_Held]) -> Row:
    """That of the tests, of which there may be none: then something of the run alone is told."""
    measures = [each.measure for each in held]
    measured = [each for each in measures if each["verdict"] != "not_measured"]
    numbers = Counter(each.state for each in held)
    limits = list(dict.fromkeys((each["limit"], each["unit"]) for each in measures))
    state = _worst(held)
    worst = max(measured, key=_badness, default=None)
    some = f"{len(measured):,} of " if len(measured) < len(measures) else ""
    why = "" if measured or not held else Counter(str(each["why"]) for each in measures).most_common(1)[0][0]
    target = f"\u2264 {quantity(*limits[0])}" if len(limits) == 1 else f"{len(limits)} limits" if limits else "\u2013"
    return Row(
        id=key,
        title=title_of(key),
        state=state,
        target=target,
        measured="" if worst is None else _worst_figure(worst, measured),
        statistic="worst test",
        meaning="the test that used most of its budget",
        chart="" if worst is None else _spread_of(measured),
        trend="\u2013",
        evidence=f"{some}{counted(len(measures), 'test')}" if held else "the run",
        link=f"#tests~{key}" if held else "",
        why=why,
        remedy="" if measured else "See its tests, and what is not measured below.",
        more={
            "counts": [[state.name, numbers[state]] for state in ALL_STATES if numbers[state]],
            "limits": _limits(measures),
            "set": _example(key, measures),
        },
    )


def _worst(held: Sequence[_Held]) -> State:
    """That of the worst test; within only where all that should have been measured was."""
    found = {each.state for each in held if each.state is not UNMEASURED}
    state = next((state for state in ALL_STATES if state in found), UNMEASURED)
    return PART if state is WITHIN and any(each.is_missing for each in held) else state


def _worst_figure(worst: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> str:
    """That of the worst test; where one run of another would not have shown as much, the least that it would."""
    coarsest = max(filter(is_below, measured), key=lambda each: each["resolution"], default=worst)
    if worst["verdict"] == "over" or coarsest["resolution"] <= (worst["value"] or 0):
        return figure_of(worst)
    return figure_of(coarsest)


def _badness(measure: Mapping[str, Any]) -> tuple[int, float, float]:
    return (
        -ALL_STATES.index(state_of(measure)),
        share_of(measure["value"], measure["limit"]) or 0.0,
        measure["value"] or float("inf"),
    )


def _spread_of(measured: Sequence[Mapping[str, Any]]) -> pictures.Drawing | str:
    """How much of their budget the tests used; of a limit of zero, how many kept to it."""
    shares = [share for each in measured if (share := share_of(each["value"], each["limit"])) is not None]
    over = sum(1 for each in measured if each["verdict"] == "over")
    if not shares:
        return (
            f"none in {counted(len(measured), 'test')}"
            if not over
            else f"in {over:,} of {counted(len(measured), 'test')}"
        )
    bins = Counter(min(int(share * 20), 29) for share in shares)
    most = max(shares)
    return pictures.row(
        [(at / 20, (at + 1) / 20, number) for at, number in sorted(bins.items())],
        most,
        f"the worst of {counted(len(shares), 'test')} used {share_text(most)} of its budget",
    )


def _limits(measures: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    numbers = Counter(_limit_of(each) for each in measures)
    return [[*entry, number] for entry, number in numbers.items()]


_EASED = "told as a warning: the test "  # skipped, or xfailed


def _limit_of(measure: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """As it was written: that what was skipped, or expected to fail, is only told as a warning, nobody wrote."""
    level, reason = measure["level"], measure.get("reason") or ""
    if reason.startswith(_EASED):
        level, reason = "error", ""
    return limit_of(measure), level, measure["origin"], reason


_EXAMPLES = {"B": '"8 KB"', "B/h": '"1 MB/h"', "s": '"50 ms"', "ratio": '"5 %"', "count": "1"}
_BYTES = (("B", 1.0), ("KB", 2.0**10), ("MB", 2.0**20), ("GB", 2.0**30))
_SCALES: Mapping[str, Sequence[tuple[str, float]]] = {
    "B": _BYTES,
    "B/h": [(f"{name}/h", size) for name, size in _BYTES],
    "s": (("ms", 1e-3), ("s", 1.0)),
    "ratio": (("%", 0.01),),
}
_ROUND = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_AIR = 1.1  # times what was measured: from 90 % of a limit on it is near


def _example(key: str, measures: Sequence[Mapping[str, Any]]) -> str:
    """A budget to write: the least round one that all that was measured would keep to, where anything was left."""
    unit = measures[0]["unit"] if measures else "count"
    values = [float(each["value"]) for each in measures if each["value"] is not None]
    most = max(values, default=0.0)
    if most <= 0 or unit not in (*_SCALES, "count"):
        return f"{key} = {_EXAMPLES.get(unit, '1')}"
    if unit == "count":
        return f"{key} = {math.ceil(most)}"
    steps = ((number, name, size) for name, size in _SCALES[unit] for number in _ROUND)
    fits = next(((number, name) for number, name, size in steps if number * size >= most * _AIR), None)
    return f'{key} = "{fits[0]} {fits[1]}"' if fits else ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget in force: for how many tests, and where it was written."""

    key: str
    limit: str
    level: str
    origin: str
    reason: str
    tests: int


def limits(run: Mapping[str, Any]) -> list[Limit]:
    """All budgets in force, by key; of those with several limits a line for each."""
    counts: dict[str, Counter[tuple[str, str, str, str]]] = {}
    for test in run["tests"]:
        for key, measure in test["measures"].items():
            if measure["level"] != "off":
                counts.setdefault(key, Counter())[_limit_of(measure)] += 1
    found = []
    for key, numbers in counts.items():
        found += [Limit(key, *told, number) for told, number in numbers.most_common()]
    for key, entry in run["soak"].items():
        if entry.get("limit") is not None:
            limit = quantity(entry["limit"], entry["unit"])
            found.append(Limit(key, limit, entry["level"], entry["origin"], "", 0))
    return found


# -- a soak ----------------------------------------------------------------------------------------------------------


def _soaked(soak: Mapping[str, Mapping[str, Any]], taken: set[str]) -> Iterable[Row]:
    for key, entry in soak.items():
        verdict = entry.get("verdict", "not_measured")
        value, limit, unit = entry.get("value"), entry.get("limit"), entry.get("unit", "count")
        low, high = entry["interval"]
        share = share_of(value, limit)
        if share is not None:
            chart: pictures.Drawing | str = pictures.row([], share, f"{share_text(share)} of the budget")
        else:
            chart = (
                f"{quantity(entry['values'][0], unit)} to {quantity(entry['values'][-1], unit)}"
                if entry["values"]
                else ""
            )
        yield Row(
            id=key if key not in taken else f"soak:{key}",
            title=title_of(key),
            state=state_of({"verdict": verdict, "level": entry.get("level")}),
            target="" if limit is None else f"\u2264 {quantity(limit, unit)}",
            measured="" if value is None else quantity(value, unit),
            statistic="slope" if unit == "B/h" else "soak",
            meaning=_MEANINGS["slope"] if unit == "B/h" else "what all rounds of the soak left",
            chart=chart,
            trend="\u2013",
            evidence="the soak",
            link="",
            why=str(entry.get("why") or "") if value is None else "",
            remedy="Soak for longer." if value is None else "",
            more={"interval": f"{quantity(low, unit)} to {quantity(high, unit)}"}
            if unit == "B/h" and value is not None
            else {},
        )


# -- criteria ---------------------------------------------------------------------------------------------------------


_MEANINGS: Mapping[str, str] = {
    "p50": "half of all samples are below",
    "p95": "95 of 100 samples are below",
    "p99": "99 of 100 samples are below",
    "total": "all samples added up",
    "value": "the worst of the figures that tests recorded",
    "check": "all checks that tests made have to hold",
    "slope": "change over time, judged by the end of its interval",
    "derived": "as bad as the worst of its parts",
}


def _criterion(each: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], again: Again) -> Row:
    unit, value, limit = each["unit"], each["value"], each["limit"]
    state = state_of(each)
    target = "holds" if unit == "bool" and limit else f"{SIGNS[each['comparison']]} {quantity(limit, unit)}"
    if value is None or state is UNMEASURED:
        measured = ""
    elif unit == "bool":
        measured = "holds" if value else "does not hold"
    else:
        measured = quantity(value, unit)
    evidence = evidence_of(each, known)
    statistic = each["statistic"]
    return Row(
        id=each["id"],
        title=each.get("title") or each["id"],
        state=state,
        target=target,
        measured=measured,
        statistic="" if statistic in ("value", "check") else statistic,
        meaning=_MEANINGS.get(statistic, ""),
        chart=_chart(each) if state is not UNMEASURED else "",
        trend=_trend(each),
        evidence=counted(len(evidence), "test") if evidence else "\u2013",
        link="",
        why=str(each.get("why") or "") if state is UNMEASURED else "",
        remedy=of_criterion(each) if state is UNMEASURED else "",
        more=_more(each, evidence, again),
    )


def evidence_of(each: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The tests that a criterion rests on; of one that is derived, those of its parts."""
    found, seen, left = dict.fromkeys(each["evidence"]), {each["id"]}, list(each.get("parts", ()))
    while left:
        part = left.pop(0)
        if part in known and part not in seen:
            seen.add(part)
            found.update(dict.fromkeys(known[part]["evidence"]))
            left += known[part].get("parts", ())
    return list(found)


def _more(each: Mapping[str, Any], evidence: Sequence[str], again: Again) -> dict[str, Any]:
    told: dict[str, Any] = {
        "how": each.get("measured", ""),
        "goal": each.get("goal", ""),
        "source": each.get("source", ""),
        "why": each.get("why") or "",
        "details": list(each.get("details", ())),
        "evidence": list(evidence[:_MOST_EVIDENCE]),
        "more": max(len(evidence) - _MOST_EVIDENCE, 0),
        "samples": each["samples"],
        "statistic": f"{each['statistic']}: {_MEANINGS.get(each['statistic'], '')}".rstrip(": "),
        "command": again.text(evidence),
        "parts": [[name, STATES[status].name] for name, status in each.get("parts", {}).items()],
    }
    if "interval" in each:
        told["interval"] = " to ".join(quantity(end, each["unit"]) for end in each["interval"])
    return {name: value for name, value in told.items() if value}


def _chart(each: Mapping[str, Any]) -> pictures.Drawing | str:
    """On the scale of all rows where there is a share of a budget; else a sentence, never an empty chart."""
    value, limit, samples = each["value"], each["limit"], each["samples"]
    if each["statistic"] == "derived":
        parts = Counter(each.get("parts", {}).values())
        whole = sum(parts.values())
        return f"{parts['within']} of {counted(whole, 'part')} within" if whole else ""
    share = share_of(value, limit)
    if share is None:
        if each["unit"] == "bool":
            return f"{'holds' if value else 'failed'} in {counted(samples, 'check')}"
        return f"{'none' if not value else quantity(value, each['unit'])} in {counted(samples, 'sample')}"
    at_least = each["comparison"] in (">=", ">")
    if each["comparison"] == "==":
        return f"{'exactly' if value == limit else 'not exactly'}, in {counted(samples, 'sample')}"
    shares = [(low / limit, high / limit, count) for low, high, count in buckets_of(each)]
    said = f"{each['statistic']} is {share_text(share)} of the budget, of {counted(samples, 'sample')}"
    return pictures.row(shares, share, said, at_least=at_least)


def _trend(each: Mapping[str, Any]) -> pictures.Drawing | str:
    """The last runs, as the history put them into the run file: figures, or entries that have one as ``value``."""
    values = [value for entry in each["trend"] if (value := _figure(entry)) is not None][-_LAST_RUNS:]
    if not values:
        return "\u2013"
    limit = each["limit"] if not isinstance(each["limit"], bool) else None
    unit = each["unit"]
    said = f"the last {counted(len(values), 'run')}: {quantity(values[0], unit)} to {quantity(values[-1], unit)}"
    return pictures.trend(values, limit, said)


def _figure(entry: object) -> float | None:
    if isinstance(entry, Mapping):
        entry = entry.get("value")
    return float(entry) if isinstance(entry, (int, float)) else None
