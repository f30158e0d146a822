"""Transitions of several machines at once: all of them, or none."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from coresys.errors.hierarchy import StateError
from coresys.state.machine import Machine, _check_texts
from coresys.state.making import Failure, Made, note
from coresys.state.table import Trigger
from coresys.system_records import TransitionRecord

T = TypeVar("T")
MOST_AT_ONCE = 256  # each takes a frame


def fire_all(
    events: Sequence[tuple[Machine, str, Any]], *, cause: str | None = None, actor: str | None = None
) -> tuple[TransitionRecord, ...]:
    """Make one transition of each of several machines: all of them, or none.

    Locks are taken in the order of the machines' identities, whatever the order of the events; guards and observers
    inside are called in the order of the events, all before anything is stored or seen. The machines have to share a
    scope (be of one StateManager). Raises as ``fire`` does; where one fails, only that one may enter its error state.
    Whoever reads the states one by one, without a lock, may see some before others.
    """
    machines = [machine for machine, _, _ in events]
    if len({id(machine) for machine in machines}) < len(machines):
        raise ValueError("fire_all takes one event of each machine")
    if len({id(machine._scope) for machine in machines}) > 1:
        raise ValueError("fire_all takes machines of one StateManager")
    if not machines:
        return ()
    if len(machines) > MOST_AT_ONCE:
        raise ValueError(f"fire_all takes at most {MOST_AT_ONCE} machines at once, not {len(machines)}")
    _check_texts(cause, actor)
    for machine in machines:
        machine._enrol()
        if machine._holds():
            raise StateError(f"{machine.name}: asked for from inside a transition of its own")
    try:
        all_made, failed = _locked(sorted(machines, key=id), lambda: _transact(events, cause, actor))
    except BaseException as error:
        _drain(machines, error)
        raise
    if failed is not None:
        try:
            failed.machine._tell(failed)  # raises the failure
        except BaseException as error:
            _drain(machines, error)
            raise
    problems: list[BaseException] = []
    for made in all_made:  # whatever one of them meets, the others were made too, and are told of
        try:
            made.machine._tell(made)
        except BaseException as error:
            problems.append(error)
    try:
        if problems:
            problems.sort(key=lambda problem: isinstance(problem, Exception))  # who interrupts is raised
            for other in problems[1:]:
                note(problems[0], str(other))
            raise problems[0]
    finally:
        problems.clear()
    return tuple(made.machine._record(made.entry) for made in all_made)


def _drain(machines: Sequence[Machine], error: BaseException) -> None:
    for machine in machines:
        machine._drain(error)


def _locked(machines: Sequence[Machine], work: Callable[[], T]) -> T:
    """Call ``work`` with all locks held; one frame for each, for only ``with`` itself cannot be torn from its exit."""
    if not machines:
        return work()
    machine, me = machines[0], get_ident()
    with machine._lock:
        machine._owner = me
        try:
            return _locked(machines[1:], work)
        finally:
            machine._owner = 0


def _transact(
    events: Sequence[tuple[Machine, str, Any]], cause: str | None, actor: str | None
) -> tuple[list[Made], Made | None]:
    """With all locks held: what was made, or the one that failed, on its way to its error state."""
    all_made: list[Made] = []
    began = events[0][0]._began()
    try:
        for machine, event, payload in events:
            source = machine._last[4]
            trigger = Trigger(machine, event, source, payload, cause, actor)
            edge = machine._table._edges[source].get(event)
            all_made.append(machine._prepare(edge, trigger, began, asynchronous=False))
        events[0][0]._keep(all_made)
    except BaseException as error:
        for machine, _, _ in events:
            # What observers inside had fired, on any of these, falls with the transaction; but what was published
            # all the same (a signal came after the store had it) has taken its events along.
            if machine._extra is not None:
                machine._extra.drop_dependent()
        if not isinstance(error, Failure):
            raise
        return [], error.trigger.machine._failed(error, began)
    return all_made, None
