"""What is wrong with the shape of a run file, in one line. Pure.

The schema in the package says what a run file is; of its keywords those are read here that decide whether a command can
work on the file. What it does not know a reader ignores: a later version may have added it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from pytest_coresys.reports.model import moment
from pytest_coresys.schema import run_schema
from pytest_coresys.wire import SCHEMA

_MOST_WHOLE = 2**63  # beyond it no reader of JSON has to take a whole number
_TYPES: Mapping[str, frozenset[type]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "null": frozenset({type(None)}),
    "array": frozenset({list}),
    "object": frozenset({dict}),
}
_NAMES: Mapping[type, str] = {str: "text", int: "a number", float: "a number", bool: "true or false",
                              type(None): "null", list: "a list", dict: "an object"}  # fmt: skip
_OTHERS = (("reportFormat", "a CTRF report"), ("$schema", "SARIF, or another format with a schema of its own"))
_SITE = re.compile(r":\d{1,9}$")


class Wrong(NamedTuple):
    """``way``: the names that lead to it, from the inside out."""

    way: tuple[str, ...]
    problem: str

    @property
    def text(self) -> str:
        return f"{''.join(reversed(self.way)).removeprefix('.')} {self.problem}"


Check = Callable[[Any], "Wrong | None"]


def problem_of(data: Any) -> str | None:
    """What keeps ``data``, as it was read from JSON, from being a run file that this version can work on; or None."""
    if not isinstance(data, dict):
        return f"no run file: it is {_NAMES.get(type(data), 'something else')}"
    for name, what in _OTHERS:
        if name in data:
            return f"no run file: it is {what}"
    schema = run_schema()
    for name in schema["required"]:
        if name not in data:
            return f"no run file: it has no {name!r}"
    if data["schema"] != SCHEMA:
        return f"its schema is {data['schema']!r}, and this version reads {SCHEMA}"
    wrong = _of_a_run()(data) or next(_loose_ends(data), None)
    return None if wrong is None else f"no run file: {wrong.text}"


# -- what the schema says -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _of_a_run() -> Check:
    schema = run_schema()
    return _Compiler(schema["$defs"]).compiled(schema)


class _Compiler:
    """From the schema to functions: a run of 10,000 tests has millions of values."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._known: dict[str, Check] = {}

    def compiled(self, node: Mapping[str, Any]) -> Check:
        if "$ref" in node:
            return self._named(node["$ref"].rpartition("/")[2])
        if "anyOf" in node:
            return _any_of([self.compiled(each) for each in node["anyOf"]])
        checks = list(self._checks(node))
        return checks[0] if len(checks) == 1 else _all_of(checks)

    def _named(self, name: str) -> Check:
        if name not in self._known:
            self._known[name] = lambda value: self._known[name](value)  # it may hold itself
            self._known[name] = self.compiled(self._definitions[name])
        return self._known[name]

    def _checks(self, node: Mapping[str, Any]) -> Iterator[Check]:
        if "type" in node:
            kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
            yield _of_type(kinds, node.get("minimum"))
        if "enum" in node or "const" in node:
            yield _one_of(node.get("enum") or [node["const"]])
        if "pattern" in node:
            yield _like(node["pattern"])
        if "properties" in node or isinstance(node.get("additionalProperties"), dict):
            more = node.get("additionalProperties")
            yield _record(
                node.get("required", ()),
                {name: self.compiled(each) for name, each in node.get("properties", {}).items()},
                self.compiled(more) if isinstance(more, dict) else None,
            )
        if "items" in node or "minItems" in node:
            yield _list(self.compiled(node.get("items", {})), node.get("minItems", 0), node.get("maxItems"))


def _all_of(checks: list[Check]) -> Check:
    def check(value: Any) -> Wrong | None:
        for each in checks:
            if (wrong := each(value)) is not None:
                return wrong
        return None

    return check


def _any_of(checks: list[Check]) -> Check:
    def check(value: Any) -> Wrong | None:
        found = [each(value) for each in checks]
        return None if None in found else found[0]

    return check


def _of_type(names: list[str], least: float | None) -> Check:
    kinds = frozenset[type]().union(*(_TYPES[name] for name in names))
    wanted = " or ".join(dict.fromkeys(_NAMES[kind] for name in names for kind in sorted(_TYPES[name], key=str)))
    if "integer" in names:
        wanted = wanted.replace("a number", "a whole number")

    def check(value: Any) -> Wrong | None:
        kind = type(value)
        if kind not in kinds:
            return Wrong((), f"is {_shown(value)}, not {wanted}")
        if kind is int or kind is float:
            if value - value != 0 if kind is float else abs(value) > _MOST_WHOLE:  # 1e999 is read as infinite
                return Wrong((), "is a number that is too large")
            if least is not None and value < least:
                return Wrong((), f"is {value}, less than {least}")
        return None

    return check


def _one_of(words: list[Any]) -> Check:
    def check(value: Any) -> Wrong | None:
        if value in words:
            return None
        return Wrong((), f"is {_shown(value)}, none of {', '.join(map(str, words))}")

    return check


def _like(pattern: str) -> Check:
    matches = re.compile(pattern).search

    def check(value: Any) -> Wrong | None:
        if not isinstance(value, str) or matches(value):
            return None
        return Wrong((), f"is {_shown(value)}, which it cannot be")

    return check


def _record(required: list[str], named: Mapping[str, Check], more: Check | None) -> Check:
    def check(value: Any) -> Wrong | None:
        if type(value) is not dict:
            return None
        for name in required:
            if name not in value:
                return Wrong((), f"has no {name!r}")
        for name, each in value.items():
            one = named.get(name, more)
            if one is not None and (wrong := one(each)) is not None:
                return Wrong((*wrong.way, f".{name}"), wrong.problem)
        return None

    return check


def _list(item: Check, least: int, most: int | None) -> Check:
    def check(value: Any) -> Wrong | None:
        if type(value) is not list:
            return None
        if len(value) < least or (most is not None and len(value) > most):
            return Wrong((), f"has {len(value)} entries")
        for at, each in enumerate(value):
            if (wrong := item(each)) is not None:
                return Wrong((*wrong.way, f"[{at}]"), wrong.problem)
        return None

    return check


def _shown(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return _NAMES[type(value)]
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


# -- what the schema cannot say -------------------------------------------------------------------------------------


def _loose_ends(run: Mapping[str, Any]) -> Iterator[Wrong]:
    """What points to nothing, or is no time or place, though it has the right type."""
    if not _has_zone(run["run"]["started"]):
        yield Wrong((".started", ".run"), f"is {_shown(run['run']['started'])}, no time with its zone")
    elif not _has_end(run["run"]["started"], run["run"]["duration"]):
        yield Wrong((".duration", ".run"), "is a number that is too large")
    for at, test in enumerate(run["tests"]):
        if "started" in test and not _has_zone(test["started"]):
            yield Wrong((".started", f"[{at}]", ".tests"), f"is {_shown(test['started'])}, no time with its zone")
    yield from _of_criteria(run["criteria"])
    yield from _of_locks(run["locks"])


def _has_zone(text: str) -> bool:
    try:
        return moment(text).tzinfo is not None
    except ValueError:
        return False


def _has_end(started: str, seconds: float) -> bool:
    """Whether there is a date for it: there is none after the year 9999."""
    try:
        return bool(moment(started) + timedelta(seconds=seconds))
    except OverflowError:
        return False


_FIGURES = ("count", "total", "least", "most", "right", "wrong", "slopes", "unmeasured")


def _of_criteria(criteria: list[Mapping[str, Any]]) -> Iterator[Wrong]:
    for at, each in enumerate(criteria):
        here = f"[{at}]", ".criteria"
        if each["value"] is None and each["verdict"] != "not_measured":
            yield Wrong((".value", *here), f"is null, and it is {each['verdict']}")
        histogram = each.get("histogram") or {"bounds": [], "counts": []}
        if len(histogram["bounds"]) != len(histogram["counts"]):
            yield Wrong((".histogram", *here), "has not as many counts as bounds")
        recorded = each.get("recorded")
        missing = [name for name in _FIGURES if recorded and name not in recorded]
        if missing:
            yield Wrong((".recorded", *here), f"has no {missing[0]!r}")
        elif recorded and bool(recorded["count"]) is (None in (recorded["least"], recorded["most"])):
            yield Wrong((".recorded", *here), "has figures that do not go together")


def _of_locks(locks: Mapping[str, Any]) -> Iterator[Wrong]:
    nodes = {node["id"] for node in locks["nodes"]}
    for at, node in enumerate(locks["nodes"]):
        if not _SITE.search(node["site"]):
            yield Wrong((".site", f"[{at}]", ".nodes", ".locks"), f"is {_shown(node['site'])}, no PATH:LINE")
    for at, edge in enumerate(locks["edges"]):
        here = f"[{at}]", ".edges", ".locks"
        if not {edge["from"], edge["to"]} <= nodes:
            yield Wrong(here, "is between locks that it does not list")
        if len(edge["sites"]) != 2 or not all(map(_SITE.search, edge["sites"])):
            yield Wrong((".sites", *here), "are not two of PATH:LINE")
        if len(edge.get("functions", edge["sites"])) != 2:
            yield Wrong((".functions", *here), "are not two")
    for at, cycle in enumerate(locks["cycles"]):
        if any(number >= len(locks["edges"]) for number in cycle["edges"]):
            yield Wrong((".edges", f"[{at}]", ".cycles", ".locks"), "are not all among those that it lists")
