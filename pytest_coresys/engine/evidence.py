"""From what was seen of a test (counters, readings, repetitions) to verdicts and findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coresys.budgets.judge import judge
from coresys.budgets.model import Evidence, Limit, Verdict
from coresys.budgets.units import format_quantity
from coresys.budgets.wording import summary_of
from coresys.measure import fragmentation
from coresys.measure.settings import SettingsSnapshot
from coresys.records import GROWS_ALONG, Finding, Location, Reading
from pytest_coresys.engine.plan import Plan
from pytest_coresys.engine.screen import MEMORY_RESOLUTION, Counts
from pytest_coresys.measures import CONFIRMED, COUNTED_AT_THE_END, GROWTH, Measure

SPENT = "the effort for repeating was spent"
AGAIN = 2  # repetitions that have to be over as the first run was
TOO_LONG = "repeating it would take longer than the effort of the whole run"
TOO_LITTLE = "repeating it would take longer than its part of the effort"


@dataclass(slots=True)
class Seen:
    """All that was seen of one test. ``left`` is None where the counters can't be had.

    ``repeated`` are the facts of the repetitions by key, ``explained`` what was found out about the convicted,
    ``again`` are, by key, the ``values`` of the repetitions of what was over in the first run, and ``details``,
    ``why`` the reason for which there were none, or not enough.
    """

    left: Counts | None
    in_use: int = 0  # bytes, after the first run
    stranded_before: int = 0  # free bytes, before it
    imported: bool = False  # whether it was the first to import some module
    readings: Mapping[str, Reading] = field(default_factory=dict)
    repeated: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    explained: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    again: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    repetitions: int = 0
    why: str | None = None
    settings_found: SettingsSnapshot | None = None  # before the first run, if it changed some for good
    resolution: int = MEMORY_RESOLUTION  # bytes, below which nothing can be said after one run
    quiet: bool = field(init=False)  # whether there was nothing in the first run

    def __post_init__(self) -> None:
        left = self.left
        self.quiet = (
            left is not None
            and left.memory <= self.resolution
            and max(left.threads, left.descriptors, left.processes, left.tasks) <= 0
            and not _stranded_share(self)
            and all(reading.value == 0 for reading in self.readings.values())
        )


def suspects(plan: Plan, seen: Seen) -> list[str]:
    """Measures of which the first run left something that repeating should look at before anything else."""
    left = seen.left
    if left is None or seen.quiet:
        return []
    return [
        key
        for key in GROWTH
        if key in plan.wanted
        and left[_COLUMN[key]] > (seen.resolution if key == "memory.growth" else 0)
        and not _allows(plan.limits[key], left[_COLUMN[key]])
    ]


def verdicts_of(
    plan: Plan, seen: Seen, measures: Mapping[str, Measure], unmeasured: Mapping[str, str | None]
) -> tuple[Verdict, ...]:
    """The verdict of every measure in force. The same tuple for tests of one plan of which nothing was seen."""
    if not seen.quiet or seen.repetitions:
        return _verdicts(plan, seen, measures, unmeasured)
    known = plan.on_nothing.get((seen.resolution, seen.why))
    if known is None:
        if len(plan.on_nothing) >= _MOST_REASONS:
            plan.on_nothing.clear()
        known = plan.on_nothing[seen.resolution, seen.why] = _verdicts(plan, seen, measures, unmeasured)
    return known


_MOST_REASONS = 50  # kept by a plan: each test may have one of its own


def _verdicts(
    plan: Plan, seen: Seen, measures: Mapping[str, Measure], unmeasured: Mapping[str, str | None]
) -> tuple[Verdict, ...]:
    return tuple(
        judge(_evidence(key, plan, seen, measures[key], unmeasured.get(key)), limit, measures[key].unit)
        for key, limit in plan.in_force.items()
    )


_COLUMN = {key: at for at, key in enumerate(GROWTH)}


def _nothing(key: str, resolution: int = 0) -> Evidence:
    """Of one run: nothing seen."""
    return Evidence(key, 0.0, "screened", resolution)


def unmeasured_verdicts(plan: Plan, measures: Mapping[str, Measure], why: str) -> tuple[Verdict, ...]:
    """Not measured, all of them, for one reason."""
    return tuple(judge(Evidence(key, None, why=why), limit, measures[key].unit) for key, limit in plan.in_force.items())


def verdicts_without_a_pass(
    plan: Plan, seen: Seen, measures: Mapping[str, Measure], why: str, *, failed: bool
) -> tuple[Verdict, ...]:
    """Of a test that did not pass: not measured, for that reason, but for what was counted exactly when it was over.

    What a test left that ``failed`` by itself is an error beside its own. One that was skipped, or was expected to
    fail, is to stay what it is: there it is a warning.
    """

    def verdict_of(key: str, limit: Limit) -> Verdict:
        reading = seen.readings.get(key) if key in COUNTED_AT_THE_END else None
        if reading is None or reading.value is None:
            return judge(Evidence(key, None, why=why), limit, measures[key].unit)
        if not failed and limit.level == "error":
            limit = replace(limit, level="warn", reason=f"told as a warning: {why}")
        return judge(_evidence(key, plan, seen, measures[key], None), limit, measures[key].unit)

    return tuple(verdict_of(key, limit) for key, limit in plan.in_force.items())


def _evidence(key: str, plan: Plan, seen: Seen, measure: Measure, unmeasured: str | None) -> Evidence:
    if key in plan.skipped:
        return Evidence(key, None, why=plan.skipped[key])
    if unmeasured:
        return Evidence(key, None, why=unmeasured)
    if measure.basis == "growth":
        facts = seen.repeated.get(key)
        if facts is not None and facts["conclusion"] != "too few":
            return _repeated(key, facts, plan.limits[key])
        return _screened(key, seen, measure.unit, plan.limits[key])
    if measure.basis == "confirmed" and key in seen.readings:
        return _confirmed(seen.readings[key], plan.limits[key], measure.unit, seen)
    if key in seen.readings and (measure.basis == "run" or seen.repetitions):
        reading = seen.readings[key]
        kind = "repeated" if measure.basis == "repetition" and seen.repetitions else "screened"
        if kind == "screened" and reading.value == 0:
            return _nothing(key)
        why = (reading.why or "the probe had no reading") if reading.value is None else None
        return Evidence(key, reading.value, kind, why=why)  # type: ignore[arg-type]  # one of two literals
    if key == "memory.fragmentation" and seen.left is not None:
        return _fragmentation(plan.limits[key], seen)
    return Evidence(key, None, why=seen.why or "needs a repetition")


def _confirmed(reading: Reading, limit: Limit, unit: str, seen: Seen) -> Evidence:
    """Of the first run, unless that is over: then it has to be over each time, and the least is judged.

    Where there was one repetition more than is asked for, one may be less: what a lock costs is told with all doubt
    taken off, which is much where others take the processors.
    """
    value = reading.value
    if value is None:
        return Evidence(limit.key, None, why=reading.why or "the probe had no reading")
    if not value:
        return _nothing(limit.key)
    if _allows(limit, value):
        return Evidence(limit.key, value)
    again = seen.again.get(limit.key)
    if again is not None:
        values = (value, *again["values"])
        return Evidence(limit.key, sorted(values)[len(values) > AGAIN + 1], "repeated", series=values)
    why = f"suspected: {format_quantity(value, unit)} in one run"
    return Evidence(limit.key, None, why=f"{why}; {seen.why}" if seen.why else why)


def over_at_first(plan: Plan, seen: Seen) -> dict[str, float]:
    """Of what has to be over each time: what was in the first run, with its limit."""
    found = {}
    for key in CONFIRMED:
        if key in plan.wanted and key in seen.readings:
            value, limit = seen.readings[key].value, plan.limits[key]
            if value is not None and limit.maximum is not None and value > limit.maximum:
                found[key] = limit.maximum
    return found


def _fragmentation(limit: Limit, seen: Seen) -> Evidence:
    """Of the first run: free bytes that it added, over bytes in use. Some of them a trim would give back."""
    share = _stranded_share(seen)
    if limit.maximum is None or share <= limit.maximum:
        return Evidence(limit.key, share, "screened") if share else _nothing(limit.key)
    why = f"suspected: {format_quantity(share, 'ratio')} after one run"
    return Evidence(limit.key, None, why=f"{why}; {seen.why}" if seen.why else why)


def _stranded_share(seen: Seen) -> float:
    """In thousandths: one run tells no more."""
    return round(fragmentation.share(seen.left.stranded if seen.left is not None else 0, seen.in_use), 3)


def may_be_fragmented(plan: Plan, seen: Seen) -> bool:
    """Whether the first run added more free bytes than the budget allows to be stranded."""
    if seen.quiet:
        return False
    limit = plan.limits.get("memory.fragmentation")
    return limit is not None and limit.maximum is not None and _stranded_share(seen) > limit.maximum


def _allows(limit: Limit, value: float) -> bool:
    """Whether a budget of somebody's own allows so much: then it is within, whatever it comes from."""
    return limit.maximum is None or value <= limit.maximum


def _screened(key: str, seen: Seen, unit: str, limit: Limit) -> Evidence:
    """Evidence of the first run alone: nothing above the resolution, or something that only repeating can judge."""
    if seen.left is None:
        return Evidence(key, None, why="the counters could not be read")
    left = seen.left[_COLUMN[key]]
    resolution = seen.resolution if unit == "B" else 0
    if left <= resolution:
        return _nothing(key, resolution)
    if _allows(limit, left):
        return Evidence(key, float(left), "screened", resolution)
    why = f"suspected: {format_quantity(left, unit)} left after one run"
    return Evidence(key, None, "screened", resolution, why=f"{why}; {seen.why}" if seen.why else why)


def _repeated(key: str, facts: Mapping[str, Any], limit: Limit) -> Evidence:
    value: float | None = float(facts["rate"])
    why = None
    if facts["conclusion"] in ("unclear", "leak") and not facts["rate"]:
        value, why = None, "its readings went up and down by too much to tell"
    elif facts["conclusion"] == "unclear" and not _allows(limit, facts["rate"]):
        value = None
        unit = "B" if key == "memory.growth" else "count"
        why = f"suspected: {format_quantity(facts['rate'], unit)} more with each repetition, but {_open(facts)}"
    return Evidence(key, value, "repeated", float(facts["resolution"]), tuple(facts["series"]), why)


def _open(facts: Mapping[str, Any]) -> str:
    if facts.get("may_end"):
        return str(facts["may_end"])
    if facts.get("most"):
        return f"{facts['most']} repetitions, the most there may be, did not rule out a cache that fills"
    return "its part of the effort was spent before a cache that fills could be ruled out"


def findings_of(verdicts: Sequence[Verdict], seen: Seen, measures: Mapping[str, Measure]) -> list[Finding]:
    """A finding for each measure that is over, or suspected to be; causes before what follows from them."""
    findings: list[Finding] = []
    for verdict in verdicts:
        suspicion = verdict.status == "not_measured" and (verdict.why or "").startswith("suspected:")
        if verdict.status == "over" or suspicion:
            repeats = verdict.evidence == "repeated" or measures[verdict.key].basis == "run"
            level = "suspicion" if suspicion or not repeats else verdict.level
            found = _finding(verdict, level, seen)
            findings += _parts(found, seen.readings.get(verdict.key)) or [found]
    return _causes_first(findings)


def _parts(found: Finding, reading: Reading | None) -> list[Finding]:
    """The finding once for each part of what was read, if that has parts."""
    parts = () if reading is None else reading.each
    return [replace(found, details=part.details, locations=part.where, locks=part.locks) for part in parts]


def _causes_first(findings: list[Finding]) -> list[Finding]:
    """A leaked thread or socket keeps memory: name it first, and say so of the memory."""
    counted = [each.key for each in findings if each.key in GROWTH[1:] and each.level == "error"]
    memory = [each for each in findings if each.key == "memory.growth"]
    if not counted or not memory:
        return findings
    note = f"{GROWS_ALONG}{', '.join(counted)}, which may be all there is to it"
    rest = [each for each in findings if each.key != "memory.growth"]
    return [*rest, *(replace(each, details=(note, *each.details)) for each in memory)]


def _finding(verdict: Verdict, level: str, seen: Seen) -> Finding:
    known = seen.explained.get(verdict.key)
    if known is not None:
        return Finding(
            verdict.key,
            level,
            summary_of(verdict),
            details=tuple(known["details"]) or seen.readings.get(verdict.key, Reading(None)).details,
            locations=tuple(Location(**place) for place in known["locations"]),
            holders=tuple(tuple(chain) for chain in known["holders"]),
        )
    reading = seen.readings.get(verdict.key, Reading(None))
    details = (*reading.details, *seen.again.get(verdict.key, {}).get("details", ()))
    return Finding(verdict.key, level, summary_of(verdict), details=details, locations=reading.where)
