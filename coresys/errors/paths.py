"""Where errors go: declared routes from component to coordinator to sink. Pure: names in, names out."""

from __future__ import annotations

from collections.abc import Mapping

from coresys.errors.hierarchy import RouteError


class Paths:
    """Routes of errors; immutable, so that whoever resolves one needs no lock.

    >>> paths = Paths(sinks=("operator",)).with_route("orders", "shop").with_route("shop", "operator")
    >>> paths.resolve("orders"), paths.reaches_sink("orders")
    (('orders', 'shop', 'operator'), True)
    >>> paths.resolve("unheard of"), paths.reaches_sink("unheard of")
    (('unheard of',), False)

    ``default`` is where components go on to that have no route of their own.
    """

    __slots__ = ("_default", "_next", "_sinks")

    def __init__(
        self, routes: Mapping[str, str] | None = None, *, sinks: tuple[str, ...] = (), default: str | None = None
    ) -> None:
        self._next: dict[str, str] = {}
        self._sinks = frozenset(sinks)
        self._default = default
        for component, to in (routes or {}).items():
            self._add(component, to)

    @property
    def default(self) -> str | None:
        """Where components go on to that have no route of their own."""
        return self._default

    @property
    def sinks(self) -> tuple[str, ...]:
        """The declared ends, in the order of their names."""
        return tuple(sorted(self._sinks))

    @property
    def routes(self) -> tuple[tuple[str, str], ...]:
        """Each declared step, in the order they were declared in."""
        return tuple(self._next.items())

    def with_route(self, component: str, to: str) -> Paths:
        """These and one more; a component that had a route has this one then.

        Raises RouteError where that closes a circle, or where ``component`` is a sink: errors end there.
        """
        more = Paths(sinks=tuple(self._sinks), default=self._default)
        more._next = dict(self._next)
        more._add(component, to)
        return more

    def with_sink(self, name: str) -> Paths:
        """These, and one more end. Raises RouteError where errors of that name go on to somewhere."""
        if name in self._next:
            raise RouteError(component=name, to=self._next[name], problem="a sink is where errors end")
        more = Paths(sinks=(*self._sinks, name), default=self._default)
        more._next = dict(self._next)
        return more

    def resolve(self, component: str) -> tuple[str, ...]:
        """The names that an error of ``component`` goes through, that one first; the sink last, if it gets to one."""
        path = [component]
        while path[-1] not in self._sinks:
            following = self._next.get(path[-1])
            if following is None:
                following = self._default
            if following is None or following in path:  # a default may lead back to where they came from
                break
            path.append(following)
        return tuple(path)

    def reaches_sink(self, component: str) -> bool:
        """Whether the path of ``component`` ends at a sink."""
        return self.resolve(component)[-1] in self._sinks

    def _add(self, component: str, to: str) -> None:
        if component in self._sinks:
            raise RouteError(component=component, to=to, problem=f"{component!r} is a sink, where errors end")
        # Routes alone decide what is a circle: the default is not followed from a name that was passed already.
        circle = [component, to]
        while circle[-1] != component and circle[-1] in self._next:
            circle.append(self._next[circle[-1]])
        if circle[-1] == component:
            raise RouteError(component=component, to=to, problem=f"a circle: {' -> '.join(circle)}")
        self._next[component] = to

    def __repr__(self) -> str:
        steps = ", ".join(f"{component} -> {to}" for component, to in self._next.items())
        return f"<Paths {steps or 'empty'}; sinks: {', '.join(self.sinks) or 'none'}>"
