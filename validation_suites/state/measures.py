"""What is measured of a state manager, known by its protocol alone. Each function returns what the criterion counts.

A manager that has ``add(name, table)`` as ours does, with tables that call guards and observers, is asked more: what
needs that says so by ``takes_tables``.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import TransitionRefusedError
from coresys.state import State, TransitionTable, after, inside, on
from coresys.system_records import StateDefinition, TransitionRecord
from validation_suites.asking import attempt
from validation_suites.running import at_once, in_words
from validation_suites.tally import Tally, missed_or_doubled

if TYPE_CHECKING:
    from coresys.interfaces import IStateManager

DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"), ("pull", "open", "shut")))
FLIP = StateDefinition("flip", ("a", "b"), "a", (("go", "a", "b"), ("go", "b", "a")))
ALL = 1_000_000  # of a history: as many as there are


def takes_tables(manager: object) -> bool:
    """Whether it takes tables with guards and observers, as ours does, beside definitions of plain values."""
    add = getattr(manager, "add", None)
    try:
        inspect.signature(add).bind("name", None)  # type: ignore[arg-type]  # None raises TypeError
    except (TypeError, ValueError):  # what a stranger calls so may be anything
        return False
    return True


def machines_missing_or_doubled(manager: IStateManager, machines: int = 100, threads: int = 8) -> list[str]:
    """Define machines from several threads at once; the names that are not listed exactly once."""
    names = [f"door {number}" for number in range(machines)]

    def define(mine: Sequence[str]) -> None:
        for name in mine:
            manager.define(name, DOOR)

    wrong = at_once([partial(define, names[at::threads]) for at in range(threads)])
    listed = list(manager.names())
    return wrong + [f"{name} is listed {listed.count(name)} times" for name in names if listed.count(name) != 1]


# -- transitions against a model -------------------------------------------------------------------------------------


def random_definition(dice: random.Random, name: str) -> StateDefinition:
    """A table of some states, all of which can be come to, and none of which is a dead end."""
    states = tuple(f"s{number}" for number in range(dice.randint(3, 8)))
    events = [f"e{number}" for number in range(5)]
    table: dict[tuple[str, str], str] = {}
    for at in range(1, len(states)):  # a way to each
        free = [(event, source) for source in states[:at] for event in events if (event, source) not in table]
        table[dice.choice(free)] = states[at]
    for source in states:
        table.setdefault((dice.choice(events), source), dice.choice(states))
    transitions = tuple((event, source, target) for (event, source), target in table.items())
    return StateDefinition(name, states, states[0], transitions)


def wrong_decisions(manager: IStateManager, events: int = 100_000, tables: int = 10, seed: int = 1) -> list[str]:
    """Fire events at random, most of them not declared; a line for each that was not decided as its table says."""
    dice = random.Random(seed)
    faults: list[str] = []
    for number in range(tables):
        definition = random_definition(dice, f"table {number}")
        name = f"machine {number}"
        manager.define(name, definition)
        model = {(event, source): target for event, source, target in definition.transitions}
        faults += _decisions(manager, name, definition, model, events // tables, dice)
    return faults


def _decisions(
    manager: IStateManager,
    name: str,
    definition: StateDefinition,
    model: Mapping[tuple[str, str], str],
    events: int,
    dice: random.Random,
) -> list[str]:
    alphabet = [*dict.fromkeys(event for event, _, _ in definition.transitions), "e9", ""]
    faults = []
    state, sequence = definition.initial, 0
    for event in dice.choices(alphabet, k=events):
        wanted = model.get((event, state))
        made: TransitionRecord | str | None
        try:
            made = manager.fire(name, event)
        except TransitionRefusedError:
            made = "refused"
        except Exception as error:
            made = in_words(error)
        sequence += wanted is not None
        if wanted is None and made != "refused":
            faults.append(f"{name}: {event!r} in {state!r} is not declared, and was not refused: {made}")
        elif wanted is not None and not _is_record(made, sequence, event, state, wanted):
            faults.append(
                f"{name}: {event!r} in {state!r} leads to {wanted!r} by number {sequence}, and came to {made}"
            )
        if manager.state(name) != (wanted or state):
            faults.append(f"{name} is in {manager.state(name)!r} and not in {wanted or state!r} after {event!r}")
            return faults  # from here on it would differ for ever
        state = wanted or state
    seen = manager.describe(name)
    if seen.sequence != sequence:
        faults.append(f"{name}: {sequence} transitions were declared, and it counts {seen.sequence}")
    return faults


def _is_record(made: object, sequence: int, event: str, source: str, target: str) -> bool:
    return isinstance(made, TransitionRecord) and (
        (made.sequence, made.event, made.source, made.target) == (sequence, event, source, target)
    )


def wrong_guarding(manager: Any, events: int = 10_000, seed: int = 2) -> list[str]:
    """The same of guards: of two ways for one event the first whose guard lets it, and none where neither does."""
    dice = random.Random(seed)
    table = TransitionTable(
        "guarded",
        states=[State("a", initial=True), State("b"), State("c")],
        transitions=[
            on("go", "a", "b", guards=[lambda trigger: trigger.payload & 1, lambda trigger: trigger.payload & 2]),
            on("go", "a", "c", guards=[lambda trigger: trigger.payload & 4]),
            on("go", ["b", "c"], "a"),
        ],
    )
    manager.add("guarded", table)
    faults = []
    for payload in dice.choices(range(8), k=events):
        state = manager.state("guarded")
        if state != "a":
            wanted = "a"
        else:
            wanted = "b" if payload & 3 == 3 else "c" if payload & 4 else "a"
        refused = False
        try:
            manager.fire("guarded", "go", payload)
        except TransitionRefusedError:
            refused = True
        if manager.state("guarded") != wanted or refused != (state == wanted):
            faults.append(
                f"payload {payload} in {state!r}: {'refused' if refused else 'made'}, {manager.state('guarded')!r}"
            )
            return faults
    return faults


# -- histories -------------------------------------------------------------------------------------------------------


def history_faults(
    manager: IStateManager, name: str, definition: StateDefinition, *, least: int = 0, kept: int = 1
) -> list[str]:
    """A history's chain: numbers without a gap, each begins where the one before ended, the last is where it stands.

    ``least``: how many were made at least; ``kept``: how many of them have to be kept, if so many were made.
    """
    records = manager.history(name, ALL)
    declared = set(definition.transitions)
    faults = []
    before: TransitionRecord | None = None
    for record in records:
        if before is not None and (record.sequence, record.source) != (before.sequence + 1, before.target):
            faults.append(f"{name}: number {record.sequence} from {record.source!r} follows on {before.sequence}")
        if record.event != "rollback" and (record.event, record.source, record.target) not in declared:
            faults.append(f"{name}: number {record.sequence} is not declared: {record.event!r} in {record.source!r}")
        before = record
    seen = manager.describe(name)
    ends = (0, definition.initial) if before is None else (before.sequence, before.target)
    if ends != (seen.sequence, seen.state) or manager.state(name) != seen.state:
        faults.append(f"{name}: the history ends with {ends}, and it stands at {(seen.sequence, seen.state)}")
    if seen.sequence < least:
        faults.append(f"{name}: {least} transitions were made, and {seen.sequence} are there")
    if len(records) < min(seen.sequence, kept):
        faults.append(f"{name}: of {seen.sequence} transitions {len(records)} are kept")
    return faults


def storm_faults(
    manager: IStateManager, name: str = "shared", threads: int = 4, each: int = 500, kept: int = 1
) -> list[str]:
    """Threads fire at one machine; each transition is made once, has a number of its own, and is in the history."""
    manager.define(name, FLIP)
    numbers: list[int] = []

    def fire() -> None:
        for _ in range(each):
            record = manager.fire(name, "go")
            if record is not None:
                numbers.append(record.sequence)

    faults = at_once([fire] * threads)
    if sorted(numbers) != list(range(1, threads * each + 1)):
        faults.append(f"{name}: {threads * each} transitions were made, with {len(set(numbers))} numbers")
    return faults + history_faults(manager, name, FLIP, least=threads * each, kept=kept)


# -- what a failure leaves -------------------------------------------------------------------------------------------

POSITIONS = (
    "guard",
    "validator",
    "exit of the part",
    "exit of the whole",
    "observer",
    "entry of the whole",
    "entry of the part",
)


class Planted(Exception):
    """What is raised on purpose."""


def failing_table(raising: list[str]) -> TransitionTable:
    """A table that calls back at every place there is, and raises at the one that ``raising`` names.

    From a part of one whole to a part of another, so that wholes are left and entered too; with a timer, which is
    armed anew by each entry.
    """

    def at(position: str) -> Callable[[object], Any]:
        def call(trigger: object) -> Any:
            if position in raising:
                raise Planted(position)
            return True

        return call

    def there(name: str) -> tuple[Any, ...]:
        return (inside(at(name)),)

    return TransitionTable(
        "failing",
        states=[
            State("left", initial=True, exit=there("exit of the whole")),
            State("left part", parent="left", initial=True, exit=there("exit of the part")),
            State("right", entry=there("entry of the whole")),
            State("right part", parent="right", initial=True, entry=there("entry of the part")),
        ],
        transitions=[
            on(
                "go", "left part", "right",
                guards=[at("guard")], validators=[at("validator")], observers=there("observer"),
            ),
            on("back", "right", "left"),
            after(3600, "left part", "right"),
        ],
    )  # fmt: skip


def rollback_faults(manager: Any) -> list[str]:
    """Raise at each place where a transition calls back, alone and as one of two: what is not as before."""
    raising: list[str] = []
    good: list[str] = []
    manager.add("failing", failing_table(raising))
    manager.add("steady", failing_table(good))
    for name in ("failing", "steady"):
        manager.fire(name, "go")
        manager.fire(name, "back")
        manager.snapshot(name, "before")
    faults: list[str] = []
    ways: tuple[tuple[str, Callable[[], object]], ...] = (
        ("alone", lambda: manager.fire("failing", "go")),
        ("after another", lambda: manager.fire_all({"steady": "go", "failing": "go"})),
        ("before another", lambda: manager.fire_all({"failing": "go", "steady": "go"})),
    )
    for position in POSITIONS:
        for way, fire in ways:
            before = _deep(manager)
            raising[:] = [position]
            if not _raises(fire):
                faults.append(f"{position}, {way}: what it raised did not come out")
            raising.clear()
            if (now := _deep(manager)) != before:
                faults.append(f"{position}, {way}: {_difference(before, now)}")
        sequence = manager.describe("failing").sequence
        for step, event in enumerate(("go", "back"), 1):
            record = attempt(faults, f"after {position}: {event!r}", partial(manager.fire, "failing", event))
            if record is not None and record.sequence != sequence + step:
                faults.append(f"after {position}: number {record.sequence} follows on {sequence + step - 1}")
    return faults


def refused_faults(manager: IStateManager) -> list[str]:
    """What any manager can be made to refuse, by its protocol: an event that is not declared, alone and as one of
    several, a machine that is not there, and ways back that there are not; what is not as before."""
    for name in ("failing", "steady"):
        manager.define(name, DOOR)
        for event in ("push", "pull", "push"):
            manager.fire(name, event)
    good, bad = {"steady": "pull"}, {"failing": "push"}
    faults: list[str] = []
    for what, call in (
        ("an event that is not declared", lambda: manager.fire("failing", "push")),
        ("an event that there is not", lambda: manager.fire("failing", "no such event", cause="why", actor="me")),
        ("the second of two", lambda: manager.fire_all({**good, **bad})),
        ("the first of two", lambda: manager.fire_all({**bad, **good})),
        ("a machine that is not there, with one that is", lambda: manager.fire_all({**good, "nobody": "pull"})),
        ("a way back of more steps than were made", lambda: manager.rollback("failing", 4)),
        ("a way back to a number that is not reached", lambda: manager.rollback("failing", to_sequence=4)),
        ("a way back to no snapshot", lambda: manager.rollback("failing", to_snapshot="no such label")),
    ):
        before = _deep(manager)
        try:
            call()
            faults.append(f"{what} is not refused")
        except NotImplementedError:  # it has none, and that is no transition that fails
            continue
        except Exception:  # of which kind is asked elsewhere
            pass
        if (now := _deep(manager)) != before:
            faults.append(f"{what}: {_difference(before, now)}")
    return faults


UNKEPT = "\ud800"  # half of a character: no file can have it in it


def unkept_faults(manager: IStateManager) -> list[str]:
    """Fire with a cause that a store cannot write: what is not as before, where the transition was refused for that."""
    manager.define("unkept", FLIP)
    manager.fire("unkept", "go")
    before = (manager.state("unkept"), manager.describe("unkept"), manager.history("unkept", ALL))
    if not _raises(lambda: manager.fire("unkept", "go", cause=UNKEPT)):
        return []
    now = (manager.state("unkept"), manager.describe("unkept"), manager.history("unkept", ALL))
    return [f"a transition that could not be kept: {before[1]} became {now[1]}"] if now != before else []


def going_back_faults(manager: IStateManager) -> list[str]:
    """Go back by steps, to a number and to a snapshot, in a ring of states: where it stands after that, and the history
    of it, from its end too."""
    ring = StateDefinition("ring", ("a", "b", "c", "d"), "a", tuple(("go", *each) for each in ("ab", "bc", "cd", "da")))
    faults: list[str] = []
    ways: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("one step", {}, "c"),
        ("two steps", {"steps": 2}, "b"),
        ("to number 1", {"to_sequence": 1}, "b"),
        ("to the beginning", {"to_sequence": 0}, "a"),
        ("to a snapshot", {"to_snapshot": "kept"}, "c"),
    )
    for what, how, wanted in ways:
        manager.define(what, ring)
        try:
            for number in range(3):
                manager.fire(what, "go")
                if number == 1:
                    manager.snapshot(what, "kept")
            came = attempt(faults, what, partial(manager.rollback, what, **how))
        except NotImplementedError:
            continue
        seen = manager.describe(what)
        if not (came == wanted == manager.state(what) == seen.state and seen.sequence == 4):
            faults.append(f"{what} back from d comes to {came!r}, number {seen.sequence}, and not to {wanted!r}, 4")
        records = manager.history(what)
        for last in (0, 1, 3):
            if manager.history(what, last) != records[len(records) - last :]:
                faults.append(f"{what}: the last {last} are {[each.sequence for each in manager.history(what, last)]}")
    return faults


def _raises(call: Callable[[], object]) -> bool:
    try:
        call()
    except Exception:
        return True
    return False


def _deep(manager: IStateManager) -> dict[str, tuple[object, ...]]:
    return {
        name: (manager.state(name), manager.describe(name), manager.history(name, ALL))
        for name in ("failing", "steady")
    }


def _difference(before: Mapping[str, tuple[object, ...]], now: Mapping[str, tuple[object, ...]]) -> str:
    names = ("state", "record", "history")
    changed = [
        f"{what} of {machine!r}"
        for machine, figures in before.items()
        for what, was, is_ in zip(names, figures, now[machine], strict=True)
        if was != is_
    ]
    return f"{', '.join(changed)} changed"


# -- monitoring ------------------------------------------------------------------------------------------------------


def untold_transitions(manager: IStateManager, tally: Tally, threads: int = 8, each: int = 2_000) -> list[str]:
    """Fire from several threads, then at several machines at once, and go back; transitions that the tally was not told
    of once."""
    names = [f"watched {number}" for number in range(threads // 2)]
    for name in names:
        manager.define(name, FLIP)
    already = len(tally.transitions)

    def fire(name: str) -> None:
        for _ in range(each):
            manager.fire(name, "go")

    faults = at_once([partial(fire, name) for name in names * 2])
    with suppress(NotImplementedError):  # what it does not have at all is no transition that was missed
        manager.fire_all(dict.fromkeys(names, "go"))
        for name in names:
            manager.rollback(name, 1)
    made = [(name, number) for name in names for number in range(1, manager.describe(name).sequence + 1)]
    return faults + missed_or_doubled("transition", tally.transitions[already:], made)
