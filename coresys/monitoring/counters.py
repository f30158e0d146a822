"""Counters that only grow, and gauges, by name and component, in a bounded number of series.

Telling is what happens on everybody's path: nothing here raises, and nothing is waited for. What is no figure (no
number, NaN, more than 2**1000, a counter that is to fall) is left out and counted in ``refused``.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Mapping, Sequence

from coresys.monitoring.shards import Shards
from coresys.threads.atomics import AtomicCounter, AtomicReference

OTHERS = "(others)"
_NUMBERS = frozenset((int, float))
_MOST = 2.0**1000  # so that no sum of such is beyond all floats


class SeriesNames:
    """Which series there are: a bounded number of names, and of components for each.

    Labels that come from outside (a customer, a path) are how monitoring itself becomes a leak. Beyond ``components``
    of one name the others share one series of it, under the component ``(others)``, so that sums over a name stay
    right; beyond ``names`` all share the name too. ``left_out`` counts how often something was told for such: here, and
    in whatever else has that counter.
    """

    __slots__ = ("_known", "_left_out", "_most_components", "_most_names")

    def __init__(self, names: int = 500, components: int = 100, left_out: AtomicCounter | None = None) -> None:
        if names < 1 or components < 1:
            raise ValueError("at least 1 name, and 1 component")
        self._most_names, self._most_components = names, components
        self._known: AtomicReference[Mapping[str, frozenset[str]]] = AtomicReference({})
        self._left_out = AtomicCounter() if left_out is None else left_out

    @property
    def left_out(self) -> int:
        """How often something was told for a series beyond the bound."""
        return self._left_out.get()

    def admit(self, name: str, component: str) -> tuple[str, str]:
        """The series that is kept for it. Raises TypeError for what is no text."""
        # Of str itself: what a subclass says of its equals is code of a user's, which would be called again and again.
        if name.__class__ is not str or component.__class__ is not str:
            if not isinstance(name, str) or not isinstance(component, str):
                raise TypeError(f"a name and a component are texts, not {name!r} and {component!r}")
            name, component = str.__str__(name), str.__str__(component)
        known = self._known.get()
        if component not in known.get(name, ()):
            known = self._known.update(lambda old: self._with(old, name, component))
        if component in known.get(name, ()):
            return name, component
        self._left_out.add()
        return (name, OTHERS) if name in known else (OTHERS, OTHERS)

    def _with(self, known: Mapping[str, frozenset[str]], name: str, component: str) -> Mapping[str, frozenset[str]]:
        components = known.get(name)
        if components is None:
            return {**known, name: frozenset((component,))} if len(known) < self._most_names else known
        if component in components or len(components) >= self._most_components:
            return known
        return {**known, name: components | {component}}

    def __len__(self) -> int:
        return sum(map(len, self._known.get().values()))

    def __repr__(self) -> str:
        return f"<SeriesNames: {len(self)} series of {len(self._known.get())} names>"


class _Cells:
    """What one thread counted."""

    __slots__ = ("ident", "values")

    def __init__(self, ident: int = 0) -> None:
        self.ident = ident
        self.values: dict[tuple[str, str], float] = {}


def _merge(shards: Sequence[_Cells]) -> _Cells:
    merged = _Cells()
    for shard in shards:
        for key, value in shard.values.copy().items():
            merged.values[key] = merged.values.get(key, 0) + value
    return merged


class Counters:
    """Sums that only grow. Whole numbers stay whole.

    >>> served = Counters()
    >>> served.add("requests", component="orders")
    >>> served.add("requests", 2, "orders")
    >>> served.add("requests", -1, "orders")
    >>> served.values(), served.refused
    ({('requests', 'orders'): 3}, 1)
    """

    __slots__ = ("_by_thread", "_names", "_refused", "_shards")

    def __init__(self, names: SeriesNames | None = None) -> None:
        self._names = SeriesNames() if names is None else names
        self._shards: Shards[_Cells] = Shards(_Cells, _merge)
        self._by_thread = self._shards.by_thread
        self._refused = AtomicCounter()

    def add(self, name: str, value: float = 1, component: str = "") -> None:
        """Add to a counter. Never raises: what cannot be added is counted in ``refused``."""
        if value.__class__ in _NUMBERS and 0 <= value <= _MOST:
            try:
                # See the invariants of ``shards``: the key is made before the figure is read.
                self._by_thread[get_ident()].values[name, component] += value
                return
            except Exception:  # a new one mostly; or a name that is none, which is seen to there
                pass
        self._add_new(name, value, component)

    def _add_new(self, name: str, value: float, component: str) -> None:
        try:
            amount = value if value.__class__ in _NUMBERS else float(value)
            if not 0 <= amount <= _MOST:
                raise ValueError
            key = self._names.admit(name, component)
            values = self._shards.mine().values
            values.setdefault(key, 0)
            values[key] += amount
        except Exception:
            self._refused.add()

    @property
    def refused(self) -> int:
        """How often something was told that could not be added."""
        return self._refused.get()

    def values(self) -> dict[tuple[str, str], float]:
        """The sums so far, by name and component."""
        return _merge(self._shards.all()).values

    def __repr__(self) -> str:
        return f"<Counters: {len(self.values())} series>"


class Gauges:
    """Figures that go up and down: of each series the last one counts, whichever thread told it.

    >>> depth = Gauges()
    >>> depth.set("queue.depth", 7, "orders"), depth.set("queue.depth", 5, "orders")
    (7, 5)
    >>> depth.values()
    {('queue.depth', 'orders'): 5}
    """

    __slots__ = ("_names", "_refused", "_values")

    def __init__(self, names: SeriesNames | None = None) -> None:
        self._names = SeriesNames() if names is None else names
        self._values: dict[tuple[str, str], float] = {}
        self._refused = AtomicCounter()

    def set(self, name: str, value: float, component: str = "") -> float | None:
        """Set a figure, and return it. Never raises: what is none is counted in ``refused``, and None comes back."""
        try:
            number = value if value.__class__ in _NUMBERS else float(value)
            if not -_MOST <= number <= _MOST:
                raise ValueError
            key = (name, component)
            if key not in self._values:
                key = self._names.admit(name, component)
            self._values[key] = number
            return number
        except Exception:
            self._refused.add()
            return None

    @property
    def refused(self) -> int:
        """How often something was told that is no figure."""
        return self._refused.get()

    def values(self) -> dict[tuple[str, str], float]:
        """The last figure of each series, by name and component."""
        return self._values.copy()

    def __repr__(self) -> str:
        return f"<Gauges: {len(self._values)} series>"


__all__ = ["OTHERS", "Counters", "Gauges", "SeriesNames"]
