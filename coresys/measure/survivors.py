"""What survives: containers that grow from window to window, and types whose number of objects does.

Objects that the collector does not track (bytes, text, numbers) are in no list of objects: they are found as the
newest elements of a container that grows.
"""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from coresys.clock import monotonic
from coresys.measure import meters
from coresys.measure.holders import type_name

_SLOW = 1.0  # seconds of a window, from which on two repetitions have to do
_CONTAINERS = frozenset((list, dict, set, deque, bytearray))


@dataclass(frozen=True, slots=True)
class Survivor:
    """A type of which each run leaves so many objects, of so many bytes in all (shallow)."""

    type_name: str
    count: float
    bytes: float


@dataclass(slots=True)
class Grown:
    """What was seen over the windows: survivors by type, containers that grew each time, and examples of the new.

    ``linked`` are both ends of what the new are linked to; ``rebuilt`` large containers that are new themselves;
    ``places`` lists of which ever fewer places are empty.
    """

    survivors: list[Survivor]
    containers: list[Any]
    examples: list[Any]
    filling: list[Any] = field(default_factory=list)
    linked: list[Any] = field(default_factory=list)
    rebuilt: list[Any] = field(default_factory=list)
    places: list[list[Any]] = field(default_factory=list)
    problem: str | None = None


def survivors(run: Callable[[], object], *, repetitions: int = 6, windows: int = 3, most: int = 5) -> list[Survivor]:
    """Types whose number of live objects grows in every window of so many calls of ``run``, most bytes first."""
    return look_for_growth(run, repetitions=repetitions, windows=windows, most=most).survivors


def look_for_growth(
    run: Callable[[], object],
    *,
    repetitions: int,
    windows: int,
    most: int = 5,
    now: Callable[[], float] = monotonic,
) -> Grown:
    """Run, and compare what there is after each window. ``run`` may return a text, a problem: then it ends there."""
    gc.unfreeze()
    meters.collect()
    known = _ids()
    caches = {id(cache): cache.cache_info().currsize for cache in _lru_caches()}
    types: list[Counter[type]] = [_types()]
    watched = _Lengths()
    empty = _empty_places()
    started, runs = now(), 0
    for _ in range(windows):
        for _ in range(repetitions if now() - started < _SLOW else 2):
            runs += 1
            problem = run()
            if isinstance(problem, str):
                return Grown([], [], [], problem=problem)
        meters.collect()
        watched.look()
        empty = [(each, left) for each, before in empty if 0 < (left := _empty_in(each)) < before]
        types.append(_types())
    found = _compare(known, watched, types, runs, most)
    found.places = [each for each, _ in empty]
    found.filling = [cache for cache in _lru_caches() if _is_filling(cache, caches, windows)]
    return found


def _empty_places() -> list[tuple[list[Any], int]]:
    """Lists that were made with as many places as they will ever have, ``[None] * 1000``, and what is empty of each."""
    large = [each for each in gc.get_objects() if type(each) is list and _FEW_PLACES <= len(each) <= _MANY_PLACES]
    return [(each, empty) for each in large if each[-1] is None and (empty := _empty_in(each))]


_FEW_PLACES, _MANY_PLACES = 64, 100_000


def _empty_in(places: list[Any]) -> int:
    return sum(each is None for each in places)  # count() would compare, by code of the user's


class _Lengths:
    """Which containers grow from look to look.

    All of the process are looked at twice: before the first window and after it. Those that grew are kept, and they
    alone are looked at again, for there are tens of thousands.
    """

    def __init__(self) -> None:
        self._first = {id(each): len(each) for each in _containers()}
        self._last: dict[int, int] | None = None
        self.grew: list[Any] = []

    def look(self) -> None:
        """Keep those that are longer than at the last look."""
        if self._last is None:
            ours = {id(self._first), id(self.grew), id(vars(self))}
            before, containers = self._first, [each for each in _containers() if id(each) not in ours]
        else:
            before, containers = self._last, self.grew
        self.grew[:] = [each for each in containers if len(each) > before.get(id(each), sys.maxsize)]
        self._last = {id(each): len(each) for each in self.grew}

    def is_new(self, container: Any) -> bool:
        """Whether a container was not there at first."""
        return id(container) not in self._first

    def added(self, container: Any) -> int:
        """By how much one of them is longer than at first."""
        return len(container) - self._first[id(container)]


def _lru_caches() -> list[Any]:
    return [each for each in gc.get_objects() if type(each) is functools._lru_cache_wrapper]


def _is_filling(cache: Any, before: dict[int, int], windows: int) -> bool:
    """Whether a cache with a bound grew through the windows, and has not reached it."""
    info = cache.cache_info()
    if id(cache) not in before:  # made by the run, as each sqlite3 connection makes one: it is not the one that fills
        return False
    grew = info.currsize - before[id(cache)]
    return info.maxsize is not None and info.currsize < info.maxsize and grew >= windows


def _compare(known: frozenset[int], watched: _Lengths, types: list[Counter[type]], runs: int, most: int) -> Grown:
    ours = {id(known), id(types), *map(id, types)}
    containers = [each for each in watched.grew if id(each) not in ours]
    containers.sort(key=watched.added)
    growing = {cls for cls in types[-1] if all(b[cls] > a[cls] for a, b in pairwise(types))}
    fresh = [
        each
        for each in gc.get_objects()
        if type(each) in growing and id(each) not in known and id(each) not in ours and type(each) not in _PLUMBING
    ]
    found = Counter({cls: types[-1][cls] - types[0][cls] for cls in growing if cls not in _PLUMBING})
    rows = [Survivor(cls.__qualname__, count / runs, _bytes(cls, fresh) * count / runs) for cls, count in found.items()]
    rows += _untracked(containers, watched, runs)
    rows.sort(key=lambda row: row.bytes, reverse=True)
    examples = [*(_example(each) for each in containers if len(each)), *_largest(fresh)]
    examples = [each for each in examples if not isinstance(each, weakref.ref)]  # whoever holds it holds nothing
    grown = Grown(rows[:most], containers, examples[:most])
    grown.linked = [] if containers else _ends(fresh, runs)
    grown.rebuilt = [] if examples else _rebuilt(watched, runs)
    return grown


def _ends(things: list[Any], runs: int) -> list[Any]:
    """Both ends of what is linked, one to the next, and as long as there were runs: of a stack of tuples, say."""
    found: list[Any] = []
    for cls in {type(each) for each in things}:
        same = {id(each): each for each in things if type(each) is cls}
        after = {at: [each for each in _next_to(thing) if id(each) in same] for at, thing in same.items()}
        referred = {id(each) for several in after.values() for each in several}
        for at, thing in same.items():
            if after[at] and at not in referred:
                way, last = {at}, thing
                while (further := next((each for each in after[id(last)] if id(each) not in way), None)) is not None:
                    way.add(id(further))
                    last = further
                found += [thing, last] if len(way) >= runs // 2 else []
    return found


def _next_to(thing: Any) -> list[Any]:
    """What a thing refers to, and so do its attributes."""
    found = gc.get_referents(thing)
    return found + [each for names in found if type(names) is dict for each in gc.get_referents(names)]


def _rebuilt(watched: _Lengths, runs: int) -> list[Any]:
    """What may be made anew from itself in each run, and so is never seen to grow: the largest that are new."""
    new = [each for each in _containers() if watched.is_new(each) and type(each) in _CONTAINERS and len(each) >= runs]
    return sorted(new, key=len, reverse=True)[:_MOST_REBUILT]


_MOST_REBUILT = 3


# Frames and cells come with whatever runs just now.
_PLUMBING = (type(sys._getframe()), Counter, frozenset)


def _largest(things: list[Any]) -> list[Any]:
    """One example of each type, instances of classes before plain containers."""
    by_type: dict[type, Any] = {}
    for each in things:
        by_type.setdefault(type(each), each)
    return sorted(by_type.values(), key=lambda each: type(each).__module__ == "builtins")


def _bytes(cls: type, things: list[Any]) -> float:
    sizes = [_size(each) for each in things[:2000] if type(each) is cls]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _size(thing: Any) -> int:
    try:
        return sys.getsizeof(thing)
    except Exception:  # a __sizeof__ of the user's own
        return 0


def _untracked(containers: list[Any], watched: _Lengths, runs: int) -> list[Survivor]:
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for each in containers:
        if isinstance(each, bytearray) or not len(each):
            continue
        newest, count = _newest(each), watched.added(each)
        if not gc.is_tracked(newest):
            found[type_name(newest)] += count
            total[type_name(newest)] += count * _size(newest)
    return [Survivor(name, count / runs, total[name] / runs) for name, count in found.items()]


def _newest(container: Any) -> Any:
    """The element added last, as near as it can be told."""
    if isinstance(container, dict):
        return next(reversed(container.values()))
    if isinstance(container, (list, deque)):
        return container[-1]
    return next(iter(container)) if isinstance(container, set) else container


def _example(container: Any) -> Any:
    """What to look for, to find out who keeps the elements of a container: itself, where they lead elsewhere.

    Small numbers belong to everybody, and the referrers of what is in an untracked dict can't be asked for.
    """
    newest = _newest(container)
    everybodys = newest is None or isinstance(newest, int)
    return container if everybodys or not gc.is_tracked(container) else newest


def _containers() -> list[Any]:
    """All containers that are tracked, and those that are not, as a dict of plain values, but held by one that is."""
    objects = gc.get_objects()
    kinds = {cls for cls in set(map(type, objects)) if cls in _CONTAINERS or _is_subclass(cls)}
    found = [each for each in objects if type(each) in kinds]
    untracked: dict[int, Any] = {}
    for at in range(0, len(objects), _CHUNK):
        held = [each for each in gc.get_referents(*objects[at : at + _CHUNK]) if type(each) in _MAY_BE_UNTRACKED]
        untracked.update((id(each), each) for each in held if not gc.is_tracked(each))
    return [*found, *untracked.values()]


_CHUNK = 1000  # objects whose referents are looked at together
_MAY_BE_UNTRACKED = frozenset((dict, bytearray))


def _ids() -> frozenset[int]:
    return frozenset(map(id, gc.get_objects()))


def _is_subclass(cls: type) -> bool:
    # len() of a subclass may be the user's code: only those that leave it alone.
    return issubclass(cls, (list, dict, set, deque)) and cls.__len__ in _PLAIN_LENGTHS


_PLAIN_LENGTHS = tuple(cls.__len__ for cls in (list, dict, set, deque))


def _types() -> Counter[type]:
    return Counter(map(type, gc.get_objects()))
