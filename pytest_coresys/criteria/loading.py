"""Criteria files: TOML, read strictly. Whatever is wrong is a ConfigError that names file, line, table and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, cast

from coresys.budgets.model import Level
from pytest_coresys.config.documents import Document, read_tables
from pytest_coresys.config.errors import ConfigError, ValueProblem
from pytest_coresys.config.keys import check_key, suggestion
from pytest_coresys.config.lines import KeyPath
from pytest_coresys.config.tables import TableReader
from pytest_coresys.config.values import show
from pytest_coresys.criteria.model import (
    COMPARISONS,
    KINDS,
    LARGEST,
    QUANTILES,
    STATISTICS,
    CriteriaFile,
    Criterion,
    NamedFile,
)
from pytest_coresys.criteria.units import alike, is_count, parse_figure, unit_of
from pytest_coresys.measures import MEASURES, OF_SOAK, Measure

_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")  # as the schema of the run file has it
BUILTIN = Path(__file__).with_name("criteria.toml")

_TEXTS = ("title", "area", "measured", "goal", "source", "needs")
_KEYS = ("id", *_TEXTS, "kind", "level", "statistic", "comparison", "limit", "unit", "min_samples", "derived_from",
         "measure", "tests")  # fmt: skip
_LEAST_FOR_A_QUANTILE = {"p50": 10, "p95": 20, "p99": 100}  # below, the rank is that of the extreme


@lru_cache(1)
def builtin() -> CriteriaFile:
    """The set that the plugin brings with it."""
    return CriteriaFile(
        "criteria.toml", lambda: _criteria(BUILTIN, MEASURES, name="criteria.toml", lines=False), builtin=True
    )


def chosen(named: NamedFile | None, measures: Mapping[str, Measure], find: Callable[[NamedFile], Path]) -> CriteriaFile:
    """The set of a run: the file that was named, which ``find`` finds, or the one that is built in."""
    return builtin() if named is None else read(find(named), measures, name=named.path, origin=named.origin)


def read(path: Path, measures: Mapping[str, Measure], *, name: str, origin: str = "") -> CriteriaFile:
    """Read a criteria file; ``name`` is what it is called in errors, ``origin`` who named it. Raises ConfigError."""
    criteria = _criteria(path, measures, name=name, origin=origin)
    return CriteriaFile(name, lambda: criteria, origin=origin)


def _criteria(
    path: Path, measures: Mapping[str, Measure], *, name: str, lines: bool = True, origin: str = ""
) -> dict[str, Criterion]:
    found = read_tables(path, name, lines=lines)
    if found is None:
        raise ConfigError(place=origin or name, problem=f'criteria = "{name}": there is no such file')
    document = Document(name, (), *found)
    return _Reader(document, TableReader(document, measures), measures).all(found[0])


class _Reader:
    def __init__(self, document: Document, tables: TableReader, measures: Mapping[str, Measure]) -> None:
        self._document, self._tables, self._measures = document, tables, measures

    def all(self, tables: Mapping[str, object]) -> dict[str, Criterion]:
        self._tables.check_names((), tables, ("criterion",))
        if tables.get("criterion", []) == []:
            self._document.fail((), "has no criterion: write [[criterion]] tables")
        found: dict[str, Criterion] = {}
        derived: list[tuple[KeyPath, str, tuple[str, ...]]] = []
        for path, row in self._tables.rows(("criterion",), tables["criterion"]):
            criterion = self._one(path, row)
            if criterion.id in found:
                first = self._document.place(("criterion", list(found).index(criterion.id), "id"))
                self._fail(path, "id", f'"{criterion.id}" is the id of another one ({first})')
            found[criterion.id] = criterion
            if criterion.statistic == "derived":
                globs = self._tables.texts((*path, "derived_from"), row["derived_from"])
                derived.append((path, criterion.id, globs))
        for path, name, globs in derived:
            found[name] = replace(found[name], parts=self._parts(path, name, globs, list(found)))
        self._check_circles(found, derived)
        return found

    def _one(self, path: KeyPath, row: Mapping[str, object]) -> Criterion:
        self._tables.check_names(path, row, _KEYS)
        for name in ("id", "statistic"):
            if name not in row:
                self._document.fail(path, f"{name} is missing", table=path)
        identity = self._id(path, self._tables.text((*path, "id"), row["id"]))
        statistic = self._word(path, row, "statistic", STATISTICS)
        texts = {name: self._tables.text((*path, name), row[name]) for name in _TEXTS if name in row}
        place = self._document.lines.get((*path, "id"))
        common: dict[str, Any] = {
            **texts,
            "id": identity,
            "line": place,
            "kind": self._word(path, row, "kind", KINDS, "success" if statistic == "derived" else "requirement"),
            "level": cast(Level, self._word(path, row, "level", ("error", "warn"), "error")),
        }
        if statistic == "derived":
            return self._derived(path, row, common)
        if "derived_from" in row:
            self._fail(path, "derived_from", 'belongs to statistic = "derived"')
        if statistic == "check":
            return self._check(path, row, common)
        return self._figure(path, row, common, statistic)

    def _id(self, path: KeyPath, identity: str) -> str:
        """Ids stand beside keys of measures, in globs, links and names of metrics: they look the same, and differ."""
        if not _ID.fullmatch(identity):
            parts = (re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_") for part in identity.split(".", 1))
            example = ".".join(part or "x" for part in (["shop", *parts] if "." not in identity else parts))
            if not _ID.fullmatch(example):  # a group that begins with a digit
                example = f"shop.{example.replace('.', '_')}"
            problem = f'"{identity}": write a group and a name, of letters, digits, "_" and "-", such as "{example}"'
            self._fail(path, "id", problem)
        if identity in self._measures:
            self._fail(path, "id", f'"{identity}" is a measure; a criterion that it feeds has measure = "{identity}"')
        return identity

    def _derived(self, path: KeyPath, row: Mapping[str, object], common: dict[str, Any]) -> Criterion:
        if "min_samples" in row:
            self._fail(path, "min_samples", "belongs to what has samples, which a derived one has not")
        if "derived_from" not in row:
            self._document.fail(path, "derived_from is missing: name the criteria that it rests on", table=path)
        self._truth(path, row)
        return Criterion(statistic="derived", **common)

    def _check(self, path: KeyPath, row: Mapping[str, object], common: dict[str, Any]) -> Criterion:
        self._truth(path, row)
        return Criterion(statistic="check", min_samples=self._samples(path, row, 1), **common)

    def _truth(self, path: KeyPath, row: Mapping[str, object]) -> None:
        """Of what is right or not: nothing else may be asked."""
        if row.get("limit", True) is not True:
            self._fail(path, "limit", "of a check there is none but true")
        if row.get("comparison", "==") != "==":
            self._fail(path, "comparison", 'of a check there is none but "=="')
        if row.get("unit", "bool") != "bool":
            self._fail(path, "unit", 'of a check there is none but "bool"')
        if "measure" in row:
            self._fail(path, "measure", "figures of budgets are no checks")
        self._check_tests(path, row)

    def _check_tests(self, path: KeyPath, row: Mapping[str, object]) -> None:
        if "tests" in row and "measure" not in row:
            self._fail(path, "tests", "belongs to a measure: it says whose figures feed the criterion")

    def _figure(self, path: KeyPath, row: Mapping[str, object], common: dict[str, Any], statistic: str) -> Criterion:
        measure = None
        if "measure" in row:
            measure = self._tables.text((*path, "measure"), row["measure"])
            self._tables.checked((*path, "measure"), lambda: check_key(measure, self._measures), table=path)
            if statistic in (*QUANTILES, "slope"):
                self._fail(path, "measure", 'feeds one figure for each test: statistic is "value" or "total"')
            if measure in OF_SOAK:
                self._fail(path, "measure", f'"{measure}" is measured of a soak, and of none of its tests')
        self._check_tests(path, row)
        if "limit" not in row:
            self._document.fail(path, "limit is missing", table=path)
        unit_of_measure = None if measure is None else self._measures[measure].unit
        limit, unit, shown = self._limit(path, row, unit_of_measure)
        comparison = self._word(path, row, "comparison", COMPARISONS, "<=")
        if statistic == "slope" and comparison == "==":
            self._fail(path, "comparison", "a slope is known as an interval, which is never equal to a limit")
        if statistic == "slope" and unit != "B/h" and not is_count(unit):
            # Of what is counted the count says it all: so many an hour.
            name, told = ("unit", row["unit"]) if "unit" in row else ("limit", row["limit"])
            self._fail(path, name, f'{show(told)} is no rate: a slope is held to one, such as "1 MB/h"')
        return Criterion(
            statistic=statistic,
            comparison=comparison,
            limit=limit,
            unit=unit,
            shown_limit=shown,
            min_samples=self._samples(path, row, _LEAST_FOR_A_QUANTILE.get(statistic, 1)),
            measure=measure,
            tests=self._tables.text((*path, "tests"), row["tests"]) if "tests" in row else "*",
            **common,
        )

    def _limit(self, path: KeyPath, row: Mapping[str, object], of_measure: str | None) -> tuple[float, str, str]:
        """In the base unit, that unit, and as it was written: a number with ``unit``, or "50 ms"."""
        given = row["limit"]
        unit = self._tables.text((*path, "unit"), row["unit"]) if "unit" in row else of_measure
        if isinstance(given, str):
            return self._written(path, given, unit, of_measure)
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            self._fail(path, "limit", f'{show(given)} is no figure: write a number, or text such as "50 ms"')
        if not abs(given) <= LARGEST:  # nor is "nan"
            self._fail(path, "limit", f"{show(given)} is no figure that anything could be held to")
        if unit is None:
            problem = 'unit is missing: a figure without one says nothing (counts too: "count")'
            self._document.fail((*path, "limit"), problem, table=path)
        base, factor = self._unit(path, unit, of_measure)
        return float(given) * factor, base, f"{given} {unit.removeprefix('count of ')}".removesuffix(" count")

    def _unit(self, path: KeyPath, unit: str, of_measure: str | None) -> tuple[str, float]:
        try:
            base, factor = unit_of(unit)
        except ValueProblem as problem:
            self._fail(path, "unit", problem.problem)
        if base == "bool":
            self._fail(path, "unit", 'a figure is no "bool": write statistic = "check"')
        self._same_as(path, base, of_measure)
        return base, factor

    def _written(self, path: KeyPath, text: str, unit: str | None, of_measure: str | None) -> tuple[float, str, str]:
        asked = None if unit is None else self._unit(path, unit, of_measure)[0]
        try:
            value, base = parse_figure(text, asked, unit if asked is not None and is_count(asked) else None)
        except ValueProblem as problem:
            self._fail(path, "limit", f"{show(text)}: {problem.problem}")
        if base == "bool":
            self._fail(path, "limit", f'{show(text)}: a figure is no "bool": write statistic = "check"')
        self._same_as(path, base, of_measure)
        return value, base, text.replace("count of ", "")

    def _same_as(self, path: KeyPath, base: str, of_measure: str | None) -> None:
        if of_measure is not None and not alike(base, of_measure):
            self._fail(path, "unit", f"the measure is in {of_measure}, not in {base}")

    def _samples(self, path: KeyPath, row: Mapping[str, object], usual: int) -> int:
        given = row.get("min_samples", usual)
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            self._fail(path, "min_samples", f"{show(given)}: write a whole number, 1 or more")
        return given

    def _word(
        self, path: KeyPath, row: Mapping[str, object], name: str, valid: Sequence[str], usual: str | None = None
    ) -> str:
        word = self._tables.text((*path, name), row.get(name, usual))
        if word not in valid:
            # Only words are near to one another: "p90" is no "p99" that was mistyped, nor "=" a "<=".
            near = valid if word.isalpha() else [each for each in valid if sorted(each) == sorted(word)]
            self._fail(path, name, f'unknown "{word}"{suggestion(word, near)} (valid: {", ".join(valid)})')
        return word

    def _parts(self, path: KeyPath, name: str, globs: Iterable[str], ids: list[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        others = [each for each in ids if each != name]
        for glob in globs:
            if glob == name:
                self._fail(path, "derived_from", f'"{name}" rests on itself')
            # Most are ids: to match each of these against all others took longer than to read the file.
            named = [glob] if glob in ids else [each for each in ids if fnmatchcase(each, glob)]
            matching = [each for each in named if each != name]
            if not matching:
                self._fail(path, "derived_from", f'"{glob}" matches no other criterion{suggestion(glob, others)}')
            found.update(dict.fromkeys(matching))
        if not found:
            self._fail(path, "derived_from", "names nothing that it could rest on")
        return tuple(found)

    def _check_circles(
        self, found: Mapping[str, Criterion], derived: Iterable[tuple[KeyPath, str, tuple[str, ...]]]
    ) -> None:
        for path, name, _ in derived:
            seen: set[str] = set()
            ahead: list[tuple[str, tuple[str, ...]]] = [(part, (name,)) for part in found[name].parts]
            while ahead:
                part, way = ahead.pop()
                if part == name:
                    self._fail(path, "derived_from", f'"{name}" rests on itself: {" -> ".join((*way, part))}')
                if part not in seen:
                    seen.add(part)
                    ahead += [(each, (*way, part)) for each in found[part].parts]

    def _fail(self, path: KeyPath, name: str, problem: str) -> NoReturn:
        self._document.fail((*path, name), f"{name}: {problem}", table=path)


def check_id(identity: object, file: CriteriaFile) -> None:
    """Raise ValueProblem unless there is such a criterion."""
    if not isinstance(identity, str):
        raise ValueProblem(f"{show(identity)} is no id of a criterion: write text")
    if identity in file.criteria:
        return
    hint = suggestion(identity, file.criteria)
    if file.builtin:  # whose file has the same name as that of many a team
        where = "the set that is built in"
        hint += "; --coresys-criteria FILE, or criteria in the configuration, names a file of your own"
    else:
        where = file.name
    raise ValueProblem(f'there is no criterion "{identity}" in {where}{hint}')
