"""What runs in the forked child: give up what is shared, repeat the test, explain what is convicted, send it all."""

from __future__ import annotations

import gc
import itertools
import linecache
import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coresys.budgets.units import format_quantity
from coresys.clock import monotonic
from coresys.measure import meters
from coresys.measure.attribution import Attribution, attribute
from coresys.measure.evictions import length_compared
from coresys.measure.fragmentation import share, stranded_now
from coresys.measure.holders import Paths
from coresys.measure.keptenv import KeptEnvironment
from coresys.measure.linewatch import settings_lines, subject
from coresys.measure.malloccache import empty_cache
from coresys.measure.origins import Leftover, origins
from coresys.measure.peak import PeakWatch
from coresys.measure.settings import SettingsSnapshot
from coresys.measure.undisturbed import UndisturbedClock
from coresys.records import Location
from coresys.threads.watching.chains import noted, unnoted
from coresys.threads.watching.interpreter import InterpreterWatch
from pytest_coresys.engine import repeat, sandbox
from pytest_coresys.engine.confirm import ASKING, COUNT, Confirmation, Control, measure_control
from pytest_coresys.engine.effort import Allowance
from pytest_coresys.engine.evidence import AGAIN
from pytest_coresys.engine.forked import ChildResult, Message, Send, run_in_child
from pytest_coresys.engine.owners import LeftByFixture
from pytest_coresys.engine.pools import revive_executors
from pytest_coresys.engine.runner import (
    NumberedFolders,
    empty_test,
    prepare_child,
    repeat_once,
    wider_fixtures,
    wider_fixtures_put_back,
    wider_values,
)
from pytest_coresys.probes.locks import again_probes

_EXPLAIN_SECONDS = 10.0
_BY_OTHERS = 3  # times as long as on a machine that nobody else uses
_HUNG = 5.0  # seconds, over what the test itself may take, without a sign of life
_HUNG_ALONE = 2.0  # where it may wait for a thread that is not there, and would wait for ever
_NOISE_UNKNOWN = 1024.0  # bytes: far more than an empty test shows, where none could be run
_SIGN_EVERY = 1.0  # seconds, between two signs of life
_KINDS = {
    "threads.leaked": ("thread", "native thread"),
    "descriptors.leaked": ("descriptor",),
    "processes.leaked": ("process",),
    "tasks.leaked": ("task",),
}

_MORE = 6  # repetitions, to see whether a number still grows


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is to do: at most so many repetitions, within what is allowed.

    ``wanted`` are the keys in force. ``control`` is None until some child of this process has measured it.
    ``stranded_before`` is given when the first run added so many free bytes that ``memory.fragmentation`` is to be
    looked into; ``imported``: that run was the first to import some module; ``duration`` is how long it took.
    ``settings_found`` are the process's settings before it, if it changed some that are to be explained;
    ``settings_suspected`` tells of those that modules may have changed which were imported then. ``absent`` are the
    threads that it is forked beside, of which it has none. ``again`` are measures that were over in the first run, with
    their limits, which are read again; ``only_again``: there is no time for more. ``left``: measures of which the first
    run left something.
    """

    most: int
    allowed: Allowance
    wanted: Collection[str]
    control: Control | None = None
    stranded_before: int | None = None
    imported: bool = False
    duration: float = 0.0
    settings_found: SettingsSnapshot | None = None
    settings_suspected: Collection[str] = ()
    again: Mapping[str, float] = field(default_factory=dict)
    only_again: bool = False
    absent: Collection[threading.Thread] = ()
    left: Collection[str] = ()

    @property
    def patience(self) -> float:
        """Seconds that a repetition may take, far more than the first run did, before it is taken for hung."""
        return (_HUNG if not self.absent else _HUNG_ALONE) + 10 * self.duration

    @property
    def patience_to_explain(self) -> float:
        """The same while it is looked through a large heap, in silence, or each line of a repetition is traced."""
        return _HUNG + _EXPLAIN_SECONDS + 100 * self.duration


def repeat_in_child(item: pytest.Item, order: Order, *, on_progress: Callable[[int], None]) -> ChildResult:
    """Repeat a test in a forked child. Raises OSError when there can be none."""
    folder = sandbox.private_folder()

    def tell(message: Message) -> None:
        if "progress" in message:
            on_progress(message["progress"])

    try:
        result = run_in_child(
            lambda send: Work(item, folder, order, send).run(),
            timeout=_BY_OTHERS * order.allowed.if_growing + _EXPLAIN_SECONDS + 5,
            patience=order.patience,
            on_message=tell,
        )
    finally:
        sandbox.remove_segments(folder)
        _remove(folder)
    for path in result.merged().get("leftovers", []):
        _remove(Path(path))
    return result


def repeat_with_fixtures(
    item: pytest.Item, nextitem: Any, order: Order, take_fallen: Callable[[], Iterable[LeftByFixture]]
) -> ChildResult:
    """Repeat a test with the setup and teardown of its wider fixtures, down to the scope that ``nextitem`` ends.

    ``take_fallen`` gives what fixtures left since it was asked last: it is asked in the child, after each repetition.
    The child sends ``whole``: a list with one dict for each repetition, from owner to measure to count; then, by
    measure, where that was made which one owner left each time, as of a test.
    Raises OSError when there can be no child.
    """
    folder = sandbox.private_folder()
    try:
        return run_in_child(
            lambda send: Work(item, folder, order, send).run_whole(nextitem, take_fallen),
            timeout=order.allowed.seconds + 5,
        )
    finally:
        sandbox.remove_segments(folder)
        _remove(folder)


WHOLE_REPETITIONS = 4
PEAK_REPETITIONS = 3


class Work:
    """Repeats one test, in a process that is a copy for the purpose, and sends what it sees."""

    _ends_with_it = True  # the process

    def __init__(self, item: pytest.Item, folder: Path, order: Order, send: Send) -> None:
        self._item, self._folder, self._order, self._send = item, folder, order, send
        self._root = str(item.config.rootpath)
        self._attribution: Attribution | None = None
        self._asked = 0.0  # seconds that finding it out took
        self._guard: sandbox.Guard | None = None
        self._folders = NumberedFolders(item.config)
        self._last_sign = 0.0
        self._told_of_first = False
        self._kept = KeptEnvironment()
        self._sources = -1  # how many files linecache knew last
        peaks = {"memory.peak", "threads.peak"}.intersection(order.wanted)
        self._peak_repetitions = min(PEAK_REPETITIONS, order.most // 2) if peaks else 0
        self._tries_settings = bool(order.settings_suspected) and order.most > self._peak_repetitions + 1
        self._besides = self._peak_repetitions + self._tries_settings  # repetitions that judge no growth
        self._changes_again = False  # settings, in each repetition

    def run(self) -> None:
        self._isolate()
        self._clock = UndisturbedClock()
        with wider_fixtures_put_back(self._item), self._kept.watching(), unnoted():
            self._repeat_and_explain()
        self._tell({"waited": round(self._clock.waited(), 3)})  # and paths that are left now

    def _repeat_and_explain(self) -> None:
        if self._order.again:
            self._read_again()
        if self._order.only_again:
            return
        control = self._order.control or self._measure_control()
        if self._ends_with_it:
            empty_cache()
        confirmation = Confirmation(
            self._run_once,
            most=self._order.most - self._besides,
            allowed=self._order.allowed,
            control=control,
            ask=self._ask,
            progress=lambda count: self._send({"progress": count}),
            now=self._clock.now,
            set_aside=lambda: self._kept.bytes,
            left=self._order.left,
        )
        confirmed = confirmation.run()
        self._tell(asdict(confirmed))
        if confirmed.problem is None:
            self._read_once_more()
            self._tell({"repetitions": confirmed.repetitions + self._besides})
            began = self._clock.now()
            self._explain(confirmed.keys)
            seconds = self._clock.now() - began
            if confirmed.keys["memory.growth"]["conclusion"] == "leak":
                seconds += self._asked  # what was found out then is what it is explained by
            self._tell({"explaining": round(seconds, 3)})

    def _read_again(self) -> None:
        """What was over in the first run, of what waiting for locks costs, until enough were over again, or were not.

        Where a repetition goes wrong nothing is told.
        """
        probes = [probe for probe in again_probes() if probe.key in self._order.again]
        values: dict[str, list[float]] = {probe.key: [] for probe in probes}
        interpreter = InterpreterWatch()
        with noted():
            for _ in range(min(AGAIN + 1, self._order.most)):
                for probe in probes:
                    probe.start()
                with interpreter:
                    problem = self._run_once()
                for probe in reversed(probes):
                    values[probe.key].append(probe.stop().value or 0.0)
                if problem:
                    self._tell({"problem": problem} if self._order.only_again else {})
                    return
                if all(_is_settled(values[key], limit) for key, limit in self._order.again.items()):
                    break
        details = [interpreter.told()]
        self._tell({"again": {key: {"values": seen, "details": details} for key, seen in values.items()}})

    def _read_once_more(self) -> None:
        """Measures of single repetitions: the least of a few is what repeats."""
        readings: dict[str, dict[str, Any]] = {}
        if self._tries_settings:
            readings.update(self._settings_again())
        if self._order.stranded_before is not None:
            readings["memory.fragmentation"] = self._fragmentation(self._order.stranded_before)
        if self._peak_repetitions:
            watch = PeakWatch()
            seen = []
            for _ in range(self._peak_repetitions):
                watch.start()
                problem = self._run_once()
                seen.append(watch.stop())
                if problem:
                    return
            readings["memory.peak"] = {"value": min(each.memory for each in seen)}
            readings["threads.peak"] = {"value": min(each.threads for each in seen)}
        if readings:
            self._tell({"readings": readings})

    def _fragmentation(self, before: int) -> dict[str, Any]:
        gc.collect()
        memory = meters.MemoryMeter().read()
        stranded = stranded_now(memory) - before
        value = round(share(stranded, memory.in_use), 4)
        if self._order.imported:
            text = format_quantity(value, "ratio")
            return {"value": None, "why": f"suspected: {text}, but modules were imported meanwhile, which may be all"}
        if stranded > 0 and self._peak_of_one() < stranded / 2:
            # No repetition makes so much that it could have stranded it: the first run did, building a table, say.
            return {"value": 0.0}
        return {"value": value, "details": [f"{format_quantity(max(stranded, 0), 'B')} free and not given back"]}

    def _peak_of_one(self) -> int:
        """Bytes that a repetition has in use at most, above its start."""
        watch = PeakWatch()
        watch.start()
        self._run_once()
        return watch.stop().memory

    def run_whole(self, nextitem: Any, take_fallen: Callable[[], Iterable[LeftByFixture]]) -> None:
        """Repeat with wider fixtures, and tell what each repetition left that is there after the last one.

        A process that was killed and not waited for is there until the next one is started, and no longer.
        """
        self._isolate()
        with wider_fixtures_put_back(self._item):
            self._repeat_whole(nextitem, take_fallen)

    def _repeat_whole(self, nextitem: Any, take_fallen: Callable[[], Iterable[LeftByFixture]]) -> None:
        left: list[list[LeftByFixture]] = []
        for _ in range(WHOLE_REPETITIONS):
            problem = repeat_once(self._item, nextitem)
            problem = self._refused(problem)
            if problem:
                self._tell({"problem": problem})
                return
            left.append(list(take_fallen()))
        whole = [{each.owner: each.left_now() for each in repetition} for repetition in left]
        self._tell({"whole": whole})
        self._explain_whole(nextitem, take_fallen, whole[1:])

    def _explain_whole(
        self,
        nextitem: Any,
        take_fallen: Callable[[], Iterable[LeftByFixture]],
        whole: list[dict[str, dict[str, int]]],
    ) -> None:
        """Look where that was made which a fixture leaves each time, in one more repetition.

        A tracer sees things, and not whose they are: so nothing is said where several fixtures leave things of a kind,
        or the test itself does.
        """
        owners = {key: [owner for owner, counts in whole[-1].items() if counts.get(key)] for key in _KINDS}
        keys = [
            key
            for key, of in owners.items()
            if len(of) == 1 and all(repetition.get(of[0], {}).get(key) for repetition in whole)
        ]
        if not keys:
            return
        found = origins(
            lambda: self._refused(repeat_once(self._item, nextitem)),
            kinds=[kind for key in keys for kind in _KINDS[key]],
            is_user=self._is_user,
            root_path=self._root,
            repetitions=1,
            seconds=self._order.allowed.seconds / 2,
        )
        left = {each.owner: each.left_now() for each in take_fallen()}
        for key in keys:
            mine = [leftover for leftover in found if leftover.kind in _KINDS[key]]
            if sum(leftover.count for leftover in mine) == left.get(owners[key][0], {}).get(key):
                self._tell({f"explained:{key}": _of_leftovers(mine, self._folder)})

    def _isolate(self) -> None:
        sandbox.isolate_descriptors({self._send.writer})  # type: ignore[attr-defined]  # set by run_in_child
        sandbox.isolate_mappings()
        sandbox.adopt_orphans()
        sandbox.redirect_temporary_files(self._folder)
        prepare_child(self._item, self._folder)
        revive_executors(self._order.absent)
        self._guard = sandbox.Guard(self._folder)
        self._guard.install()
        logging.raiseExceptions = False  # handlers write into descriptors that lead nowhere now

    def _measure_control(self) -> Control:
        empty = empty_test(self._item)
        gc.freeze()
        control = measure_control(lambda: self._signed(repeat_once(empty)))
        if control is None:
            return Control(noise=_NOISE_UNKNOWN)
        self._send({"control": asdict(control)})
        return control

    def _run_once(self) -> str | None:
        problem = repeat_once(self._item)
        self._folders.clear()
        self._forget_sources()
        if not self._told_of_first:
            self._told_of_first = True
            self._send({"progress": 1})
        return self._refused(self._signed(problem))

    def _forget_sources(self) -> None:
        """Let go of lines of files that are gone, kept for tracebacks: a temporary folder is a new one each time."""
        if len(linecache.cache) != self._sources:
            linecache.checkcache()
            self._sources = len(linecache.cache)

    def _signed(self, problem: str | None) -> str | None:
        """Give a sign of life, if it is time to."""
        if monotonic() - self._last_sign > _SIGN_EVERY:
            self._last_sign = monotonic()
            self._send({})
        return problem

    def _refused(self, problem: str | None) -> str | None:
        """What the guard refused, which is the cause of the problem; or else the problem, if there is one."""
        if self._guard is None:
            return problem
        self._guard.forget_removed()
        if problem and self._guard.confined and self._guard.refusal is None:
            problem += " (it starts programs, which may change no files in a repetition)"
        return self._guard.refusal or problem

    def _ask(self, grown: float, often: float) -> repeat.Structure:
        self._send({"patience": self._order.patience_to_explain})
        began = self._clock.now()
        self._attribution = found = attribute(
            self._run_once,
            is_user=self._is_user,
            root_path=self._root,
            grown=grown,
            often=often,
            absent=self._order.absent,
            seconds=min(_EXPLAIN_SECONDS, max(2 * ASKING, self._order.allowed.if_growing, _to_look_through_the_heap())),
            now=self._clock.now,
        )
        gc.freeze()  # it had to thaw the heap, to look at it
        self._asked += self._clock.now() - began
        self._send({"patience": self._order.patience})
        # What comes rarely is judged as what nothing is known of, though it is found: by evenness, in 600 repetitions.
        known = bool(found.lines) and often >= repeat.OFTEN
        seen = found.may_end or self._recorded_by_a_mock(found)
        return repeat.Structure(
            only_grows=known and found.only_grows and found.evicts is None,
            may_end=seen or self._kept_by_a_fixture(found),
            unseen=not seen,
            releases=found.evicts is not None or not known or not found.kept_by_user,
            patient=self._order.most > repeat.BEYOND_BOUNDS + repeat.BEYOND_BOUNDS // 3,
        )

    def _recorded_by_a_mock(self, found: Attribution) -> str | None:
        """Of one that stands in others' code, where a wider fixture has put it: it goes with that."""
        return recorded_by_a_mock(found.holders) if wider_fixtures(self._item) else None

    def _kept_by_a_fixture(self, found: Attribution) -> str | None:
        """Where nobody is seen to hold it, as with the rows of a database: what a wider fixture returned may.

        Also where no line was seen: what grows outside of Python is often seen without one.
        """
        names = [] if found.holders else wider_values(self._item)
        return f"no holder was found, and {' or '.join(names)}, which is still up, may be it" if names else None

    def _explain(self, keys: dict[str, dict[str, Any]]) -> None:
        """Look for the places of what was convicted: only now, for it is slow."""
        self._send({"patience": self._order.patience_to_explain})
        leaks = [key for key, facts in keys.items() if facts["conclusion"] == "leak"]
        if self._attribution is not None and {"memory.growth"} & keys.keys():
            self._tell({"explained:memory.growth": _of_memory(self._attribution)})
        kinds = [kind for key in leaks for kind in _KINDS.get(key, ())]
        if kinds:
            self._explain_counted(leaks, kinds, keys)
        # Last: where settings were put back the test may go wrong, and go on so.
        if self._order.settings_found is not None or self._changes_again:
            self._explain_settings()

    def _explain_counted(self, leaks: list[str], kinds: list[str], keys: dict[str, dict[str, Any]]) -> None:
        meters.trim()
        until = self._clock.now() + _EXPLAIN_SECONDS / 2
        found = origins(
            self._run_once,
            kinds=kinds,
            is_user=self._is_user,
            root_path=self._root,
            seconds=_EXPLAIN_SECONDS / 2,
            now=self._clock.now,
        )
        late = self._clock.now() > until
        for key in leaks:
            mine = [leftover for leftover in found if leftover.kind in _KINDS.get(key, ())]
            if mine:
                self._tell({f"explained:{key}": _of_leftovers(mine, self._folder)})
            if key in _KINDS and keys[key]["count"] < repeat.RULES[key].certain:
                self._acquit_a_pool(key, mine, keys, late=late)

    def _settings_again(self) -> dict[str, dict[str, Any]]:
        """Whether a repetition, which imports nothing any more, changes those settings once more: then the test does.

        Where it does not, nothing is known: what was done once may have been the test's, or done already.
        """
        before = SettingsSnapshot.take()
        if self._run_once() is not None:
            return {}
        suspected = set(map(subject, self._order.settings_suspected))
        again = [change for change in SettingsSnapshot.take().changes_since(before) if subject(change) in suspected]
        if not again:
            return {}
        self._changes_again = True
        return {"globals.changed": {"value": float(len(again)), "details": again}}

    def _explain_settings(self) -> None:
        places = settings_lines(self._run_once, self._settings_to_start_from(), is_user=self._is_user)
        paths = Paths(self._root, self._is_user)
        shown = [asdict(replace(place, path=paths.show(place.path))) for place in places]
        self._tell({"explained:globals.changed": {"details": [], "locations": shown, "holders": []}})

    def _settings_to_start_from(self) -> SettingsSnapshot:
        """Those of before the first run, as far as no import may have made the test rely on them; else those of now.

        A signal whose handler was put back would end this process, in the midst of a test that sends it.
        """
        found, now = self._order.settings_found, SettingsSnapshot.take()
        if found is None:
            return now
        ours = {name: value for name, value in now.environment.items() if name in ("TMPDIR", b"TMPDIR")}
        found = replace(found, environment={**found.environment, **ours})
        if not self._order.imported:
            return found
        return replace(
            now, environment=found.environment, folder=found.folder, logging=found.logging, status=found.status
        )

    def _acquit_a_pool(self, key: str, found: list[Leftover], keys: dict[str, dict[str, Any]], *, late: bool) -> None:
        """What is kept to a size by the function that makes it may be a pool that is larger than we had time for."""
        places = [place for leftover in found for place in leftover.locations]
        bound = next((line for place in places if (line := self._compares_a_length(place)) is not None), None)
        if bound is not None:
            why = f"kept to a size at {bound}, which was not reached"
        elif late and not places:
            why = "there was no time to find out where they are from"
        elif not found and not self._still_grows(key):
            why = "no more came when it was looked for where they are from"
        else:
            return
        open_ = {"conclusion": "unclear", "may_end": why}
        keys[key] = {**keys[key], **open_}
        memory = keys["memory.growth"]
        if memory.get("along"):
            keys["memory.growth"] = {**memory, **open_}
        self._tell({"keys": keys})

    def _still_grows(self, key: str) -> bool:
        count = COUNT[key]
        counts = [count()]
        for _ in range(_MORE):
            self._run_once()
            counts.append(count())
        return 2 * sum(later > earlier for earlier, later in itertools.pairwise(counts)) > _MORE

    def _compares_a_length(self, place: Location) -> str | None:
        line = length_compared(os.path.join(self._root, place.path), place.line)
        return None if line is None else f"{place.path}:{line}"

    def _is_user(self, path: str) -> bool:
        return is_of_user(path, self._root)

    def _tell(self, message: dict[str, Any]) -> None:
        self._send(message if self._guard is None else {**message, "leftovers": self._guard.leftovers()})


# A place in the list of calls of a mock that was called in each repetition: mocks that are kept themselves have few.
_CALL = re.compile(r"_CallList\[(\d+)\]")
_FEWEST_CALLS = 10


def recorded_by_a_mock(chains: Collection[tuple[str, ...]]) -> str | None:
    """What is said where all that grows are calls that a mock remembers which stands in code of others.

    That it remembers them is what it is for, for as long as it stands there, and no doing of the test's. A mock that a
    module of the user's has made for itself (its root is a ``global``) stands for ever.
    """
    mocks = []
    for chain in chains:
        at = [
            place for place, link in enumerate(chain) if (call := _CALL.match(link)) and int(call[1]) >= _FEWEST_CALLS
        ]
        if not at or " global " in chain[0]:
            return None
        mocks.append(chain[0])
    return f"it is calls that a mock remembers ({mocks[0]}), which is still up" if mocks else None


def _is_settled(values: list[float], limit: float) -> bool:
    over = sum(value > limit for value in values)
    return over >= AGAIN or len(values) - over >= AGAIN


def is_of_user(path: str, root: str) -> bool:
    """Whether a file is the user's own: below the root of the run, and not installed there."""
    installed = "-packages" + os.sep in path or os.path.dirname(path) == os.path.dirname(sys.executable)
    return path.startswith(root + os.sep) and not installed


def _to_look_through_the_heap() -> float:
    """Seconds: what is asked for looks at each object of the process, again and again."""
    return ASKING * gc.get_freeze_count() / 100_000


def _of_memory(found: Attribution) -> dict[str, Any]:
    details = [
        f"{each.type_name}: +{each.count:.3g} object{'' if each.count == 1 else 's'} per run"
        for each in found.survivors
    ]
    if found.native:
        details.append(found.native)
    return {
        "details": details,
        "locations": [asdict(place) for place in found.lines],
        "holders": _told_once(found.holders),
    }


def _told_once(chains: Iterable[tuple[str, ...]]) -> list[list[str]]:
    """Chains that differ in the place within a list only are one."""
    unlike = {tuple(re.sub(r"\[\d+\]", "[]", link) for link in chain): chain for chain in reversed(list(chains))}
    return [list(chain) for chain in reversed(unlike.values())]


def _of_leftovers(found: list[Leftover], folder: Path) -> dict[str, Any]:
    """What they are; the folder, which is the temporary one here and nobody's, by the name that it has for a test."""
    ours = f"{folder}{os.sep}"
    return {
        "details": [", ".join((leftover.what, *leftover.details)).replace(ours, "$TMPDIR/") for leftover in found],
        "locations": [asdict(place) for leftover in found for place in leftover.locations],
        "holders": [],
    }


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
