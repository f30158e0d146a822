"""What tests record through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter

import pytest

from pytest_coresys.criteria import recorder as recorder_module
from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.model import CriteriaFile, Criterion
from pytest_coresys.criteria.recorder import Collector, CriteriaRecorder, CriterionError, UnheardRecorder
from pytest_coresys.criteria.samples import Samples

TIME, COUNT, CHECK, SLOPE, SIZE = (
    "state.transition_time",
    "state.acknowledged_lost",
    "state.centralised",
    "resources.growth_rate",
    "resources.component_memory",
)


@pytest.fixture
def collector() -> Collector:
    collector = Collector(builtin())
    collector.begin()
    return collector


@pytest.fixture
def criteria(collector: Collector) -> CriteriaRecorder:
    return CriteriaRecorder(collector)


def test_figures_are_taken_in_base_units_or_with_one(collector: Collector, criteria: CriteriaRecorder) -> None:
    criteria.record(TIME, 0.002)
    criteria.record(TIME, "4 ms")
    criteria.record(SIZE, "2 KB")
    criteria.record(COUNT, 0)
    found = collector.end()
    times = found[TIME].distribution()
    assert (times.count, times.least, times.most) == (2, 0.002, 0.004)
    assert found[SIZE].distribution().total == 2048
    assert found[COUNT].number == 1


def test_a_block_is_timed_unless_it_raises(collector: Collector, criteria: CriteriaRecorder) -> None:
    began = perf_counter()
    with criteria.time(TIME) as timing:
        pass
    assert 0 < timing.seconds <= perf_counter() - began
    with pytest.raises(KeyError), criteria.time(TIME):
        raise KeyError
    assert collector.end()[TIME].distribution().total == timing.seconds


def test_a_check_counts_a_fault_where_faults_are_counted(collector: Collector, criteria: CriteriaRecorder) -> None:
    criteria.check(COUNT, True)
    criteria.check(COUNT, False, "machine 3 was lost")
    criteria.check(CHECK, True, "not told")
    found = collector.end()
    counted = found[COUNT].distribution()
    assert (counted.count, counted.total) == (2, 1.0)
    assert found[COUNT].details == ["machine 3 was lost"]
    assert (found[CHECK].right, found[CHECK].wrong, found[CHECK].details) == (1, 0, [])


def test_a_failed_check_is_told_before_notes(collector: Collector, criteria: CriteriaRecorder) -> None:
    for identity in (COUNT, CHECK):
        criteria.note(identity, "measured on a quiet machine")
        criteria.check(identity, True, "first is fine")
        criteria.check(identity, False, "the real reason")
    found = collector.end()
    for identity in (COUNT, CHECK):
        assert found[identity].details == ["the real reason", "measured on a quiet machine"]
    criterion = criteria.criterion(CHECK)
    assert judge(criterion, found[CHECK]).why == "1 of 2 checks failed: the real reason"


def test_nothing_is_recorded_while_no_test_runs(collector: Collector, criteria: CriteriaRecorder) -> None:
    criteria.record(TIME, 1.0)
    assert collector.end()[TIME].number == 1
    criteria.record(TIME, 2.0)  # a repetition: the test is over
    collector.begin()
    assert collector.end() == {}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda criteria: criteria.record("state.transition_tine", 1), 'did you mean "state.transition_time"?'),
        (lambda criteria: criteria.record(CHECK, 1.0), 'its statistic is "check", which takes check(), not record()'),
        (lambda criteria: criteria.record("success.state_clean", 1.0), "nothing: others decide it"),
        (lambda criteria: criteria.record(TIME, "4 MB"), "'4 MB': that is in B, not in s"),
        (lambda criteria: criteria.record(TIME, "4 mss"), 'unknown unit "mss"'),
        (lambda criteria: criteria.slope(SLOPE, 5.0, 6.0, 7.0), "the rate 5 is not from 6 to 7"),
        (lambda criteria: criteria.slope(SLOPE, "x", 6.0, 7.0), "'x': no figure"),
        (lambda criteria: criteria.record(TIME, float("nan")), "no finite number"),
        (lambda criteria: criteria.record(TIME, 1.5e308), "no finite number"),
        (lambda criteria: criteria.record(TIME, None), "None is no number"),
        (lambda criteria: criteria.record(TIME, True), "True is no number"),
        (lambda criteria: criteria.record(COUNT, False), "False is no number"),
        (lambda criteria: criteria.slope(SLOPE, True, 0, 2), "True is no number"),
        (lambda criteria: criteria.record(TIME, -1), "-1 is no time: write zero or more"),
        (lambda criteria: criteria.check(CHECK, "no"), "ok = 'no': write True or False"),
        (lambda criteria: criteria.check(CHECK, [1]), "ok = [1]: write True or False"),
        (lambda criteria: criteria.check(COUNT, 1), "ok = 1: write True or False"),
        (lambda criteria: criteria.check("testing.isolation_leaks", True), 'its statistic is "total"'),
        (lambda criteria: criteria.record(5, 1.0), "5 is no id of a criterion: write text"),
        (lambda criteria: criteria.record(["x"], 1.0), "is no id of a criterion: write text"),
        (lambda criteria: criteria.check(TIME, True), 'its statistic is "p99"'),
        (lambda criteria: criteria.slope(TIME, 1, 0, 2), "takes record(), not slope()"),
        (lambda criteria: criteria.time(COUNT), "not time()"),
        (lambda criteria: criteria.timed(COUNT, list, beside=list), "not timed()"),
        (lambda criteria: criteria.unmeasured(TIME, " "), "say why"),
        (lambda criteria: criteria.unmeasured(TIME, 7), "why = 7: write text"),
        (lambda criteria: criteria.record(TIME, 1.0, 7), "detail = 7: write text"),
        (lambda criteria: criteria.check(CHECK, False, OSError("x")), "detail = OSError('x'): write text"),
        (lambda criteria: criteria.slope(SLOPE, 1, 0, 2, 7), "detail = 7: write text"),
        (lambda criteria: criteria.note(TIME, None), "line = None: write text"),
    ],
)  # fmt: skip
def test_what_a_criterion_has_no_use_for_is_refused(criteria: CriteriaRecorder, call: object, told: str) -> None:
    assert callable(call)
    with pytest.raises(CriterionError) as refused:
        call(criteria)
    assert told in str(refused.value)


def test_what_is_counted_is_recorded_with_its_name_or_without() -> None:
    file = CriteriaFile("own.toml", lambda: {"a": Criterion("a", "total", "<=", 9.0, "orders", "9 orders")})
    collector = Collector(file)
    collector.begin()
    for value in (1, "2", "3 orders", "4 count of orders"):
        CriteriaRecorder(collector).record("a", value)
    assert collector.end()["a"].distribution().total == 10
    for wrong in ("4 ms", "1.5", "4 bufers"):
        with pytest.raises(CriterionError):
            CriteriaRecorder(collector).record("a", wrong)


def test_a_total_that_is_to_be_large_counts_no_faults() -> None:
    file = CriteriaFile("own.toml", lambda: {"a": Criterion("a", "total", ">=", 9.0, "orders", "9 orders")})
    with pytest.raises(CriterionError, match="which takes record"):
        CriteriaRecorder(Collector(file)).check("a", True)


def test_what_a_measure_feeds_is_not_recorded_by_hand() -> None:
    fed = Criterion("a", "total", "<=", 9.0, "s", "9 s", measure="locks.wait")
    criteria = CriteriaRecorder(Collector(CriteriaFile("own.toml", lambda: {"a": fed})))
    calls: tuple[Callable[[], object], ...] = (
        lambda: criteria.record("a", 1.0),
        lambda: criteria.check("a", True),
        lambda: criteria.time("a"),
    )
    for call in calls:
        with pytest.raises(CriterionError, match=r"budgets feed it, with locks\.wait of each test"):
            call()


def test_a_bool_of_numpy_is_one(collector: Collector, criteria: CriteriaRecorder) -> None:
    numpys = type("bool_", (), {"__module__": "numpy", "__bool__": lambda self: False})
    criteria.check(CHECK, numpys())
    criteria.record(CHECK, numpys())
    assert collector.end()[CHECK].wrong == 2
    with pytest.raises(CriterionError, match="is no number"):
        criteria.record(COUNT, numpys())


def test_of_the_set_that_is_built_in_it_is_told_how_to_name_another(criteria: CriteriaRecorder) -> None:
    with pytest.raises(CriterionError, match="in the set that is built in; --coresys-criteria FILE, or criteria in"):
        criteria.record("shop.order_time", 1.0)


# -- where nobody measures ------------------------------------------------------------------------------------------


@pytest.fixture
def unheard() -> UnheardRecorder:
    def file() -> CriteriaFile:
        raise AssertionError("nothing is read but for who asks what a criterion is")

    return UnheardRecorder(file)


def test_a_run_without_a_flag_takes_any_id(unheard: UnheardRecorder) -> None:
    for value in (1, 0.5, True, Decimal(3), "2 ms", "3 orders", "5 %", "7"):
        unheard.record("own.id", value)  # type: ignore[arg-type]  # anything that has a number is one
    unheard.check("own.id", False, "told to nobody")
    unheard.check("own.id", True)
    unheard.slope("own.id", 1.0, 0.5, 2.0)
    unheard.note("own.id", "beside 3 us")
    unheard.unmeasured("own.id", "no store here")
    with unheard.time("own.id") as timing:
        pass
    assert timing.seconds > 0
    calls: list[str] = []
    unheard.timed("own.id", lambda: calls.append("own"))
    unheard.timed("own.id", lambda: calls.append("own"), beside=lambda: calls.append("beside"))
    assert calls == ["own", "own", "beside"], "each is called once"


@pytest.mark.parametrize(
    "call",
    [
        lambda unheard: unheard.record("own.id", None),
        lambda unheard: unheard.record("own.id", "soon"),
        lambda unheard: unheard.record("own.id", float("nan")),
        lambda unheard: unheard.record(5, 1.0),
        lambda unheard: unheard.record("own.id", 1.0, 7),
        lambda unheard: unheard.check(None, True),
        lambda unheard: unheard.check("own.id", "no"),
        lambda unheard: unheard.check("own.id", []),
        lambda unheard: unheard.slope("own.id", 5.0, 6.0, 7.0),
        lambda unheard: unheard.slope("own.id", "5", 6.0, 7.0),
        lambda unheard: unheard.slope(" ", 1.0, 0.0, 2.0),
        lambda unheard: unheard.note("own.id", None),
        lambda unheard: unheard.unmeasured("own.id", " "),
        lambda unheard: unheard.time(None),
        lambda unheard: unheard.timed(None, list),
    ],
)
def test_a_run_without_a_flag_refuses_what_never_could_be_right(
    unheard: UnheardRecorder, call: Callable[[UnheardRecorder], object]
) -> None:
    with pytest.raises((CriterionError, ValueError)):
        call(unheard)


def test_a_run_without_a_flag_can_tell_what_a_criterion_is() -> None:
    unheard = UnheardRecorder(builtin)
    assert unheard.criterion(COUNT).statistic == "total"
    with pytest.raises(CriterionError, match="did you mean"):
        unheard.criterion("state.acknowledged_lots")


def test_many_threads_may_record(collector: Collector, criteria: CriteriaRecorder) -> None:
    def record() -> None:
        for _ in range(500):
            criteria.record(COUNT, 1)

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collector.end()[COUNT].number == 4000


# -- timed beside a reference ---------------------------------------------------------------------------------------


def taking(seconds: float) -> object:
    def call() -> float:
        return seconds

    return call


def timed(criteria: CriteriaRecorder, collector: Collector, own: float, reference: float) -> Samples:
    criteria.timed(TIME, taking(own), beside=taking(reference), calls=100)  # type: ignore[arg-type]
    return collector.end()[TIME]


def test_a_time_is_judged_beside_what_the_machine_can(collector: Collector, criteria: CriteriaRecorder) -> None:
    found = timed(criteria, collector, 0.001, 0.0005)
    assert found.number == 100, "one round is enough where all is well"
    assert judge(criteria.criterion(TIME), found).verdict == "within"
    assert "2 times" in found.details[0]


def test_what_is_over_has_been_over_in_every_round(collector: Collector, criteria: CriteriaRecorder) -> None:
    found = timed(criteria, collector, 0.08, 0.0005)
    assert found.number == 500
    assert judge(criteria.criterion(TIME), found).verdict == "over"


def test_one_bad_round_is_outweighed_by_the_next(collector: Collector, criteria: CriteriaRecorder) -> None:
    calls = iter([0.08] * 2 + [0.001] * 1000)
    criteria.timed(TIME, lambda: next(calls), beside=lambda: 0.0001, calls=100)
    found = collector.end()[TIME]
    assert judge(criteria.criterion(TIME), found).verdict == "within"
    assert 100 < found.number < 500


def test_a_bound_that_the_machine_itself_breaks_is_not_measured(
    collector: Collector, criteria: CriteriaRecorder
) -> None:
    found = timed(criteria, collector, 0.08, recorder_module.MOST_OF_REFERENCE * 0.05 * 1.1)
    result = judge(criteria.criterion(TIME), found)
    assert result.verdict == "not_measured"
    assert str(result.why).startswith("machine too busy: call alone took 27.")


def test_without_a_reference_every_round_counts(collector: Collector, criteria: CriteriaRecorder) -> None:
    own = iter([0.08] * 200 + [0.001] * 19_800)
    criteria.timed(TIME, lambda: next(own), calls=100)
    found = collector.end()[TIME]
    assert (found.number, found.details) == (500, []), "the first two rounds are kept, and are a fifth of all"


def test_a_busy_round_is_left_out(collector: Collector, criteria: CriteriaRecorder) -> None:
    own, reference = iter([0.08] * 100 + [0.001] * 400), iter([0.03] * 100 + [0.0001] * 400)
    criteria.timed(TIME, lambda: next(own), beside=lambda: next(reference), calls=100)
    found = collector.end()[TIME]
    assert found.number == 100
    assert found.distribution().most == 0.001
