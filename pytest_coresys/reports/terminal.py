"""What a run says at its end, in the terminal. Pure: from the run's dict to lines, which the session writes.

    lines = summary_lines(run, width=tr.fullwidth, verbose=tr.verbosity, run_file=path)
    if len(lines) > 1:
        tr.write_sep("=", "coresys")  # not section(), which does not end the line of progress before it
    for line in lines:
        tr.write_line(line.text, **line.markup)

Nothing is wider than asked for, except commands, the last line, and findings that are told in full: a shortened command
is no command, the path of the run file is there to be copied, and a failing test's own text isn't cut either.
Of what is no terminal ``NO_TERMINAL`` is the width: there nothing is cut.
"""

from __future__ import annotations

import os
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from coresys.budgets.units import format_quantity
from coresys.budgets.wording import advice_on, finding_text, printable
from pytest_coresys.reports import again, soaks
from pytest_coresys.reports.model import DIED, NOT_RUN, SKIPPED_BY_MARKER, criteria_over, has_run, is_of_one_run
from pytest_coresys.reports.reading import (
    SUSPECTED,
    criteria_counts,
    failing_beside_tests,
    is_failed_by_budget,
    is_open,
    is_suspicion,
    names_of_tests,
    state_of_test,
    tests_text,
    unmeasured,
)
from pytest_coresys.reports.words import VERDICTS, WITHIN, share_of
from pytest_coresys.wire import NO_BUDGET, WRONG_BUDGETS, finding_from_dict, measure_from_dict

_MOST_ROWS = 10
_MOST_SMALL = 5  # what takes two lines each
_MOST_PLACES_OF_LOCKS = 6  # of a circle: all, which is two for each lock
_NAMED_TOGETHER = 2  # tests of one finding: of more than these the first is named
_MOST_DETAILS = 2  # of a finding that stands beside others
_MOST_EDGES = 6  # of a circle of locks, which says nothing without one of them
_LEAST_FOR_TEST = 18  # less room than this, and the test has a line of its own
_LEAST_HEAD = 6
_VERBOSE_FACTOR = 5
_TELLS_EXPLAINING = 0.1  # seconds
_MORE_EFFORT = "--coresys-profile strict spends more"

NO_TERMINAL = 10_000  # cells: whoever reads a log file can scroll, and has nowhere else to look

_BOLD = {"bold": True}
_RED = {"red": True}
_YELLOW = {"yellow": True}
_GREEN = {"green": True}
_WORDS: dict[str, dict[str, bool]] = {"over": {"red": True, "bold": True}, "warn": _YELLOW, "near": _YELLOW}


class Line(NamedTuple):
    """One line, and how to show it: ``terminalreporter.write_line(line.text, **line.markup)``."""

    text: str
    markup: dict[str, bool] = {}  # noqa: RUF012  # never changed


@dataclass(frozen=True, slots=True)
class _Style:
    width: int
    verbose: int
    ascii_only: bool
    run_file: str | None
    runner: str = "pytest"

    def line(self, text: str, markup: Mapping[str, bool] | None = None) -> Line:
        """A sentence: of one that is too long the end is left out rather than the middle."""
        text = self.safe(text)
        if _cells(text) > self.width:
            text = f"{_start_of(text, self.width - 3)}..."
        return Line(text, dict(markup or {}))

    def wrapped(self, start: str, text: str, most: int = 2) -> list[Line]:
        """A sentence over so many lines at most."""
        parts = textwrap.wrap(self.safe(text), self.width - len(start), break_on_hyphens=False) or [""]
        if len(parts) > most:  # the last line is given all that is left, so that it is cut and shows it
            parts[most - 1 :] = [" ".join(parts[most - 1 :])]
        starts = [start] + [" " * len(start)] * (len(parts) - 1)
        return [self.line(f"{start}{part}") for start, part in zip(starts, parts, strict=True)]

    def named(self, start: str, name: str, end: str = "", markup: Mapping[str, bool] | None = None) -> Line:
        """A line about a test, a place or an owner, of which the middle is left out if need be."""
        room = self.width - _cells(start) - _cells(end)
        return self.line(f"{start}{fitted_id(self.safe(name), room)}{end}", markup)

    def safe(self, text: object) -> str:
        return printable(text, ascii_only=self.ascii_only)

    def most(self, usual: int) -> int | None:
        """How many to list: the usual number, five times that with -v, all with -vv."""
        if self.verbose >= 2:
            return None
        return usual * _VERBOSE_FACTOR if self.verbose == 1 else usual

    def more(self, left: int) -> list[Line]:
        if left <= 0:
            return []
        where = "see the run file" if self.run_file else "--coresys-json PATH lists them all"
        return [self.line(f"  ... and {left} more, {where}")]


@dataclass(frozen=True, slots=True)
class _Row:
    word: str
    key: str
    actual: str
    limit: str
    used: str
    test: str
    badness: tuple[Any, ...]


def summary_lines(
    run: Mapping[str, Any],
    *,
    width: int = 80,
    verbose: int = 0,
    ascii_only: bool = True,
    run_file: str | None = None,
    problem: str | None = None,
    runner: str = "pytest",
    hints: Sequence[str] = (),
    excused: int = 0,
    report_file: str | None = None,
    report_problem: str | None = None,
) -> list[Line]:
    """The lines for the end of a run: exactly one where all is well, none where no test was run, as to collect only.

    ``verbose`` is pytest's verbosity: -v and -vv list more, -q leaves only what fails the run, how much
    else there is, and the last line.
    ``run_file`` is the path that was written, ``problem`` why it could not be, ``report_file`` and ``report_problem``
    the same of the HTML report, ``runner`` the command for running tests again. ``hints`` are of a baseline, which
    excuses ``excused`` excesses.
    """
    style = _Style(max(width, 20), verbose, ascii_only, run_file, runner)
    outputs = _output("run file", run_file, problem, style) + _output("report", report_file, report_problem, style)
    if run["tests"] and not has_run(run):
        return [_last(run, style, outputs, problem or report_problem)] if outputs else []
    told = [*_table(run, style), *_unfailed(run, style), *_suspicions(run, style)] if verbose >= 0 else []
    lines = told if verbose >= 0 else _hidden(run, excused, style)
    lines += _soak(run, style)
    lines += _run_findings(run, style)
    lines += _criteria(run, style)
    lines += _required(run, style)
    lines += _baseline(hints, style)
    if verbose >= 0:
        lines += _not_measured(run, style)
        lines += _effort(run, style, anything=bool(lines))
    return [*lines, _last(run, style, outputs, problem or report_problem)]


def _hidden(run: Mapping[str, Any], excused: int, style: _Style) -> list[Line]:
    """With -q: how much there is that is not shown, so that silence is no pass."""
    suspected = sum(1 for test in run["tests"] for _ in _suspected(test))
    effort = run["run"].get("effort", {})
    unrepeated = effort.get("unrepeated", 0)
    parts = [f"{excused} known, excused by the baseline"] if excused else []
    parts += [_counted(suspected, "suspicion")] if suspected else []
    parts += [f"{_counted(unrepeated, 'test')} left unrepeated: {_why_left(effort)}"] if unrepeated else []
    return [style.line(f"{', '.join(parts)} (without -q: more)", _YELLOW)] if parts else []


def nodeids_from(folder: Path, rootpath: Path) -> Callable[[str], str]:
    """Node ids as pytest takes them in this folder: those of a run are relative to its root."""

    def here(nodeid: str) -> str:
        path, mark, rest = nodeid.partition("::")
        try:
            path = os.path.relpath(rootpath / path, folder).replace(os.sep, "/")
        except ValueError:  # on another drive
            pass
        return path + mark + rest

    return str if folder == rootpath else here


def renamed(
    run: Mapping[str, Any], rename: Callable[[str], str], options: Sequence[str] | None = None
) -> dict[str, Any]:
    """The run with other names for its tests, and other words of a command line, if given, as they are called here."""
    places = again.places_of(run)

    def named(nodeid: str) -> str:
        return rename(nodeid) if places.is_path(nodeid) else nodeid

    tests = [{**test, "nodeid": named(test["nodeid"])} for test in run["tests"]]
    findings = [{**finding, "tests": [named(each) for each in finding["tests"]]} for finding in run["findings"]]
    criteria = [{**each, "evidence": [named(nodeid) for nodeid in each["evidence"]]} for each in run["criteria"]]
    about = run["run"] if options is None else {**run["run"], "options": list(options)}
    return {**run, "run": about, "tests": tests, "findings": findings, "criteria": criteria}


def progress_text(nodeid: str, repetitions: int | None = None, *, width: int = 80, ascii_only: bool = True) -> str:
    """``coresys: repeating test_x (120 runs)``, on one line of a terminal, never wider than ``width``."""
    runs = "" if repetitions is None else f" ({repetitions} run{'' if repetitions == 1 else 's'})"
    base, bracket, parameters = nodeid.partition("[")  # there may be anything in the brackets
    short = base.partition("::")[2].replace("::", ".") or base
    name = printable(f"{short}{bracket}{parameters}", ascii_only=ascii_only)
    start = "coresys: repeating "
    return fitted(f"{start}{fitted(name, max(width - len(start) - len(runs), 8))}{runs}", width)


def is_ascii_only(encoding: str | None) -> bool:
    """Whether a stream of this encoding had better be given ASCII."""
    return (encoding or "").lower().replace("-", "").replace("_", "") not in ("utf8", "utf8sig", "cp65001")


# -- over and near --------------------------------------------------------------------------------------------------


def _table(run: Mapping[str, Any], style: _Style) -> list[Line]:
    rows = sorted(_rows(run), key=lambda row: row.badness)
    if not rows:
        return []
    shown = rows[: style.most(_MOST_ROWS)]
    head = _Row("", "measure", "actual", "limit", "used", "test", ())
    widths = [max(len(style.safe(getattr(row, name))) for row in (head, *shown)) for name in _COLUMNS]
    lines = _row_lines(head, widths, style, _BOLD)
    for row in shown:
        lines += _row_lines(row, widths, style, _WORDS[row.word])
    lines += style.more(len(rows) - len(shown))
    if any(row.word == "warn" for row in rows):
        lines.append(style.line("  warn: over a budget of level warn, which fails nothing"))
    return lines


_COLUMNS = ("word", "key", "actual", "limit", "used")


def _row_lines(row: _Row, widths: Sequence[int], style: _Style, markup: Mapping[str, bool]) -> list[Line]:
    texts = [style.safe(getattr(row, name)) for name in _COLUMNS]
    cells = [texts[0].ljust(widths[0]), texts[1].ljust(widths[1])]
    cells += [text.rjust(width) for text, width in zip(texts[2:], widths[2:], strict=True)]
    start = f"  {'  '.join(cells)}"
    if style.width - len(start) - 2 >= _LEAST_FOR_TEST:
        return [style.named(f"{start}  ", row.test, markup=markup)]
    lines = [style.line(start, markup)]
    return [*lines, style.named("      ", row.test)] if row.word else lines


def _rows(run: Mapping[str, Any]) -> Iterator[_Row]:
    names = names_of_tests(run)
    for test, name in zip(run["tests"], names, strict=True):
        softened = {finding["key"] for finding in test["findings"] if finding["level"] == "suspicion"}
        for key, measure in test["measures"].items():
            if measure["verdict"] in ("over", "near") and measure["level"] != "off" and key not in softened:
                yield _row(key, measure, name)


def _row(key: str, measure: Mapping[str, Any], name: str) -> _Row:
    value, limit, unit = measure["value"], measure["limit"], measure["unit"]
    over = measure["verdict"] == "over"
    word = ("warn" if measure["level"] == "warn" else "over") if over else "near"
    share = share_of(value, limit)
    rank = list(_WORDS).index(word)
    # Above a limit of zero there is no share: such rows are the worst, by key, the largest first.
    badness = (rank, share is not None, -(share or 0.0), key, -(value or 0.0), name)
    actual = "infinite" if value is None else format_quantity(value, unit)
    return _Row(word, key, actual, format_quantity(limit or 0, unit), _used(share, over), name, badness)


def _used(share: float | None, over: bool) -> str:
    if share is None:
        return "-"
    if share >= 1e4:
        return ">1e6 %"
    percent = round(share * 100)
    return f"{'>' if over and percent <= 100 else ''}{percent} %"


# -- findings that failed no test -----------------------------------------------------------------------------------


def _unfailed(run: Mapping[str, Any], style: _Style) -> list[Line]:
    """Findings of level warn, and all of a run that only observes: no failure tells where they come from."""
    observed = run["run"]["mode"] == "observe"
    levels = ("error", "warn") if observed else ("warn",)
    told = [
        (test, finding)
        for test in run["tests"]
        for finding in test["findings"]
        if finding["level"] in levels and (finding["details"] or finding["locations"] or finding["holders"])
    ]
    shown = told if observed else told[: style.most(_MOST_SMALL)]
    options = again.options_of(run)
    lines = [line for test, finding in shown for line in _finding_of(test, finding, style, options, in_full=observed)]
    return lines + style.more(len(told) - len(shown))


def _finding_of(
    test: Mapping[str, Any], finding: Mapping[str, Any], style: _Style, options: str, *, in_full: bool
) -> Iterator[Line]:
    key = finding["key"]
    verdict = measure_from_dict(key, test["measures"][key]) if key in test["measures"] else None
    text = finding_text(
        finding_from_dict(finding),
        verdict,
        words=again.words_of_test(test),
        nodeid=test["nodeid"],
        repetitions=test["repetitions"],
        options=options.strip(),
        runner=style.runner,
        ascii_only=style.ascii_only,
    )
    command = "  repro "
    yield style.named("  ", test["nodeid"])
    for line in text:
        if in_full or style.verbose >= 1:
            yield Line(f"    {line}")
        elif not line.startswith(("  try ", command)):
            yield style.line(f"    {line}")


# -- suspicions -----------------------------------------------------------------------------------------------------


def _suspicions(run: Mapping[str, Any], style: _Style) -> list[Line]:
    groups: dict[tuple[str, str], list[str]] = {}
    for test in run["tests"]:
        for key, why in _suspected(test):
            groups.setdefault((key, why), []).append(test["nodeid"])
    if not groups:
        return []
    # The largest first would need figures, which a suspicion has none of; what can be settled comes first.
    ordered = sorted(groups.items(), key=lambda group: (not is_open(group[0][1]), group))
    shown = ordered[: style.most(_MOST_SMALL)]
    by_name = {test["nodeid"]: test for test in run["tests"]}
    lines = [style.line(f"suspected, fails nothing: {_counted(sum(map(len, groups.values())), 'finding')}", _BOLD)]
    for (key, why), nodeids in shown:
        lines.append(style.named(f"  {key}  ", nodeids[0], _and_more(nodeids), _YELLOW))
        lines += style.wrapped("      ", why)
        lines += _place_of(by_name[nodeids[0]], key, style)
    lines += style.more(sum(len(nodeids) for _, nodeids in ordered[len(shown) :]))
    if run["run"].get("effort", {}).get("share", 0.0) is None:
        return lines  # without limit: all that repeating can show was shown
    return lines + _settling(
        run, [nodeid for (_, why), nodeids in ordered if is_open(why) for nodeid in nodeids], style
    )


def _place_of(test: Mapping[str, Any], key: str, style: _Style) -> list[Line]:
    """Where it is from, where that was looked for before it was left open."""
    places = [place for finding in test["findings"] if finding["key"] == key for place in finding["locations"]]
    return _where(places, style)


def _where(places: Sequence[Mapping[str, Any]], style: _Style, *, most: int = 1) -> list[Line]:
    """The first of the places, if there is one, or so many of them."""
    return [
        style.named(
            "             " if at else "      where  ",
            " ".join(filter(None, (f"{each['path']}:{each['line']}", each["function"], each["note"]))),
        )
        for at, each in enumerate(places[:most])
    ]


def _settling(run: Mapping[str, Any], nodeids: Sequence[str], style: _Style) -> list[Line]:
    if not nodeids:
        return []
    return [Line(f"  to settle: {style.safe(again.of_tests(run, nodeids, style.runner, profile='strict'))}")]


def _suspected(test: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    seen = set()
    for key, measure in test["measures"].items():
        if is_suspicion(measure):
            seen.add(key)
            yield key, measure["why"].removeprefix(SUSPECTED).strip()
    for finding in test["findings"]:
        if finding["level"] == "suspicion" and finding["key"] not in seen:
            yield finding["key"], finding["summary"].removeprefix(f"{finding['key']}:").strip()


# -- a soak ---------------------------------------------------------------------------------------------------------


def _soak(run: Mapping[str, Any], style: _Style) -> list[Line]:
    if "soak" not in run["run"]:
        return []
    start, _, told = soaks.head(run).partition(" ")
    lines = [Line(each.text, _BOLD) for each in style.wrapped(f"{start} ", told, most=4)]
    for verdict, text in soaks.rows(run):
        if style.verbose >= 0 or verdict == "over":
            word = "open" if verdict == "not_measured" else verdict
            lines += [Line(each.text, _SOAK_MARKUP[verdict]) for each in style.wrapped(f"  {word:<8}", text, most=3)]
    if style.verbose >= 0:
        lines += [Line(f"  {style.safe(text)}") for text in soaks.advice(run, style.runner)]
    return lines


_SOAK_MARKUP: dict[str, dict[str, bool]] = {"over": _RED, "near": _YELLOW, "not_measured": {}, "within": {}}


# -- the run --------------------------------------------------------------------------------------------------------


def _run_findings(run: Mapping[str, Any], style: _Style) -> list[Line]:
    findings = [each for each in run["findings"] if style.verbose >= 0 or each["level"] == "error"]
    if not findings:
        return []
    fails = any(each["level"] == "error" for each in findings) and run["run"]["mode"] != "observe"
    head = f"{_counted(len(findings), 'finding')} of the run, not of one test{'; fails the run' if fails else ''}"
    lines = [style.line(head, _BOLD)]
    observed = run["run"]["mode"] == "observe"
    shown = findings if observed else findings[: style.most(_MOST_SMALL)]
    for finding in shown:
        lines += _run_finding(run, finding, style, in_full=observed or style.verbose >= 1)
    return lines + style.more(len(findings) - len(shown))


def _run_finding(run: Mapping[str, Any], finding: Mapping[str, Any], style: _Style, *, in_full: bool) -> list[Line]:
    markup = _RED if finding["level"] == "error" else _YELLOW
    head = "" if finding["level"] == "error" else f"{finding['level']}: "
    if in_full:
        first, *rest = finding_text(
            finding_from_dict(finding),
            None,
            words=again.names_for_commands(finding["tests"], places=again.places_of(run)),
            options=again.options_of(run).strip(),
            runner=style.runner,
            ascii_only=style.ascii_only,
        )
        command = "  repro "
        return [
            style.line(f"  {head}{first}", markup),
            *(Line(f"  {text}") if text.startswith(command) else style.line(f"  {text}") for text in rest),
        ]
    lines = [style.line(f"  {head}{finding['summary']}", markup)]
    details, most = finding["details"], _MOST_EDGES if finding.get("locks") else _MOST_DETAILS
    lines += [line for detail in details[:most] for line in style.wrapped("      ", detail)]
    lines += [style.line(f"      ... and {len(details) - most} more")] if len(details) > most else []
    if finding["owner"]:
        lines.append(style.named("      owner  ", finding["owner"]))
    lines += _where(finding["locations"], style, most=_MOST_PLACES_OF_LOCKS if finding.get("locks") else 1)
    tests = finding["tests"]
    if len(tests) == _NAMED_TOGETHER:
        lines += [style.named(start, each) for start, each in zip(("      tests  ", " " * 13), tests, strict=True)]
    elif tests:
        lines.append(style.named("      tests  ", tests[0], _and_more(tests)))
    if tried := advice_on(finding_from_dict(finding)):
        lines += style.wrapped("      try    ", tried)
    if tests and (finding["owner"] or finding["key"] not in run["soak"]):  # what grew in a soak takes a soak
        lines.append(Line(f"      repro  {style.safe(again.of_tests(run, tests, style.runner))}"))
    return lines


def _and_more(entries: Sequence[str]) -> str:
    return f" and {len(entries) - 1} more" if len(entries) > 1 else ""


def _criteria(run: Mapping[str, Any], style: _Style) -> list[Line]:
    """The success criteria, where a test said something of them: how many, and each that is not within."""
    if not run["run"].get("criteria", {}).get("told"):
        return []
    groups: dict[str, list[Mapping[str, Any]]] = {word: [] for word in VERDICTS}
    for each in run["criteria"]:
        groups[each["verdict"]].append(each)
    fails = bool(criteria_over(run)) and run["run"]["mode"] != "observe"
    head = f"success criteria: {criteria_counts(run['criteria'])}{'; fails the run' if fails else ''}"
    lines = [style.line(head, _BOLD)]
    for word, most in (("over", _MOST_ROWS), ("near", _MOST_SMALL), ("not_measured", _MOST_SMALL)):
        if style.verbose < 0 and word != "over":
            continue
        # What fails the run first; what is derived from others last, as it tells of nothing new.
        ordered = sorted(groups[word], key=lambda each: (each["level"] == "warn", each["statistic"] == "derived"))
        shown = ordered[: style.most(most)]
        for each in shown:
            lines += _criterion(run, each, style)
        lines += style.more(len(ordered) - len(shown))
    return lines + (_open(groups["not_measured"], style) if style.verbose < 0 else [])


def _open(unmeasured: Sequence[Mapping[str, Any]], style: _Style) -> list[Line]:
    """With -q: how many criteria were not measured, and which are the first, in one line."""
    names = [each["id"] for each in sorted(unmeasured, key=lambda each: each["statistic"] == "derived")]
    if not names:
        return []
    for number in range(min(len(names), _MOST_SMALL), -1, -1):  # as many as there is room for
        more = f" and {len(names) - number} more" if number < len(names) else ""
        text = f"  open    {len(names)} not measured: {', '.join(names[:number])}{more if number else ''}".rstrip(": ")
        if len(text) <= style.width:
            break
    return [style.line(text)]


_CRITERIA_MARKUP: dict[str, dict[str, bool]] = {"over": _RED, "near": _YELLOW, "not_measured": {}}


def _criterion(run: Mapping[str, Any], each: Mapping[str, Any], style: _Style) -> list[Line]:
    verdict, markup = each["verdict"], _CRITERIA_MARKUP[each["verdict"]]
    name = each["id"]
    if verdict == "over" and each["level"] == "warn":
        markup, name = _YELLOW, f"{name} (warns only)"
    if verdict == "over" and each["statistic"] == "derived":
        return [Line(line.text, markup) for line in style.wrapped(f"  {verdict:<8}{name}  ", each["why"] or "")]
    if verdict == "not_measured":
        return [Line(line.text, markup) for line in style.wrapped(f"  open    {each['id']}  ", each["why"])]
    lines = [style.line(f"  {verdict:<8}{name}  {criterion_text(each)}", markup)]
    if verdict == "over":
        why = each["why"] or ""
        for told in (why, *(line for line in each["details"][:_MOST_DETAILS] if line not in why)):
            if told:
                lines += style.wrapped("      seen   ", told)
        if each["evidence"]:
            lines.append(style.named("      test   ", each["evidence"][0], _and_more(each["evidence"])))
            lines.append(Line(f"      repro  {style.safe(again.of_criterion(run, each, style.runner))}"))
    return lines


def criterion_text(each: Mapping[str, Any]) -> str:
    """``p99 12.5 ms > 10 ms (500 samples)``: what a criterion came to, beside its limit."""
    if each["unit"] == "bool":
        return criterion_figure(each)
    limit = format_quantity(each["limit"], each["unit"])
    sign = each["comparison"] if each["verdict"] != "over" else _OPPOSITE[each["comparison"]]
    return f"{criterion_figure(each)} {sign} {limit} ({_counted(each['samples'], 'sample')})"


def criterion_figure(each: Mapping[str, Any]) -> str:
    """``p99 12.5 ms``: what it came to alone."""
    value, unit = each["value"], each["unit"]
    if unit == "bool":
        return "holds" if value else "does not hold"
    statistic = "" if each["statistic"] == "value" else f"{each['statistic']} "
    interval = ""
    if "interval" in each:
        low, high = (format_quantity(end, unit) for end in each["interval"])
        interval = f", from {low} to {high}"
    return f"{statistic}{format_quantity(value, unit)}{interval}"


_OPPOSITE = {"<": ">=", "<=": ">", "==": "!=", ">=": "<", ">": "<="}


def _baseline(hints: Sequence[str], style: _Style) -> list[Line]:
    less = [hint for hint in hints if hint.endswith((" now", " gone"))]
    about_file = [hint for hint in hints if hint not in less]  # that was written, or was not
    lines = [
        Line(each.text, _RED if " NOT " in hint else _BOLD)
        for hint in about_file
        for each in style.wrapped("baseline ", hint)
    ]
    if not less:
        return lines
    head = f"baseline: {len(less)} known that can be tightened"
    if style.verbose < 0:
        return [*lines, style.line(f"{head} (without -q: which)", _BOLD)]
    shown = less[: style.most(_MOST_SMALL)]
    lines += [style.line(f"{head} (--coresys-update-baseline)", _BOLD), *(style.line(f"  {hint}") for hint in shown)]
    return lines + style.more(len(less) - len(shown))


def _required(run: Mapping[str, Any], style: _Style) -> list[Line]:
    required = run["summary"].get("required_unmeasured", [])
    if not required:
        return []
    shown = required[: style.most(_MOST_SMALL)]
    lines = [style.line(f"required, but not measured: {len(required)}", {"red": True, "bold": True})]
    lines += [style.line(f"  {text}", _RED) for text in shown]
    return lines + style.more(len(required) - len(shown))


# -- what was not measured, and what it took ------------------------------------------------------------------------


def _not_measured(run: Mapping[str, Any], style: _Style) -> list[Line]:
    groups: dict[str, tuple[set[str], int]] = {}
    failed_for_it = run["run"]["mode"] != "observe"
    for test in run["tests"]:
        for why, keys in _reasons(test, every=style.verbose >= 1).items():
            if failed_for_it and why.startswith(WRONG_BUDGETS):
                why = f"{WRONG_BUDGETS}, as each says above"
            known, tests = groups.get(why, (set(), 0))
            groups[why] = (known | keys, tests + 1)
    if not groups:
        return []
    ordered = sorted(groups.items(), key=lambda group: (-group[1][1], group[0]))
    shown = ordered[: style.most(_MOST_SMALL)]
    counts = [_counted(tests, "test") for _, (_, tests) in shown]
    lines = [style.line("not measured", _BOLD)]
    for count, (why, (keys, _)) in zip(counts, shown, strict=True):
        lines += style.wrapped(f"  {count.rjust(max(map(len, counts)))}  ", f"{_keys_text(keys)}{why}", most=3)
    return lines + style.more(len(ordered) - len(shown))


def _reasons(test: Mapping[str, Any], *, every: bool) -> dict[str, set[str]]:
    """Why something of a test was not measured, and what; not what pytest's own outcome tells, unless ``every``."""
    if not every and _is_told_by_pytest(test):
        return {}
    return {
        why: set(keys)
        for why, keys in unmeasured(test).items()
        if not why.startswith(SUSPECTED) and (every or why != NO_BUDGET)
    }


def _is_told_by_pytest(test: Mapping[str, Any]) -> bool:
    if test["outcome"] == "passed" or test["why"] in (DIED, NOT_RUN):
        return False
    by_marker = any(str(each["why"]).startswith(SKIPPED_BY_MARKER) for each in test["measures"].values())
    return not is_failed_by_budget(test) and not by_marker


def _keys_text(keys: Iterable[str]) -> str:
    names = sorted(keys)
    if not names:
        return ""
    return f"{', '.join(names)}: " if len(names) <= 2 else f"{len(names)} measures: "


def _why_left(effort: Mapping[str, Any]) -> str:
    too_long = effort.get("too_long", 0)
    if not too_long:
        return "the effort was spent"
    each = "each takes longer than its part of the effort"
    return each if too_long == effort["unrepeated"] else f"the effort was spent, or {each}"


def _effort(run: Mapping[str, Any], style: _Style, *, anything: bool) -> list[Line]:
    effort = run["run"].get("effort", {})
    lines = [line for note in effort.get("notes", ()) for line in style.wrapped("note: ", note, most=4)]
    unrepeated = effort.get("unrepeated", 0)
    if not (unrepeated or anything or style.verbose >= 1):
        return lines
    share = effort.get("share")
    most = "no limit" if share is None else f"{format_quantity(share, 'ratio')} share"
    text = f"repeated {effort.get('repeated', 0)} of {_counted(len(run['tests']), 'test')}"
    text += f" in {format_quantity(round(effort.get('spent', 0.0), 3), 's')} ({most})"
    explaining = effort.get("explaining", 0.0)
    if explaining >= _TELLS_EXPLAINING:
        text += f", explained in {format_quantity(round(explaining, 3), 's')}"
    parts = [text]
    parts += [f"{unrepeated} left unrepeated: {_why_left(effort)}"] if unrepeated else []
    parts += [_MORE_EFFORT] if unrepeated and share is not None else []
    together = [parts[0]]
    for part in parts[1:]:
        if len(together[-1]) + len("; ") + len(part) <= style.width:
            together[-1] += f"; {part}"
        else:
            together.append(part)
    return [*lines, *(line for each in together for line in style.wrapped("", each))]


def _output(name: str, path: str | None, problem: str | None, style: _Style) -> str:
    if problem is not None:
        return f" - {name} NOT written: {style.safe(problem)}"
    return "" if path is None else f" - {name}: {style.safe(path)}"


def _last(run: Mapping[str, Any], style: _Style, outputs: str, problem: str | None) -> Line:
    text = f"coresys: {tests_text(run['tests'])}"
    failing = failing_beside_tests(run)
    if failing and run["run"]["mode"] != "observe":
        text += f" - failed by {failing}"
    once = sum(1 for test in run["tests"] if is_of_one_run(test) and state_of_test(test) is WITHIN)
    if once:
        text += f" - {once} of those within {'was' if once == 1 else 'were'} run once only: no small leak would show"
    if run["run"]["mode"] == "observe":
        text += " - observed only, nothing was failed"
    text += outputs
    return Line(text, dict(_last_markup(run, problem)))


def _last_markup(run: Mapping[str, Any], problem: str | None) -> Mapping[str, bool]:
    if not run["summary"]["compliant"]:
        return _YELLOW if run["run"]["mode"] == "observe" else _RED
    summary = run["summary"]
    clean = not (summary["over"] or summary["near"] or run["findings"] or problem)
    suspected = any(is_suspicion(each) for test in run["tests"] for each in test["measures"].values())
    return _GREEN if clean and not suspected else _YELLOW


# -- widths ---------------------------------------------------------------------------------------------------------


def fitted(text: str, width: int) -> str:
    """The text in at most so many cells of a terminal, shortened in the middle, where ids say least."""
    if _cells(text) <= width:
        return text
    if width <= 3:
        return "."[:width] * max(width, 0)
    tail = (width - 3) // 2
    end = _start_of(text[::-1], tail)[::-1]
    return f"{_start_of(text, width - 3 - tail)}...{end}"


def fitted_id(text: str, width: int) -> str:
    """The same for the id of a test, of which the last name says most."""
    if _cells(text) <= width:
        return text
    base, bracket, parameters = text.partition("[")
    head, colons, name = base.rpartition("::")
    last = f"{colons}{name}{bracket}{parameters}"
    room = width - _cells(last)
    return f"{fitted(head, room)}{last}" if room >= _LEAST_HEAD else fitted(last.removeprefix("::"), width)


def _start_of(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += _cell(character)
        if used > width:
            return text[:index]
    return text


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
