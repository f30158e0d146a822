"""What ``coresys history`` prints."""

from __future__ import annotations

from collections.abc import Iterator

from coresys.budgets.units import format_quantity
from pytest_coresys.config.keys import suggestion
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.history.model import HistoryError, HistoryStore
from pytest_coresys.measures import MEASURES
from pytest_coresys.reports.words import counted

_WIDEST = 32


def runs_shown(store: HistoryStore, key: None, last: int, test: str | None, everywhere: bool) -> Iterator[str]:
    """A line for each of the last runs, oldest first."""
    rows = store.runs(last, None if everywhere else _machine(store))
    head = f"{'started':<20} {'mode':<8}{'Python':<9}{'commit':<9}{'tests':>7}{'over':>6}{'near':>6}"
    yield f"{head}{'not measured':>14}  {'machine':<9}verdict"
    for row in rows:
        counts = f"{row.tests:>7}{row.over:>6}{row.near:>6}{row.unmeasured:>14}"
        verdict = "compliant" if row.compliant else "not compliant"
        yield (
            f"{row.started[:19]:<20} {row.mode:<8}{row.python:<9}{row.commit_id[:7] or '-':<9}{counts}"
            f"  {row.machine[:6]:<9}{verdict}"
        )


def trend_shown(store: HistoryStore, key: str, last: int, test: str | None, everywhere: bool) -> Iterator[str]:
    """A line with a bar for each of the last figures of a key. Raises HistoryError where there is none."""
    points = store.trend(key, last, machine=None if everywhere else _machine(store), nodeid=test)
    if not points:
        of, known = f" of {test}" if test else "", list(dict.fromkeys([*store.keys(), *MEASURES]))
        near = "" if key in known else suggestion(key, known)
        raise HistoryError(url=store.url, problem=f'it has no figure for "{key}"{of}{near}')
    unit = _unit(store, key)
    most = max(abs(point.value or 0.0) for point in points)
    for point in points:
        value, verdict = abs(point.value or 0.0), point.verdict.replace("_", " ")
        shown = "-" if point.value is None else format_quantity(point.value, unit)
        bar = "#" * round(_WIDEST * value / most) if most else ""
        rest = f"({counted(point.unmeasured, 'test')} not measured)" if point.unmeasured else ""
        line = f"{point.started[:19]}  {shown:>12}  {verdict:<12}"
        yield " ".join(part for part in (line, bar, rest) if part).rstrip()


def _machine(store: HistoryStore) -> str | None:
    newest = store.runs(1)
    return newest[-1].machine if newest else None


def _unit(store: HistoryStore, key: str) -> str:
    if key in MEASURES:
        return MEASURES[key].unit
    criterion = builtin().criteria.get(key)  # runs of before have not told
    unit = store.unit(key) or ("" if criterion is None else criterion.unit)
    return "" if unit == "bool" else unit
