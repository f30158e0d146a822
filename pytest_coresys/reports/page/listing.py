"""The tests, packed: what many share is written once, and the page's script unpacks it when it draws. Pure.

A row is ``[path, name, outcome, state, repetitions, worker, why, set, closest key, share, findings, texts]``, the last
two where there are any; numbers in place of texts point into the tables beside them. ``failed`` tells of rows by
number what failed them (a budget, the test itself, or both), ``said`` the line of a test's own failure, ``again`` the
tests of a command where they are not the name of the row, ``settled`` the rows whose suspicions repeating can settle.
The order is the one that is shown first: failures, then suspicions, then by closest budget.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coresys.budgets.wording import advice_on, printable
from pytest_coresys.reports.again import Places
from pytest_coresys.reports.captured import FAILURE
from pytest_coresys.reports.page.again import Again, words_of
from pytest_coresys.reports.page.cards import names_of, rank_of
from pytest_coresys.reports.reading import (
    failed_by_itself,
    is_failed_by_budget,
    is_open,
    names_of_tests,
    state_of_test,
    suspected,
)
from pytest_coresys.reports.words import (
    ALL_STATES,
    OVER,
    SUSPECT,
    UNMEASURED,
    WARN,
    WORST_FIRST,
    State,
    figure_of,
    limit_of,
    quantity,
    share_of,
    share_text,
    state_of,
)
from pytest_coresys.wire import finding_from_dict

OUTCOMES = ("passed", "failed", "skipped", "xfailed", "xpassed", "error")
_FAILED = frozenset({"failed", "error"})
_LEVELS = ("error", "warn", "suspicion")
_MOST_SERIES = 60


class Table:
    """Values by number, each once."""

    def __init__(self) -> None:
        self.values: list[Hashable] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        """That of the value, which is added if it is new."""
        known = self._numbers.get(value)
        if known is None:
            known = self._numbers[value] = len(self.values)
            self.values.append(value)
        return known


@dataclass(frozen=True, slots=True)
class First:
    """One of the rows that stand in the page without its script."""

    state: State
    outcome: str
    name: str
    path: str
    key: str
    figures: str
    used: str
    why: str
    failed: str


@dataclass(frozen=True, slots=True)
class _Listed:
    test: Mapping[str, Any]
    name: str
    state: State
    closest: str | None
    share: float | None
    value: float

    @property
    def is_failed_by_itself(self) -> bool:
        """Whether no budget was needed to fail it."""
        return failed_by_itself(self.test)

    @property
    def said(self) -> str:
        """What it failed by, in one line."""
        return said_by(self.test)

    @property
    def order(self) -> tuple[Any, ...]:
        """Failures first, whatever made them fail; then by the share of the closest budget."""
        failed = self.test["outcome"] in _FAILED
        over = self.state in (OVER, SUSPECT, WARN)
        unlimited = over and self.share is None
        return (
            not failed,
            ALL_STATES.index(self.state) if over else 9,
            not unlimited,
            -(self.share or 0.0),
            self.state is not UNMEASURED,
            rank_of(self.closest or ""),
            -self.value,
            self.name,
        )


def listed(run: Mapping[str, Any]) -> list[_Listed]:
    """The tests in the order of the page."""
    found = [_listed(test, name) for test, name in zip(run["tests"], names_of_tests(run), strict=True)]
    return sorted(found, key=lambda each: each.order)


def closest_of(test: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """Which budget the test came closest to, and the share of it that was used; without a share it is over a limit of
    zero, and where nothing was used, or measured, there is no budget either."""
    closest, rank = None, (9, 0.0, 0, 0.0)
    share: float | None = None
    doubtful = suspected(test)
    for key, measure in test["measures"].items():
        if measure["level"] == "off" or measure["verdict"] == "not_measured":
            continue
        used = share_of(measure["value"], measure["limit"])
        state = state_of(measure, suspected=key in doubtful)
        over = state in (OVER, SUSPECT, WARN)
        # Over a limit of zero there is no share, and nothing is worse.
        near = -(used if used is not None else float(over) * 1e9)
        this = (ALL_STATES.index(state), near, rank_of(key), -(measure["value"] or 0.0))
        if (over or used) and this < rank:
            closest, rank, share = key, this, used
    return closest, share


def _listed(test: Mapping[str, Any], name: str) -> _Listed:
    closest, share = closest_of(test)
    state = state_of_test(test)
    value = test["measures"][closest]["value"] or 0.0 if closest else 0.0
    return _Listed(test, name, state, closest, share, float(value))


def first_rows(tests: Sequence[_Listed], most: int) -> list[First]:
    """The first rows as text."""
    found = []
    for each in tests[:most]:
        measure = each.test["measures"].get(each.closest or "")
        figures = "" if measure is None else _against(measure)
        used = share_text(each.share) if measure is not None else ""
        path, name = _split(each.name)
        found.append(
            First(
                each.state,
                each.test["outcome"],
                name,
                path,
                each.closest or "",
                figures,
                used,
                said_by(each.test) or each.test["why"] or "",
                failed_by(each.test),
            )
        )
    return found


def failed_by(test: Mapping[str, Any]) -> str:
    """What failed a test, in words that stand behind its outcome; nothing for one that did not fail, or only would."""
    if test["outcome"] not in _FAILED:
        return ""
    itself, budget = failed_by_itself(test), is_failed_by_budget(test)
    return "by itself, and over budget" if itself and budget else "by itself" if itself else "over budget"


def can_be_settled(test: Mapping[str, Any]) -> bool:
    """Whether something is suspected of it that repeating could tell."""
    return any(is_open(str((test["measures"].get(key) or {}).get("why"))) for key in suspected(test))


def said_by(test: Mapping[str, Any]) -> str:
    """The line that says what failed a test by itself, as pytest marks it; nothing where there is none."""
    if not failed_by_itself(test):
        return ""
    text = next((each["text"] for each in test.get("captured", ()) if each["name"] == FAILURE), "")
    marked = (line[1:].strip() for line in text.splitlines() if line.startswith("E  "))
    return next(filter(None, marked), "")[:_MOST_SAID]


_MOST_SAID = 200  # characters, of which a row shows what it has room for


def _against(measure: Mapping[str, Any]) -> str:
    sign = ">" if measure["verdict"] == "over" else "of"
    return f"{figure_of(measure)} {sign} {limit_of(measure)}"


def _split(name: str) -> tuple[str, str]:
    path, mark, rest = name.partition("::")
    return (path, rest) if mark else ("", name)


class Packed:
    """The tables of all tests, as ``data`` for the page's script."""

    def __init__(self, tests: Sequence[_Listed], locks: Mapping[str, Any], again: Again) -> None:
        self._paths, self._keys, self._workers, self._whys = Table(), Table(), Table(), Table()
        self._templates, self._measures, self._sets = Table(), Table(), Table()
        rows = [self._row(each) for each in tests]
        at = {each.test["nodeid"]: number for number, each in reversed(list(enumerate(tests)))}
        self.data: dict[str, Any] = {
            "rows": rows,
            "paths": self._paths.values,
            "keys": self._keys.values,
            "workers": self._workers.values,
            "whys": self._whys.values,
            "templates": self._templates.values,
            "measures": self._measures.values,
            "sets": self._sets.values,
            "outcomes": OUTCOMES,
            "states": WORST_FIRST,
            "failed": {number: said for number, each in enumerate(tests) if (said := failed_by(each.test))},
            "said": {number: said for number, each in enumerate(tests) if (said := said_by(each.test))},
            "again": _typed(tests, again.places),
            "options": again.options,
            "strict": again.strict,
            "settled": [] if again.is_settled else [at for at, each in enumerate(tests) if can_be_settled(each.test)],
            "locks": _locks(locks, at),
        }

    def _row(self, each: _Listed) -> list[Any]:
        test = each.test
        path, name = _split(each.name)
        share = each.share
        row: list[Any] = [
            self._paths.number(path),
            name,
            OUTCOMES.index(test["outcome"]),
            ALL_STATES.index(each.state),
            test["repetitions"],
            self._workers.number(test["worker"]),
            self._whys.number(test["why"] or ""),
            self._set(test["measures"], suspected(test)),
            -1 if each.closest is None else self._keys.number(each.closest),
            -1 if share is None else _number(share),
        ]
        texts = [[each["name"], each["text"].expandtabs().splitlines()] for each in test.get("captured", ())]
        if test["findings"] or texts:
            worst_first = sorted(test["findings"], key=lambda found: _LEVELS.index(found["level"]))
            row.append([_finding(found) for found in worst_first])
        if texts:
            row.append(texts)
        return row

    def _set(self, measures: Mapping[str, Any], doubtful: Sequence[str]) -> int:
        numbers = tuple(self._measure(key, measure, key in doubtful) for key, measure in measures.items())
        return self._sets.number(numbers)

    def _measure(self, key: str, measure: Mapping[str, Any], is_suspected: bool) -> int:
        template = (
            self._keys.number(key),
            "" if measure["limit"] is None else quantity(measure["limit"], measure["unit"]),
            measure["limit"],
            measure["unit"],
            measure["level"],
            measure["origin"],
            measure["evidence"],
            ALL_STATES.index(state_of(measure, suspected=is_suspected)),
            measure["why"] or "",
            measure.get("reason", ""),
            tuple(measure.get("details", ())),
        )
        series = _series(measure["series"])
        entry: tuple[Any, ...] = (
            self._templates.number(template),
            _number(measure["value"]),
            _number(measure["resolution"]),
        )
        return self._measures.number((*entry, series) if series else entry)


def _typed(tests: Sequence[_Listed], places: Places) -> dict[int, str]:
    """Tests as words of a command, for rows whose name is not what they are called by, or cannot be shown as it is."""
    found = {}
    for number, each in enumerate(tests):
        nodeid = each.test["nodeid"]
        if each.name != nodeid or printable(nodeid, ascii_only=False) != nodeid or not places.is_path(nodeid):
            found[number] = words_of([nodeid], Places([each.test]) if "module" in each.test else places)
    return found


def _series(values: Sequence[float | None]) -> tuple[Any, ...]:
    """At most so many of them, at even distances."""
    stride = max(-(-len(values) // _MOST_SERIES), 1)
    return tuple(map(_number, values[::stride]))


def _number(value: float | None) -> float | int | None:
    """With the digits that can be read: the exact figure is in the run file."""
    if value is None or isinstance(value, int):
        return value
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _finding(finding: Mapping[str, Any]) -> list[Any]:
    tried = advice_on(finding_from_dict(finding))
    return [
        finding["key"],
        finding["level"],
        finding["summary"],
        list(finding["details"]),
        [[f"{each['path']}:{each['line']}", each["function"], each["note"]] for each in finding["locations"]],
        [list(chain) for chain in finding.get("holders", ())],
        tried or "",
    ]


def _locks(locks: Mapping[str, Any], at: Mapping[str, int]) -> dict[str, Any]:
    nodes = {node["id"]: node for node in locks["nodes"]}
    names = names_of(nodes, nodes)
    return {
        "nodes": [[number, names[number], node["site"], node["kind"], node["scope"]] for number, node in nodes.items()],
        "edges": [
            [
                edge["from"],
                edge["to"],
                edge["thread"],
                edge["sites"],
                [at[test] for test in edge["tests"] if test in at],
                edge["gates"],
            ]
            for edge in locks["edges"]
        ],
        "cycles": [cycle["edges"] for cycle in locks["cycles"]],
    }


def embedded(data: object) -> str:
    """The data as JSON that may stand in a page: no ``<`` in it ends the script or opens another."""
    text = json.dumps(_safe(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _safe(value: Any) -> Any:
    """Texts with what no reader should obey (controls, directions, lone surrogates) as escapes."""
    if isinstance(value, str):
        return printable(value, ascii_only=False)
    if isinstance(value, (list, tuple)):
        return [_safe(each) for each in value]
    if isinstance(value, dict):
        return {printable(str(name), ascii_only=False): _safe(each) for name, each in value.items()}
    return value
