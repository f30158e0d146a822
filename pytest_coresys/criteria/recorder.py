"""What tests record criteria through: the object of the ``coresys_criteria`` fixture, and where that puts it."""

from __future__ import annotations

from _thread import allocate_lock  # never a watched one: a test may record in the middle of whatever it tests
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from reprlib import repr as short
from time import perf_counter
from typing import TypeGuard, TypeVar

from coresys.budgets.units import format_quantity
from coresys.errors.hierarchy import CoreSysError
from coresys.monitoring.histogram import quantile
from pytest_coresys.config.errors import ValueProblem
from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import check_id
from pytest_coresys.criteria.model import LARGEST, QUANTILES, CriteriaFile, Criterion
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.criteria.units import has_number, is_count, parse_figure

T = TypeVar("T")

# A bound that the machine itself comes near to, doing next to nothing, says nothing of what is measured beside that.
MOST_OF_REFERENCE = 0.5
_ROUNDS = 5
_CALLS = {"p50": 100, "p95": 100, "p99": 500}


class CriterionError(CoreSysError):
    """Something was recorded that its criterion has no use for. ``criterion`` is the id, ``problem`` what is wrong."""

    def __init__(self, *, criterion: str, problem: str) -> None:
        self.criterion, self.problem = criterion, problem
        super().__init__(f"{criterion}: {problem}" if criterion else problem)


# For pytest, which looks for it among the globals too: what a test did wrong is told by the lines of the test alone.
__tracebackhide__ = methodcaller("errisinstance", CriterionError)


class Collector:
    """What the test that runs has recorded so far. A repetition of a test records nothing: nobody is listening then."""

    def __init__(self, file: CriteriaFile) -> None:
        self.file = file
        self._open = False
        self._lock = allocate_lock()
        self._samples: dict[str, Samples] = {}

    def begin(self) -> None:
        """A test begins."""
        self._samples, self._open = {}, True

    def end(self) -> dict[str, Samples]:
        """It is over, and this is what it recorded."""
        found, self._samples, self._open = self._samples, {}, False
        return found

    def add(self, identity: str, do: Callable[[Samples], None]) -> None:
        """Have something put down for a criterion."""
        with self._lock:
            if self._open:
                do(self._samples.setdefault(identity, Samples()))


class CriteriaRecorder:
    """Samples for success criteria. Figures are in base units (seconds, bytes, ratio, bytes an hour), or text with a
    unit ("2 ms"). An id that the criteria file does not have raises CriterionError, as does what a criterion has no use
    for. Any thread may record, while its test runs.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def criterion(self, identity: str) -> Criterion:
        """What the file says of it. Raises CriterionError where there is none of that id."""
        return _known(identity, self._collector.file)

    def _recorded(self, identity: str) -> Criterion:
        """The same, if its figures are those of tests. Raises CriterionError for one that a measure feeds."""
        criterion = self.criterion(identity)
        if criterion.measure is not None:
            problem = f"budgets feed it, with {criterion.measure} of each test: nothing is recorded for it by hand"
            raise CriterionError(criterion=identity, problem=problem)
        return criterion

    def record(self, identity: str, value: float | str, detail: str = "") -> None:
        """Add a sample. ``detail`` is a line for the report, such as which case was lost."""
        criterion = self._recorded(identity)
        _check_text(identity, detail=detail)
        if criterion.statistic == "check" and _is_truth(value):
            self.check(identity, value, detail)
            return
        self._put(criterion, value, lambda samples: samples.say(detail))

    def _put(self, criterion: Criterion, value: float | str, tell: Callable[[Samples], None]) -> None:
        number = _number(criterion, value)

        def put(samples: Samples) -> None:
            samples.add(number)
            tell(samples)

        self._collector.add(criterion.id, put)

    def check(self, identity: str, ok: bool, detail: str = "") -> None:
        """Add one check. ``detail`` tells of a failed one.

        Where faults are counted (a "total" of a count that is to be small, or none) what is right adds 0, and what is
        wrong 1.
        """
        criterion = self._recorded(identity)
        right = _truth(identity, ok)
        _check_text(identity, detail=detail)
        if criterion.statistic == "check":
            self._collector.add(identity, lambda samples: samples.check(right, detail))
        elif criterion.statistic == "total" and is_count(criterion.unit) and criterion.comparison not in (">", ">="):
            failure = "" if right else detail or "a check failed"
            self._put(criterion, 0 if right else 1, lambda samples: samples.tell_failure(failure))
        else:
            raise _useless(criterion, "check()")

    def slope(self, identity: str, rate: float, low: float, high: float, detail: str = "") -> None:
        """Add a rate and the interval that it is in (at the level of your choice), in base units an hour."""
        criterion = self.criterion(identity)
        if criterion.statistic != "slope":
            raise _useless(criterion, "slope()")
        _check_text(identity, detail=detail)
        figures = _interval(identity, (rate, low, high), criterion.unit)

        def put(samples: Samples) -> None:
            samples.slope(*figures)
            samples.say(detail)

        self._collector.add(identity, put)

    def note(self, identity: str, line: str) -> None:
        """A line for the report, beside the figures: what they were compared with, say."""
        self.criterion(identity)
        _check_text(identity, line=line)
        self._collector.add(identity, lambda samples: samples.say(line))

    def unmeasured(self, identity: str, why: str) -> None:
        """It could not be measured here, and this is why: the criterion is not measured then, whatever else was."""
        self.criterion(identity)
        _check_reason(identity, why)
        self._collector.add(identity, lambda samples: samples.fail_to_measure(why))

    def time(self, identity: str) -> Timing:
        """``with coresys_criteria.time(id):`` adds the seconds of the block; none if it raises."""
        criterion = self._recorded(identity)
        if criterion.unit != "s" or criterion.statistic not in (*QUANTILES, "total", "value"):
            raise _useless(criterion, "time()")
        return Timing(lambda seconds: self.record(identity, seconds))

    def timed(
        self,
        identity: str,
        operation: Callable[[], object],
        *,
        beside: Callable[[], object] | None = None,
        calls: int | None = None,
        rounds: int = _ROUNDS,
    ) -> None:
        """Time ``operation`` many times, in turns with ``beside``: the least that the machine could do in its place.

        Without ``beside`` every round counts, so that a busy machine looks like a slow operation. Either may return the
        seconds that it took (a float) where not all of the call is to be timed. The samples of a round count if the
        machine was fit for it: if ``beside`` alone stayed under half of the limit. Rounds end when the criterion is
        within, and at the latest after ``rounds``: what is over has been over again and again. If no round was fit, the
        criterion is not measured: machine too busy.
        """
        criterion = self.criterion(identity)
        if criterion.unit != "s" or criterion.statistic not in QUANTILES:
            raise _useless(criterion, "timed()")
        least = max(calls or _CALLS[criterion.statistic], criterion.min_samples)
        own, reference = Samples(), Samples()
        slowest = 0.0
        for _ in range(rounds):
            mine, theirs = _turns(operation, beside, least)
            if beside is not None:
                seen = quantile(theirs.distribution(), QUANTILES[criterion.statistic])
                slowest = max(slowest, seen)
                if seen > MOST_OF_REFERENCE * criterion.limit:
                    continue
            own.merge(mine)
            reference.merge(theirs)
            if judge(criterion, own).verdict == "within":
                break
        if beside is not None and not own.number:
            limit = format_quantity(criterion.limit, "s")
            took = format_quantity(slowest, "s")
            self.unmeasured(identity, f"machine too busy: {_name(beside)} alone took {took}, the limit is {limit}")
            return
        line = "" if beside is None else _comparison(criterion, own, reference, _name(beside))

        def put(samples: Samples) -> None:
            samples.merge(own)
            samples.say(line)

        self._collector.add(identity, put)


class Timing:
    """The time that a block takes. ``seconds`` is there when it is over."""

    __slots__ = ("_began", "_record", "seconds")

    def __init__(self, record: Callable[[float], None]) -> None:
        self._record = record
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> Timing:
        self._began = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.seconds = perf_counter() - self._began
        if kind is None:
            self._record(self.seconds)


class UnheardRecorder(CriteriaRecorder):
    """That of a run that measures nothing: what is recorded goes nowhere.

    Nothing is known of criteria there, for the file of them may be an option of measuring runs only: any id is taken,
    and only what never could be a figure, a reason or an id is refused. ``file`` is for who asks ``criterion()``.
    """

    def __init__(self, file: Callable[[], CriteriaFile]) -> None:
        self._file = file

    def criterion(self, identity: str) -> Criterion:
        """What the file says of it, if there is one. Raises CriterionError where there is none of that id."""
        return _known(identity, self._file())

    def record(self, identity: str, value: float | str, detail: str = "") -> None:
        """Look at the figure, and drop it."""
        if _is_truth(value) or (isinstance(value, str) and has_number(value)):  # right or wrong, of a check
            _check_text(identity, detail=detail)
        else:
            _figure(_check_text(identity, detail=detail), value, None)

    def check(self, identity: str, ok: bool, detail: str = "") -> None:
        """Look whether it is one, and drop it."""
        _truth(_check_text(identity, detail=detail), ok)

    def slope(self, identity: str, rate: float, low: float, high: float, detail: str = "") -> None:
        """Look at the figures, and drop them."""
        _check_text(identity, detail=detail)
        _interval(identity, (rate, low, high), None)

    def note(self, identity: str, line: str) -> None:
        """Drop it."""
        _check_text(identity, line=line)

    def unmeasured(self, identity: str, why: str) -> None:
        """Drop it, if it is a reason."""
        _check_reason(identity, why)

    def time(self, identity: str) -> Timing:
        """Time the block, for ``seconds``."""
        _check_text(identity)
        return Timing(lambda seconds: None)

    def timed(
        self,
        identity: str,
        operation: Callable[[], object],
        *,
        beside: Callable[[], object] | None = None,
        calls: int | None = None,
        rounds: int = _ROUNDS,
    ) -> None:
        """Call each once: nobody asks how long it took."""
        _check_text(identity)
        _turns(operation, beside, 1)


def _known(identity: str, file: CriteriaFile) -> Criterion:
    try:
        check_id(identity, file)
    except ValueProblem as problem:
        raise CriterionError(criterion="", problem=problem.problem) from None
    return file.criteria[identity]


def _check_text(identity: object, **more: object) -> str:
    """The id, if it could be one, and if the others are text."""
    if not isinstance(identity, str) or not identity.strip():
        raise CriterionError(criterion="", problem=f"{identity!r} is no id of a criterion: write text")
    for name, value in more.items():
        if not isinstance(value, str):
            raise CriterionError(criterion=identity, problem=f"{name} = {value!r}: write text")
    return identity


def _is_truth(value: object) -> TypeGuard[bool]:
    """Whether it is right or wrong: a bool, or that of numpy, which nobody imports here."""
    kind = type(value)
    return kind is bool or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"))


def _truth(identity: str, ok: object) -> bool:
    """Any text would be right, "no" too."""
    if not _is_truth(ok):
        raise CriterionError(criterion=identity, problem=f"ok = {short(ok)}: write True or False, such as bool(...)")
    return bool(ok)


def _check_reason(identity: str, why: str) -> None:
    _check_text(identity, why=why)
    if not why.strip():
        raise CriterionError(criterion=identity, problem="say why it could not be measured")


def _interval(identity: str, given: Sequence[object], unit: str | None) -> tuple[float, float, float]:
    """A rate and the ends of the interval that it is in."""
    rate, low, high = (_figure(identity, each, unit) for each in given)
    if not low <= rate <= high:
        raise CriterionError(criterion=identity, problem=f"the rate {rate:g} is not from {low:g} to {high:g}")
    return rate, low, high


def _turns(operation: Callable[[], object], beside: Callable[[], object] | None, calls: int) -> tuple[Samples, Samples]:
    mine, theirs = Samples(), Samples()
    for _ in range(calls):
        mine.add(_seconds(operation))
        if beside is not None:
            theirs.add(_seconds(beside))
    return mine, theirs


def _seconds(call: Callable[[], object]) -> float:
    began = perf_counter()
    told = call()
    took = perf_counter() - began
    return told if isinstance(told, float) else took


def _comparison(criterion: Criterion, own: Samples, reference: Samples, name: str) -> str:
    figures = []
    for share in dict.fromkeys((0.5, QUANTILES[criterion.statistic])):
        mine, theirs = quantile(own.distribution(), share), quantile(reference.distribution(), share)
        times = f", {mine / theirs:.3g} times" if theirs > 0 else ""
        figures.append(f"p{share * 100:.0f} {format_quantity(mine, 's')} beside {format_quantity(theirs, 's')}{times}")
    return f"{'; '.join(figures)} ({name})"


def _name(call: Callable[[], object]) -> str:
    return str(getattr(call, "__name__", type(call).__name__)).replace("_", " ").strip()


def _number(criterion: Criterion, value: float | str) -> float:
    if criterion.statistic in ("check", "slope", "derived"):
        raise _useless(criterion, "record()")
    number = _figure(criterion.id, value, criterion.unit)
    if criterion.unit == "s" and number < 0:
        raise CriterionError(criterion=criterion.id, problem=f"{value!r} is no time: write zero or more")
    return number


def _figure(identity: str, value: object, unit: str | None) -> float:
    """A number in base units, or what a text with a unit says; ``unit`` is the one to be in, where that is known."""
    if isinstance(value, str):
        try:
            return parse_figure(value, unit)[0]
        except ValueProblem as problem:
            raise CriterionError(criterion=identity, problem=f"{value!r}: {problem.problem}") from None
    if _is_truth(value):
        raise CriterionError(criterion=identity, problem=f"{value!r} is no number, but right or wrong")
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever has a number: Decimal, numpy's
    except (TypeError, ValueError, OverflowError):
        raise CriterionError(criterion=identity, problem=f"{value!r} is no number") from None
    if not abs(number) <= LARGEST:  # nor is "nan"
        raise CriterionError(criterion=identity, problem=f"{value!r} is no finite number, or beyond {LARGEST:g}")
    return number


_METHODS: Mapping[str, str] = {"check": "check()", "slope": "slope()", "derived": "nothing: others decide it"}


def _useless(criterion: Criterion, what: str) -> CriterionError:
    right = _METHODS.get(criterion.statistic, "record()")
    return CriterionError(
        criterion=criterion.id, problem=f'its statistic is "{criterion.statistic}", which takes {right}, not {what}'
    )
