"""``--coresys-soak``: after the first run of all tests they go on in rounds, and how memory grows over them is judged.

The first run of each test is the record, as ever, and no outcome changes after it. What passed is then run round after
round, in its order, in the process itself: fixtures of the session stay up, all others rise and fall in each round as
in an ordinary run. Nothing of a round is reported or kept but one reading at its end, in storage that is made once.

A worker of xdist soaks the tests that it ran, once it has no more of them to run, and is judged for itself.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from coresys.budgets.model import Limit
from coresys.budgets.units import format_quantity
from coresys.clock import monotonic
from coresys.measure import fragmentation, meters
from coresys.measure.attribution import attribute
from coresys.measure.malloccache import MallocCache
from coresys.records import Finding
from coresys.threads.watching.chains import unnoted
from pytest_coresys import wire
from pytest_coresys.checkpoint import Checkpoint, identity_of, kept_by
from pytest_coresys.config.durations import duration_text
from pytest_coresys.engine import soakfindings, trends
from pytest_coresys.engine.accepted import with_agreed
from pytest_coresys.engine.forked import Send, run_in_child, why_no_fork
from pytest_coresys.engine.looks import LEVEL, Look, Looked
from pytest_coresys.engine.plan import Plan
from pytest_coresys.engine.recording import Recording
from pytest_coresys.engine.repetition import is_of_user
from pytest_coresys.engine.runner import (
    NextRound,
    NumberedFolders,
    end_of_rounds,
    keep_for_rounds,
    run_in_round,
    unreported,
)
from pytest_coresys.engine.trends import Trend
from pytest_coresys.items import plan_of
from pytest_coresys.reports import runfile, soaks
from pytest_coresys.reports.soaks import RATE
from pytest_coresys.reports.terminal import fitted

if TYPE_CHECKING:
    from pytest_coresys.engine.screen import Counts
    from pytest_coresys.session import BudgetSession

KEYS = (RATE, "threads.leaked", "descriptors.leaked", "memory.fragmentation")
_COUNTED = ("threads.leaked", "descriptors.leaked")
_READ_BY_TEST = KEYS[:3]
_FEWEST_ROUNDS = 2  # of warming up
_MOST_FAILURES = 3  # of one test, which is then left out
_SHOWN_EACH = 0.5  # seconds
_SAVED_EACH = (0.5, 30.0)  # seconds, at least and at most
_SAVED_TIMES = 40
_EXPLAINED_ROUNDS = 10
_EXPLAINED_FOR = (5.0, 0.05)  # seconds, or so much of the time if that is more
_ASKED_FOR = 10.0  # seconds
_RUN = "coresys_soak_of"  # in a worker's input: the id of the run that it is a part of
_INTERRUPTED = "the soak was interrupted"
_NO_PLACE = ("setupshow", "setuponly", "setupplan")


def why_not(config: pytest.Config) -> str | None:
    """What the soak of a run cannot go with, if anything."""
    for option in _NO_PLACE:
        if config.getoption(option, False):
            return f"--{option[:5]}-{option[5:]} would print each round, and --coresys-soak has thousands"
    return None


class Soak:
    """The soak of one process; on a controller of xdist, what its workers tell of theirs."""

    def __init__(self, session: BudgetSession, seconds: float) -> None:
        config = session.config
        self._session, self._config, self.seconds = session, config, seconds
        self._controls = session.worker is None and config.getoption("dist", "no") != "no"
        self.running = False
        self.results: list[dict[str, Any]] = []
        self._lost: list[str] = []  # workers that died
        self._unheard: list[str] = []  # workers that have told nothing so far
        self._run_id: str = getattr(config, "workerinput", {}).get(_RUN, session.report.run_id)
        self._items: list[pytest.Item] = []
        self._left_out: dict[str, int] = {}  # how many tests, by reason
        self._last: pytest.Item | None = None
        self._folders: NumberedFolders | None = None
        self._kept: pytest.TestReport | None = None
        self._cache = MallocCache()
        self._counts: Counts | None = None
        self._stranded: int | None = None  # before the first reading of this process
        self._rounds = 0
        self._elapsed: float | None = None  # at the end of the rounds
        self._failures: dict[str, list[str]] = {}
        self._looks = Looked()
        self._grew: list[tuple[pytest.Item, Sequence[float]]] = []
        self._bounds: list[str] = []  # to which all is kept that grows; none where something has no bound
        self._facts: dict[str, Any] = {}  # of this process, that a checkpoint tells
        self._progress = _Progress(session)
        # Each worker may be wrong by chance: together no more often than one process.
        self._level = LEVEL / getattr(config, "workerinput", {}).get("workercount", 1)
        self._recording = Recording(seconds, KEYS, level=self._level)

    # -- while the run is on --------------------------------------------------------------------------------------

    def pytest_report_header(self) -> str:
        return f"coresys: soak of {duration_text(self.seconds)} after the first round"

    def next_of(self, item: pytest.Item, nextitem: Any) -> Any:
        """What follows the test; after the last of this process the next round does."""
        if nextitem is not None:
            return nextitem
        self._last = item
        return NextRound(item)

    def ran(self, item: pytest.Item, plan: Plan, outcome: str) -> None:
        """A test was run for the record; those that passed are soaked."""
        if outcome != "passed":
            self._leave_out("did not pass in the first round")
        elif plan.problem:
            self._leave_out("have wrong budgets of their own")
        elif plan.no_repeat:
            self._leave_out("must not be repeated (coresys_no_repeat)")
        else:
            keep_for_rounds(item)
            self._items.append(item)

    def given_away(self, other: str) -> None:
        """A test was run by another plugin's protocol."""
        self._leave_out(f"run by {other}")

    def _leave_out(self, why: str) -> None:
        self._left_out[why] = self._left_out.get(why, 0) + 1

    def keeps(self, item: pytest.Item, report: pytest.TestReport) -> bool:
        """Whether a report is to be logged when the rounds are over: the last teardown, that of wider fixtures too."""
        if item is not self._last or report.when != "teardown":
            return False
        self._kept = report
        return True

    # -- the rounds -----------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            result = yield
            if not self._controls and self._last is not None:
                if not (session.shouldfail or session.shouldstop):
                    self._soak_safely()
                self._end(self._last)
        finally:
            self._log_kept()
        return result

    def _end(self, last: pytest.Item) -> None:
        """What is still up falls, and if that fails it is the last test's, as in an ordinary run."""
        report = end_of_rounds(last)
        if not report.failed:
            return
        if self._kept is None:
            self._kept = report
            report.nodeid, report.location, report.keywords = last.nodeid, last.location, {last.name: 1}
        elif self._kept.passed:
            self._kept.outcome, self._kept.longrepr = "failed", report.longrepr
            record = getattr(self._kept, "coresys", None)
            if record is not None and record["outcome"] == "passed":
                record["outcome"] = "error"
        self._kept.sections += report.sections

    def _log_kept(self) -> None:
        report, self._kept = self._kept, None
        if report is not None and self._last is not None:
            self._last.ihook.pytest_runtest_logreport(report=report)

    def _soak_safely(self) -> None:
        try:
            self._soak()
        except (pytest.exit.Exception, pytest.Session.Failed):
            raise
        except Exception as error:  # of ours: no reason to take the results of the run from anybody
            self._session._complain_of_us(error)

    def _soak(self) -> None:
        if not self._items:
            return
        plans = [plan_of(item, self._session.planner, self._session.budget_hooks) for item in self._items]
        limits = {key: _limit_of(key, plans) for key in KEYS}
        ended, checkpoint = "interrupted", self._checkpoint(limits)
        resumed_at = self._resume(checkpoint)
        self._facts = {
            "worker": self._session.worker,
            "tests": len(self._items),
            "left_out": self._left_out,
            "resumed_at": resumed_at,
            "limits": {key: [limit.maximum, limit.level, limit.origin] for key, limit in limits.items()},
        }
        try:
            with unreported(self._config), unnoted():
                self.running = True
                ended = self._go(limits[RATE], checkpoint)
                checkpoint.remove()
                self._elapsed = self._recording.elapsed if self._elapsed is None else self._elapsed
                if (_is_over(self._memory(limits[RATE])) and ended != "early") or self._grown_counts(limits):
                    self._explain()
        except BaseException:
            if ended == "interrupted":
                self._save(checkpoint)
            raise
        finally:
            self.running = False
            self._progress.clear()
            self.results.append(self._result(limits, ended, resumed_at))

    def _go(self, limit: Limit, checkpoint: Checkpoint) -> str:
        recording = self._recording
        saved = monotonic()
        least, most = _SAVED_EACH
        save_each = min(max(self.seconds / _SAVED_TIMES, least), most)
        recording.begin()
        rounds_before = self._rounds
        while self._items and not recording.over:
            whole = self._round()
            if whole and recording.due() and self._rounds >= rounds_before + _FEWEST_ROUNDS:
                self._read()
            look = recording.look()
            if look is not None and self._look(look, limit):
                return "early" if look.share < 1 else "finished"
            now = monotonic()
            if now >= saved + save_each:
                self._save(checkpoint)
                saved = now
        return "finished"

    def _round(self) -> bool:
        """All tests once; False if the time was over in the midst of it."""
        items, whole = self._items, True
        for at, item in enumerate(items):
            self._run(item, items[at + 1] if at + 1 < len(items) else NextRound(item))
            self._progress.now_and_then(self._state)
            if item.session.shouldstop:  # somebody asked for it, a handler of a signal for one
                raise item.session.Interrupted(str(item.session.shouldstop))
            if self._recording.over:
                whole = at + 1 == len(items)
                break
        self._clear_folders()
        self._rounds += whole
        if self._failures:
            self._items = [item for item in items if len(self._failures.get(item.nodeid, ())) < _MOST_FAILURES]
        return whole

    def _clear_folders(self) -> None:
        """Temporary folders of the next round take the place of the last one's."""
        if self._folders is None:
            self._folders = NumberedFolders(self._config)
        self._folders.clear()

    def _run(self, item: pytest.Item, nextitem: Any) -> None:
        item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)

    def run_protocol(self, item: pytest.Item, nextitem: Any) -> None:
        """One test of a round, within the protocols of all plugins that put something around it."""
        problem = run_in_round(item, nextitem)
        if problem is not None:
            known = self._failures.setdefault(item.nodeid, [])
            if len(known) < _MOST_FAILURES:
                known.append(f"round {self._rounds + 2}: {problem}")

    def _read(self) -> None:
        """Take a reading into the series, with what is stranded."""
        counts = self._read_now()
        if counts is None:
            return
        self._counts = counts
        stranded = self._session.screen.stranded() or 0
        if self._stranded is None:
            self._stranded = stranded
        share = fragmentation.share(stranded - self._stranded, counts.memory)
        self._recording.add((counts.memory, counts.threads, counts.descriptors, share))

    # -- what it comes to -------------------------------------------------------------------------------------------

    def _memory(self, limit: Limit) -> Trend:
        """The verdict so far, at the level of the last look."""
        level = self._looks.last_level or self._level
        return trends.memory_trend(*self._recording.readings(RATE), limit, level)

    def _look(self, look: Look, limit: Limit) -> bool:
        """Look at what there is; True if the soak may end here: over, as it was at the look before.

        A cache that is being filled is over as long as that takes, and a leak is so for good.
        """
        confirmed = self._looks.last_was_over
        times, values = self._recording.readings(RATE)
        trend = trends.memory_trend(times, values, limit, look.level)
        self._looks.add(look.share, look.level, trend.status, trend.rate, trend.low, trend.high)
        self._progress.line(f"{look.share:.0%}: {self._state()}; {soakfindings.told(trend)}")
        return _is_over(trend) and confirmed and not self._may_end()

    def _may_end(self) -> bool:
        """Whether all that grows is kept to a size: then the rounds go on, that it may be reached."""
        elapsed = self._recording.elapsed
        self._explain()
        if not self._bounds:
            self._elapsed = elapsed  # to ask is no part of the rounds
        return bool(self._bounds)

    def _state(self) -> str:
        elapsed = duration_text(min(self._recording.elapsed, self.seconds))
        grown = format_quantity(self._recording.grown(RATE), "B")
        sign = "" if grown.startswith("-") else "+"
        rounds = f"{self._rounds:,} round{'' if self._rounds == 1 else 's'}"
        warming = ", warming up" if self._recording.warming else f", memory {sign}{grown}"
        return f"{elapsed} of {duration_text(self.seconds)}, {rounds}{warming}"

    def _trend_of(self, key: str, limit: Limit) -> Trend:
        times, values = self._recording.readings(key)
        if key == RATE:
            trend = self._memory(limit)
            why = self._session.unmeasured.get(key)
            return Trend("not_measured", why=why) if why else trend
        if key not in _COUNTED:
            return trends.share_trend(times, values, limit, self._level)
        if limit.maximum is None or limit.level == "off":
            return Trend("not_measured", why=trends.OFF)
        return trends.count_trend(times, values, limit.maximum * self._rounds_an_hour(), self._level)

    def _rounds_an_hour(self) -> float:
        elapsed = self._recording.elapsed if self._elapsed is None else self._elapsed
        return self._rounds / elapsed * 3600 if elapsed and self._rounds else 1.0

    def _grown_counts(self, limits: Mapping[str, Limit]) -> bool:
        return any(_is_over(self._trend_of(key, limits[key])) for key in _COUNTED)

    def _explain(self) -> None:
        """Which tests grow: some rounds more, with a reading before and after each test."""
        self._progress.show("looking for the tests that grow")
        items, seconds = self._items, max(_EXPLAINED_FOR[0], _EXPLAINED_FOR[1] * self.seconds)
        # Numbers in arrays: a reading that is kept while the next one is made would be growth of the first test.
        sums = [array("d", (0.0, 0.0, 0.0)) for _ in items]
        before, after = array("d", (0.0, 0.0, 0.0)), array("d", (0.0, 0.0, 0.0))
        until, rounds, at = monotonic() + seconds, 0, 0
        while items and rounds < _EXPLAINED_ROUNDS and monotonic() < until:
            if not self._read_into(before):
                return
            for at, item in enumerate(items):
                # With the fixtures of its module: they would be what the first test adds, and the last takes away.
                self._run(item, NextRound(item))
                if not self._read_into(after):
                    return
                for column in range(3):
                    sums[at][column] += after[column] - before[column]
                before, after = after, before
                if monotonic() >= until:
                    break
            self._clear_folders()
            rounds += 1
            if at + 1 == len(items) or rounds == 1:  # of a long first round, those that were read
                read = zip(items[: at + 1], sums, strict=False)
                self._grew = [(item, [total / rounds for total in each]) for item, each in read]
        self._bounds = self._ask_for_bounds()

    def _ask_for_bounds(self) -> list[str]:
        """To which sizes that is kept which grows, read off the source; none where one test's is not seen to be."""
        amounts = dict(soakfindings.those_that_grow(self._grew_of(RATE)))
        bounds = []
        for item, _ in self._grew:
            if item.nodeid in amounts:
                bound = self._bound_of(item, amounts[item.nodeid])
                if bound is None:
                    return []
                bounds.append(bound)
        return list(dict.fromkeys(bounds))

    def _bound_of(self, item: pytest.Item, grown: float) -> str | None:
        """In a child, for whoever looks traces what is allocated: nothing of that is to stay in the tests' process."""
        if why_no_fork() is not None:
            return None
        root = str(self._config.rootpath)

        def ask(send: Send) -> None:
            found = attribute(
                lambda: run_in_round(item, NextRound(item)),
                is_user=lambda path: is_of_user(path, root),
                root_path=root,
                grown=grown,
                seconds=_ASKED_FOR,
            )
            send({"may_end": found.may_end if found.lines or found.holders else None})

        try:
            result = run_in_child(ask, timeout=3 * _ASKED_FOR)
        except OSError:
            return None
        return result.merged().get("may_end")

    def _read_into(self, numbers: array[float]) -> bool:
        counts = self._read_now()
        if counts is not None:
            for column in range(3):
                numbers[column] = counts[column]
        return counts is not None

    def _read_now(self) -> Counts | None:
        """The counters, without garbage, and with the C library's cache as full as ever: that is in use to its account.

        No test that counts comes after, which could see that garbage was collected.
        """
        meters.collect()
        self._cache.fill()
        return self._session.screen.read_after(self._counts)

    def _result(self, limits: Mapping[str, Limit], ended: str, resumed_at: float | None) -> dict[str, Any]:
        trends_by_key = {key: self._trend_of(key, limits[key]) for key in KEYS}
        if ended == "interrupted":
            why = f"{_INTERRUPTED}; the same command goes on with it"
            trends_by_key = {
                key: Trend("not_measured", None, each.low, each.high, why, each.rate)
                for key, each in trends_by_key.items()
            }
        findings = [] if ended == "interrupted" else self._findings(trends_by_key, limits)
        rate = trends_by_key[RATE]
        if _is_over(rate) and self._bounds:
            why = f"suspected: {'; '.join(self._bounds)}"
            trends_by_key[RATE] = Trend("not_measured", None, rate.low, rate.high, why, rate.rate)
        failures = soakfindings.failed(self._failures, times=_MOST_FAILURES)
        return {
            "worker": self._session.worker,
            "planned": self.seconds,
            "elapsed": self._recording.elapsed if self._elapsed is None else self._elapsed,
            "rounds": self._rounds,
            "tests": len(self._items),
            "left_out": self._left_out,
            "ended": ended,
            "resumed_at": resumed_at,
            "looks": self._looks.entries(),
            "series": {key: self._entry(key, trend, limits[key]) for key, trend in trends_by_key.items()},
            "findings": [wire.finding_to_dict(finding) for finding in (*findings, *failures)],
        }

    def _entry(self, key: str, trend: Trend, limit: Limit) -> dict[str, Any]:
        times, values = self._recording.readings(key)
        value = trend.value
        if key in _COUNTED and value is not None:
            value = value / self._rounds_an_hour()
        entry = {
            "times": [round(time, 3) for time in times],
            "values": [wire.plain_number(each) for each in values],
            "interval": [trend.low, trend.high],
            "verdict": trend.status,
            "value": value,
            "limit": limit.maximum,
            "unit": self._session.measures[key].unit,
            "level": limit.level,
            "origin": limit.origin,
            "why": trend.why,
        }
        if key == RATE and trend.status == "not_measured" and limit.maximum is not None and trend.why != trends.OFF:
            entry["needed"] = trends.time_needed(self.seconds, trend, limit.maximum)
        return wire.plain(entry)  # type: ignore[no-any-return]

    def _findings(self, found: Mapping[str, Trend], limits: Mapping[str, Limit]) -> list[Finding]:
        findings = [
            soakfindings.grown(
                trend,
                limits[key],
                unit=self._session.measures[key].unit,
                readings=self._recording.readings(key),
                rounds=self._rounds,
                rounds_an_hour=self._rounds_an_hour(),
                tests=self._grew_of(key),
                worker=self._session.worker,
            )
            for key, trend in found.items()
            if _is_over(trend)
        ]
        if self._bounds:
            findings = [soakfindings.suspected(each, self._bounds) if each.key == RATE else each for each in findings]
        return with_agreed((), findings, self._session.settings.accepts)[1]

    def _grew_of(self, key: str) -> list[tuple[str, float]]:
        if key not in _READ_BY_TEST:
            return []
        return [(item.nodeid, each[_READ_BY_TEST.index(key)]) for item, each in self._grew]

    # -- the checkpoint -------------------------------------------------------------------------------------------

    def _checkpoint(self, limits: Mapping[str, Limit]) -> Checkpoint:
        facts = {key: [limit.maximum, limit.level] for key, limit in limits.items()}
        root, names = self._config.rootpath, [item.nodeid for item in self._items]
        return Checkpoint(root, identity_of(root, names, self.seconds, self._session.worker, facts))

    def _resume(self, checkpoint: Checkpoint) -> float | None:
        """Take up what was saved; the second at which that was."""
        saved, problem = checkpoint.load()
        try:
            if saved is not None:
                self._take_up(saved)
        except _NOT_OURS:
            self._begin_anew()
            saved, problem = None, "it cannot be read"
        if problem is not None:
            self._session.complain(f"{checkpoint.shown} was not gone on with: {problem}; the soak began anew")
        if saved is None:
            return None
        at = self._recording.elapsed
        text = f"the soak went on at {duration_text(at)}, from {checkpoint.shown}"
        self._session.complain(f"{text} (delete that to begin anew)")
        self._progress.line(f"{text}, once it has warmed up")
        return at

    def _begin_anew(self) -> None:
        self._recording, self._looks = Recording(self.seconds, KEYS, level=self._level), Looked()
        self._rounds = 0

    def _take_up(self, saved: Mapping[str, Any]) -> None:
        """Stand where a soak stood when it was saved. Raises one of ``_NOT_OURS`` for what is none."""
        self._recording.resume(saved)
        self._rounds = int(saved["rounds"])
        for each in saved["looks"]:
            self._looks.add(each["at"], each["level"], each["verdict"], each["rate"], *each["interval"])

    def _save(self, checkpoint: Checkpoint) -> None:
        soak = {**self._recording.saved(), "rounds": self._rounds, "looks": self._looks.entries()}
        try:
            checkpoint.save({**soak, "run": self._run_id, **self._facts})
        except runfile.OutputError as error:
            self._session.complain(f"the soak cannot be gone on with if it is ended: {error}")

    # -- from a worker to the controller ----------------------------------------------------------------------------

    def sent(self) -> str:
        """What a worker tells: one text, for execnet takes long over many small values."""
        return json.dumps(self.results)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_RUN] = self._run_id
        self._unheard.append(node.gateway.id)

    def take(self, worker: str | None, text: str | None) -> None:
        """What a worker told; None of one that died."""
        if worker in self._unheard:
            self._unheard.remove(worker)
        if text is None:
            self._lost.append(worker or "a worker")
        else:
            self.results += json.loads(text)

    def parts(self) -> dict[str, Any]:
        """What the run file has of it: ``series``, ``facts`` and ``findings``."""
        self._hear_the_unheard()
        reasons = dict.fromkeys(self._lost, "its worker died")
        reasons.update(dict.fromkeys(self._unheard, f"{_INTERRUPTED}, and its worker has told and kept nothing"))
        nothing = [
            {"worker": worker, "series": {RATE: soaks.unmeasured(RATE, why, **self._default_limit())}}
            for worker, why in reasons.items()
        ]
        series = soaks.soak_series([*self.results, *nothing])
        if RATE not in series:
            left_out = "; ".join(f"{count} {why}" for why, count in self._left_out.items())
            why = f"no test was soaked{f': {left_out}' if left_out else ''}"
            series = {RATE: soaks.unmeasured(RATE, why, **self._default_limit())}
        findings = [finding for result in self.results for finding in result["findings"]]
        findings += [wire.finding_to_dict(soakfindings.died(worker)) for worker in self._lost]
        return {"series": series, "facts": soaks.soak_facts(self.results), "findings": findings}

    def _hear_the_unheard(self) -> None:
        """Who ends a run of several workers by Ctrl-C hears nothing of them any more, but for what they have kept."""
        for kept in kept_by(self._config.rootpath, self._run_id) if self._unheard else ():
            if kept.get("worker") not in self._unheard:
                continue
            try:
                result = self._interrupted(kept)
            except _NOT_OURS:
                continue
            self.results.append(result)
            self._unheard.remove(kept["worker"])

    def _interrupted(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """What a worker would have told of a soak that it has kept. Raises one of ``_NOT_OURS`` for what is none."""
        limits = {key: Limit(key, *kept["limits"][key]) for key in KEYS}
        self._begin_anew()  # of a process that soaks nothing itself
        self._take_up(kept)
        facts = {name: kept[name] for name in ("worker", "tests", "left_out")}
        return {**self._result(limits, "interrupted", kept["resumed_at"]), **facts}

    def _default_limit(self) -> dict[str, Any]:
        limit = self._session.settings.limits("", ())[RATE]
        unit = self._session.measures[RATE].unit
        return {"limit": limit.maximum, "unit": unit, "level": limit.level, "origin": limit.origin}


_NOT_OURS = (IndexError, KeyError, TypeError, ValueError)  # for a checkpoint that is none, or of another version


def _is_over(trend: Trend) -> bool:
    return trend.status == "over"


def _limit_of(key: str, plans: Sequence[Plan]) -> Limit:
    """What the process is held to: the largest rate that a test of it may have, and the sum of what each may leave."""
    limits = [plan.limits[key] for plan in plans if key not in plan.skipped and plan.limits[key].level != "off"]
    if not limits or (key in _COUNTED and len(limits) < len(plans)):
        return Limit(key, None, "off", "each is off or skipped" if not limits else "off for some of the tests")
    largest = max(limits, key=lambda limit: limit.maximum or 0.0)
    if key not in _COUNTED:
        return largest
    total = sum(limit.maximum or 0.0 for limit in limits)
    return Limit(key, total, largest.level, largest.origin)


class _Progress:
    """Shows how far it is: one line that changes on a terminal, and elsewhere a line at each look."""

    def __init__(self, session: BudgetSession) -> None:
        self._session = session
        self._shown, self._next = False, 0.0

    def _reporter(self) -> Any:
        config = self._session.config
        if self._session.worker is not None or config.get_verbosity() < 0:
            return None
        return config.pluginmanager.get_plugin("terminalreporter")

    def now_and_then(self, text: Callable[[], str]) -> None:
        """Show it, unless something was shown just now."""
        now = monotonic()
        if now >= self._next:
            self._next = now + _SHOWN_EACH
            if self._reporter() is not None:
                self.show(text())

    def show(self, text: str) -> None:
        reporter = self._reporter()
        if reporter is not None and reporter.isatty:
            if not self._shown:
                reporter.ensure_newline()
            self._shown = True
            width = self._session.config.get_terminal_writer().fullwidth
            reporter.rewrite(fitted(f"coresys: soak {text}", width - 1), erase=True)

    def line(self, text: str) -> None:
        reporter = self._reporter()
        if reporter is not None:
            self.clear()
            reporter.ensure_newline()
            reporter.write_line(f"coresys: soak {text}")

    def clear(self) -> None:
        reporter = self._reporter()
        if self._shown and reporter is not None:
            reporter.rewrite("", erase=True)
            reporter.rewrite("")
            reporter.currentfspath = None
        self._shown = False
