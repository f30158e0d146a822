"""Verdicts on criteria: every boundary is a row."""

from __future__ import annotations

import random
from typing import Any

import pytest

from coresys.budgets.model import Level
from coresys.budgets.units import format_quantity
from pytest_coresys.criteria.judge import from_budgets, judge, judge_all
from pytest_coresys.criteria.model import CriteriaFile, Criterion, Result
from pytest_coresys.criteria.records import result_to_dict, samples_from_dict, softened
from pytest_coresys.criteria.run import RunCriteria, unpassed
from pytest_coresys.criteria.run import told as said
from pytest_coresys.criteria.samples import Samples, merged


def of(statistic: str, comparison: str = "<", limit: float = 10.0, **more: Any) -> Criterion:
    return Criterion("a.b", statistic, comparison, limit, "s" if statistic != "total" else "count", "10 s", **more)


def values(*given: float) -> Samples:
    samples = Samples()
    for value in given:
        samples.add(value)
    return samples


@pytest.mark.parametrize(
    ("comparison", "value", "verdict"),
    [
        ("<", 8.99, "within"), ("<", 9.0, "near"), ("<", 9.99, "near"), ("<", 10.0, "over"), ("<", 11.0, "over"),
        ("<=", 9.0, "near"), ("<=", 10.0, "near"), ("<=", 10.01, "over"), ("<=", -1.0, "within"),
        ("==", 10.0, "within"), ("==", 9.99, "over"), ("==", 10.01, "over"),
        (">=", 10.0, "near"), (">=", 9.99, "over"), (">=", 11.2, "within"), (">=", 11.1, "near"),
        (">", 10.0, "over"), (">", 10.01, "near"), (">", 12.0, "within"),
    ],
)  # fmt: skip
def test_one_value_at_the_limit(comparison: str, value: float, verdict: str) -> None:
    assert judge(of("value", comparison), values(value)).verdict == verdict


@pytest.mark.parametrize(
    ("comparison", "limit", "given", "value"),
    [
        ("<", 10.0, (1.0, 12.0, 3.0), 12.0),
        (">", 10.0, (30.0, 5.0), 5.0),
        ("==", 500.0, (500.0, 499.0, 500.0), 499.0),
        ("==", 500.0, (500.0, 500.0, 502.0), 502.0),
    ],
)
def test_of_several_values_the_worst_counts(
    comparison: str, limit: float, given: tuple[float, ...], value: float
) -> None:
    result = judge(of("value", comparison, limit), values(*given))
    assert (result.verdict, result.value, result.samples) == ("over", value, len(given))


def test_what_failed_is_said_before_what_was_noted_first() -> None:
    first, last = Samples(), Samples()
    first.say("measured on a quiet machine")
    first.check(True, "first is fine")
    last.say("beside 3 us")
    last.check(False, "the real reason")
    for each in (merged([first, last]), merged(Samples.from_plain(each.plain()) for each in (first, last))):
        result = judge(of("check", "==", True), each)
        assert result.why == "1 of 2 checks failed: the real reason"
        assert result.details == ("the real reason", "measured on a quiet machine", "beside 3 us")


def test_what_failed_is_said_in_a_merged_run_and_however_much_was_noted() -> None:
    noted, failed = Samples(), Samples()
    for number in range(40):
        noted.say(f"note {number}")
        failed.say(f"note {number}")
    noted.check(True)
    failed.check(False, "the real reason")
    criterion = of("check", "==", True)
    shards = [samples_from_dict(result_to_dict(judge(criterion, each))) for each in (noted, failed)]
    result = judge(criterion, merged(shards))
    assert (result.why, result.details[0]) == ("1 of 2 checks failed: the real reason", "the real reason")


def test_a_zero_limit_has_nothing_near() -> None:
    assert judge(of("value", "<=", 0.0), values(0.0)).verdict == "within"
    assert judge(of("value", "<=", 0.0), values(1e-9)).verdict == "over"


def test_a_quantile_is_never_a_maximum() -> None:
    result = judge(of("p99", min_samples=100), values(*[1.0] * 199, 1000.0))
    assert result.verdict == "within"
    assert result.value == pytest.approx(1.0, rel=0.01)


def test_a_quantile_that_too_many_are_above_is_over() -> None:
    result = judge(of("p99", min_samples=100), values(*[1.0] * 190, *[11.0] * 10))
    assert result.verdict == "over"
    assert result.value == pytest.approx(11.0, rel=0.01)


@pytest.mark.parametrize("exact", [9.995, 10.0, 10.01])
def test_what_a_bucket_cannot_tell_from_the_limit_is_near_and_not_over(exact: float) -> None:
    seen = [exact * (1 + at / 100_000) for at in range(-50, 50)]
    is_over = sorted(seen)[94] >= 10.0
    assert judge(of("p95", min_samples=20), values(*seen)).verdict in ("near", "over" if is_over else "near")
    assert judge(of("p95", min_samples=20), values(*[10.4] * 30)).verdict == "over"


@pytest.mark.parametrize(("number", "verdict"), [(99, "not_measured"), (100, "within")])
def test_under_the_least_number_of_samples_nothing_is_measured(number: int, verdict: str) -> None:
    result = judge(of("p99", min_samples=100), values(*[1.0] * number))
    assert result.verdict == verdict
    assert (result.why == "99 samples, of 100 that it needs") is (verdict == "not_measured")
    assert result.value == pytest.approx(1.0, rel=0.01), "what was seen is shown all the same"


def test_faults_are_over_however_few_samples_there_are() -> None:
    assert judge(of("total", "==", 0.0, min_samples=5), values(0.0, 1.0)).verdict == "over"
    assert judge(of("total", "==", 0.0, min_samples=5), values(0.0, 0.0)).verdict == "not_measured"
    assert judge(of("total", "==", 0.0), values(0.0, 0.0)).verdict == "within"


def test_a_total_is_a_sum() -> None:
    result = judge(of("total", "<=", 3.0), values(1.0, 2.0))
    assert (result.verdict, result.value) == ("near", 3.0)


def test_one_failed_check_is_enough_and_is_told() -> None:
    samples = Samples()
    samples.check(True)
    assert judge(of("check"), samples).verdict == "within"
    samples.check(False, "machine 3 is listed twice")
    result = judge(of("check"), samples)
    assert (result.verdict, result.value) == ("over", False)
    assert result.why == "1 of 2 checks failed: machine 3 is listed twice"


@pytest.mark.parametrize(
    ("low", "rate", "high", "verdict"),
    [
        (1.0, 2.0, 3.0, "within"),
        (1.0, 5.0, 8.99, "within"),
        (1.0, 5.0, 9.5, "near"),
        (5.0, 8.0, 10.0, "not_measured"),
        (-50.0, 0.0, 50.0, "not_measured"),
        (10.0, 12.0, 14.0, "over"),
        (9.99, 12.0, 14.0, "not_measured"),
    ],
)
def test_a_slope_is_three_valued_by_its_interval(low: float, rate: float, high: float, verdict: str) -> None:
    samples = Samples()
    samples.slope(rate, low, high)
    result = judge(of("slope"), samples)
    assert (result.verdict, result.value, result.interval) == (verdict, rate, (low, high))
    assert (result.why is not None) is (verdict == "not_measured")
    assert result.why is None or f"the slope is between {format_quantity(low, 's')} and " in result.why


def test_of_several_slopes_one_that_is_over_counts_whatever_the_others() -> None:
    samples = Samples()
    samples.slope(1.0, 0.5, 1.5)
    samples.slope(20.0, 15.0, 25.0)
    samples.slope(0.0, -90.0, 90.0)
    assert judge(of("slope"), samples).verdict == "over"


def test_nothing_recorded_is_no_pass_and_says_why() -> None:
    for statistic in ("p50", "p99", "total", "value", "check", "slope"):
        result = judge(of(statistic), Samples())
        assert (result.verdict, result.why) == ("not_measured", "no test is evidence for it")
    silent = judge(of("check"), Samples(), ("t.py::x", "t.py::y"))
    assert silent.why == "what is evidence for it recorded nothing: t.py::x, t.py::y"
    assert judge(of("value", measure="locks.wait"), Samples()).why == "no test measured locks.wait"
    assert judge(of("value", needs="soak"), Samples()).why == "not measured: needs soak"


def test_what_could_not_be_measured_in_one_place_is_not_measured() -> None:
    samples = values(1.0)
    samples.fail_to_measure("machine too busy: raw lock alone took 8 ms, the limit is 5 ms")
    result = judge(of("value"), samples)
    assert result.verdict == "not_measured"
    assert result.why is not None
    assert "machine too busy" in result.why


def test_a_test_that_did_not_pass_proves_nothing_good() -> None:
    broken = ("t (failed)",)
    assert judge(of("value"), values(1.0), ("t",), broken).verdict == "not_measured"
    assert judge(of("value"), values(11.0), ("t",), broken).verdict == "over"
    why = judge(of("check"), Samples(), ("t",), broken).why
    assert why == "a test that is evidence for it did not pass: t (failed)"
    few = judge(of("value", min_samples=2), values(1.0), ("t", "u"), ("t (failed)", "u (skipped)"))
    assert few.why == (
        "2 tests that are evidence for it did not pass: t (failed), u (skipped); 1 sample, of 2 that it needs"
    )


def told(outcome: str, nodeid: str = "t.py::x", why: str | None = None) -> dict[str, Any]:
    return {"nodeid": nodeid, "outcome": outcome, "why": why, "measures": {}}


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (("passed",), None), (("xpassed",), None), (("failed",), "failed"), (("skipped",), "skipped"),
        (("error",), "error in its setup or teardown"), (("xfailed",), "failed, as it was expected to"),
        (("skipped", "passed"), None), (("passed", "skipped"), None), (("skipped", "skipped"), "skipped"),
        (("passed", "failed"), "failed"), (("skipped", "error", "passed"), "error in its setup or teardown"),
    ],
)  # fmt: skip
def test_what_became_of_a_test_wherever_it_ran(outcomes: tuple[str, ...], words: str | None) -> None:
    found = unpassed([told(each) for each in outcomes])
    assert found == ({} if words is None else {"t.py::x": f"t.py::x ({words})"})


def test_of_a_test_that_a_worker_died_in_that_is_told() -> None:
    died = told("failed", why="its worker died while it ran")
    assert unpassed([died]) == {"t.py::x": "t.py::x (its worker died while it ran)"}


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped", "xfailed"])
@pytest.mark.parametrize("recorded", [True, False])
def test_samples_of_the_others_do_not_stand_for_a_test_that_did_not_pass(outcome: str, recorded: bool) -> None:
    run = RunCriteria(CriteriaFile("f.toml", lambda: {"a.b": of("value")}))
    good = {"a.b": values(1.0)}
    run.add({"samples": {"a.b": values(1.0).plain()}, "marked": []}, "t.py::good", None)
    run.add(said(good if recorded else {}, ["a.b"]), "t.py::bad", None)
    (result,) = run.results([told("passed", "t.py::good"), told(outcome, "t.py::bad")])
    assert result.verdict == "not_measured"
    assert result.evidence == ("t.py::good", "t.py::bad")
    assert "did not pass: t.py::bad (" in str(result.why)
    (result,) = run.results([told("passed", "t.py::good"), told("passed", "t.py::bad")])
    assert result.verdict == "within"


# -- derived --------------------------------------------------------------------------------------------------------

PARTS = ("within", "near", "not_measured", "over")


def judged(verdicts: tuple[str, ...]) -> dict[str, Result]:
    given = {"within": 1.0, "near": 9.5, "over": 11.0}
    names = [f"part.{at}" for at in range(len(verdicts))]
    criteria = {name: Criterion(name, "value", "<", 10.0, "s", "10 s") for name in names}
    criteria["whole"] = Criterion("whole", "derived", parts=tuple(names))
    criteria["above"] = Criterion("above", "derived", parts=("whole",))
    samples = {name: values(given[verdict]) for name, verdict in zip(names, verdicts, strict=True) if verdict in given}
    return judge_all(CriteriaFile("f.toml", lambda: criteria), samples, {name: [f"t.py::{name}"] for name in samples})


@pytest.mark.parametrize("first", PARTS)
@pytest.mark.parametrize("second", PARTS)
def test_a_derived_one_is_over_then_not_measured_then_near(first: str, second: str) -> None:
    found = judged((first, second, "within"))
    expected = next(each for each in ("over", "not_measured", "near", "within") if each in (first, second, "within"))
    assert found["whole"].verdict == found["above"].verdict == expected
    assert found["above"].parts == found["whole"].parts, "derived parts are resolved"
    if expected in ("over", "not_measured"):
        assert "part.0" in str(found["whole"].why) or "part.1" in str(found["whole"].why)


@pytest.mark.parametrize(
    ("levels", "level"),
    [(("warn", "warn"), "warn"), (("warn", "error"), "error"), (("error", "error"), "error")],
)
def test_what_rests_on_parts_that_only_warn_only_warns(levels: tuple[Level, Level], level: str) -> None:
    criteria = {f"part.{at}": Criterion(f"part.{at}", "value", "<", 10.0, "s", level=each)
                for at, each in enumerate(levels)}  # fmt: skip
    criteria["whole"] = Criterion("whole", "derived", parts=("part.0", "part.1"))
    criteria["above"] = Criterion("above", "derived", parts=("whole",))
    file = CriteriaFile("f.toml", lambda: criteria)
    both = judge_all(file, {name: values(11.0) for name in criteria}, {})
    assert [both[name].verdict for name in ("whole", "above")] == ["over", "over"]
    assert [both[name].criterion.level for name in ("whole", "above")] == [level, level]
    first = judge_all(file, {"part.0": values(11.0), "part.1": values(1.0)}, {})
    assert first["whole"].criterion.level == levels[0], "only what is over decides"


def test_a_part_that_became_a_warning_later_makes_what_rests_on_it_one() -> None:
    found = [result_to_dict(each) for each in judged(("over", "within")).values()]
    part, *others = found
    assert {each["level"] for each in softened(found)} == {"error"}
    changed = softened([{**part, "level": "warn"}, *others], lambda over: f"by {over}")
    levels = {each["id"]: (each["level"], each["details"]) for each in changed}
    assert levels["whole"] == levels["above"] == ("warn", ["by ['part.0']"])


def test_every_part_feeds_its_success_criterion() -> None:
    """Of the built-in set: let one part be over at a time, and look who is."""
    from pytest_coresys.criteria.loading import builtin

    file = builtin()
    fed = {part for each in file.criteria.values() for part in each.parts}
    for criterion in file.criteria.values():
        if criterion.statistic == "derived":
            continue
        assert criterion.id in fed
        bad = Samples()
        if criterion.statistic == "check":
            bad.check(False)
        elif criterion.statistic == "slope":
            bad.slope(1e12, 1e11, 1e13)
        else:
            for _ in range(criterion.min_samples):
                bad.add(1e12)
        found = judge_all(file, {criterion.id: bad}, {})
        assert found[criterion.id].verdict == "over", criterion.id
        over = {name for name, each in found.items() if each.verdict == "over" and each.parts}
        assert over == {each.id for each in file.criteria.values() if criterion.id in each.parts}, criterion.id
        assert over


# -- fed by budgets -------------------------------------------------------------------------------------------------


def measured(nodeid: str, value: float | None, verdict: str = "within") -> dict[str, Any]:
    return {"nodeid": nodeid, "measures": {"locks.contention": {"value": value, "verdict": verdict}}}


def test_the_worst_figure_of_any_test_feeds_a_criterion() -> None:
    criterion = Criterion("ours.contention", "value", "<", 0.05, "ratio", "5 %", measure="locks.contention", tests="a*")
    file = CriteriaFile("f.toml", lambda: {criterion.id: criterion})
    tests = [measured("a.py::x", 0.01), measured("a.py::y", 0.06), measured("a.py::z", None, "not_measured"),
             measured("b.py::x", 0.9), {"nodeid": "a.py::none", "measures": {}}]  # fmt: skip
    samples, nodeids = from_budgets(file, tests)["ours.contention"]
    assert nodeids == ["a.py::x", "a.py::y"]
    assert judge(criterion, samples).value == 0.06
    assert judge(criterion, samples).verdict == "over"
    assert from_budgets(file, tests[2:3]) == {}


# -- samples --------------------------------------------------------------------------------------------------------


def test_samples_that_travelled_and_were_merged_judge_as_one_that_had_them_all() -> None:
    rng = random.Random(6)
    parts = [Samples() for _ in range(5)]
    whole = Samples()
    for number in range(2000):
        value = rng.lognormvariate(0, 1.5)
        parts[number % 5].add(value)
        whole.add(value)
    parts[1].slope(1.0, 0.5, 2.0)
    parts[2].check(False, "wrong")
    parts[3].fail_to_measure("no store")
    parts[4].say("beside 3 us")
    together = merged(Samples.from_plain(each.plain()) for each in parts)
    assert together.distribution().buckets == whole.distribution().buckets
    one, other = together.distribution(), whole.distribution()
    assert one.count == other.count
    assert one.total == pytest.approx(other.total)
    assert (one.least, one.most) == (other.least, other.most)
    assert together.slopes == [(1.0, 0.5, 2.0)]
    assert together.wrong == 1
    assert together.details == ["wrong", "beside 3 us"]
    assert together.unmeasured == ["no store"]
    assert together.plain()["count"] == 2000
    assert Samples.from_plain(Samples().plain()).plain() == Samples().plain()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_no_sample(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Samples().add(value)
    with pytest.raises(ValueError, match="finite"):
        Samples().slope(0.0, value, 1.0)
