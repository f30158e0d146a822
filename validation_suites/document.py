"""What a run says of its criteria, to read: ``python -m validation_suites.document RUN.json [-o docs/criteria.md]``.

Without ``-o`` a table by area is printed. Everything comes from the run file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.reports.runfile import read_run
from pytest_coresys.reports.terminal import criterion_figure
from pytest_coresys.reports.words import VERDICTS, state_of

Entry = Mapping[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m validation_suites.document", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN.json")
    parser.add_argument("-o", type=Path, dest="output", metavar="FILE.md", help="write Markdown")
    chosen = parser.parse_args(arguments)
    try:
        run = read_run(chosen.run)
        if chosen.output is None:
            print("\n".join(table(run["criteria"])))
        else:
            chosen.output.write_text("\n".join(markdown(run)) + "\n", encoding="utf-8")
    except (CoreSysError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def table(criteria: Sequence[Entry]) -> Iterator[str]:
    """A line for each area: how many criteria are within, near, over, not measured."""
    areas = _by_area(criteria)
    width = max([14, *(len(area) + 1 for area in areas)])
    yield f"{'area':<{width}}" + "".join(f"{word.replace('_', ' '):>14}" for word in VERDICTS)
    for area, mine in {**areas, "all": criteria}.items():
        counts = [sum(1 for each in mine if each["verdict"] == word) for word in VERDICTS]
        yield f"{area:<{width}}" + "".join(f"{count or '':>14}" for count in counts)


def _by_area(criteria: Sequence[Entry]) -> dict[str, list[Entry]]:
    """As the report does: those of a team may name none, and have the group of their id."""
    found: dict[str, list[Entry]] = {}
    for each in criteria:
        found.setdefault(each["area"] or each["id"].partition(".")[0], []).append(each)
    return found


def markdown(run: Mapping[str, Any]) -> Iterator[str]:
    """The page ``docs/criteria.md``."""
    facts, criteria = run["run"], run["criteria"]
    yield "# The success criteria, as measured"
    yield ""
    yield (
        "Written by `python -m validation_suites.document` from the file of a run; nothing is typed by hand. "
        f"Python {facts['python']}, {facts['machine'].get('cores') or '?'} cores, {facts['started'][:10]}. "
        "A limit is what compliance is judged by; *beside* is what the machine could do in the same loop."
    )
    yield ""
    counts = ", ".join(
        f"{sum(1 for each in criteria if each['verdict'] == word)} {word.replace('_', ' ')}" for word in VERDICTS
    )
    yield f"{len(criteria)} criteria: {counts}."
    for area, mine in _by_area(criteria).items():
        yield ""
        yield f"## {area}"
        derived = [each for each in mine if each["statistic"] == "derived"]
        measured = [each for each in mine if each["statistic"] != "derived"]
        for those, rows in ((measured, _measured), (derived, _derived)):
            if those:
                yield ""
                yield from rows(those)


def _measured(criteria: Sequence[Entry]) -> Iterator[str]:
    yield "| id | what | limit | measured | verdict | evidence |"
    yield "|---|---|---|---|---|---|"
    for each in criteria:
        cells = [
            f"`{each['id']}`",
            each["title"],
            _limit(each),
            _value(each),
            state_of(each).word,
            _evidence(each["evidence"]),
        ]
        yield f"| {' | '.join(map(_cell, cells))} |"


def _derived(criteria: Sequence[Entry]) -> Iterator[str]:
    yield "| id | what | verdict | rests on |"
    yield "|---|---|---|---|"
    for each in criteria:
        parts = ", ".join(
            f"`{name}`" + ("" if status == "within" else f" ({status.replace('_', ' ')})")
            for name, status in each.get("parts", {}).items()
        )
        cells = [f"`{each['id']}`", each["title"], state_of(each).word, parts]
        yield f"| {' | '.join(map(_cell, cells))} |"


def _limit(each: Entry) -> str:
    if each["unit"] == "bool":
        return "holds"
    return (
        f"{'' if each['statistic'] == 'value' else each['statistic'] + ' '}{each['comparison']} {each['shown_limit']}"
    )


def _value(each: Entry) -> str:
    if each["verdict"] == "not_measured":
        return str(each["why"])
    number = f" of {each['samples']:,} samples" if each["statistic"] in ("p50", "p95", "p99") else ""
    beside = next((f"; {line}" for line in each["details"] if " beside " in line), "")
    return f"{criterion_figure(each)}{number}{beside}"


def _evidence(nodeids: Sequence[str]) -> str:
    names = [f"`{nodeid.partition('validation_suites/')[2] or nodeid}`" for nodeid in nodeids[:2]]
    return ", ".join(names) + (f" and {len(nodeids) - 2} more" if len(nodeids) > 2 else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
