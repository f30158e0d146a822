"""What to fix: one card for each thing that is wrong, the worst first, with the picture that fits it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coresys.budgets.wording import advice_on, limit_text, numbered
from coresys.records import GROWS_ALONG
from pytest_coresys.measures import GROWTH, MEASURES
from pytest_coresys.reports import pictures
from pytest_coresys.reports.page.again import Again, Command
from pytest_coresys.reports.words import SIGNS, beyond_text, counted, joined, quantity, share_of
from pytest_coresys.wire import finding_from_dict, measure_from_dict

_MOST_PLACES = 4
_MOST_PLACES_OF_LOCKS = 6
_MOST_CHAINS = 2
_MOST_DETAILS = 5
_MOST_TESTS = 3
_LEVELS = ("error", "warn")

# What hangs or may hang comes first, then what is counted exactly, then bytes, time and settings.
_RANK = (
    "coresys",
    "locks.deadlocks",
    "locks.potential_deadlocks",
    *("threads.leaked", "processes.leaked", "descriptors.leaked", "tasks.leaked", "environment.left"),
    *("memory.growth_rate", "memory.growth", "locks.contention"),
)
_SLIGHT = 4096  # bytes kept by a repetition
_OF_CIRCLES = ("locks.potential_deadlocks", "locks.deadlocks")
_SETTINGS = "globals.changed"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code and what happened there."""

    at: str
    function: str
    note: str


@dataclass(frozen=True, slots=True)
class Card:
    """One thing to fix. ``tests`` are ids, of ``number`` in all; ``cycle`` is the circle of the run's graph that it is
    about, and ``command`` what to type, its options apart, which must not be broken. ``of_run``: no test owns it."""

    key: str
    title: str
    level: str
    value: str
    told: str
    picture: pictures.Drawing | None
    places: tuple[Place, ...] = ()
    more_places: int = 0
    chains: tuple[tuple[str, ...], ...] = ()
    details: tuple[str, ...] = ()
    more_details: int = 0
    along: tuple[str, ...] = ()
    owner: str | None = None
    limit: str = ""
    advice: str | None = None
    tests: tuple[str, ...] = ()
    number: int = 0
    cycle: int | None = None
    command: Command | None = None
    of_run: bool = False
    rank: tuple[Any, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class _Found:
    finding: Mapping[str, Any]
    measure: Mapping[str, Any] | None
    tests: tuple[str, ...]
    repetitions: int
    along: tuple[str, ...] = ()
    of_run: bool = False


def cards(run: Mapping[str, Any]) -> list[Card]:
    """All cards of a run: findings of tests and of the run of level error or warn, and criteria that are over."""
    again = Again(run)
    told = [_card(each, run, again) for each in _grouped(_found(run))]
    criteria = [
        _of_criterion(each, again)
        for each in run["criteria"]
        if each["verdict"] == "over" and each["statistic"] != "derived"
    ]
    return sorted([*told, *criteria], key=lambda card: card.rank)


def rank_of(key: str) -> int:
    """Which of several measures to look at first; the lowest."""
    return _RANK.index(key) if key in _RANK else len(_RANK)


def _harm(key: str, value: float) -> float:
    """The rank of its kind; but a few bytes do less harm than the time that is lost at a lock."""
    slight = key == "memory.growth" and value < _SLIGHT
    return rank_of("locks.contention") + 0.5 if slight else rank_of(key)


def _found(run: Mapping[str, Any]) -> Iterable[_Found]:
    for finding in run["findings"]:
        if finding["level"] in _LEVELS:
            yield _Found(finding, None, tuple(finding["tests"]), 0, of_run=True)
    for test in run["tests"]:
        findings = [each for each in test["findings"] if each["level"] in _LEVELS]
        followers = {id(each): _leads(each) for each in findings}
        leaders = {each["key"] for each in findings if not followers[id(each)]}
        for finding in findings:
            if followers[id(finding)] & leaders:
                continue  # told on the card of what it follows from
            along = tuple(each["summary"] for each in findings if finding["key"] in followers[id(each)])
            yield _Found(finding, test["measures"].get(finding["key"]), (test["nodeid"],), test["repetitions"], along)


def _leads(finding: Mapping[str, Any]) -> set[str]:
    """The keys of which this finding may be a mere consequence."""
    for detail in finding["details"]:
        if detail.startswith(GROWS_ALONG):
            return set(detail.removeprefix(GROWS_ALONG).partition(", which ")[0].split(", "))
    return set()


def _grouped(found: Iterable[_Found]) -> list[_Found]:
    """Findings of one key at one line of code, from however many tests, are one thing to fix."""
    groups: dict[tuple[Any, ...], list[_Found]] = {}
    for each in found:
        groups.setdefault(_identity(each), []).append(each)
    return [_together(several) for several in groups.values()]


def _together(several: list[_Found]) -> _Found:
    """The worst of them, with the tests of all."""
    worst = max(several, key=_value_of)
    tests = dict.fromkeys(test for each in (worst, *several) for test in each.tests)
    return replace(worst, tests=tuple(tests), of_run=any(each.of_run for each in several))


def _identity(found: _Found) -> tuple[Any, ...]:
    finding = found.finding
    first = finding["locations"][0] if finding["locations"] else None
    # Without a place there is nothing to tell two findings of two tests to be one.
    place: Any = (first["path"], first["line"]) if first else found.tests
    identity = (finding["key"], finding["level"], finding.get("owner"), place, tuple(finding.get("locks", ())))
    if finding["key"] in (*_OF_CIRCLES, _SETTINGS):
        return (*identity, tuple(str(place) for place in finding["locations"]))
    return identity


def _value_of(found: _Found) -> float:
    return (found.measure or {}).get("value") or 0.0


def _card(found: _Found, run: Mapping[str, Any], again: Again) -> Card:
    finding, measure = found.finding, found.measure
    key = finding["key"]
    most = _MOST_PLACES_OF_LOCKS if key.startswith("locks.") else _MOST_PLACES
    details = [each for each in finding["details"] if not each.startswith(("stack of ", GROWS_ALONG))]
    value, told = _figures(finding, measure)
    again_with = len(finding.get("tests", ())) or 1  # of the run: all that it takes; else the worst of them alone
    share = share_of(measure["value"], measure["limit"]) if measure else None
    return Card(
        key=key,
        title=title_of(key),
        level=finding["level"],
        value=value,
        told=told,
        picture=_picture(found, run),
        places=tuple(
            Place(f"{each['path']}:{each['line']}", each["function"], each["note"])
            for each in finding["locations"][:most]
        ),
        more_places=max(len(finding["locations"]) - most, 0),
        chains=tuple(tuple(chain) for chain in finding.get("holders", ())[:_MOST_CHAINS]),
        details=tuple(details[:_MOST_DETAILS]),
        more_details=max(len(details) - _MOST_DETAILS, 0),
        along=found.along,
        owner=finding.get("owner"),
        limit=_limit_of_run(finding) if measure is None else limit_text(measure_from_dict(key, measure)),
        advice=advice_on(finding_from_dict(finding)),
        tests=found.tests[:_MOST_TESTS],
        number=len(found.tests),
        cycle=_cycle_of(found, run["locks"]) if key == "locks.potential_deadlocks" else None,
        command=again(found.tests[: min(again_with, _MOST_TESTS)]),
        of_run=found.of_run,
        rank=(
            _LEVELS.index(finding["level"]),
            _harm(key, _value_of(found)),
            key,
            -(share or 0.0),
            -_value_of(found),
            found.tests[:1],
        ),
    )


def title_of(key: str) -> str:
    """What a measure is called."""
    if key in MEASURES:
        return _NAMES.get(key, MEASURES[key].help)
    return "Wrong budgets" if key == "coresys" else key


_NAMES = {
    "memory.growth": "Memory kept by each repetition",
    "memory.growth_rate": "Memory growth over a soak",
    "memory.peak": "Peak memory",
    "memory.fragmentation": "Memory stranded",
    "threads.leaked": "Threads left running",
    "threads.peak": "Threads at once",
    "descriptors.leaked": "Files and sockets left open",
    "processes.leaked": "Child processes left running",
    "tasks.leaked": "asyncio tasks left pending",
    "loop.blocked": "Event loop blocked",
    "globals.changed": "Settings left changed",
    "environment.left": "Left in the environment",
    "pools.fragmentation": "Fragmentation of pools",
    "pools.component": "Held by one component",
    "locks.contention": "Time lost by waiting for a lock",
    "locks.wait": "Longest wait for a lock",
    "locks.potential_deadlocks": "Potential deadlocks",
    "locks.deadlocks": "Deadlocks",
    "cpu.share": "Processor time",
    "time.setup": "Setup",
    "time.call": "Call",
    "time.teardown": "Teardown",
}


def _figures(finding: Mapping[str, Any], measure: Mapping[str, Any] | None) -> tuple[str, str]:
    """The number in large, and what stands beside it."""
    if finding.get("locks") or finding["key"] in _OF_CIRCLES:
        budget = _budget_of_run(finding)[0] if measure is None else quantity(measure["limit"], "count")
        limit = f", budget {budget}" if budget else ""
        if finding["key"] == "locks.deadlocks":
            return "1 deadlock", f"it happened, and was broken{limit}"
        met = any(detail.endswith("here some did") for detail in finding["details"])
        return "1 circle", f"{'threads met in it' if met else 'it did not hang'}{limit}"
    if measure is None or measure["value"] is None:
        _, _, said = finding["summary"].partition(": ")
        return _split(said or finding["summary"])
    value = quantity(measure["value"], measure["unit"])
    each = " per run" if finding["key"] in GROWTH else ""
    beyond = beyond_text(measure["value"], measure["limit"])
    limit = f"budget {quantity(measure['limit'], measure['unit'])}" if measure["limit"] is not None else ""
    return f"{value}{each}", ", ".join(part for part in (limit, beyond) if part)


def _budget_of_run(finding: Mapping[str, Any]) -> tuple[str, str]:
    """The limit that a finding of the run is beyond, and what set it, as its summary says; nothing where it does not.

    No test owns such a finding, so that there is no measure which would have them.
    """
    said = str(finding["summary"]).removeprefix(f"{finding['key']}: ")
    match = _BEYOND.match(said)
    return (match["limit"], match["origin"]) if match else ("", "")


_BEYOND = re.compile(r"[^>]{1,200}? > (?P<limit>[^>()]{1,30}) \((?P<origin>[^()]{1,200})\)")


def _limit_of_run(finding: Mapping[str, Any]) -> str:
    limit, origin = _budget_of_run(finding)
    return f"{limit}, set by {origin}" if limit else ""


_SUMMARY = re.compile(r"(?P<value>[^>]{1,40}) > (?P<limit>.{1,80})", re.DOTALL)


def _split(said: str) -> tuple[str, str]:
    match = _SUMMARY.fullmatch(said)
    if match is None:
        return "", said
    return match["value"], f"budget {match['limit']}"


# -- pictures -------------------------------------------------------------------------------------------------------


def _picture(found: _Found, run: Mapping[str, Any]) -> pictures.Drawing | None:
    key, measure = found.finding["key"], found.measure
    if key == "locks.potential_deadlocks":
        return _circle(_cycle_of(found, run["locks"]), run["locks"])
    if key == "locks.deadlocks":
        return _deadlock(found.finding)
    if key == "locks.contention":
        return _contended(found, run)
    if key == "memory.growth_rate" and run["soak"].get(key):
        return soak_picture(run["soak"][key])
    if key == "memory.growth" and measure is not None and len(_finite(measure["series"])) > 1:
        return growth_picture(measure, found.repetitions)
    if (key in GROWTH and key != "memory.growth") or key in (_SETTINGS, "environment.left"):
        return _outlives(found.finding)
    if measure is None or measure["value"] is None or measure["limit"] is None:
        return None
    return _against_limit(key, measure)


def _finite(series: Iterable[float | None]) -> list[float]:
    return [value for value in series if value is not None]


def growth_picture(measure: Mapping[str, Any], repetitions: int) -> pictures.Drawing:
    """What the repetitions kept, added up, beside the judged slope and that of the budget."""
    series = _finite(measure["series"])
    times = max(repetitions, len(series))
    step = times / len(series)
    xs, ys, kept = [0.0], [0.0], 0.0
    for at, value in enumerate(series, 1):
        kept += value * step
        xs.append(at * step)
        ys.append(kept)
    rate, limit, unit = float(measure["value"] or 0.0), measure["limit"], measure["unit"]
    told = quantity(rate, unit)
    budget = None if limit is None else pictures.Line(float(limit), f"budget {quantity(limit, unit)} per run")
    return pictures.growth(
        xs,
        ys,
        slope=pictures.Line(rate, f"{told} per run"),
        budget=budget,
        x_name=counted(times, "repetition"),
        shown=lambda value: quantity(value, unit),
        label=f"Kept memory grows with each repetition, by {told}, to {quantity(kept, unit)} after {times}",
    )


def soak_picture(entry: Mapping[str, Any]) -> pictures.Drawing | None:
    """Bytes in use over the time of a soak, from where it began, with the slope and its interval."""
    times, values = list(entry["times"]), list(entry["values"])
    if len(times) < 2 or entry.get("value") is None:
        return None
    low, high = (float(end) / 3600 for end in entry["interval"])
    rate = float(entry["value"])
    start = times[0]
    limit = entry.get("limit")
    end = times[-1] - start
    stride = max(len(times) // 240, 1)  # more than that no eye could tell apart
    return pictures.growth(
        [time - start for time in times[::stride]],
        [value - values[0] for value in values[::stride]],
        slope=pictures.Line(rate / 3600, quantity(rate, "B/h")),
        budget=None if limit is None else pictures.Line(float(limit) / 3600, f"budget {quantity(limit, 'B/h')}"),
        interval=(low, high),
        x_name=quantity(end, "s"),
        shown=lambda value: quantity(value, "B"),
        label=f"Memory over {quantity(end, 's')}: {quantity(rate, 'B/h')}, "
        f"between {quantity(entry['interval'][0], 'B/h')} and {quantity(entry['interval'][1], 'B/h')}",
    )


_NAMED = re.compile(
    r"thread '(?P<thread>[^']+)'|task '(?P<task>[^']+)'(?: coro (?P<coro>\S+?),)?"
    r"|(?P<fd>fd \d+ (?:socket|pipe|file)?)|(?P<process>process \d+ [^\s,]+)"
)


def _lane_name(detail: str) -> str:
    match = _NAMED.match(detail)
    if match is None:
        return re.split(r" set to |: | changed | added | removed ", detail, maxsplit=1)[0]
    if match["coro"]:
        return match["coro"]
    return str(match["thread"] or match["task"] or match["fd"] or match["process"]).strip()


def _outlives(finding: Mapping[str, Any]) -> pictures.Drawing | None:
    details = [each for each in finding["details"] if not each.startswith((GROWS_ALONG, "..."))]
    if not details:
        return None
    names = [_lane_name(each) for each in details]
    after = "still changed" if finding["key"] == _SETTINGS else "still there"
    return pictures.lifelines(names, after=after, label=f"{joined(names[:3])}: {after} after the test has ended")


def _contended(found: _Found, run: Mapping[str, Any]) -> pictures.Drawing | None:
    """A bar for each lock that was over in this run, this one first."""
    measure = found.measure
    if measure is None or measure["value"] is None:
        return None
    shares: dict[str, float] = {}
    for test in run["tests"]:
        for finding in test["findings"]:
            if finding["key"] == "locks.contention" and finding["details"]:
                value = test["measures"].get("locks.contention", {}).get("value") or 0.0
                name = _lock_name(finding)
                shares[name] = max(shares.get(name, 0.0), value)
    own = _lock_name(found.finding)
    shares.pop(own, None)
    bars = [pictures.Bar(own, measure["value"], f"{quantity(measure['value'], 'ratio')} lost", over=True)]
    waited = _WAITED.search(" ".join(found.finding["details"]))
    if waited is not None:
        share = float(waited[1]) / 100
        bars.append(pictures.Bar("waiting in all", share, f"{quantity(share, 'ratio')}, not judged"))
    others = sorted(shares.items(), key=lambda entry: -entry[1])
    bars += [pictures.Bar(name, share, f"{quantity(share, 'ratio')}, other card") for name, share in others]
    limit = float(measure["limit"])
    return pictures.bars(
        bars,
        limit=limit,
        limit_name=f"budget {quantity(limit, 'ratio')}",
        label=f"Time lost at each lock: {', '.join(f'{bar.name} {bar.told}' for bar in bars)}",
    )


_WAITED = re.compile(r"waits? of [^(]+ in all \(([0-9.]+) %\)")


def _lock_name(finding: Mapping[str, Any]) -> str:
    return str(next(iter(finding["details"]), "the lock")).partition(":")[0]


def _cycle_of(found: _Found, locks: Mapping[str, Any]) -> int | None:
    """The circle of the run's graph that this finding is about; None where that is not to be told for certain."""
    sites, tests = set(found.finding.get("locks", ())), set(found.tests)
    made = {node["id"]: node["site"] for node in locks["nodes"]}
    for number, cycle in enumerate(locks["cycles"]):
        edges = [locks["edges"][at] for at in cycle["edges"]]
        made_at = {made[edge["from"]] for edge in edges}
        if made_at == sites and set(cycle["tests"]) & tests and _taken_at(edges) <= _places(found.finding):
            return number
    return None


def _circle(number: int | None, locks: Mapping[str, Any]) -> pictures.Drawing | None:
    if number is None:
        return None
    edges = [locks["edges"][at] for at in locks["cycles"][number]["edges"]]
    return circle_picture(edges, {node["id"]: node for node in locks["nodes"]})


def _taken_at(edges: Iterable[Mapping[str, Any]]) -> set[str]:
    return {edge["sites"][1] for edge in edges}


def _places(finding: Mapping[str, Any]) -> set[str]:
    return {f"{each['path']}:{each['line']}" for each in finding["locations"]}


def names_of(numbers: Iterable[int], nodes: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """What each lock is called; numbered where several would be called the same."""
    return numbered({number: nodes[number]["name"] for number in numbers})


def circle_picture(edges: Sequence[Mapping[str, Any]], nodes: Mapping[int, Mapping[str, Any]]) -> pictures.Drawing:
    """Boxes for the locks, arrows for who held the one and took the other."""
    names = names_of((edge["from"] for edge in edges), nodes)
    arrows = []
    for edge in edges:
        held, taken = (site.rpartition("/")[2] for site in edge["sites"][:2])
        where = taken if held == taken else f"{held}, then {taken}"
        arrows.append(pictures.Arrow(names[edge["from"]], names.get(edge["to"], "?"), edge["thread"], where))
    said = "; ".join(f"{each.who} holds {each.source} and takes {each.target}" for each in arrows)
    return pictures.circle(arrows, f"A circle: {said}")


_WAITS = re.compile(
    r"(?P<who>.+?) waits for (?P<what>(?:the end of (?:thread |task )?(?P<end>.+?))|.+?)"
    r"(?:, held by (?P<held>.+?)|, which (?P<works>.+?) works on|, which is to come from (?P<comes>.+?))?"
    r"(?:; it holds .*)?",
    re.DOTALL,
)


def _deadlock(finding: Mapping[str, Any]) -> pictures.Drawing | None:
    """Threads as boxes, and what each waits for on the arrow to the next; None where that is no circle for certain."""
    found = {match["who"]: match for match in map(_WAITS.fullmatch, finding["details"]) if match}
    nexts = {who: _for_whom(match) for who, match in found.items()}
    order = list(found)[:1]
    while order and (after := nexts[order[-1]]) in nexts and after not in order:
        order.append(after)
    if not order or nexts[order[-1]] != order[0] or len(order) < len(found):
        return None
    arrows = [pictures.Arrow(who, nexts[who], "waits for", found[who]["what"]) for who in order]
    said = [
        f"{who} waits for {found[who]['what']}{f', which {nexts[who]} holds' if found[who]['held'] else ''}"
        for who in order
    ]
    return pictures.circle(arrows, "; ".join(said))


def _for_whom(match: re.Match[str]) -> str:
    return next((match[name] for name in ("held", "works", "comes", "end") if match[name]), "")


def _against_limit(key: str, measure: Mapping[str, Any]) -> pictures.Drawing:
    value, limit, unit = float(measure["value"]), float(measure["limit"]), measure["unit"]
    told = quantity(value, unit)
    limit_name = f"budget {quantity(limit, unit)}"
    label = f"{told}, {limit_name}"
    if key.endswith(".fragmentation"):
        return pictures.blocks(
            value,
            limit,
            told=f"{told} stranded",
            limit_name=f"{limit_name}; a block is 1 % of what is in use",
            label=label,
        )
    return pictures.gauge(value, limit, told=told, limit_name=limit_name, label=label)


# -- criteria -------------------------------------------------------------------------------------------------------


def _of_criterion(each: Mapping[str, Any], again: Again) -> Card:
    value, unit = each["value"], each["unit"]
    share = share_of(value, each["limit"])
    evidence = tuple(each["evidence"])
    level = "warn" if each.get("level") == "warn" else "error"
    beyond = beyond_text(value, each["limit"]) if each["comparison"] in ("<", "<=") else ""
    told = [] if each["statistic"] in ("value", "check") else [each["statistic"]]
    told += (
        [f"has to be {SIGNS[each['comparison']]} {quantity(each['limit'], unit)}"]
        if unit != "bool"
        else ["has to hold"]
    )
    told += [beyond] if beyond else []
    details = [line for line in (each.get("why"), *each.get("details", ())) if line]
    return Card(
        key=each["id"],
        title=each.get("title") or each["id"],
        level=level,
        value="does not hold" if unit == "bool" else quantity(value, unit),
        told=", ".join(told),
        picture=criterion_picture(each),
        details=tuple(dict.fromkeys(details))[:_MOST_DETAILS],
        more_details=max(len(dict.fromkeys(details)) - _MOST_DETAILS, 0),
        limit=f"{each['shown_limit']}, a success criterion" if each.get("shown_limit") else "a success criterion",
        tests=evidence[:_MOST_TESTS],
        number=len(evidence),
        command=again(evidence),
        rank=(_LEVELS.index(level), -1, each["id"], -(share or 0.0), 0.0, ()),
    )


def buckets_of(each: Mapping[str, Any]) -> list[tuple[float, float, int]]:
    """From, to and how many, of a criterion's histogram, whose bounds are upper edges without empty buckets."""
    bounds, counts = each.get("histogram", {}).get("bounds", []), each.get("histogram", {}).get("counts", [])
    found, before = [], None
    for edge, count in zip(bounds, counts, strict=False):
        # Its buckets are an eighth wide at most; what lies below one that was empty is not known better than that.
        narrow = edge - abs(edge) / 8
        low = narrow if before is None else max(before, narrow)
        found.append((low, edge, count))
        before = edge
    return found


def criterion_picture(each: Mapping[str, Any]) -> pictures.Drawing | None:
    """All of its samples where there are any to show; else its value beside the limit."""
    value, limit, unit = each["value"], each["limit"], each["unit"]
    if isinstance(value, bool) or isinstance(limit, bool) or value is None or limit is None or limit <= 0:
        return None
    label = f"{each['statistic']} {quantity(value, unit)}, limit {quantity(limit, unit)}"
    buckets = buckets_of(each)
    if len(buckets) > 2 and each["statistic"] in ("p50", "p95", "p99") and buckets[0][0] >= 0:
        return pictures.histogram(
            buckets,
            limit=float(limit),
            judged=float(value),
            statistic=each["statistic"],
            shown=lambda figure: quantity(figure, unit),
            label=label,
            at_least=each["comparison"] in (">", ">="),
        )
    if value < 0:
        return None
    limit_name = f"budget {quantity(limit, unit)}"
    return pictures.gauge(float(value), float(limit), told=quantity(value, unit), limit_name=limit_name, label=label)
