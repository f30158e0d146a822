"""The words for findings: what was seen, the limit, where, what keeps it, and what to try next. Pure.

Everything is ASCII unless asked otherwise, and names that come from the code under test (paths, ids, thread
names, dictionary keys) are escaped: they end up in terminals and in reports.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from coresys.budgets.model import Verdict
from coresys.budgets.units import format_quantity
from coresys.records import GROWS_ALONG, NATIVE, Finding

MAX_LINES = 14

# With the first line, limit, try and repro these make MAX_LINES; a finding of the run has owner and tests in
# place of the limit, and one line less of what was seen.
_MOST_SEEN = 4
_MOST_PLACES = 4
_MOST_PLACES_OF_LOCKS = 6  # two of each lock in a circle of three; nothing holds a lock's order alive
_MOST_SEEN_OF_DEADLOCKS = 14  # of six threads who waits for what, and their stacks, which are what one wants to see
_MOST_CHAINS = 2

_LABEL_WIDTH = 11
_MOST_CHARACTERS = 400
_SHOWN_IN_SERIES = 6

# What is judged by each repetition, so that the figure reads "per run".
_PER_RUN = frozenset({"memory.growth", "threads.leaked", "descriptors.leaked", "processes.leaked", "tasks.leaked"})

# What is judged by the first run and a few repetitions, each of which was over.
_OF_RUNS = frozenset({"locks.contention", "locks.wait"})

_ADVICE = {
    "memory.growth": "bound or clear what holds it at teardown (a cache, a registry, a list of listeners)",
    "memory.growth_rate": "look for what is added on every pass and never removed; a run of that test names the line",
    "memory.peak": "process in chunks, or drop intermediate results before the next step",
    "memory.fragmentation": "free what was made together together; long-lived objects made between short-lived ones "
    "pin their pages",
    "threads.leaked": "join() or close() its owner at teardown, or give the thread a stop signal",
    "threads.peak": "reuse a pool with a bound, rather than a thread for each piece of work",
    "descriptors.leaked": "close it, best with a `with` block; for clients and pools call close() at teardown",
    "processes.leaked": "terminate() it, then wait() or join() for it, at teardown",
    "tasks.leaked": "await it, or cancel() it and await it, before the loop is closed; or use a task group",
    "loop.blocked": "move the slow call to asyncio.to_thread(), or await its asynchronous twin",
    "globals.changed": "change it through monkeypatch, or put it back in a finally block",
    "environment.left": "give buffers back in a `with` block, wait for tasks and let go of locks before the test ends",
    "pools.fragmentation": "ask for buffers of the sizes of the tiers, or give the tiers the sizes that are asked for",
    "pools.component": "let the component give buffers back sooner, or grant it large ones: resources.grant()",
    "locks.contention": "hold it for less: do what sleeps, reads or writes outside of the `with`, or split it by what "
    "it guards",
    "locks.wait": "hold it for less: do what sleeps, reads or writes outside of the `with`",
    "locks.potential_deadlocks": "take these in one order everywhere (say, sorted by a key), or hold one more lock "
    "around both",
    "locks.deadlocks": "let go of the one before waiting for the other, or take them in one order everywhere",
    "cpu.share": "look for a busy wait: wait on an Event or a Condition rather than polling",
    "time.setup": "widen the scope of the slow fixture, or make less data",
    "time.call": "profile the test; pytest --durations=10 shows its neighbours",
    "time.teardown": "look for joins with long timeouts and for pools that wait for idle workers",
}


def printable(text: object, *, ascii_only: bool = True) -> str:
    """The text on one line, safe for any terminal: control, bidirectional and undecodable characters escaped."""
    text = str(text)
    if text.isprintable() and (text.isascii() or not ascii_only):  # nearly always, and asked for every measure
        return text
    return "".join(_printable_character(character, ascii_only) for character in text)


def _printable_character(character: str, ascii_only: bool) -> str:
    if " " <= character <= "~" or (not ascii_only and character.isprintable()):
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def first_line(key: str, actual_text: str, limit_text: str, per_run: bool, origin: str) -> str:
    """``memory.growth: 1.4 MiB per run > 500 KiB (pyproject.toml:12)``."""
    return f"{key}: {actual_text}{' per run' if per_run else ''} > {limit_text} ({printable(origin)})"


def summary_of(verdict: Verdict) -> str:
    """The first line for a verdict, or what to say in its place when there is nothing to compare."""
    if verdict.value is None or verdict.limit is None:
        return f"{verdict.key}: {printable(verdict.why or 'not measured')}"
    per_run = verdict.evidence == "repeated" and verdict.key in _PER_RUN
    actual = format_quantity(verdict.value, verdict.unit)
    limit = format_quantity(verdict.limit, verdict.unit)
    if verdict.status == "over":
        return first_line(verdict.key, actual, limit, per_run, verdict.origin)
    # A suspicion or a near miss: a ">" would claim what was not shown.
    return f"{verdict.key}: {actual}{' per run' if per_run else ''}, limit {limit} ({printable(verdict.origin)})"


def advice(key: str) -> str | None:
    """What to try next about this measure; None for measures that are not ours."""
    return _ADVICE.get(key)


def finding_text(
    finding: Finding,
    verdict: Verdict | None,
    *,
    nodeid: str | None = None,
    words: Sequence[str] | None = None,
    options: str = "",
    runner: str = "pytest",
    repetitions: int = 0,
    ascii_only: bool = True,
) -> list[str]:
    """The block for one finding, at most ``MAX_LINES`` lines (a deadlock: more). The first: ``KEY: actual > limit``.

    ``verdict`` is None for findings of the run, which have an owner and tests in place of a limit. ``nodeid`` is
    what to run to see it again, by default all of the finding's tests, or ``words`` are, as a command line has them;
    with which ``options`` beside the flag, by which command: ``python -m pytest`` finds what stands in the working
    directory, and ``pytest`` does not.
    ``repetitions`` is how many of them the verdict's series sums up.
    """
    summary = finding.summary or (summary_of(verdict) if verdict else finding.key)
    of_run = finding.owner is not None or len(finding.tests) > 1
    lines = [summary]
    lines += _section("owner", [finding.owner] if finding.owner else [], 1)
    told = _seen(finding, verdict, repetitions)
    if finding.key == "locks.deadlocks":
        lines += _section("seen", told, _MOST_SEEN_OF_DEADLOCKS - of_run, ": all are in the file of --coresys-json")
    else:
        lines += _section("seen", told, _MOST_SEEN - of_run)
    places = _MOST_PLACES_OF_LOCKS if finding.key.startswith("locks.") else _MOST_PLACES
    lines += _section("where", [str(location) for location in finding.locations], places)
    lines += _section("held by", [" -> ".join(chain) for chain in finding.holders], _MOST_CHAINS)
    if of_run:
        lines += _section("tests", _tests(finding), 2)
    elif verdict is not None:
        lines += _section("limit", [limit] if (limit := limit_text(verdict)) else [], 1)
    lines += _section("try", [tried] if (tried := advice_on(finding)) else [], 1)
    lines = [clipped(printable(line, ascii_only=ascii_only)) for line in lines]
    # Not clipped: a shortened command is no command.
    tests = finding.tests if nodeid is None else (nodeid,)
    words = [quoted(each) for each in tests] if words is None else words
    repro = _section("repro", _repro(words, options, runner) if tests else [], 1)
    return lines + [printable(line, ascii_only=ascii_only) for line in repro]


def clipped(text: str, most: int = _MOST_CHARACTERS) -> str:
    """The text, shortened in the middle, where ids and chains say least."""
    if len(text) <= most:
        return text
    kept = max(most - 3, 0)
    tail = kept // 2
    return f"{text[: kept - tail]}...{text[len(text) - tail :]}"


_Thing = TypeVar("_Thing", bound=Hashable)


def numbered(names: Mapping[_Thing, str]) -> dict[_Thing, str]:
    """What things are called in one report: numbered, in their order, where several would be called the same."""
    counts, used = Counter(names.values()), Counter[str]()
    found: dict[_Thing, str] = {}
    for thing, name in names.items():
        used[name] += 1
        found[thing] = f"{name} #{used[name]}" if counts[name] > 1 else name
    return found


def _section(label: str, entries: Sequence[str], most: int, elsewhere: str = "") -> list[str]:
    shown = list(entries)
    if len(shown) > most:
        left = len(shown) - (most - 1)
        shown = [*shown[: most - 1], f"... and {left} more{elsewhere}"]
    labels = [label] + [""] * (len(shown) - 1)
    return [f"  {name:<{_LABEL_WIDTH}}{entry}" for name, entry in zip(labels, shown, strict=False)]


def advice_on(finding: Finding) -> str | None:
    """What to try next about this finding, by what was seen; None for measures that are not ours."""
    if any(detail.startswith(GROWS_ALONG) for detail in finding.details):
        return "see to that first, and measure again"
    if any(detail.startswith(NATIVE) for detail in finding.details) and not finding.holders:
        return "give it back to the library that allocated it (its free, close or destroy function)"
    if finding.key == "locks.potential_deadlocks" and any(" and waited for " in detail for detail in finding.details):
        return _NEEDED
    if finding.key == "locks.potential_deadlocks" and any("garbage collector" in detail for detail in finding.details):
        return "take no lock in a finalizer, or an RLock; put what is to be done into a deque or a SimpleQueue"
    if finding.key == "locks.deadlocks":
        return _advice_on_deadlock(finding.details)
    return advice(finding.key)


_NO_WORKER = (
    "give the pool more workers than can wait for others of it at once, or do the inner work in the task itself"
)
_OVER_AWAIT = "hold no lock of threads over an await: let go of it before, or use an asyncio.Lock"
_NOT_TOLD = "see that whoever is to set, notify or put does so on every path (in a finally), or wait with a timeout"
_FOR_ITSELF = "call what takes the lock again where it is not held (a lock of threads may be an RLock)"
_NOT_ALL = "wait for one of them only: what is waited for must not wait for whoever does"
_NEEDED = "let go of the lock before waiting for what needs it"
_FOR_NOTICE = re.compile(
    r" waits for (an Event|a Condition|a Barrier|a Semaphore|an item in a Queue|room in a Queue|a Queue to be done"
    r"|a future that nobody sets)"
)
_FOR_LOCK_OF = re.compile(r"(.+) waits for .+, held by (.+?)(?:; it holds .*)?")


def _advice_on_deadlock(details: Sequence[str]) -> str:
    """By what was waited for: to take locks in one order helps only where locks were."""
    told = [detail for detail in details if " waits for " in detail and not detail.startswith("stack of ")]
    pairs = [match.groups() for detail in told if (match := _FOR_LOCK_OF.fullmatch(detail))]
    if any("a future that no worker is free for" in detail for detail in told):
        return _NO_WORKER
    if any("what a thread is to do" in detail for detail in told) and pairs:
        return _OVER_AWAIT
    if any(waiter == holder for waiter, holder in pairs):
        return _FOR_ITSELF
    if any(" waits for the end of " in detail or " waits for the future of " in detail for detail in told):
        return _NEEDED if pairs else _NOT_ALL
    if any(_FOR_NOTICE.search(detail) for detail in told):
        return _NOT_TOLD
    return _ADVICE["locks.deadlocks"]


def _seen(finding: Finding, verdict: Verdict | None, repetitions: int) -> list[str]:
    # Of circles of locks each is a finding: how many there are is no figure of one of them.
    figures = [] if verdict is None or finding.locks else _figures(verdict, repetitions)
    return [*figures, *finding.details]


def _figures(verdict: Verdict, repetitions: int) -> list[str]:
    series = [value for value in verdict.series if math.isfinite(value)]
    if verdict.evidence == "repeated" and series:
        if verdict.key in _OF_RUNS:
            return [_series_text(series, verdict.unit, 0, "run")]
        return [f"{_series_text(series, verdict.unit, repetitions)}{_resolution(verdict)}"]
    if verdict.why:
        return [verdict.why]
    return [] if verdict.value is None else [f"{format_quantity(verdict.value, verdict.unit)} in one run"]


def _series_text(series: Sequence[float], unit: str, repetitions: int, what: str = "repetition") -> str:
    texts = [format_quantity(value, unit) for value in series]
    times = f"{len(series)} {what}s" if len(series) > 1 else f"1 {what}"
    if repetitions > len(series):
        times = f"{len(series)} parts of {repetitions} repetitions"
    if len(set(texts)) == 1:
        return f"{texts[0]} in {'each of ' if len(series) > 1 else ''}{times}"
    if len(series) <= _SHOWN_IN_SERIES:
        return f"{', '.join(texts)} in {times}"
    return f"{format_quantity(min(series), unit)} to {format_quantity(max(series), unit)} in each of {times}"


def _resolution(verdict: Verdict) -> str:
    if not verdict.resolution:  # counted exactly
        return ""
    return f"; resolution {format_quantity(verdict.resolution, verdict.unit)}"


def limit_text(verdict: Verdict) -> str:
    """``500 KiB, set by pyproject.toml:12: why it is so``; nothing where there is no limit."""
    if verdict.limit is None:
        return ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    return f"{format_quantity(verdict.limit, verdict.unit)}, set by {verdict.origin}{reason}"


def _tests(finding: Finding) -> list[str]:
    """Both of two tests: on two lines where no owner takes one, for what is cut is the end of a line."""
    tests = list(finding.tests)
    if len(tests) == 2:
        return [" and ".join(tests)] if finding.owner else tests
    return [f"{tests[0]} and {len(tests) - 1} more"] if len(tests) > 1 else tests


def _repro(words: Sequence[str], options: str, runner: str) -> list[str]:
    return [" ".join([runner, *words, "--coresys-budget", options]).rstrip()]


def quoted(nodeid: str) -> str:
    """A test's id as a word of a command line."""
    # Double quotes work in every shell, Windows included; only what they do not protect needs a POSIX quote.
    return shlex.quote(nodeid) if any(mark in nodeid for mark in '"$`\\!') else f'"{nodeid}"'
