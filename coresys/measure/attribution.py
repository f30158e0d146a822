"""Which source lines allocate what stays: for use on top of ``tracemalloc``, also without pytest.

``tracemalloc`` makes code 3.5 to 8 times slower with one frame, more with many: it runs only inside these functions,
which want code that is already known to leak.
"""

from __future__ import annotations

import ast
import io
import itertools
import math
import os
import queue
import re
import sys
import threading
import tracemalloc
import types
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from coresys.budgets.units import format_quantity, parse_quantity
from coresys.clock import monotonic
from coresys.errors.hierarchy import UnitError
from coresys.measure import meters
from coresys.measure.evictions import (
    MAY_LET_GO,
    bounds,
    cut_off,
    cut_where_made,
    evictions,
    function_by_time,
    guards,
    own_bounds,
    own_evictions,
    turns,
)
from coresys.measure.holders import (
    FIXTURES,
    RUNNERS,
    USERS,
    Paths,
    Ranked,
    function_at,
    holder_chains,
    ranked_chains,
    tree_of,
)
from coresys.measure.inhand import in_hand
from coresys.measure.lengths import length_bounds
from coresys.measure.linewatch import native_lines
from coresys.measure.naming import Meaning, Names, names_along
from coresys.measure.survivors import Grown, Survivor, look_for_growth, survivors
from coresys.records import NATIVE, Location

FRAMES = 16
_OUR_FILES = (__file__, tracemalloc.__file__)


def growing_lines(
    run: Callable[[], object],
    *,
    is_user: Callable[[str], bool],
    repetitions: int = 6,
    windows: int = 3,
    most: int = 5,
    now: Callable[[], float] = monotonic,
) -> list[Location]:
    """Lines whose allocations grow in every window of so many repetitions, those that grow most first.

    Where some keep a block in each run, those that do so only in some runs are left out.

    Each allocation is charged to the innermost frame in a file that ``is_user`` accepts, or to the innermost of all
    if there is none. The note of a location tells bytes and blocks per repetition.
    """
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start(FRAMES)
    try:
        run()  # the first traced run allocates what the untraced ones had already
        started = now()
        run()
        if now() - started > _SLOW:
            repetitions = min(repetitions, 2)
        snapshots = [_snapshot()]
        for _ in range(windows):
            for _ in range(repetitions):
                if isinstance(run(), str):
                    raise _Stopped
            snapshots.append(_snapshot())
    except _Stopped:
        pass
    finally:
        if not tracing:
            tracemalloc.stop()
    # Looked at only now: what this needs would show in the snapshots as growth.
    return _steadily_grown([_by_line(snapshot, is_user) for snapshot in snapshots], repetitions, most)


_SLOW = 0.1  # seconds of one traced run
_WHOLE = 0.9  # blocks per run


class _Stopped(Exception):
    """A run told of a problem: what was seen until then has to do."""


Line = tuple[str, int]
Total = dict[Line, tuple[int, int]]


def _snapshot() -> tracemalloc.Snapshot:
    meters.collect()
    return tracemalloc.take_snapshot()


def _by_line(snapshot: tracemalloc.Snapshot, is_user: Callable[[str], bool]) -> Total:
    """Bytes and blocks alive at the snapshot, by the line that is to be named for them."""
    totals: Total = {}
    for trace in snapshot.traces:
        frames = list(trace.traceback)
        if frames[-1].filename in _OUR_FILES:
            continue
        frame = next((frame for frame in reversed(frames) if is_user(frame.filename)), frames[-1])
        line = (frame.filename, frame.lineno)
        size, count = totals.get(line, (0, 0))
        totals[line] = (size + trace.size, count + 1)
    return totals


def _steadily_grown(totals: list[Total], repetitions: int, most: int) -> list[Location]:
    grown: list[tuple[float, float, Line]] = []
    if len(totals) < 3:
        return []
    runs = repetitions * (len(totals) - 1)
    for line in totals[-1]:
        sizes = [total.get(line, (0, 0))[0] for total in totals]
        if all(later > earlier for earlier, later in zip(sizes, sizes[1:], strict=False)):
            blocks = totals[-1][line][1] - totals[0].get(line, (0, 0))[1]
            grown.append(((sizes[-1] - sizes[0]) / runs, blocks / runs, line))
    if any(blocks >= _WHOLE for _, blocks, _ in grown):
        grown = [each for each in grown if each[1] >= _WHOLE]  # not what only some of the runs left
    grown.sort(reverse=True)
    return [
        Location(path, number, function_at(path, number), note=f"+{_bytes(size)} in {blocks:.3g} blocks per run")
        for size, blocks, (path, number) in grown[:most]
    ]


def _bytes(size: float) -> str:
    return format_quantity(round(size), "B")


# -- all of it together -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attribution:
    """What keeps memory: lines, types of survivors, chains of holders; and what that says about its end.

    ``native`` tells growth that no Python line accounts for. ``bounded`` is the container that keeps the survivors
    and has a bound which it has not reached. ``evicts`` tells code in sight that lets go of entries. ``only_grows``:
    a plain list of the user's keeps them, which nothing in sight takes from. ``kept_by_user``: it is a root of the
    user's that keeps them, not a cache of some library. ``by_time`` tells code that ran and lets go of what is old
    enough; ``fixture`` the one of a wider scope that keeps them, and nothing else. ``cut_short`` tells why it could not
    be found out who keeps them: time was up, or a run failed. ``absent`` is the thread that does not run here and works
    on what keeps them; ``guarded`` tells of code that lets go under a condition which was looked at, and not met.
    """

    lines: tuple[Location, ...] = ()
    survivors: tuple[Survivor, ...] = ()
    holders: tuple[tuple[str, ...], ...] = ()
    native: str | None = None
    bounded: str | None = None
    evicts: str | None = None
    only_grows: bool = False
    kept_by_user: bool = False
    by_time: str | None = None
    fixture: str | None = None
    cut_short: str | None = None
    absent: str | None = None
    guarded: str | None = None

    @property
    def may_end(self) -> str | None:
        """Why what keeps them may yet let go of them, or be let go of, that more repetitions would not show."""
        if self.absent:
            return f"kept by what {self.absent} works on, which does not run in a repetition"
        if self.bounded:
            return f"kept by {self.bounded}, whose bound was not reached"
        if self.by_time:
            return f"{self.by_time} by time, which did not pass"
        if self.guarded:
            return self.guarded
        return f"kept by {self.fixture}, which is still up" if self.fixture else self.cut_short


def attribute(
    run: Callable[[], object],
    *,
    is_user: Callable[[str], bool],
    root_path: str = "",
    repetitions: int = 6,
    windows: int = 3,
    most: int = 5,
    grown: float | None = None,
    often: float = 1.0,
    seconds: float = 10.0,
    now: Callable[[], float] = monotonic,
    absent: Collection[threading.Thread] = (),
) -> Attribution:
    """Find out all that can be told of code that is known to leak, in about 40 runs of it.

    ``grown`` is the growth per run in bytes as the allocators count it, to tell native growth by. ``often`` is the
    share of runs that show growth: where it is small, windows are longer, as far as there is time. ``absent`` are
    threads of the process that this one was forked from. ``run`` may return a text, a problem: then what is known
    until then is returned, as it is when ``seconds`` of the clock ``now`` are over.
    """
    started = now()
    problems: list[str] = []

    def left() -> float:
        return seconds - (now() - started)

    def checked() -> object:
        if problems or left() < 0:
            return problems[0] if problems else "out of time"
        problem = run()
        if isinstance(problem, str):
            problems.append(problem)
        return problem

    if often * repetitions < _SEEN_FOR_SURE:
        repetitions = _longer(checked, repetitions, windows, often, seconds, now)
    lines = growing_lines(checked, is_user=is_user, repetitions=repetitions, windows=windows, most=most, now=now)
    files = [place.path for place in lines if is_user(place.path)]
    paths = Paths(root_path, is_user)
    late = left() < 0
    native = _native(lines, grown) if lines or not (problems or late) else None
    if often < _WHOLE and often * repetitions < _SEEN_FOR_SURE:
        native = None  # some of the windows may have had none of it: what is not seen is not native for that
    if native and not (problems or late):
        # No object tells where it is from: see during which line it grows.
        budget = max(left(), 1.0) / 2
        lines = [*native_lines(checked, is_user=is_user, grown=grown or 0.0, seconds=budget, now=now), *lines][:most]
    if problems or late:
        evicts = next((_told_of(each, paths) for each in _letting_go(files, None, ())), None)
        shown = tuple(_shown(lines, root_path, is_user))
        return Attribution(shown, native=native, evicts=evicts, cut_short=_why_cut_short(problems))
    seen = look_for_growth(checked, repetitions=repetitions, windows=windows, most=most, now=now)

    def held(examples: list[Any], grown: list[Any]) -> list[Ranked]:
        return ranked_chains(
            examples,
            is_user=is_user,
            root_path=root_path,
            most=3,
            depth=12,
            seconds=max(left(), 1.0),
            ignore=[seen.containers, seen.rebuilt, seen.linked, seen.places],
            now=now,
            grown=grown,
        )

    chains = _leaks_first(held(seen.examples, seen.containers))
    if not chains and seen.linked:  # from the middle of a long list the way up is too long
        chains = held(seen.linked, [])
    cut_short = _why_cut_short(problems) if not chains and (problems or left() < 0) else None
    holders = [each.chain for each in chains]
    owners = {cls for each in chains[:1] for owner in each.owners for cls in owner.__mro__}
    names = names_along(chains[0].things, seen.containers) if chains else Names()
    files += [path for path in names.files if is_user(path)]
    files += _mentioning(names, files, is_user)
    meaning = Meaning(files, names) if chains else None
    letting_go = _letting_go(files, meaning, owners)
    evicts = next((_told_of(each, paths) for each in letting_go), None)
    bounded = (
        _bounded(seen, chains, is_user, root_path)
        or _kept_to_a_size(files, meaning, names, owners, seen, paths)
        or (None if holders else _cut_where_it_grows(lines, is_user, paths))
        or (None if holders else _in_places(held(seen.places, [])))
        or (None if holders else _rebuilt_to_a_size(held(seen.rebuilt, []), checked, files, is_user, paths))
    )
    certain = [each for each in letting_go if not each[3].startswith(MAY_LET_GO)]
    by_time = _by_time(run, certain, paths)
    in_other_hands = _in_other_hands(chains, seen.containers, letting_go, absent)
    settled = in_other_hands or bounded or by_time or problems or left() < 0
    guarded = None if settled else _guarded(checked, certain, paths)
    only_grows = bool(files) and evicts is None and bounded is None and _keeps_in_a_list(holders, files, paths)
    return Attribution(
        tuple(_shown(lines, root_path, is_user)),
        tuple(seen.survivors),
        tuple(holders),
        native,
        bounded,
        evicts,
        only_grows,
        bool(chains) and chains[0].rank == USERS,
        by_time,
        _fixture_of(chains[0].chain[0]) if chains and chains[0].rank == FIXTURES else _set_up_anew(letting_go, paths),
        cut_short,
        in_other_hands,
        guarded,
    )


_SEEN_FOR_SURE = 4.0  # events in a window, on the average: of 50 such windows one has none
_MOST_REPETITIONS = 200
_SHARE_OF_TIME = 0.15
_TRACED = 4  # times a run takes while allocations are traced, about


def _longer(
    run: Callable[[], object],
    repetitions: int,
    windows: int,
    often: float,
    seconds: float,
    now: Callable[[], float],
) -> int:
    """Repetitions of a window in which what comes in few of them is seen; no more than there is time for."""
    run()
    started = now()
    run()
    each = max(now() - started, 1e-6) * _TRACED * windows
    wanted = min(math.ceil(_SEEN_FOR_SURE / max(often, 1e-3)), _MOST_REPETITIONS)
    return max(repetitions, min(wanted, int(seconds * _SHARE_OF_TIME / each)))


def _why_cut_short(problems: list[str]) -> str:
    if problems:
        return f"what keeps it could not be found out: {problems[0]}"
    return "there was no time to find out what keeps it"


_WIDER_SETUPS = frozenset({"setUpClass", "setup_class", "setUpModule", "setup_module"})


def _set_up_anew(letting_go: list[Eviction], paths: Paths) -> str | None:
    """What the setup of a class or a module binds is made anew for the next: as if a fixture had returned it."""
    return next(
        (
            f"what {function}() sets up ({paths.show(path)}:{line})"
            for path, line, function, what in letting_go
            if function in _WIDER_SETUPS and what == "bound anew"
        ),
        None,
    )


def _fixture_of(root: str) -> str:
    place, _, name = root.partition(" ")
    return f"{name} ({place})" if name else place


def _shown(lines: list[Location], root_path: str, is_user: Callable[[str], bool]) -> list[Location]:
    """The lines as they are told: what runs the test is none of it, though the first call there leaves caches."""
    paths = Paths(root_path, is_user)
    return [
        replace(place, path=paths.show(place.path))
        for place in lines
        if is_user(place.path) or not (_is_launcher(place) or RUNNERS & set(place.path.split(os.sep)))
    ]


def _is_launcher(place: Location) -> bool:
    """Whether it is the script of a command, pytest's own say, in whose only line all else runs."""
    return place.function == "<module>" and os.path.dirname(place.path) == os.path.dirname(sys.executable)


def _native(lines: list[Location], grown: float | None) -> str | None:
    if grown is None or grown <= 0:
        return None
    traced = sum(_bytes_in(place.note) for place in lines)
    if traced >= grown / 2:
        return None
    return f"{NATIVE}{_bytes(grown - traced)} per run that no Python line accounts for"


def _bytes_in(note: str) -> float:
    try:
        return parse_quantity(note.partition(" in ")[0].removeprefix("+"), "B")
    except UnitError:
        return 0.0


_MOST_FILES = 40  # to look into: more only where a name is so common that it says nothing


def _mentioning(names: Names, besides: list[str], is_user: Callable[[str], bool]) -> list[str]:
    """Files of the user's, beside those, whose text has one of the names in it by which the survivors are held.

    They may let go of them: a list may stand in one file, be filled by another, and be cleared by a third.
    """
    words = names.words
    if not words:
        return []
    word = re.compile(rf"\b({'|'.join(map(re.escape, sorted(words)))})\b".encode())
    paths = {path for module in list(sys.modules.values()) if (path := getattr(module, "__file__", None))}
    found: list[str] = []
    for path in sorted(paths.difference(besides)):
        if path.endswith(".py") and is_user(path) and len(found) < _MOST_FILES:
            try:
                with open(path, "rb") as file:
                    mentions = word.search(file.read()) is not None
            except OSError:
                continue
            found += [path] if mentions else []
    return found


Eviction = tuple[str, int, str, str]  # path, line, function, and what it does


def _letting_go(files: list[str], meaning: Meaning | None, owners: Collection[type]) -> list[Eviction]:
    """Statements in files of the user's that let go of entries of what keeps them."""
    classes = {cls.__name__ for cls in owners}
    return [
        (path, *each)
        for path in dict.fromkeys(files)
        for each in (*evictions(path, None if meaning is None else meaning.of(path)), *own_evictions(path, classes))
    ]


def _told_of(eviction: Eviction, paths: Paths) -> str:
    path, line, function, what = eviction
    where = f"{function}() at " if function else ""
    return f"{where}{paths.show(path)}:{line} lets go of entries ({what})"


def _by_time(run: Callable[[], object], letting_go: list[Eviction], paths: Paths) -> str | None:
    """The first of them that looks at a clock, in a function that is called in a run.

    One that nobody calls lets go of nothing, ever: a leak that people write.
    """
    timed = [(each, first) for each in letting_go if (first := function_by_time(each[0], each[1])) is not None]
    if not timed:
        return None
    called: set[tuple[str, int]] = set()

    def note(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return next((_told_of(each, paths) for each, first in timed if (each[0], first) in called), None)


def _guarded(run: Callable[[], object], letting_go: list[Eviction], paths: Paths) -> str | None:
    """The first of them that hangs on a condition which a run looks at, and does not meet.

    Where nobody looks at it nothing is ever let go of: a leak that people write.
    """
    hanging = [(each, condition, lines) for each in letting_go for condition, lines in guards(each[0], each[1])]
    if not hanging:
        return None
    wanted = {each[0] for each, _, _ in hanging}
    run_lines: set[tuple[str, int]] = set()

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        path = frame.f_code.co_filename
        if event == "line":
            run_lines.add((path, frame.f_lineno))
        return trace if path in wanted else None

    before, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)
    try:
        problem = run()
    finally:
        sys.settrace(before)
        threading.settrace(in_threads)
    for each, condition, lines in hanging if not isinstance(problem, str) else ():
        path = each[0]
        if (path, condition) in run_lines and not any((path, line) in run_lines for line in lines):
            return f"{_told_of(each, paths)} on a condition at line {condition}, which was not met"
    return None


_BY_NAME = re.compile(r"(?P<type>\w+)\.\w+|dict\['\w+'\]")


def _keeps_in_a_list(holders: list[tuple[str, ...]], files: list[str], paths: Paths) -> bool:
    """Whether a list keeps them, by a global or a class, by way of names alone: it has no keys that could come again.

    What is reached by more than the name of a global is looked at only where that and the classes on the way stand in
    files that were read, and inherit from nothing: else there may be code that takes out, and was not seen.
    """
    chain = holders[0] if holders else ()
    if len(chain) < 2 or not (" global " in chain[0] or " class " in chain[0]):
        return False
    if " global " in chain[0] and (chain[1].startswith("list[") or chain[1:] == ("list",)):
        return True
    types = [chain[0].rpartition(" ")[2]] if " class " in chain[0] else []
    by_name = 1
    while by_name < len(chain) - 1 and (match := _BY_NAME.fullmatch(chain[by_name])):
        types += [match["type"]] if match["type"] else []
        by_name += 1
    at, _, _ = chain[0].partition(":")
    return chain[by_name].startswith("list[") and at in map(paths.show, files) and _stand_alone(types, files)


def _stand_alone(types: list[str], files: list[str]) -> bool:
    """Whether each of the classes stands in one of the files, and has no base."""
    trees = [tree for path in dict.fromkeys(files) if types and (tree := tree_of(path))]
    alone = {
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and not node.bases
    }
    return alone.issuperset(types)


def _in_other_hands(
    chains: list[Ranked], containers: list[Any], letting_go: list[Eviction], absent: Collection[threading.Thread]
) -> str | None:
    """The thread that does not run here and reaches what is on the way to the survivors.

    Of what nothing in sight is taken from, no thread takes anything either: it reads, or is there.
    """
    if not chains or not absent:
        return None
    way = chains[0].things
    if not letting_go and not any(isinstance(thing, _EMPTIED) or _is_library(type(thing)) for thing in way):
        return None
    way = way if any(way[-1] is each for each in containers) else way[:-1]  # the last is what is kept, or what keeps
    try:
        known = in_hand(absent)
    except Exception as error:  # something stranger than we thought of: no reason to call it a leak
        return f"a thread ({type(error).__name__} when it was looked for)"
    return next((f"thread {known[id(thing)]!r}" for thing in way if id(thing) in known), None)


# Queues in C, and what is taken from by code of the standard library.
_EMPTIED = (queue.Queue, queue.SimpleQueue)


def _is_library(cls: type) -> bool:
    return cls.__module__ in ("asyncio.base_events", "asyncio.unix_events", "asyncio.queues", "logging.handlers")


def _bounded(seen: Grown, chains: list[Ranked], is_user: Callable[[str], bool], root_path: str) -> str | None:
    """A container with a bound of its own, not yet reached, that fills."""
    for each in seen.containers:
        if isinstance(each, deque) and each.maxlen is not None and len(each) < each.maxlen:
            return f"a deque with maxlen {each.maxlen}"
    way = chains[0].things if chains else ()
    for holder, held in zip(way, way[1:], strict=False):
        if type(holder) is io.TextIOWrapper and isinstance(held, (list, str, bytes)):
            return "a text file, which is written out when some 8 KiB are there"
    if isinstance(way[-2:-1] and way[-2], itertools.cycle):
        return _turned(chains[0], is_user, root_path)
    for each in [thing for thing in way if _is_asyncio_queue(thing)]:
        if len(each._queue) < each.maxsize and any(each._queue is grown for grown in seen.containers):
            return f"an asyncio queue with maxsize {each.maxsize}"
    queues = [thing for thing in way if isinstance(thing, queue.Queue) and isinstance(thing.maxsize, int)]
    for each in queues:
        if len(each.queue) < each.maxsize and any(each.queue is grown for grown in seen.containers):
            return f"a queue with maxsize {each.maxsize}"
    for cache in seen.filling:
        info = cache.cache_info()
        return f"functools.lru_cache(maxsize={info.maxsize}) of {_where_defined(cache, is_user, root_path)}"
    return None


def _is_asyncio_queue(thing: Any) -> bool:
    queues = sys.modules.get("asyncio.queues")  # looked up: importing it here would be seen by those who count modules
    return queues is not None and isinstance(thing, queues.Queue)


def _leaks_first(chains: list[Ranked]) -> list[Ranked]:
    """What ``itertools.cycle`` keeps for its next turn stands last: a leak beside it says more."""
    return sorted(chains, key=lambda each: isinstance(each.things[-2], itertools.cycle))


def _turned(chain: Ranked, is_user: Callable[[str], bool], root_path: str) -> str | None:
    """A cycle over a range, which keeps what it gave until its first turn is over."""
    names = names_along(chain.things)
    paths = Paths(root_path, is_user)
    for path in {path for path, _ in names.globals_} | {path for each in names.attributes for path, _ in each.bases}:
        for line, size in turns(path, Meaning([path], names).of(path)) if is_user(path) else ():
            return f"a cycle over {size} ({paths.show(path)}:{line})"
    return None


def _grows_in_its_place(holder: Any, held: Any, run: Callable[[], object]) -> bool:
    """Whether what stands in its place after some runs is longer."""

    def places() -> dict[Any, Any]:
        if isinstance(holder, types.CellType):
            return {0: holder.cell_contents}
        return holder if isinstance(holder, dict) else getattr(holder, "__dict__", {})

    key = next((key for key, value in list(places().items()) if value is held), None)
    before = len(held)
    for _ in range(_RUNS_TO_SEE):
        run()
    now: Any = places().get(key)
    return type(now) is type(held) and len(now) > before


_RUNS_TO_SEE = 6


def _in_places(chains: list[Ranked]) -> str | None:
    """A list of the user's that was made with all its places, which fill."""
    places = next((each.things[-1] for each in chains if each.rank == USERS), None)
    return None if places is None else f"a list with {len(places)} places, of which some are empty"


def _rebuilt_to_a_size(
    chains: list[Ranked],
    run: Callable[[], object],
    files: list[str],
    is_user: Callable[[str], bool],
    paths: Paths,
) -> str | None:
    """A line that makes a large container of the user's anew from itself, and cuts it to a size it has not reached.

    It has to be what grows: one that is as long as before is beside a leak.
    """
    for chain in chains:
        names = names_along(chain.things)  # before it runs on, and something else stands in its place
        if chain.rank != USERS or not _grows_in_its_place(chain.things[-2], chain.things[-1], run):
            continue
        looked_at = [*files, *_mentioning(names, files, is_user)]
        meaning = Meaning(looked_at, names)
        reached = len(chain.things[-1])
        for path in looked_at:
            for line, size in cut_off(path, meaning.of(path)):
                if size is None or size >= reached:
                    return f"what {paths.show(path)}:{line} cuts to a size"
    return None


def _kept_to_a_size(
    files: list[str], meaning: Meaning | None, names: Names, owners: Collection[type], seen: Grown, paths: Paths
) -> str | None:
    """A line that keeps the container to a size which it has not reached: of the user's, or of the class that owns it.

    Of a library's class only what it compares itself, as logging's MemoryHandler does the length of its buffer.
    """
    if meaning is None:
        return None
    reached = max((len(each) for each in seen.containers), default=0)
    for path in dict.fromkeys(files):
        meant = meaning.of(path)
        for line, size in (*bounds(path, meant), *length_bounds(path, meant)):
            if size is None or size >= reached:
                return f"a container that {paths.show(path)}:{line} keeps to a size"
    for cls in owners:
        source: str | None = getattr(sys.modules.get(cls.__module__), "__file__", None)
        for line, size in own_bounds(source, {cls.__name__}, names.words) if source else ():
            if size is None or size >= reached:
                return f"a container that {paths.show(str(source))}:{line} keeps to a size"
    return None


# What is cut to fewer than this had its bound reached in the repetitions that led here.
_MANY = 1000


def _cut_where_it_grows(lines: list[Location], is_user: Callable[[str], bool], paths: Paths) -> str | None:
    """A line that binds a text, which nobody can be asked who holds it, anew, and cuts it to a size."""
    for place in lines[:1]:
        if is_user(place.path) and any(
            size is None or size >= _MANY for size in cut_where_made(place.path, place.line)
        ):
            return f"what {paths.show(place.path)}:{place.line} cuts to a size"
    return None


def _where_defined(cache: Any, is_user: Callable[[str], bool], root_path: str) -> str:
    code = getattr(getattr(cache, "__wrapped__", None), "__code__", None)
    name = getattr(cache, "__qualname__", "a function")
    if code is None:
        return str(name)
    return f"{name} ({Paths(root_path, is_user).show(code.co_filename)}:{code.co_firstlineno})"


__all__ = ["Attribution", "Survivor", "attribute", "growing_lines", "holder_chains", "survivors"]
