"""Reads what configures a run: the TOML file, the ini option, the profile, and the command line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pytest_coresys.config.documents import OWN_FILE, Document, find_ini_line, read_document
from pytest_coresys.config.errors import ConfigError, ValueProblem
from pytest_coresys.config.keys import check_key, matching_keys
from pytest_coresys.config.lines import KeyPath
from pytest_coresys.config.profiles import PROFILES
from pytest_coresys.config.resolve import Accept, Override, Settings
from pytest_coresys.config.tables import TableReader
from pytest_coresys.config.userprofiles import UserProfile, choose_profile, read_profiles
from pytest_coresys.config.values import Budget, describe, parse_budget
from pytest_coresys.criteria.model import NamedFile
from pytest_coresys.measures import Measure

_TOP_KEYS = ("profile", "criteria", "require_measured", "budgets", "overrides", "accept", "profiles")


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What the configuration file says; all of it empty if there is no file."""

    profile: str | None = None
    profile_place: str = ""
    require_measured: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    overrides: tuple[Override, ...] = ()
    accepts: tuple[Accept, ...] = ()
    profiles: Mapping[str, UserProfile] | None = None


def load_settings(
    rootpath: Path,
    *,
    inipath: Path | None,
    ini_lines: Sequence[str],
    cli_sets: Sequence[str],
    profile: str | None,
    repeat: int | None,
    require_measured: Sequence[str],
    measures: Mapping[str, Measure],
    choose: Callable[[NamedFile | None], Callable[[], Collection[str]]] = lambda named: tuple,
) -> Settings:
    """Read all sources and merge them. Raises ConfigError, which names the place, for anything that is wrong.

    ``profile``, ``repeat``, ``cli_sets`` and ``require_measured`` are the options of the command line; ``choose`` is
    told which criteria file the configuration names, and gives what tells the ids of criteria: they may be required.
    """
    document = read_document(rootpath)
    reader = None if document is None else TableReader(document, measures)
    criteria = choose(None if reader is None else _named_criteria(reader))
    file = FileSettings() if reader is None else _read_file(reader, criteria)
    place = "--coresys-profile" if profile is not None else file.profile_place
    chosen = choose_profile(profile if profile is not None else file.profile, place, file.profiles or {}, measures)
    return Settings(
        profile=chosen.name,
        effort=chosen.effort if repeat is None else replace(chosen.effort, max_repetitions=repeat),
        measures=measures,
        base=[*chosen.budgets, *file.budgets, *_read_ini(ini_lines, inipath, rootpath, measures)],
        overrides=file.overrides,
        forced=[_read_set(text, measures) for text in cli_sets],
        require_measured=[*file.require_measured, *_checked_globs(require_measured, measures, criteria)],
        accepts=file.accepts,
    )


def named_criteria(rootpath: Path) -> NamedFile | None:
    """The criteria file that the configuration names, if it does: where nothing else of it is asked for."""
    document = read_document(rootpath)
    return None if document is None else _named_criteria(TableReader(document, {}))


def _named_criteria(reader: TableReader) -> NamedFile | None:
    top = reader.document.tables
    if reader.document.name == OWN_FILE and "tool" in top:
        reader.document.fail(("tool",), f"{OWN_FILE} has the tables without [tool.coresys]: write [budgets]", table=())
    reader.check_names((), top, _TOP_KEYS)
    if "criteria" not in top:
        return None
    path: KeyPath = ("criteria",)
    return NamedFile(reader.text(path, top["criteria"]), reader.document.place(path))


def _read_file(reader: TableReader, criteria: Callable[[], Collection[str]]) -> FileSettings:
    top = reader.document.tables
    return FileSettings(
        profile=reader.text(("profile",), top["profile"]) if "profile" in top else None,
        profile_place=reader.document.place(("profile",)),
        require_measured=_read_required(reader, top.get("require_measured", []), criteria),
        budgets=reader.budgets(("budgets",), top.get("budgets", {})),
        overrides=tuple(_read_override(reader, *row) for row in reader.rows(("overrides",), top.get("overrides", []))),
        accepts=tuple(_read_accept(reader, *row) for row in reader.rows(("accept",), top.get("accept", []))),
        profiles=read_profiles(reader, top.get("profiles", {}), PROFILES),
    )


def _read_required(reader: TableReader, value: object, criteria: Callable[[], Collection[str]]) -> tuple[str, ...]:
    patterns = reader.texts(("require_measured",), value)
    for index, glob in enumerate(patterns):
        reader.checked(("require_measured", index), partial(matching_keys, glob, reader.measures, criteria), table=())
    return patterns


def _read_override(reader: TableReader, path: KeyPath, table: Mapping[str, object]) -> Override:
    reader.check_names(path, table, ("paths", "markers", "budgets"))
    override = Override(
        paths=reader.texts((*path, "paths"), table.get("paths", [])),
        markers=reader.texts((*path, "markers"), table.get("markers", [])),
        budgets=reader.budgets((*path, "budgets"), table.get("budgets", {}), suffix=" [[overrides]]"),
    )
    if not override.paths and not override.markers:
        reader.document.fail(path, "needs paths or markers, or it would match no test", table=path)
    if not override.budgets:
        reader.document.fail(path, "needs budgets, or it would change nothing", table=path)
    for index, glob in enumerate(override.paths):
        if glob.startswith("/") or "\\" in glob or ".." in glob.split("/") or glob[1:2] == ":":
            problem = f'paths: "{glob}" must be relative to the folder of {reader.document.name}, and written with "/"'
            reader.document.fail((*path, "paths", index), problem, table=path)
    return override


def _read_accept(reader: TableReader, path: KeyPath, table: Mapping[str, object]) -> Accept:
    reader.check_names(path, table, ("key", "reason", "locks", "paths", "owner"))
    for name in ("key", "reason"):
        if name not in table:
            reader.document.fail(path, f'needs a {name}, such as {name} = "{_ACCEPT_EXAMPLES[name]}"', table=path)
    key = reader.text((*path, "key"), table["key"])
    # To accept what this version cannot find does no harm, and the file may serve a later one too.
    reader.checked((*path, "key"), lambda: check_key(key, reader.measures))
    return Accept(
        key=key,
        reason=reader.text((*path, "reason"), table["reason"]),
        origin=reader.document.place(path),
        locks=reader.texts((*path, "locks"), table.get("locks", [])),
        paths=_read_locations(reader, (*path, "paths"), table.get("paths", [])),
        owner=reader.text((*path, "owner"), table["owner"]) if "owner" in table else None,
    )


_ACCEPT_EXAMPLES = {"key": "threads.leaked", "reason": "#412: ends with the process"}


def _read_locations(reader: TableReader, path: KeyPath, value: object) -> tuple[str, ...]:
    locations = reader.texts(path, value)
    for index, location in enumerate(locations):
        file, _, line = location.rpartition(":")
        if not file or not (line.isascii() and line.isdecimal()):
            problem = f'paths: "{location}" is not a place in the code: write file:line, such as "app/pool.py:31"'
            reader.document.fail((*path, index), problem, table=path[:-1])
    return locations


def _read_ini(
    lines: Sequence[str], inipath: Path | None, rootpath: Path, measures: Mapping[str, Measure]
) -> Iterator[Budget]:
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        place = find_ini_line(inipath, rootpath, text)
        key, less, value = text.partition("<")
        if not less:
            raise ConfigError(
                place=place, problem=f'coresys_budgets "{text}": write KEY < VALUE, such as memory.growth < 2 KB'
            )
        yield _budget(key.strip(), value.strip(), place, f"{place} coresys_budgets", measures, "coresys_budgets ")


def _read_set(text: str, measures: Mapping[str, Measure]) -> Budget:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(place="--coresys-set", problem=f'"{text}": write KEY=VALUE, such as "memory.growth=2 KB"')
    return _budget(key.strip(), value.strip(), "--coresys-set", "--coresys-set", measures)


def _budget(key: str, value: str, place: str, origin: str, measures: Mapping[str, Measure], label: str = "") -> Budget:
    try:
        check_key(key, measures)
    except ValueProblem as problem:
        raise ConfigError(place=place, problem=label + problem.problem) from None
    try:
        return parse_budget(key, value, measures[key], origin)
    except ValueProblem as problem:
        raise ConfigError(place=place, problem=label + describe(key, value, problem)) from None


def _checked_globs(
    patterns: Sequence[str], measures: Mapping[str, Measure], criteria: Callable[[], Collection[str]]
) -> Iterator[str]:
    for glob in patterns:
        try:
            matching_keys(glob, measures, criteria)
        except ValueProblem as problem:
            raise ConfigError(place="--coresys-require-measured", problem=problem.problem) from None
        yield glob


__all__ = ["Document", "FileSettings", "load_settings"]
