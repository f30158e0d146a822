"""Known excesses, kept in a file beside the code: only what is new, or worse, fails. Pure, but for reading and writing.

An entry is about one measure of one test (or one criterion, or one finding of the run), and has the figure that was
recorded, why, and when. It excuses that figure and what is less; more than a tenth above it is worse, and of what is
counted each one more is. Circles of locks are the same if all their locks are among those that were recorded.

The file is JSON with an entry a line, made to be edited by hand too: lines may be moved, and lines that begin with
``#`` or ``//`` are comments, which stay with the entry below them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from coresys.budgets.model import Verdict
from coresys.budgets.units import format_quantity
from coresys.records import Finding
from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.keys import unknown
from pytest_coresys.criteria.records import softened
from pytest_coresys.criteria.units import SCALED
from pytest_coresys.reports.reading import suspected
from pytest_coresys.wire import finding_subject, plain_number, plain_text

SCHEMA = 1
WORSE = 1.1  # times what was recorded: figures of bytes and times are never twice the same
_OPTION = "--coresys-baseline"
Subject = tuple[str, str, str]  # what it is about ("test", "criterion", "run"), of whom, and the key


@dataclass(frozen=True, slots=True)
class Entry:
    """``name`` is a node id, an id of a criterion, or the owner of a finding of the run; ``value`` in base units."""

    about: str
    name: str
    key: str
    value: float
    unit: str
    reason: str
    date: str
    locks: tuple[str, ...] = ()

    @property
    def subject(self) -> Subject:
        return self.about, self.name, self.key

    @property
    def shown(self) -> str:
        """The figure, as a person reads it."""
        return format_quantity(self.value, self.unit)

    def excuses(self, value: float, locks: Iterable[str] = ()) -> bool:
        """Whether it is no worse than what was recorded."""
        if self.locks and not set(locks) <= set(self.locks):
            return False
        return value <= (self.value * WORSE if self.unit in SCALED else self.value)


@dataclass(frozen=True, slots=True)
class Comments:
    """Lines that begin with ``#`` or ``//``: over all, over an entry, and behind the last."""

    head: tuple[str, ...] = ()
    above: Mapping[Subject, tuple[str, ...]] = field(default_factory=dict)
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of one file, which is called ``name``. ``recording``: everything is taken up, for this reason."""

    name: str
    entries: Mapping[Subject, Entry]
    recording: str | None = None
    comments: Comments = field(default_factory=Comments)

    def of_test(
        self, nodeid: str, verdicts: Sequence[Verdict], findings: Sequence[Finding]
    ) -> tuple[tuple[Verdict, ...], list[Finding]]:
        """The verdicts and findings of a test, with what is known at the level of a warning."""
        excused: dict[str, str] = {}
        worse: dict[str, str] = {}
        values = {each.key: each for each in verdicts}
        for finding in findings:
            verdict = values.get(finding.key)
            if finding.level != "error" or verdict is None or verdict.value is None or finding.key in excused:
                continue
            locks = [site for each in findings if each.key == finding.key for site in each.locks]
            told, known = self._said_of(("test", nodeid, finding.key), verdict.value, locks)
            (excused if known else worse)[finding.key] = told
        if not excused and not any(worse.values()):
            return tuple(verdicts), list(findings)
        return (
            tuple(
                replace(each, level="warn", reason=excused[each.key]) if each.key in excused else each
                for each in verdicts
            ),
            [_told(each, excused, worse) for each in findings],
        )

    def _said_of(self, subject: Subject, value: float, locks: Iterable[str]) -> tuple[str, bool]:
        """What is to be said of an excess, and whether it is excused."""
        if self.recording is not None:
            return f"recorded in {self.name}: {self.recording}", True
        entry = self.entries.get(subject)
        if entry is None:
            return "", False
        told = self._told_of(entry)
        return (
            (f"known: {told}", True) if entry.excuses(value, locks) else (f"worse than what is known ({told})", False)
        )

    def _told_of(self, entry: Entry) -> str:
        return f"{entry.shown}, recorded {entry.date} in {self.name}: {entry.reason}"

    def of_run(self, finding: Mapping[str, Any]) -> dict[str, Any]:
        """A finding of the run, at the level of a warning if it is known."""
        found = dict(finding)
        if finding["level"] != "error":
            return found
        told, known = self._said_of(_of_finding(finding), 1.0, finding.get("locks", ()))
        return {**found, "level": "warn", "details": [told, *finding["details"]]} if known else found

    def of_criterion(self, criterion: Mapping[str, Any]) -> dict[str, Any]:
        """A criterion that is over, at the level of a warning if that is known, and no worse."""
        found = dict(criterion)
        if criterion["verdict"] != "over" or criterion["level"] != "error" or criterion["statistic"] == "derived":
            return found
        told, known = self._said_of(("criterion", criterion["id"], criterion["id"]), _badness(criterion), ())
        if told:
            found["details"] = [told, *criterion["details"]]
        return {**found, "level": "warn"} if known else found

    def of_criteria(self, criteria: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """All criteria of a run. What rests on others fails nothing if each part that is over is known, or warns."""
        found = [self.of_criterion(each) for each in criteria]
        excused = {now["id"] for was, now in zip(criteria, found, strict=True) if now["level"] != was["level"]}

        def told(over: Sequence[str]) -> str:
            known = ", ".join(name for name in over if name in excused)
            warned = ", ".join(name for name in over if name not in excused)
            parts = [f"what is known in {self.name}: {known}"] if known else []
            parts += [f"what only warns: {warned}"] if warned else []
            return f"over by {' and by '.join(parts)}"

        return softened(found, told)

    def of_no_test(self, collected: Iterable[str], whole: Callable[[str], bool]) -> list[Entry]:
        """Entries of tests that there are no more. ``whole``: whether all of the tests of a file were collected."""
        there = set(collected)
        there |= {name.rpartition("@")[0] for name in there}  # pytest-xdist puts the group of a test behind its name
        entries = (entry for entry in self.entries.values() if entry.about == "test" and entry.name not in there)
        return [entry for entry in entries if whole(entry.name.partition("::")[0])]

    def tightenable(self, run: Mapping[str, Any], of_no_test: Sequence[Entry] = ()) -> list[str]:
        """Entries of what is better now: gone, or by more than a tenth less. What could not be seen tells nothing."""
        found, figure = [], _figures_of(run)
        for entry in of_no_test:
            found.append(f"{entry.name} {entry.key}: {entry.shown} is known, its test is gone")
        for entry in self.entries.values():
            seen = figure(entry)
            if seen is not None and (seen == 0 or seen * WORSE < entry.value):
                now = "gone" if seen == 0 else f"{format_quantity(seen, entry.unit)} now"
                found.append(f"{entry.name} {entry.key}: {entry.shown} is known, {now}".replace("  ", " "))
        return found

    def excused(self, run: Mapping[str, Any]) -> int:
        """How many are over in this run, and fail nothing because they are known."""
        measures = (each for test in run["tests"] for each in test["measures"].values())
        told = [each["reason"] for each in measures if each["verdict"] == "over" and each.get("reason")]
        told += [line for each in (*run["findings"], *run["criteria"]) for line in each["details"][:1]]
        known = {plain_text(f"known: {self._told_of(entry)}") for entry in self.entries.values()}
        return sum(1 for each in told if each in known)

    def not_recorded(self, run: Mapping[str, Any]) -> list[str]:
        """What is to be said of suspicions, of which there is no figure to record; nothing where there are none."""
        found = [(test, key) for test in run["tests"] for key in suspected(test)]
        left = [1 for test, key in found if ("test", test["nodeid"], key) not in self.entries]
        if not left:
            return []
        settling = "" if run["run"]["effort"]["share"] is None else "; --coresys-profile strict spends more"
        return [f"{self.name}: {len(left)} suspected, and not recorded{settling}"]

    def updated(self, run: Mapping[str, Any], date: str, of_no_test: Sequence[Entry] = ()) -> Baseline:
        """With what is over in this run; entries of what did not run, or could not be seen, stay as they are."""
        assert self.recording is not None
        seen = _figures_of(run)
        entries: dict[Subject, Entry] = {}
        for entry in self.entries.values():
            figure = seen(entry)
            # What is over without this recording (a level of warn, in this profile) is there all the same.
            if entry not in of_no_test and figure != 0:
                entries[entry.subject] = entry if figure is None else replace(entry, value=min(entry.value, figure))
        for new in _excesses(run, self.recording, date):
            old = self.entries.get(new.subject)
            # What was known, and is no worse, keeps its reason and its date; its figure may go down only.
            if old is not None and old.excuses(new.value, new.locks):
                new = replace(old, value=min(old.value, new.value))
            entries[new.subject] = new
        return replace(self, entries=dict(sorted(entries.items())), recording=None)


def _told(finding: Finding, excused: Mapping[str, str], worse: Mapping[str, str]) -> Finding:
    if finding.level != "error":
        return finding
    if finding.key in excused:
        return replace(finding, level="warn", details=(excused[finding.key], *finding.details))
    told = worse.get(finding.key)
    return replace(finding, details=(told, *finding.details)) if told else finding


def _of_finding(finding: Mapping[str, Any]) -> Subject:
    return "run", plain_text(finding_subject(finding)), finding["key"]


def _badness(criterion: Mapping[str, Any]) -> float:
    """How far a criterion is beyond its limit, as a figure that grows; a failed check is 1."""
    if criterion["unit"] == "bool":
        return float(criterion.get("recorded", {}).get("wrong") or 1)
    value, limit = float(criterion["value"]), float(criterion["limit"])
    if criterion["comparison"] in ("<", "<="):
        return value
    return limit - value if criterion["comparison"] in (">", ">=") else abs(value - limit)


def _figures_of(run: Mapping[str, Any]) -> Callable[[Entry], float | None]:
    """What this run has of an entry: a figure (0 where there is no excess any more); None if it could not be seen."""
    tests: dict[str, list[Mapping[str, Any]]] = {}
    for test in run["tests"]:
        tests.setdefault(test["nodeid"], []).append(test)
    criteria = {criterion["id"]: criterion for criterion in run["criteria"]}
    findings = {_of_finding(finding) for finding in run["findings"]}

    def seen(entry: Entry) -> float | None:
        if entry.about == "test":
            figures = [_left(test, entry) for test in tests.get(entry.name, ())]
            return max((each for each in figures if each is not None), default=None)
        if entry.about == "criterion":
            criterion = criteria.get(entry.name)
            if criterion is None or criterion["verdict"] == "not_measured":
                return None
            return _badness(criterion) if criterion["verdict"] == "over" else 0.0
        # What a part of the suite does not show may be there all the same.
        return 1.0 if entry.subject in findings else None

    return seen


def _left(test: Mapping[str, Any], entry: Entry) -> float | None:
    """What one test has of its entry: None where it was not measured, or so that what is known would not show."""
    measure = test["measures"].get(entry.key)
    if measure is None or measure["verdict"] == "not_measured" or measure["level"] == "off":
        return None
    if entry.key in suspected(test):  # a figure that nothing proves, neither more nor less
        return None
    if measure["verdict"] == "over":
        return inf if measure["value"] is None else float(measure["value"])
    in_some_runs_only = measure["evidence"] == "screened" and measure["unit"] not in SCALED and entry.value < 1
    return None if in_some_runs_only or (measure["resolution"] or 0) >= entry.value else 0.0


def _excesses(run: Mapping[str, Any], reason: str, date: str) -> Iterable[Entry]:
    for test in run["tests"]:
        told = {finding["key"] for finding in test["findings"] if finding["level"] in ("error", "warn")}
        for key, measure in test["measures"].items():
            if key in told and measure["verdict"] == "over" and measure["value"] is not None:
                locks = sorted({each for found in test["findings"] if found["key"] == key
                                for each in found.get("locks", ())})  # fmt: skip
                if _is_ours(measure, reason):
                    yield Entry("test", test["nodeid"], key, measure["value"], measure["unit"], reason, date,
                                tuple(locks))  # fmt: skip
    for finding in run["findings"]:
        if finding["details"] and str(finding["details"][0]).endswith(f": {reason}"):
            about, name, key = _of_finding(finding)
            yield Entry(about, name, key, 1.0, "count", reason, date, tuple(finding.get("locks", ())))
    for criterion in run["criteria"]:
        if criterion["verdict"] == "over" and any(str(line).endswith(f": {reason}") for line in criterion["details"]):
            unit = "count" if criterion["unit"] == "bool" else criterion["unit"]
            yield Entry("criterion", criterion["id"], criterion["id"], _badness(criterion), unit, reason, date)


def _is_ours(measure: Mapping[str, Any], reason: str) -> bool:
    """Whether it was this recording that excused it, rather than a budget of level warn, or what is accepted."""
    return str(measure.get("reason", "")).endswith(f": {reason}")


# -- the file -------------------------------------------------------------------------------------------------------

_COMMENT = ("#", "//")
_ENTRIES = re.compile(r'"entries"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")  # who moves lines moves commas: one too few, or too many, is no mistake
_NAMES = ("about", "name", "key", "value", "unit", "reason", "date", "locks")
_ABOUT = ("test", "criterion", "run")


def read(path: Path, shown: str, recording: str | None, measures: Collection[str] | None = None) -> Baseline:
    """The file, or an empty baseline where there is none yet and one is to be recorded. Raises ConfigError.

    ``measures``: the keys that there are.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if recording is not None:
            return Baseline(shown, {}, recording)
        problem = f"{shown}: there is no such file; --coresys-update-baseline makes one"
        raise ConfigError(place=_OPTION, problem=problem) from None
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(place=_OPTION, problem=f"{shown} cannot be read: {cause}") from None
    try:
        return _read(text, Baseline(shown, {}, recording), measures)
    except _LineError as error:
        raise ConfigError(place=_OPTION, problem=f"{shown}:{error.line}: {error.problem}") from None


class _LineError(Exception):
    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem


def _read(text: str, empty: Baseline, measures: Collection[str] | None) -> Baseline:
    lines = text.replace("\r\n", "\n").split("\n")  # not splitlines: names may have what ends a line in Unicode
    comments = {at: line for at, line in enumerate(lines, 1) if line.lstrip().startswith(_COMMENT)}
    bare = "\n".join("" if at in comments else line for at, line in enumerate(lines, 1))
    entries: dict[Subject, Entry] = {}
    places: list[tuple[int, int, Subject]] = []  # the first line, and the last
    start, rows, rest = _rows(bare)
    _check_frame(bare, start, rest)
    for first, last, row in rows:
        entry = _entry(row, first, measures)
        if entry.subject in entries:
            known = next(at for at, _, subject in places if subject == entry.subject)
            raise _LineError(first, f"{entry.name} {entry.key} is there twice: in line {known} too")
        entries[entry.subject] = entry
        places.append((first, last, entry.subject))
    return replace(empty, entries=entries, comments=_placed(comments, _line(bare, start), places))


def _rows(text: str) -> tuple[int, list[tuple[int, int, Any]], int]:
    """Where the entries begin; each with its lines; and where they end."""
    found = _ENTRIES.search(text)
    if found is None:
        _check_frame(text, len(text), len(text))
        raise _LineError(1, f'no baseline: it has no "schema": {SCHEMA} and "entries"')
    rows: list[tuple[int, int, Any]] = []
    decoder, at = json.JSONDecoder(parse_constant=_no_number), found.end()
    while True:
        at = _after(text, at)
        if at >= len(text):
            raise _LineError(_line(text, at), "it ends too early, as if it was cut off")
        if text[at] == "]":
            return found.end(), rows, at
        try:
            row, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _broken(text, error, at) from None
        rows.append((_line(text, at), _line(text, end), row))
        at = end


def _after(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return at if found is None else found.end()


def _check_frame(text: str, start: int, end: int) -> None:
    """What is around the entries."""
    around = text[:start] + "\n" * text.count("\n", start, end) + text[end:]  # each in its line
    try:
        frame = json.loads(around)
    except (ValueError, RecursionError) as error:
        raise _broken(around, error, 0) from None
    if not isinstance(frame, dict) or frame.get("schema") != SCHEMA or not isinstance(frame.get("entries"), list):
        raise _LineError(1, f'no baseline: it has no "schema": {SCHEMA} and "entries"')
    for name in frame:
        if name not in ("schema", "entries"):
            raise _LineError(1, unknown("name", name, ("schema", "entries")))


def _broken(text: str, error: Exception, at: int) -> _LineError:
    if not isinstance(error, json.JSONDecodeError):
        return _LineError(_line(text, at), str(error) if isinstance(error, ValueError) else "it is nested too deeply")
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return _LineError(_line(text, len(text)), "it ends too early, as if it was cut off")
    return _LineError(error.lineno, f"not JSON: {error.msg}")


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no figure")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _entry(row: Any, line: int, measures: Collection[str] | None) -> Entry:
    if not isinstance(row, dict):
        raise _LineError(line, f"{json.dumps(row)} is no entry")
    for name in row:
        if name not in _NAMES:
            raise _LineError(line, unknown("name", name, _NAMES))
    for name in _NAMES[:-1]:
        if name not in row:
            raise _LineError(line, f"the entry has no {name}")
        if name != "value" and not isinstance(row[name], str):
            raise _LineError(line, f"{name} is {json.dumps(row[name])}, no text")
    if row["about"] not in _ABOUT:
        raise _LineError(line, unknown("about", row["about"], _ABOUT))
    if row["about"] != "criterion" and measures is not None and row["key"] not in measures:
        raise _LineError(line, unknown("key", row["key"], measures))
    value, locks = row["value"], row.get("locks", [])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _MOST:
        raise _LineError(line, f"{json.dumps(value)} is no figure")
    if not isinstance(locks, list) or not all(isinstance(each, str) for each in locks):
        raise _LineError(line, "locks is no list of texts")
    return Entry(**{**row, "value": float(value), "locks": tuple(locks)})


_MOST = 1e300  # beyond it a tenth more is infinite


def _placed(comments: Mapping[int, str], start: int, places: Sequence[tuple[int, int, Subject]]) -> Comments:
    """Comments stay with the entry that they are in or above."""
    head, tail = [], []
    above: dict[Subject, tuple[str, ...]] = {}
    for line, text in comments.items():
        entry = next((subject for _, last, subject in places if last >= line), None)
        if line <= start:
            head.append(text)
        elif entry is None:
            tail.append(text)
        else:
            above[entry] = (*above.get(entry, ()), text)
    return Comments(tuple(head), above, tuple(tail))


def text_of(baseline: Baseline) -> str:
    """The file: one entry a line, in order, so that a change of it reads well; comments above theirs."""
    comments, left = baseline.comments, len(baseline.entries)
    lines = [*comments.head, f'{{"schema": {SCHEMA}, "entries": [']
    for entry in baseline.entries.values():
        row = {name: value for name, value in asdict(entry).items() if value or name == "value"}
        row["value"] = plain_number(entry.value)
        left -= 1
        lines += [*comments.above.get(entry.subject, ()), json.dumps(row, ensure_ascii=False) + ("," if left else "")]
    return "\n".join([*lines, *comments.tail, "]}", ""])
