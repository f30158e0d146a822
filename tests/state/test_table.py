"""What a table may say, and what it comes to for each state."""

from __future__ import annotations

import functools
import pickle
import re
from typing import Any

import pytest

from coresys.errors.hierarchy import TableError
from coresys.state import State, Transition, TransitionTable, Trigger, after, inside, on
from coresys.system_records import StateDefinition

Steps = list[tuple[Transition, ...]]


def yes(trigger: Trigger) -> bool:
    return True


def no(trigger: Trigger) -> bool:
    return False


def tell(trigger: Trigger) -> None:
    pass


async def tell_later(trigger: Trigger) -> None:
    pass


class Telling:
    async def __call__(self, trigger: Trigger) -> None:
        pass


A, B, C = State("a", initial=True), State("b"), State("c")
AB, BA = on("go", "a", "b"), on("back", "b", "a")


@pytest.mark.parametrize(
    ("states", "transitions", "problem"),
    [
        ([], [], "it has no states"),
        ([A, B, State("a")], [AB], "state 'a' is declared twice"),
        ([State("a"), B], [AB], "no state is initial at the top; one of 'a', 'b' has to be"),
        ([A, State("b", initial=True)], [AB], "more than one state is initial at the top: 'a', 'b'"),
        ([A, State("b", parent="bb")], [], "state 'b' is part of 'bb', which is no state; did you mean 'b'?"),
        ([A, State("b", parent="b")], [AB], "states are parts of themselves: 'b'"),
        ([A, State("b", parent="c"), State("c", parent="b")], [AB], "states are parts of themselves: 'b', 'c'"),
        ([A, B, State("b1", parent="b")], [AB], "no state is initial within 'b'; one of 'b1' has to be"),
        (
            [A, State("b", final=True), State("b1", initial=True, parent="b")],
            [AB],
            "state 'b' is final and has parts; declare those as final that are",
        ),
        ([A, State("b", error=True), State("c", error=True)], [AB], "there is more than one error state: 'b', 'c'"),
        (
            [A, State("b", error=True), State("b1", initial=True, parent="b")],
            [AB],
            "the error state 'b' has parts; declare one of them as the error state",
        ),
        ([A, B], [on("go", "a", "bee")], "transition 'go': 'a' to 'bee' leads to 'bee', which is no state"),
        ([A, B], [AB, on("go", "x", "b")], "leads from 'x', which is no state"),
        ([A, State("b", final=True)], [AB, BA], "transition 'back': 'b' to 'a' leads out of a final state"),
        ([A, B], [AB, on("rollback", "b", "a")], "an event cannot be called 'rollback'"),
        ([A, B], [AB, on("error", "b", "a")], "an event cannot be called 'error'"),
        ([A, B], [AB, on("", "b", "a")], "an event cannot be called ''"),
        ([A, B], [AB, on("stay", "a", "b", internal=True)], "is internal, but its target is not its source"),
        ([A, B], [AB, after(0, "b", "a")], "a timer of 0 s is none"),
        ([A, B], [AB, after(float("nan"), "b", "a")], "a timer of nan s is none"),
        ([A, B, C], [AB], "no way leads from 'a' to 'c'"),
        ([A, B, C], [AB, on("go", "a", "c")], "event 'go' is ambiguous in 'a': it leads to 'b', 'c', each without"),
        (
            [A, B, C],
            [AB, on("go", "a", "c", guards=[yes])],
            "dead guard: yes of 'go': 'a' to 'c' is never asked, for 'go': 'a' to 'b' stands before it and has none",
        ),
        (
            [A, B, C],
            [on("go", "a", "b", guards=[yes]), on("go", "a", "c", guards=[no, yes])],
            "dead guard: no, yes of 'go': 'a' to 'c' decides nothing, for 'go': 'a' to 'b' asks the same first",
        ),
        (
            [A, State("a1", initial=True, parent="a"), State("a2", parent="a"), B],
            [on("go", "a", "b", guards=[yes]), on("go", "a1", "a2"), on("go", "a2", "b")],
            "dead guard: yes of 'go': 'a' to 'b' is never come to: all parts of 'a' decide 'go' themselves",
        ),
        (
            [A, B],
            [on("tick", "a", "b", guards=[yes]), after(5, "a", "b", event="tick")],
            "event 'tick' in 'a' is declared with more than one timer, or with and without",
        ),
        ([A, B], [on("go", "a", "b", guards=["yes"])], "guard 'yes' cannot be called"),  # type: ignore[list-item]
        ([A, B], [on("go", "a", "b", validators=[tell_later])], "validator tell_later is async"),  # type: ignore[list-item]
        ([A, B], [on("go", "a", "b", guards=[tell_later])], "guard tell_later is asynchronous"),
        (
            [A, B],
            [on("go", "a", "b", observers=[inside(tell_later)])],
            "observer tell_later is asynchronous, and inside",
        ),
        ([A, B], [on("go", "a", "b", observers=[inside(Telling())])], "is asynchronous, and inside"),
        (
            [A, B],
            [on("go", "a", "b", observers=[inside(functools.partial(tell_later))])],
            "is asynchronous, and inside",
        ),
        ([A, State("b", entry=(inside(tell_later),))], [AB], "state 'b': observer tell_later is asynchronous"),
        ([A, State("b", exit=(3,))], [AB], "state 'b': observer 3 cannot be called"),  # type: ignore[arg-type]
    ],
)
def test_a_table_that_is_wrong_says_what_is(states: list[State], transitions: Steps, problem: str) -> None:
    with pytest.raises(TableError, match=re.escape(problem)) as caught:
        TransitionTable("wrong", states=states, transitions=transitions)
    assert caught.value.table == "wrong"
    assert any(problem in each for each in caught.value.problems)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(TableError) as caught:
        TransitionTable("wrong", states=[A, A], transitions=[on("go", "a", "x"), on("rollback", "y", "a")])
    assert len(caught.value.problems) == 5


def test_a_guard_before_an_unguarded_alternative_is_right() -> None:
    table = TransitionTable(
        "t", states=[A, B, C], transitions=[on("go", "a", "b", guards=[no]), on("go", "a", "c"), on("to", "b", "c")]
    )
    first = table.edge("a", "go")
    assert first is not None
    assert (first.target, first.otherwise and first.otherwise.target) == ("b", "c")


def test_the_error_state_needs_no_way_to_it() -> None:
    table = TransitionTable("t", states=[A, B, State("broken", error=True)], transitions=[AB])
    assert table.error_state == "broken"


# A player: off | on(playing, paused(short, long)).
PLAYER_STATES = [
    State("off", initial=True),
    State("on"),
    State("playing", parent="on", initial=True),
    State("paused", parent="on"),
    State("short", parent="paused", initial=True),
    State("long", parent="paused"),
]
PLAYER = [
    on("power", "off", "on"),
    on("power", "on", "off"),
    on("pause", "playing", "paused"),
    on("pause", "paused", "playing"),
    on("wait", "short", "long"),
    on("reset", "on", "on"),
    on("rewind", "paused", "short"),
    on("beep", "on", "on", internal=True),
]


def player(log: list[str]) -> TransitionTable:
    def noted(what: str) -> list[object]:
        return [lambda trigger: log.append(what)]

    states = [
        State(
            each.name,
            initial=each.initial,
            parent=each.parent,
            entry=noted(f"+{each.name}"),  # type: ignore[arg-type]
            exit=noted(f"-{each.name}"),  # type: ignore[arg-type]
        )
        for each in PLAYER_STATES
    ]
    return TransitionTable("player", states=states, transitions=PLAYER)


@pytest.mark.parametrize(
    ("events", "state", "told"),
    [
        (["power"], "playing", "-off +on +playing"),
        (["power", "pause"], "short", "-playing +paused +short"),
        (["power", "pause", "wait"], "long", "-short +long"),
        (["power", "pause", "wait", "pause"], "playing", "-long -paused +playing"),
        (["power", "pause", "wait", "power"], "off", "-long -paused -on +off"),
        # A transition to itself leaves and enters; one of a parent to a part of its own leaves the parent alone.
        (["power", "pause", "reset"], "playing", "-short -paused -on +on +playing"),
        (["power", "pause", "wait", "rewind"], "short", "-long +short"),
        (["power", "pause", "wait", "beep"], "long", ""),
    ],
)
def test_states_are_left_from_the_inside_and_entered_from_the_outside(events: list[str], state: str, told: str) -> None:
    from coresys.state import Machine

    log: list[str] = []
    machine = Machine(player(log))
    for event in events:
        log.clear()
        machine.fire(event)
    assert (machine.state, " ".join(log)) == (state, told)


def test_a_part_decides_before_its_parent() -> None:
    table = TransitionTable(
        "t",
        states=[A, State("a1", parent="a", initial=True), State("a2", parent="a"), B, C],
        transitions=[
            on("go", "a", "b"),
            on("go", "a1", "c", guards=[no]),
            on("next", "a1", "a2"),
            on("go", "a2", "c"),
        ],
    )
    inner = table.edge("a1", "go")
    assert inner is not None
    assert (inner.target, inner.otherwise and inner.otherwise.target) == ("c", "b")
    own = table.edge("a2", "go")
    assert own is not None
    assert (own.target, own.otherwise) == ("c", None)


def test_several_sources_are_several_transitions() -> None:
    table = TransitionTable("t", states=[A, B, C], transitions=[AB, on("end", ["a", "b"], "c")])
    assert [str(each) for each in table.transitions] == ["'go': 'a' to 'b'", "'end': 'a' to 'c'", "'end': 'b' to 'c'"]
    assert table.events("a") == ("go", "end")


def test_a_table_survives_pickling_and_cannot_be_changed() -> None:
    table = TransitionTable("t", states=[A, B], transitions=[on("go", "a", "b", guards=[yes]), BA])
    again = pickle.loads(pickle.dumps(table))
    assert (again.name, again.leaves, again.transitions) == (table.name, table.leaves, table.transitions)
    with pytest.raises(TypeError):
        table.states["x"] = C  # type: ignore[index]
    assert repr(table) == "<TransitionTable t: 2 states, 2 transitions>"


def test_a_definition_of_plain_values_is_a_table() -> None:
    definition = StateDefinition(
        "door", ("shut", "open", "gone"), "shut", (("push", "shut", "open"), ("burn", "open", "gone")), ("gone",)
    )
    table = TransitionTable.of(definition)
    assert (table.initial, table.leaves, table.states["gone"].final) == ("shut", ("shut", "open", "gone"), True)


def test_a_table_is_drawn_as_mermaid() -> None:
    table = TransitionTable(
        "t",
        states=[A, State('b "x"'), State("b1", parent='b "x"', initial=True), State("z", final=True)],
        transitions=[on("go", "a", 'b "x"', guards=[yes]), on("end; #1", 'b "x"', "z")],
    )
    assert table.to_mermaid() == (
        "stateDiagram-v2\n"
        '    state "a" as s0\n'
        "    [*] --> s0\n"
        '    state "b #34;x#34;" as s1\n'
        "    state s1 {\n"
        '        state "b1" as s2\n'
        "        [*] --> s2\n"
        "    }\n"
        '    state "z" as s3\n'
        "    s3 --> [*]\n"
        "    s0 --> s1: go [yes]\n"
        "    s1 --> s3: end#59; #35;1\n"
    )


def test_a_table_is_drawn_as_dot() -> None:
    table = TransitionTable(
        'a "table"',
        states=[A, B, State("b1", parent="b", initial=True), State("z", final=True), State("e", error=True)],
        transitions=[on("go", "a", "b", guards=[yes]), on("end", "b", "z")],
    )
    assert table.to_dot() == (
        'digraph "a \\"table\\"" {\n'
        "    compound=true;\n"
        '    "a" [shape=box, style=bold];\n'
        '    subgraph "cluster b" {\n'
        '        label="b";\n'
        '        "b1" [shape=box];\n'
        "    }\n"
        '    "z" [shape=doublecircle];\n'
        '    "e" [shape=box, color=red];\n'
        '    "a" -> "b1" [label="go [yes]", lhead="cluster b"];\n'
        '    "b1" -> "z" [label="end", ltail="cluster b"];\n'
        "}\n"
    )


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({"error": "lost"}, "the error state 'lost' is not declared"),
        ({"final": ("b", "lost")}, "the final state 'lost' is not declared"),
        ({"initial": "lost"}, "the initial state 'lost' is not declared"),
    ],
)
def test_a_definition_whose_state_of_a_role_is_none_is_refused(named: dict[str, Any], problem: str) -> None:
    given = {"initial": "a", **named}
    with pytest.raises(TableError) as caught:
        TransitionTable.of(StateDefinition("door", ("a", "b"), transitions=(("go", "a", "b"),), **given))
    assert problem in caught.value.problems
