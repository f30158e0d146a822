"""Typed reading of TOML tables: each refusal names file, line, table, key and the nearest valid key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from pytest_coresys.config.documents import Document
from pytest_coresys.config.errors import ConfigError, ValueProblem
from pytest_coresys.config.keys import check_key, unknown
from pytest_coresys.config.lines import KeyPath
from pytest_coresys.config.values import SUB_KEYS, Budget, describe, parse_budget, show
from pytest_coresys.measures import Measure

_DEEPEST = 12  # parts of a path; no key has so many, and a file may have thousands


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads the tables of one document. All methods raise ConfigError; paths are below the document's prefix."""

    document: Document
    measures: Mapping[str, Measure]

    def check_names(self, path: KeyPath, table: Mapping[str, object], valid: Collection[str]) -> None:
        """Refuse the first key of ``table`` that is not ``valid``."""
        for name in table:
            if name not in valid:
                self.document.fail((*path, name), unknown("key", name, valid))

    def checked(self, path: KeyPath, check: Callable[[], object], *, table: KeyPath | None = None) -> None:
        """Run a check that raises ValueProblem, and place what it says."""
        try:
            check()
        except ValueProblem as problem:
            name = [part for part in path if isinstance(part, str)][-1]
            self.document.fail(path, f"{name}: {problem.problem}", table=table)

    def text(self, path: KeyPath, value: object) -> str:
        """Text that is not empty."""
        if not isinstance(value, str) or not value.strip():
            self.document.fail(path, f"{path[-1]} = {show(value)}: write some text in quotes")
        return value

    def texts(self, path: KeyPath, value: object) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        if not isinstance(value, list):
            self.document.fail(path, f'{path[-1]} = {show(value)}: write a list of texts, such as ["..."]')
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                problem = f"{path[-1]}: {show(item)}: write some text in quotes"
                self.document.fail((*path, index), problem, table=path[:-1])
        return tuple(value)

    def table(self, path: KeyPath, value: object) -> Mapping[str, object]:
        """A table."""
        if not isinstance(value, Mapping):
            self.document.fail(path, f"{path[-1]} = {show(value)}: write a table, {self.document.header(path)}")
        return cast("Mapping[str, object]", value)

    def rows(self, path: KeyPath, value: object) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
        """The tables of an array of tables, each with its path."""
        header = self.document.header((*path, 0))
        if not isinstance(value, list):
            self.document.fail(path, f"{path[-1]} must be an array of tables: write {header}")
        for index, item in enumerate(value):
            if not isinstance(item, Mapping):
                problem = f"{path[-1]}: {show(item)}: write a table, {header}"
                self.document.fail((*path, index), problem, table=path[:-1])
            yield (*path, index), item

    def budgets(self, path: KeyPath, value: object, *, origin: str = "", suffix: str = "") -> tuple[Budget, ...]:
        """The budgets of a table, whose keys may be dotted, nested or quoted.

        The origin of each is its own line, with ``suffix`` after it, unless ``origin`` is given.
        """
        found: dict[str, Budget] = {}
        for key, where, item in self._flat(path, "", self.table(path, value)):
            self._check_budget_key(path, where, key)
            if key in found:
                self.document.fail(where, f'"{key}" is given twice', table=path)
            place = self.document.place(where)
            try:
                found[key] = parse_budget(key, item, self.measures[key], origin or f"{place}{suffix}")
            except ValueProblem as problem:
                exact = (*where, *problem.where)
                place = self.document.place(exact) if (*self.document.prefix, *exact) in self.document.lines else place
                raise ConfigError(place=place, problem=describe(key, item, problem)) from None
        return tuple(found.values())

    def _check_budget_key(self, path: KeyPath, where: KeyPath, key: str) -> None:
        try:
            check_key(key, self.measures)
        except ValueProblem as problem:
            self.document.fail(where, problem.problem, table=path)

    def _flat(self, path: KeyPath, prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, KeyPath, object]]:
        for name, value in table.items():
            key, where = f"{prefix}{name}", (*path, name)
            if isinstance(value, Mapping) and len(where) < _DEEPEST and not self._is_budget(key, value):
                yield from self._flat(where, f"{key}.", cast("Mapping[str, object]", value))
            else:
                yield key, where, value

    def _is_budget(self, key: str, table: Mapping[str, object]) -> bool:
        """Whether ``table`` is the value of ``key``, rather than a group of longer keys.

        Known keys decide first; of unknown ones, the table's content tells what its author took it for.
        """
        known = set(self.measures)
        if key in known:
            return True
        if any(other.startswith(f"{key}.") for other in known):
            return False
        return not table or any(name in SUB_KEYS for name in table)
