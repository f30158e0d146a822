"""Beside pytest-html, where that is active: a column with the closest budget of each test, its findings in the details
of its row, and a line with a link to our own report. All of it is escaped: pytest-html takes cells for markup."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from coresys.budgets.wording import printable
from pytest_coresys.reports.page.listing import closest_of
from pytest_coresys.reports.words import share_text

Record = Mapping[str, Any]

_HEADER = '<th class="sortable" data-column-type="coresys_budget">Closest budget</th>'
_MOST_SORTED = 999_999.0  # per cent; what is over a limit of zero has no share, and comes before all


def cell_of(record: Record | None) -> str:
    """The cell of a test. pytest-html sorts cells as texts: the figure that it goes by comes first, with its zeros."""
    key, share = (None, None) if record is None else closest_of(record)
    if key is None:
        return _cell(0.0, "")
    percent = _MOST_SORTED if share is None else min(share * 100, _MOST_SORTED)
    return _cell(percent, f"{key} {share_text(share) if share is not None else 'over'}")


def _cell(percent: float, text: str) -> str:
    # It reads a class as a name and a cell on one line: by the pattern ``<td.*?>(.*?)</td>``.
    return f'<td class="col-coresys_budget"><span hidden>{percent:08.1f}</span>{_text(text)}</td>'


def _text(text: str) -> str:
    return escape(re.sub(r"\s+", " ", printable(text, ascii_only=False)))


def details_of(record: Record, levels: Sequence[str]) -> list[str]:
    """The findings of these levels of a test, a line each and what was seen below, for the log of its row."""
    lines: list[str] = []
    for finding in record["findings"]:
        if finding["level"] in levels:
            lines.append(f"{finding['level']}: {finding['summary']}")
            lines += [f"    {detail}" for detail in finding["details"]]
            places = finding["locations"]
            lines += [f"    {each['path']}:{each['line']} {each['note']}".rstrip() for each in places]
    return [escape(printable(line, ascii_only=False)) for line in (f"{' coresys ':-^80}", *lines)] if lines else []


class HtmlColumn:
    """The hooks of pytest-html. ``record_of`` finds the record of a test by its report, if there is one yet;
    ``verdicts`` tells how many there are of each, and what the run came to once it is over. ``own`` is our page,
    ``theirs`` that of pytest-html."""

    def __init__(
        self,
        record_of: Callable[[Any], Record | None],
        verdicts: Callable[[], str],
        *,
        observe: bool,
        own: Path | None,
        theirs: Path,
    ) -> None:
        self._record_of, self._verdicts, self._own, self._theirs = record_of, verdicts, own, theirs
        # What fails a test is in its failure, and so in the details already.
        self._levels = ("error", "warn", "suspicion") if observe else ("warn", "suspicion")

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        cells.append(_HEADER)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        if cells:  # a conftest that wants no row has emptied it
            cells.append(cell_of(self._record_of(report)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: Any, data: list[str]) -> None:
        record = self._record_of(report)
        if record is not None and report.when == "call":
            data.extend(details_of(record, self._levels))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        link = ""
        if self._own is not None:
            # Both are files, and may be moved together.
            at = quote(Path(os.path.relpath(self._own, self._theirs.parent)).as_posix())
            link = f' <a href="{escape(at)}">Compliance report</a>'
        prefix.append(f"<p>coresys: {_text(self._verdicts())}.{link}</p>")


def html_path(config: pytest.Config) -> Path:
    """Where pytest-html writes its page, if that is asked for."""
    path = os.path.expandvars(config.getoption("htmlpath"))
    return Path.cwd() / Path(path).expanduser()
