"""Declared components: orders, circles, unknown names, and who is restarted with whom."""

from __future__ import annotations

import math
from typing import Any

import pytest
from components_helping import ORDER, SHOP
from hypothesis import given, settings
from hypothesis import strategies as st

from coresys.components import Registry
from coresys.errors.hierarchy import (
    ComponentCycleError,
    ComponentSpecError,
    DuplicateComponentError,
    UnknownComponentError,
)
from coresys.system_records import ComponentSpec


def registry(needs: dict[str, tuple[str, ...]], **strategies: str) -> Registry:
    made = Registry()
    for name, needed in needs.items():
        strategy = strategies.get(name, "one-for-one")
        made = made.declared(ComponentSpec(name, needs=needed, strategy=strategy))
    return made


@pytest.mark.parametrize(
    ("needs", "order"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"b": (), "a": ()}, ("b", "a"), id="as declared, not by name"),
        pytest.param({"a": ("b",), "b": ()}, ("b", "a"), id="declared later"),
        pytest.param({"a": ("c",), "b": (), "c": ()}, ("b", "c", "a"), id="the first of those that are free"),
        pytest.param({"a": (), "d": ("b", "c"), "c": ("a",), "b": ("a",)}, ("a", "c", "b", "d"), id="a diamond"),
        pytest.param({"a": ("missing",), "b": ()}, ("a", "b"), id="what is missing holds up nobody"),
        pytest.param(SHOP, ORDER, id="a shop"),
    ],
)
def test_the_order_to_start_in(needs: dict[str, tuple[str, ...]], order: tuple[str, ...]) -> None:
    assert registry(needs).order == order


@pytest.mark.parametrize(
    ("needs", "last", "cycle"),
    [
        pytest.param({}, ("a", ("a",)), ("a", "a"), id="itself"),
        pytest.param({"a": ("b",)}, ("b", ("a",)), ("b", "a", "b"), id="two"),
        pytest.param({"a": ("b",), "b": ("c",)}, ("c", ("x", "a")), ("c", "a", "b", "c"), id="three"),
        pytest.param(
            {"a": ("b",), "b": ("z",), "z": ("a2",)}, ("a2", ("b", "z")), ("a2", "z", "a2"), id="the shortest"
        ),
    ],
)
def test_a_circle_is_named(needs: dict[str, tuple[str, ...]], last: tuple[str, tuple[str, ...]], cycle: Any) -> None:
    before = registry(needs)
    with pytest.raises(ComponentCycleError, match=" needs ".join(repr(each) for each in cycle)) as caught:
        before.declared(ComponentSpec(last[0], needs=last[1]))
    assert (caught.value.component, caught.value.cycle) == (last[0], cycle)
    assert last[0] not in before.specs


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"name": ""}, "has a name"),
        ({"needs": ("b", "b")}, "needs 'b' more than once"),
        ({"needs": "db"}, "not the text 'db'"),
        ({"restarts": -1}, "at least 0, not -1"),
        ({"within": 0.0}, "more than 0 seconds, not 0.0"),
        ({"within": math.nan}, "more than 0 seconds, not nan"),
        ({"within": math.inf}, "more than 0 seconds, not inf"),
        ({"strategy": "all-for-one"}, "not 'all-for-one'"),
    ],
)
def test_what_is_wrong_in_itself_is_refused(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(ComponentSpecError, match=problem):
        Registry().declared(ComponentSpec(**{"name": "a", **spec}))


@pytest.mark.parametrize("spec", [{"restarts": 0}, {"within": 1e-9}, {"strategy": "rest-for-one"}])
def test_what_is_just_allowed_is_taken(spec: dict[str, Any]) -> None:
    assert Registry().declared(ComponentSpec("a", **spec)).order == ("a",)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(DuplicateComponentError, match="'a' is registered already"):
        registry({"a": ()}).declared(ComponentSpec("a"))


def test_unknown_names_are_named_with_who_needs_them_and_what_looks_like_them() -> None:
    with pytest.raises(UnknownComponentError, match="no component 'orderz' is registered; did you mean orders") as one:
        registry(SHOP).spec("orderz")
    assert (one.value.component, one.value.needed_by, one.value.near) == ("orderz", None, ("orders",))
    with pytest.raises(UnknownComponentError, match="'gone' is registered, which 'b' needs") as other:
        registry({"a": ("b",), "b": ("gone",)}).with_needs(["a"])
    assert (other.value.component, other.value.needed_by) == ("gone", "b")


@pytest.mark.parametrize(
    ("of", "needs", "users"),
    [
        ("db", ("db",), ("db", "orders", "shop", "audit")),
        ("orders", ("db", "orders"), ("orders", "shop")),
        ("shop", ("mail", "db", "orders", "shop"), ("shop",)),
        ("mail", ("mail",), ("mail", "shop")),
    ],
)
def test_what_is_needed_and_who_needs_it(of: str, needs: tuple[str, ...], users: tuple[str, ...]) -> None:
    assert registry(SHOP).with_needs([of]) == needs
    assert registry(SHOP).with_users([of]) == users


@pytest.mark.parametrize(
    ("name", "strategy", "restarted"),
    [
        ("audit", "one-for-one", ("audit",)),
        ("orders", "one-for-one", ("orders", "shop")),
        ("mail", "one-for-one", ("mail", "shop")),
        ("mail", "rest-for-one", ORDER),
        ("orders", "rest-for-one", ("orders", "shop", "audit")),
        ("audit", "rest-for-one", ("audit",)),
    ],
)
def test_what_is_restarted_with_one(name: str, strategy: str, restarted: tuple[str, ...]) -> None:
    assert registry(SHOP, **{name: strategy}).restarted_with(name) == restarted


def test_a_chain_of_thousands_is_no_recursion() -> None:
    needs = {f"c{at}": (f"c{at + 1}",) for at in range(3000)}
    deep = Registry({name: ComponentSpec(name, needs=needed) for name, needed in needs.items()})
    assert deep.declared(ComponentSpec("c3000")).order[0] == "c3000"
    with pytest.raises(ComponentCycleError) as caught:
        deep.declared(ComponentSpec("c3000", needs=("c0",)))
    assert len(caught.value.cycle) == 3002


NAMES = st.sampled_from("abcdef")
DECLARATIONS = st.lists(st.tuples(NAMES, st.lists(NAMES, unique=True, max_size=3)), unique_by=lambda pair: pair[0])


def reaches(needs: dict[str, list[str]], start: str, target: str) -> bool:
    seen, ahead = set(), list(needs.get(start, ()))
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += needs.get(name, ())
    return target in seen


@settings(deadline=None)
@given(declarations=DECLARATIONS)
def test_any_declarations_are_in_order_or_a_circle_that_is_one(declarations: list[tuple[str, list[str]]]) -> None:
    made, taken = Registry(), dict[str, list[str]]()
    for name, needs in declarations:
        would = {**taken, name: needs}
        if reaches(would, name, name):
            with pytest.raises(ComponentCycleError) as caught:
                made.declared(ComponentSpec(name, needs=tuple(needs)))
            cycle = caught.value.cycle
            assert cycle[0] == cycle[-1] == name
            assert all(later in would[first] for first, later in zip(cycle, cycle[1:], strict=False))
        else:
            made, taken = made.declared(ComponentSpec(name, needs=tuple(needs))), would
    assert sorted(made.order) == sorted(taken)
    at = {name: number for number, name in enumerate(made.order)}
    assert all(at[need] < at[name] for name in taken for need in taken[name] if need in at)
    for name in taken:
        assert set(made.with_users([name])) == {name} | {other for other in taken if reaches(taken, other, name)}
