"""The HTML report: one page without any request, from the run's dict to text. Pure, and the same for the same run.

Everything that a run brings with it (ids, names, paths) is text: escaped by the templates, ``printable`` before that,
and in JSON where the page's script reads it, which makes text nodes of it and never markup. The policy in the page's
head allows the one script and the one stylesheet that are in it, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from coresys.budgets.wording import printable
from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.reports.page import cards, facts, listing, ordering, remedies, rows, suspicions, verdict
from pytest_coresys.reports.page.again import Again
from pytest_coresys.reports.pictures import Verbatim, axis, text
from pytest_coresys.reports.reading import merged_of

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = "templates"
_MOST_CARDS = 20  # drawn; what is left is a line each
_MOST_LINES = 30
_MOST_LIMITS = 200
_MOST_GAPS = 60
_MOST_CIRCLES = 12
_MOST_SUSPECTED = 30
_FIRST_ROWS = 40


class PageError(CoreSysError):
    """No page can be made of the run, or none here. ``problem`` says what is missing or wrong."""

    def __init__(self, *, problem: str) -> None:
        self.problem = problem
        super().__init__(f"no report can be made of this run: {problem}")


def page(run: Mapping[str, Any]) -> str:
    """The report of a run, as one HTML page. Raises PageError where the run lacks what the schema asks for."""
    try:
        filled = _filled(run)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        said = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise PageError(problem=said or type(error).__name__) from error
    return str(_environment().get_template("page.html").render(filled))


def data(run: Mapping[str, Any]) -> bytes:
    """The page as it is written. What UTF-8 cannot carry stands in it as escapes already."""
    return page(run).encode("utf-8", "backslashreplace")


def _filled(run: Mapping[str, Any]) -> dict[str, Any]:
    all_cards = cards.cards(run)
    groups = rows.groups(run, all_cards[: _MOST_CARDS + _MOST_LINES])
    tests = listing.listed(run)
    packed = listing.Packed(tests, run["locks"], Again(run)).data
    packed["more"] = {row.id: row.more for group in groups for row in group.rows if row.more}
    gaps, limits = facts.gaps(run), rows.limits(run)
    told = [group for group in groups if not group.folded]
    folded = [group for group in groups if group.folded]
    style, script = _asset("page.css"), _asset("page.js")
    shown = [row for group in told for row in group.rows]
    return {
        "policy": f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'",
        "style": Verbatim(style),
        "script": Verbatim(script),
        "data": Verbatim(listing.embedded(packed)),
        "verdict": verdict.verdict(run, groups),
        "merged": len(merged_of(run)),
        "suspected": suspicions.suspicions(run),
        "most_suspected": _MOST_SUSPECTED,
        "suspected_number": verdict.suspicions_of(run),
        "itself": [each for each in tests if each.is_failed_by_itself],
        "groups": told,
        "folded": folded,
        "ours": remedies.is_ours(run),
        "folded_number": sum(len(group.rows) for group in folded),
        "states": rows.counts_of(shown),
        "rows_number": len(shown),
        "facts": facts.facts(run),
        "cards": all_cards[:_MOST_CARDS],
        "lines": all_cards[_MOST_CARDS : _MOST_CARDS + _MOST_LINES],
        "lines_left": max(len(all_cards) - _MOST_CARDS - _MOST_LINES, 0),
        "axis": axis(),
        "tests": len(tests),
        "first": listing.first_rows(tests, _FIRST_ROWS),
        "graph": ordering.picture(run["locks"]),
        "circles": ordering.circles(run["locks"]),
        "most_circles": _MOST_CIRCLES,
        "graph_drawn": ordering.MOST,
        "graph_left": ordering.left_out(run["locks"]),
        "locks": run["locks"],
        "limits": limits[:_MOST_LIMITS],
        "limits_left": max(len(limits) - _MOST_LIMITS, 0),
        "gaps": gaps[:_MOST_GAPS],
        "gaps_left": max(len(gaps) - _MOST_GAPS, 0),
        "noise": facts.noise(run),
        "notes": facts.notes(run),
        "versions": facts.versions(run),
    }


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@lru_cache(maxsize=4)
def _asset(name: str) -> str:
    """A file of the folder ``templates``; line ends as in the page, for browsers hash what they have read."""
    text = resources.files(__package__).joinpath(_FOLDER).joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined  # only wanted where a report is
    except ImportError:
        raise PageError(problem="that needs Jinja2, which is not installed") from None
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["anchor"] = _anchor
    environment.filters["breaking"] = _breaking
    return environment


def _anchor(name: str) -> str:
    """A link's fragment for a test, a measure or a criterion: the name as the page shows it, percent-encoded."""
    return f"#{quote(printable(name, ascii_only=False), safe='')}"


def _breaking(name: str) -> Verbatim:
    """A test's id that breaks between its parts, and a long part at an underscore: not in the middle of a word."""
    found, since = "", 0
    for part in re.split(r"(?<=::)|(?<=_)", name):
        since += len(part)
        found += text(part)
        if part.endswith("::") or (part.endswith("_") and since >= _MOST_UNBROKEN):
            found, since = f"{found}<wbr>", 0
    return Verbatim(found.removesuffix("<wbr>"))


_MOST_UNBROKEN = 14  # characters: a few such places in a name, for each is an element of the page


def _shown(value: Any) -> Any:
    """What a template puts into the page: on one line, and no control, direction or lone half of a character in it."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return printable(value, ascii_only=False)
    return value


__all__ = ["PageError", "data", "page"]
