"""Profiles of the user's own, ``[profiles.NAME]``, and the choice of the one that a run uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from coresys.budgets.units import parse_quantity
from coresys.errors.hierarchy import UnitError
from pytest_coresys.config.errors import ConfigError, ValueProblem
from pytest_coresys.config.keys import unknown
from pytest_coresys.config.lines import KeyPath
from pytest_coresys.config.profiles import DEFAULT_PROFILE, PROFILES, Effort, Profile
from pytest_coresys.config.tables import TableReader
from pytest_coresys.config.values import Budget, parse_budget, show
from pytest_coresys.measures import Measure

_KEYS = ("extends", "share", "min_seconds", "repetitions", "budgets")


@dataclass(frozen=True, slots=True)
class UserProfile:
    """A profile as written in the configuration: ``changes`` are the fields of Effort that it sets.

    ``extends`` names the profile it builds on; its own name means the built-in one that it changes.
    """

    extends: str
    changes: Mapping[str, float | int | None]
    budgets: tuple[Budget, ...]


@dataclass(frozen=True, slots=True)
class ChosenProfile:
    """The profile of a run, with all that it extends merged in; budgets weakest first."""

    name: str
    effort: Effort
    budgets: tuple[Budget, ...]


def read_profiles(reader: TableReader, value: object, built_in: Mapping[str, Profile]) -> dict[str, UserProfile]:
    """Read ``[profiles.*]``, all of them, used or not. Raises ConfigError."""
    tables = reader.table(("profiles",), value)
    profiles = {name: _read_profile(reader, name, table, built_in) for name, table in tables.items()}
    for name in profiles:
        _check_chain(reader, name, profiles, built_in)
    return profiles


def _read_profile(reader: TableReader, name: str, value: object, built_in: Mapping[str, Profile]) -> UserProfile:
    path: KeyPath = ("profiles", name)
    table = reader.table(path, value)
    reader.check_names(path, table, _KEYS)
    parent = name if name in built_in else DEFAULT_PROFILE
    return UserProfile(
        extends=reader.text((*path, "extends"), table["extends"]) if "extends" in table else parent,
        changes=_read_effort(reader, path, table),
        budgets=reader.budgets(
            (*path, "budgets"), table.get("budgets", {}), origin=f"profile {name} ({reader.document.place(path)})"
        ),
    )


def _read_effort(reader: TableReader, path: KeyPath, table: Mapping[str, object]) -> dict[str, float | int | None]:
    changes: dict[str, float | int | None] = {}
    if "share" in table:
        changes["share"] = _read_share(reader, (*path, "share"), table["share"])
    if "min_seconds" in table:
        changes["min_seconds"] = _read_quantity(reader, (*path, "min_seconds"), table["min_seconds"], "s")
    if "repetitions" in table:
        changes["max_repetitions"] = int(_read_quantity(reader, (*path, "repetitions"), table["repetitions"], "count"))
    return changes


def _read_share(reader: TableReader, path: KeyPath, value: object) -> float | None:
    if value == "unlimited":
        return None
    share = _read_quantity(reader, path, value, "ratio")
    if share > 1:
        reader.document.fail(path, f'share = {show(value)}: write at most "100 %", or "unlimited"')
    return share


def _read_quantity(reader: TableReader, path: KeyPath, value: object, unit: str) -> float:
    try:
        return parse_quantity(value, unit)
    except UnitError as error:
        reader.document.fail(path, f"{path[-1]} = {show(value)}: {error.problem}")


def _check_chain(
    reader: TableReader, name: str, profiles: Mapping[str, UserProfile], built_in: Mapping[str, Profile]
) -> None:
    """Refuse a profile that extends nothing known, or in the end itself."""
    seen = [name]
    while (profile := profiles.get(seen[-1])) and profile.extends != seen[-1]:
        where: KeyPath = ("profiles", seen[-1], "extends")
        if profile.extends not in profiles and profile.extends not in built_in:
            reader.document.fail(where, f"extends: {_unknown_profile(profile.extends, profiles)}")
        if profile.extends in seen:
            reader.document.fail(where, f"extends: goes in a circle: {' -> '.join([*seen, profile.extends])}")
        seen.append(profile.extends)
    if profile is not None and seen[-1] not in built_in:
        reader.document.fail(("profiles", seen[-1], "extends"), f'extends: "{seen[-1]}" cannot extend itself')


def _unknown_profile(name: str, profiles: Mapping[str, UserProfile]) -> str:
    return unknown("profile", name, list(dict.fromkeys([*PROFILES, *profiles])))


def choose_profile(
    name: str | None, place: str, profiles: Mapping[str, UserProfile], measures: Mapping[str, Measure]
) -> ChosenProfile:
    """The profile called ``name`` (None: the default one). Raises ConfigError at ``place`` if there is none."""
    name = DEFAULT_PROFILE if name is None else name
    if name not in profiles and name not in PROFILES:
        raise ConfigError(place=place, problem=_unknown_profile(name, profiles))
    return replace(_merged(name, profiles, measures), name=name)


def _merged(name: str, profiles: Mapping[str, UserProfile], measures: Mapping[str, Measure]) -> ChosenProfile:
    """The profile with all that it extends, however long that chain is; ``read_profiles`` has seen its end."""
    chain: list[UserProfile] = []
    while name in profiles:
        chain.append(profiles[name])
        if profiles[name].extends == name:
            break
        name = profiles[name].extends
    merged = _built_in(PROFILES[name], measures)
    for profile in reversed(chain):
        merged = _changed(merged, profile)
    return merged


def _changed(parent: ChosenProfile, profile: UserProfile) -> ChosenProfile:
    share = profile.changes.get("share", parent.effort.share)
    least = profile.changes.get("min_seconds", parent.effort.min_seconds)
    most = profile.changes.get("max_repetitions", parent.effort.max_repetitions)
    assert least is not None  # only a share can be without limit
    assert most is not None
    effort = Effort(share=share, min_seconds=least, max_repetitions=int(most))
    return ChosenProfile(parent.name, effort, (*parent.budgets, *profile.budgets))


def _built_in(profile: Profile, measures: Mapping[str, Measure]) -> ChosenProfile:
    budgets = []
    for key, value in profile.budgets.items():
        if key not in measures:
            continue  # the registry of this run does not have it
        try:
            budgets.append(parse_budget(key, value, measures[key], f"profile {profile.name}"))
        except ValueProblem as problem:
            raise ConfigError(place=f"profile {profile.name}", problem=problem.problem) from None
    return ChosenProfile(profile.name, profile.effort, tuple(budgets))
