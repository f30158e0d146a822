"""What is suspected, and was shown of nothing: no pass, and no failure. Alike ones of several tests are one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_coresys.reports.page.again import Again, Command
from pytest_coresys.reports.page.cards import rank_of, title_of
from pytest_coresys.reports.reading import SUSPECTED, is_open, suspected

_MOST_TESTS = 3
_FIGURE = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?(?: (?:[KMGT]i?B|B|us|ms|s|min|h|%)(?:/h)?(?![\w]))?")

_OPEN = "Nothing is claimed of it: repeat the test for as long as it takes, which settles it."
_SHUT = "Repeating cannot settle it. Look at the place; a budget of its own may allow for what is right there."
_OF_RUN = "It was seen once, at a teardown. Run what uses it more often than once, or look at its teardown."


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Of ``number`` tests, or of the run, where there is an ``owner``. ``why`` is in the words of the first of them."""

    key: str
    title: str
    why: str
    place: str
    owner: str | None
    remedy: str
    command: Command | None
    tests: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class _Seen:
    key: str
    why: str
    place: str
    owner: str | None
    tests: tuple[str, ...]

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.key, alike(self.why), self.place, self.owner


@lru_cache(maxsize=4096)
def alike(why: str) -> str:
    """A reason without its figures: what differs in those alone is one reason."""
    return _FIGURE.sub("#", why)


def suspicions(run: Mapping[str, Any]) -> list[Suspicion]:
    """All of them: what can be settled first, then the worst kind, then by how many tests they are about."""
    groups: dict[tuple[Any, ...], list[_Seen]] = {}
    for each in _seen(run):
        groups.setdefault(each.identity, []).append(each)
    again = Again(run)
    told = [_told(several, again) for several in groups.values()]
    return sorted(told, key=lambda each: (each.command is None, rank_of(each.key), each.key, -each.number, each.why))


def _seen(run: Mapping[str, Any]) -> Iterable[_Seen]:
    for finding in run["findings"]:
        if finding["level"] == "suspicion":
            yield _Seen(
                finding["key"], _said(finding), _place(finding), finding.get("owner") or "", tuple(finding["tests"])
            )
    for test in run["tests"]:
        for key in suspected(test):
            finding = next((each for each in test["findings"] if each["key"] == key), None)
            why = str((test["measures"].get(key) or {}).get("why") or "")
            if not why.startswith(SUSPECTED) and finding is not None:
                why = _said(finding)
            place = "" if finding is None else _place(finding)
            yield _Seen(key, why.removeprefix(SUSPECTED).strip(), place, None, (test["nodeid"],))


def _said(finding: Mapping[str, Any]) -> str:
    return str(finding["summary"]).removeprefix(f"{finding['key']}:").strip().removeprefix(SUSPECTED).strip()


def _place(finding: Mapping[str, Any]) -> str:
    first = next(iter(finding["locations"]), None)
    return "" if first is None else f"{first['path']}:{first['line']}"


def range_of(whys: Sequence[str]) -> str:
    """Reasons that are ``alike`` as one: the first, with the least and the largest of each figure that differs."""
    several = list(dict.fromkeys(whys))
    figures = [[figure.rstrip(".,") for figure in _FIGURE.findall(why)] for why in several]
    ordered = [sorted(set(of_one), key=_size) for of_one in zip(*figures, strict=True)]  # alike: as many in each
    told = iter(each[0] if len(each) == 1 else f"{each[0]} to {each[-1]}" for each in ordered)

    def put(match: re.Match[str]) -> str:
        return next(told) + match[0][len(match[0].rstrip(".,")) :]

    return _FIGURE.sub(put, several[0])


def _size(figure: str) -> tuple[float, str]:
    """To order figures as they are written, whatever their prefixes; what only looks like one by its text."""
    number, _, unit = figure.partition(" ")
    try:
        return float(number.replace(",", "")) * _SIZES.get(unit.partition("/")[0], 1.0), figure
    except ValueError:
        return 0.0, figure


_SIZES = {
    **{f"{letter}{end}": 1024.0**power for power, letter in enumerate("KMGT", 1) for end in ("B", "iB")},
    "us": 1e-6,
    "ms": 1e-3,
    "min": 60.0,
    "h": 3600.0,
}


def _told(several: list[_Seen], again: Again) -> Suspicion:
    first = several[0]
    tests = list(dict.fromkeys(test for each in several for test in each.tests))
    open_ = first.owner is None and is_open(first.why) and not again.is_settled
    return Suspicion(
        key=first.key,
        title=title_of(first.key),
        why=range_of([each.why for each in several]),
        place=first.place,
        owner=first.owner,
        remedy=_OF_RUN if first.owner is not None else _OPEN if open_ else _SHUT,
        command=again(tests, strict=True) if open_ else None,
        tests=tuple(tests[:_MOST_TESTS]),
        number=len(tests),
    )


__all__ = ["Suspicion", "alike", "range_of", "suspicions"]
