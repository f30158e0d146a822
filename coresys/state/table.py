"""Transition tables: the states there are, the events that lead from one to another, who is asked and who is told.

A table is checked and compiled when it is made, and never changes; all machines of a kind share one. Nothing in here
knows of threads, time or storage.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import TableError
from coresys.system_records import StateDefinition

if TYPE_CHECKING:
    from coresys.state.machine import Machine

# Events that no table may declare: they stand in the history for what was no event.
ROLLBACK, ERROR = "rollback", "error"


class Trigger:
    """What guards, validators and observers are given: the event, and the transition that it is about to make.

    ``sequence`` and ``time`` (seconds since 1970) are those of the record that the transition leaves; while guards and
    validators are asked they are 0. ``machine.state`` is still ``source`` until the transition has been made, for
    observers within the transaction too: nobody sees a state that may be undone.

    None of it can be changed: the history, the store and the next observer are to say what was fired, and a cause that
    a guard had made a number would have parted the machine from its store.
    """

    # Read through properties, and written by the machine beneath them: a ``__setattr__`` that refuses would make each
    # of its own writes several times as long.
    __slots__ = ("_actor", "_cause", "_event", "_machine", "_payload", "_sequence", "_source", "_target", "_time")

    def __init__(
        self, machine: Machine, event: str, source: str, payload: Any, cause: str | None, actor: str | None
    ) -> None:
        self._machine, self._event, self._source, self._payload = machine, event, source, payload
        self._cause, self._actor = cause, actor
        self._target = source
        self._sequence = 0
        self._time = 0.0

    @property
    def machine(self) -> Machine:
        """Whose transition it is."""
        return self._machine

    @property
    def event(self) -> str:
        """What was fired; ``error`` where a failure leads to the error state."""
        return self._event

    @property
    def source(self) -> str:
        """The state that is left."""
        return self._source

    @property
    def target(self) -> str:
        """The state that is entered; while guards are asked, the one that they are asked about."""
        return self._target

    @property
    def payload(self) -> Any:
        """What was fired with the event."""
        return self._payload

    @property
    def cause(self) -> str | None:
        """What will stand in the history as the cause."""
        return self._cause

    @property
    def actor(self) -> str | None:
        """What will stand in the history as the actor."""
        return self._actor

    @property
    def sequence(self) -> int:
        """The number of the transition; 0 while guards and validators are asked."""
        return self._sequence

    @property
    def time(self) -> float:
        """When it is made, in seconds since 1970; 0 while guards and validators are asked."""
        return self._time

    def __repr__(self) -> str:
        return f"<Trigger {self.event!r} of {self.machine.name}: {self.source!r} to {self.target!r}>"


Guard = Callable[[Trigger], object]
Validator = Callable[[Trigger], None]
Observer = Callable[[Trigger], Any]


@dataclass(frozen=True, slots=True)
class Inside:
    """An observer that belongs to the transaction: what it raises undoes the transition."""

    observer: Observer


def inside(observer: Observer) -> Inside:
    """Make an observer part of the transaction: it runs under the machine's lock, before anybody sees the new state.

    If it raises, nothing has happened: state, sequence and history are what they were (and the declared error state is
    entered, if there is one). What it did elsewhere is its own to undo. It has to be a plain function: a lock is held.
    """
    return Inside(observer)


@dataclass(frozen=True, slots=True)
class State:
    """A state. ``parent`` names the state that it is a part of: what is declared of a parent holds for its parts.

    ``initial``: the one to begin in, at the top or within the parent. ``final``: nothing leads out of it. ``error``:
    entered when a transition fails. ``entry`` and ``exit`` are observers, called after the transition was made and
    without a lock, unless they are ``inside(...)`` it.
    """

    name: str
    initial: bool = False
    final: bool = False
    error: bool = False
    parent: str | None = None
    entry: Sequence[Observer | Inside] = ()
    exit: Sequence[Observer | Inside] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "entry", tuple(self.entry))
        object.__setattr__(self, "exit", tuple(self.exit))


@dataclass(frozen=True, slots=True)
class Transition:
    """What one event does in one state (or in all parts of a parent). Made by ``on(...)`` and ``after(...)``."""

    event: str
    source: str
    target: str
    guards: tuple[Guard, ...] = ()
    validators: tuple[Validator, ...] = ()
    observers: tuple[Observer | Inside, ...] = ()
    internal: bool = False
    delay: float | None = None

    def __str__(self) -> str:
        return f"{self.event!r}: {self.source!r} to {self.target!r}"


def on(
    event: str,
    source: str | Iterable[str],
    target: str,
    *,
    guards: Iterable[Guard] = (),
    validators: Iterable[Validator] = (),
    observers: Iterable[Observer | Inside] = (),
    internal: bool = False,
) -> tuple[Transition, ...]:
    """In ``source`` (one state, or several), ``event`` leads to ``target``, if all ``guards`` say so.

    Where several transitions of one state have the same event, they are tried in the order they are declared in, so
    that only the last may be without guards. ``validators`` look at the event's payload and refuse it by raising.
    ``observers`` are told between those of the states that are left and those of the states that are entered.
    ``internal``: no state is left or entered; the target has to be the source.
    """
    sources = (source,) if isinstance(source, str) else tuple(source)
    shared = tuple(guards), tuple(validators), tuple(observers), internal
    return tuple(Transition(event, each, target, *shared) for each in sources)


def after(
    seconds: float,
    source: str,
    target: str,
    *,
    event: str | None = None,
    guards: Iterable[Guard] = (),
    observers: Iterable[Observer | Inside] = (),
) -> tuple[Transition, ...]:
    """When ``source`` has not been left for ``seconds``, go to ``target``, if all ``guards`` say so then.

    ``event`` is what the history calls it, ``after 30 s in SOURCE`` by itself; it can be fired by hand too. Observers
    of such a transition are told by whoever runs timers, so none of them may be asynchronous.
    """
    name = event or f"after {seconds:g} s in {source}"
    return (Transition(name, source, target, tuple(guards), (), tuple(observers), False, seconds),)


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A transition as it is for one state: with everybody who is asked and told, in order. Made by the table."""

    event: str
    source: str
    target: str
    transition: Transition | None
    guards: tuple[Guard, ...] = ()
    validators: tuple[Validator, ...] = ()
    within: tuple[Observer, ...] = ()
    later: tuple[Observer, ...] = ()
    exited: tuple[str, ...] = ()  # states that are left and have timers
    armed: tuple[tuple[str, str, float], ...] = ()  # state, event, seconds: timers of those that are entered
    asynchronous: bool = False
    otherwise: Edge | None = None
    plain: bool = field(init=False, default=False)  # nobody to ask or tell, nothing to arm: the quick way

    def __post_init__(self) -> None:
        busy = self.guards or self.validators or self.within or self.later or self.exited or self.armed
        object.__setattr__(self, "plain", not busy)


class TransitionTable:
    """An immutable table of states and transitions, checked when it is made.

    ``transitions`` takes what ``on`` and ``after`` return. Raises TableError, which names every fault: unknown,
    doubled and unreachable states, ambiguous transitions, guards that nobody would ever ask.
    """

    __slots__ = (
        "__weakref__", "_edges", "_states", "beginning", "edges", "error_state", "first_timers", "initial", "name",
        "timed", "transitions",
    )  # fmt: skip

    name: str
    transitions: tuple[Transition, ...]
    edges: Mapping[str, Mapping[str, Edge]]  # by state and event: a view of those below
    _edges: dict[str, dict[str, Edge]]  # for the machines: a view takes half as long again to look through
    _states: dict[str, State]
    initial: str
    beginning: tuple[int, float, str, str, str, None, None]  # stands in the place of a last transition before the first
    first_timers: tuple[tuple[str, str, float], ...]  # state, event, seconds: armed when a machine begins
    error_state: str | None
    timed: bool

    def __init__(
        self, name: str, *, states: Iterable[State], transitions: Iterable[Transition | tuple[Transition, ...]]
    ) -> None:
        listed = tuple(states)
        flat = tuple(
            each for entry in transitions for each in ((entry,) if isinstance(entry, Transition) else tuple(entry))
        )
        compiler = _Compiler(listed, flat)
        problems = compiler.problems()
        if problems:
            raise TableError(table=name, problems=tuple(problems))
        timers = _timers(flat)
        given = {
            "name": name,
            "transitions": flat,
            "edges": MappingProxyType({state: MappingProxyType(edges) for state, edges in compiler.edges.items()}),
            "_edges": compiler.edges,
            "_states": compiler.states,
            "initial": compiler.initial,
            "beginning": (0, 0.0, "", "", compiler.initial, None, None),
            "first_timers": tuple(
                each for state in _upwards(compiler.states, compiler.initial) for each in timers.get(state, ())
            ),
            "error_state": compiler.error_state,
            "timed": any(each.delay is not None for each in flat),
        }
        for attribute, value in given.items():
            object.__setattr__(self, attribute, value)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in TransitionTable.__slots__ and not hasattr(TransitionTable, name):  # of a subclass
            object.__setattr__(self, name, value)
            return
        raise AttributeError(f"transition table {self.name!r} is immutable, and shared: make another one")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    @classmethod
    def of(cls, definition: StateDefinition) -> TransitionTable:
        """The table that a definition of plain values describes. Raises TableError, as the table itself does."""
        error = () if definition.error is None else (definition.error,)
        named = (("initial", (definition.initial,)), ("final", definition.final), ("error", error))
        # What names no state would be passed over else: no state has that role then.
        lost = [
            f"the {role} state {name!r} is not declared"
            for role, names in named
            for name in names
            if name not in definition.states
        ]
        try:
            table = cls(
                definition.name,
                states=[
                    State(name, name == definition.initial, name in definition.final, name == definition.error)
                    for name in definition.states
                ],
                transitions=[on(event, source, target) for event, source, target in definition.transitions],
            )
        except TableError as wrong:
            raise TableError(table=definition.name, problems=(*lost, *wrong.problems)) from None
        if lost:
            raise TableError(table=definition.name, problems=tuple(lost))
        return table

    @property
    def states(self) -> Mapping[str, State]:
        """All states by name, parents too, in the order of their declaration."""
        return MappingProxyType(self._states)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The states that a machine can stand in: those without parts."""
        return tuple(self._edges)

    def events(self, state: str) -> tuple[str, ...]:
        """The events that are declared in a state, by itself or by a parent."""
        return tuple(self._edges[state])

    def edge(self, state: str, event: str) -> Edge | None:
        """The first of the edges that an event may take in a state; the others hang on it by ``otherwise``."""
        return self._edges[state].get(event)

    def within(self, state: str) -> tuple[str, ...]:
        """A state and the states that it is a part of, from the inside out."""
        return tuple(_upwards(self._states, state))

    def move(self, event: str, source: str, target: str, *, told: bool) -> Edge:
        """The edge of going to a state by no event of the table (``rollback``, ``error``): nobody is asked.

        ``told``: whether the observers of the states that are left and entered are; but for those of leaving that
        belong inside, which could fail again, or are asynchronous, which nobody would await: a state that failed is
        left whatever they would say.
        """
        scope = next((each for each in _upwards(self._states, source) if each in self._over(source, target)), None)
        left, entered = _path(self._states, source, target, scope)
        timers = _timers(self.transitions)
        return _edge(event, source, target, None, self._states, left, entered, timers, told=told)

    def _over(self, source: str, target: str) -> set[str]:
        return set(_upwards(self._states, source)).intersection(_upwards(self._states, target)) - {source, target}

    def to_mermaid(self) -> str:
        """The table as a Mermaid state diagram."""
        from coresys.state.drawing import mermaid

        return mermaid(self)

    def to_dot(self) -> str:
        """The table as a Graphviz digraph."""
        from coresys.state.drawing import dot

        return dot(self)

    def __repr__(self) -> str:
        return f"<TransitionTable {self.name}: {len(self.edges)} states, {len(self.transitions)} transitions>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_again, (self.name, tuple(self._states.values()), self.transitions))


def _again(name: str, states: tuple[State, ...], transitions: tuple[Transition, ...]) -> TransitionTable:
    return TransitionTable(name, states=states, transitions=transitions)


def _upwards(states: Mapping[str, State], name: str | None) -> Iterator[str]:
    while name is not None:
        yield name
        name = states[name].parent


def _plain_and_inside(observers: Iterable[Observer | Inside]) -> tuple[list[Observer], list[Observer]]:
    within, later = [], []
    for each in observers:
        if isinstance(each, Inside):
            within.append(each.observer)
        else:
            later.append(each)
    return within, later


def is_async(function: object) -> bool:
    call = getattr(type(function), _CALL, None)  # of an instance whose calls are asynchronous
    inner = getattr(function, "func", None)  # a partial
    return any(inspect.iscoroutinefunction(each) for each in (function, call, inner))


_CALL = "__call__"


def _path(states: Mapping[str, State], source: str, target: str, scope: str | None) -> tuple[list[str], list[str]]:
    """The states that are left (from the inside out) and entered (from the outside in), below ``scope``."""

    def below(name: str) -> list[str]:
        found = []
        for each in _upwards(states, name):
            if each == scope:
                break
            found.append(each)
        return found

    return below(source), below(target)[::-1]


def _timers(transitions: Iterable[Transition]) -> dict[str, list[tuple[str, str, float]]]:
    timers: dict[str, list[tuple[str, str, float]]] = {}
    for each in transitions:
        if each.delay is not None and (each.source, each.event, each.delay) not in timers.get(each.source, ()):
            timers.setdefault(each.source, []).append((each.source, each.event, each.delay))
    return timers


def _edge(
    event: str,
    source: str,
    target: str,
    transition: Transition | None,
    states: Mapping[str, State],
    left: list[str],
    entered: list[str],
    timers: Mapping[str, list[tuple[str, str, float]]],
    *,
    told: bool = True,
    otherwise: Edge | None = None,
) -> Edge:
    observers: list[Observer | Inside] = []
    if told:
        exits = [each for name in left for each in states[name].exit]
        if transition is None:
            exits = [each for each in exits if not isinstance(each, Inside) and not is_async(each)]
        observers += exits
        observers += transition.observers if transition is not None else ()
        observers += [each for name in entered for each in states[name].entry]
    within, later = _plain_and_inside(observers)
    return Edge(
        event=event,
        source=source,
        target=target,
        transition=transition,
        guards=transition.guards if transition is not None else (),
        validators=transition.validators if transition is not None else (),
        within=tuple(within),
        later=tuple(later),
        exited=tuple(name for name in left if name in timers),
        armed=tuple(timer for name in entered for timer in timers.get(name, ())),
        asynchronous=any(is_async(each) for each in later),
        otherwise=otherwise,
    )


class _Compiler:
    """From what was declared to one dictionary of edges for each state; or to a list of what is wrong with it."""

    def __init__(self, states: tuple[State, ...], transitions: tuple[Transition, ...]) -> None:
        self._listed = states
        self._transitions = transitions
        self.states: dict[str, State] = {each.name: each for each in states}
        self.edges: dict[str, dict[str, Edge]] = {}
        self.initial = ""
        self.error_state: str | None = None
        self._parts: dict[str | None, list[State]] = {}
        self._asked: set[int] = set()  # transitions (by place) that some state may come to

    def problems(self) -> list[str]:
        found = [*self._of_states(), *self._of_transitions()]
        if found:  # what follows takes names and parents for right
            return found
        self._compile()
        return [*self._of_reach(), *self._of_guards(), *self._of_timers()]

    # -- what was declared -------------------------------------------------------------------------------------------

    def _of_states(self) -> Iterator[str]:
        if not self._listed:
            yield "it has no states"
            return
        seen: set[str] = set()
        for state in self._listed:
            if state.name in seen:
                yield f"state {state.name!r} is declared twice"
            seen.add(state.name)
            if state.parent is not None and state.parent not in self.states:
                yield f"state {state.name!r} is part of {self._unknown(state.parent)}"
            for observer in (*state.entry, *state.exit):
                yield from self._of_observer(observer, f"state {state.name!r}")
            self._parts.setdefault(state.parent, []).append(state)
        circular = [each.name for each in self._listed if self._is_circular(each.name)]
        if circular:
            yield f"states are parts of themselves: {', '.join(map(repr, circular))}"
            return
        yield from self._of_parts()
        errors = [each.name for each in self._listed if each.error]
        if len(errors) > 1:
            yield f"there is more than one error state: {', '.join(map(repr, errors))}"
        elif errors and errors[0] in self._parts:
            yield f"the error state {errors[0]!r} has parts; declare one of them as the error state"
        else:
            self.error_state = errors[0] if errors else None

    def _is_circular(self, name: str) -> bool:
        seen: set[str] = set()
        at: str | None = name
        while at is not None and at in self.states:
            if at in seen:
                return True
            seen.add(at)
            at = self.states[at].parent
        return False

    def _of_parts(self) -> Iterator[str]:
        for parent, parts in self._parts.items():
            where = "at the top" if parent is None else f"within {parent!r}"
            initial = [each.name for each in parts if each.initial]
            if not initial:
                yield f"no state is initial {where}; one of {', '.join(repr(each.name) for each in parts)} has to be"
            elif len(initial) > 1:
                yield f"more than one state is initial {where}: {', '.join(map(repr, initial))}"
            if parent is not None and parent in self.states and self.states[parent].final:
                yield f"state {parent!r} is final and has parts; declare those as final that are"

    def _of_observer(self, observer: Observer | Inside, where: str) -> Iterator[str]:
        function: object = observer.observer if isinstance(observer, Inside) else observer
        if not callable(function):
            yield f"{where}: observer {function!r} cannot be called"
        elif isinstance(observer, Inside) and is_async(function):
            yield f"{where}: observer {name_of(function)} is asynchronous, and inside: no lock is held over an await"

    def _of_transitions(self) -> Iterator[str]:
        for each in self._transitions:
            for role, name in (("from", each.source), ("to", each.target)):
                if name not in self.states:
                    yield f"transition {each} leads {role} {self._unknown(name)}"
            if each.event in (ROLLBACK, ERROR) or not each.event:
                yield f"transition {each}: an event cannot be called {each.event!r}"
            if each.source in self.states and self.states[each.source].final:
                yield f"transition {each} leads out of a final state"
            if each.internal and each.source != each.target:
                yield f"transition {each} is internal, but its target is not its source"
            if each.delay is not None and not each.delay > 0:
                yield f"transition {each}: a timer of {each.delay:g} s is none"
            roles: tuple[tuple[str, tuple[object, ...]], ...] = (("guard", each.guards), ("validator", each.validators))
            for role, functions in roles:
                for function in functions:
                    if not callable(function):
                        yield f"transition {each}: {role} {function!r} cannot be called"
                    elif is_async(function):
                        yield f"transition {each}: {role} {name_of(function)} is asynchronous; it is asked under a lock"
            for observer in each.observers:
                yield from self._of_observer(observer, f"transition {each}")
        yield from self._of_order()

    def _of_order(self) -> Iterator[str]:
        """Of transitions with one source and event, which are tried in their order, only the last may be unguarded."""
        groups: dict[tuple[str, str], list[Transition]] = {}
        for each in self._transitions:
            groups.setdefault((each.source, each.event), []).append(each)
        for (source, event), group in groups.items():
            free = [each for each in group if not each.guards]
            if len(free) > 1:
                yield (
                    f"event {event!r} is ambiguous in {source!r}: "
                    f"it leads to {', '.join(repr(each.target) for each in free)}, each without a guard"
                )
            elif free and group[-1] is not free[0]:
                later = group[group.index(free[0]) + 1]
                yield (
                    f"dead guard: {_names(later.guards)} of {later} is never asked, "
                    f"for {free[0]} stands before it and has none"
                )
            asked: list[Transition] = []
            for each in group:
                # By comparing: a guard may be an instance that has no hash.
                same = next((other for other in asked if all(guard in each.guards for guard in other.guards)), None)
                if same is not None and same.guards:
                    yield f"dead guard: {_names(each.guards)} of {each} decides nothing, for {same} asks the same first"
                asked.append(each)
            delays = {each.delay for each in group}
            if len(delays) > 1:
                yield f"event {event!r} in {source!r} is declared with more than one timer, or with and without"

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.states, n=1)
        return f"{name!r}, which is no state" + (f"; did you mean {near[0]!r}?" if near else "")

    # -- what it comes to --------------------------------------------------------------------------------------------

    def _compile(self) -> None:
        timers = _timers(self._transitions)
        declared: dict[str, dict[str, list[tuple[int, Transition]]]] = {}
        for place, each in enumerate(self._transitions):
            declared.setdefault(each.source, {}).setdefault(each.event, []).append((place, each))
        for state in self._listed:
            if state.name in self._parts:
                continue
            chains: dict[str, list[tuple[int, Transition]]] = {}
            for level in _upwards(self.states, state.name):
                for event, alternatives in declared.get(level, {}).items():
                    chain = chains.setdefault(event, [])
                    if not chain or chain[-1][1].guards:  # a part that decides leaves nothing to its parent
                        chain.extend(alternatives)
            self.edges[state.name] = {event: self._chain(state.name, chain, timers) for event, chain in chains.items()}
            self._asked.update(place for chain in chains.values() for place, _ in chain)
        self.initial = self._leaf(next(each.name for each in self._parts[None] if each.initial))

    def _leaf(self, name: str) -> str:
        while name in self._parts:
            name = next(each.name for each in self._parts[name] if each.initial)
        return name

    def _chain(
        self, leaf: str, chain: list[tuple[int, Transition]], timers: Mapping[str, list[tuple[str, str, float]]]
    ) -> Edge:
        edge: Edge | None = None
        for _, each in reversed(chain):
            if each.internal:
                target, left, entered = leaf, list[str](), list[str]()
            else:
                target = self._leaf(each.target)
                left, entered = _path(self.states, leaf, target, self._scope(each))
            edge = _edge(each.event, leaf, target, each, self.states, left, entered, timers, otherwise=edge)
        assert edge is not None
        return edge

    def _scope(self, each: Transition) -> str | None:
        """The innermost state that is neither left nor entered. A parent that leads to a part of its own stays."""
        targets = list(_upwards(self.states, each.target))
        if each.source in targets[1:]:
            return each.source
        sources = set(_upwards(self.states, each.source)) - {each.source}
        return next((name for name in targets[1:] if name in sources), None)

    def _of_reach(self) -> Iterator[str]:
        reached: set[str] = set()
        todo = [self.initial]
        if self.error_state is not None:
            todo.append(self.error_state)
        while todo:
            leaf = todo.pop()
            if leaf in reached:
                continue
            reached.add(leaf)
            for first in self.edges[leaf].values():
                edge: Edge | None = first
                while edge is not None:
                    todo.append(edge.target)
                    edge = edge.otherwise
        lost = [name for name in self.edges if name not in reached]
        if lost:
            yield f"no way leads from {self.initial!r} to {', '.join(map(repr, lost))}"

    def _of_guards(self) -> Iterator[str]:
        for place, each in enumerate(self._transitions):
            if place not in self._asked:
                what = f"dead guard: {_names(each.guards)} of {each}" if each.guards else f"transition {each}"
                yield f"{what} is never come to: all parts of {each.source!r} decide {each.event!r} themselves"

    def _of_timers(self) -> Iterator[str]:
        timed = {(each.source, each.event) for each in self._transitions if each.delay is not None}
        for source, event in sorted(timed):
            for parent in _upwards(self.states, self.states[source].parent):
                if (parent, event) in timed:
                    yield f"event {event!r} is a timer of both {parent!r} and {source!r}, a part of it; name them apart"
        if self.error_state is not None:
            for name in _upwards(self.states, self.error_state):
                for observer in self.states[name].entry:
                    if is_async(observer):
                        who = name_of(observer)
                        yield f"observer {who} of the error state is asynchronous, and nobody may await it"
        for source, event in sorted(timed):
            for leaf, edges in self.edges.items():
                edge = edges.get(event) if source in _upwards(self.states, leaf) else None
                while edge is not None:
                    if edge.asynchronous and edge.transition is not None and edge.transition.delay is not None:
                        yield f"transition {edge.transition} has asynchronous observers, and a timer, which awaits none"
                        break
                    edge = edge.otherwise


def name_of(function: object) -> str:
    return str(getattr(function, "__qualname__", None) or repr(function))


def _names(functions: Iterable[object]) -> str:
    return ", ".join(name_of(each) for each in functions)
