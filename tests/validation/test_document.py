"""What the suites write of a run: also of one that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.judge import judge_all
from pytest_coresys.criteria.model import CriteriaFile, Criterion
from pytest_coresys.criteria.records import result_to_dict
from pytest_coresys.criteria.samples import Samples
from validation_suites.document import main, markdown, table

OF_A_TEAM = (
    Criterion("shop.order_time", "p95", "<", 0.002, "s", "2 ms", min_samples=20),
    Criterion("shop.lost", "total", "==", 0.0, "count", "0", level="warn"),
    Criterion("a_long_name_of_a_group.growth", "slope", "<", 1024.0**2, "B/h", "1 MB/h"),
    Criterion("shop.ready", "derived", kind="success", parts=("shop.order_time", "a_long_name_of_a_group.growth")),
)


@pytest.fixture
def entries() -> list[dict[str, Any]]:
    slow, lost, growth = Samples(), Samples(), Samples()
    for _ in range(30):
        slow.add(0.00625)
    lost.add(3)
    growth.slope(2000.0, 1000.0, 3000.0)
    file = CriteriaFile("own.toml", lambda: {each.id: each for each in OF_A_TEAM})
    of = {"shop.order_time": slow, "shop.lost": lost, "a_long_name_of_a_group.growth": growth}
    return [result_to_dict(result) for result in judge_all(file, of, {}).values()]


def test_what_is_no_run_file_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("empty.json", "{}"), ("list.json", "[]"), ("none.json", None)):
        if text is not None:
            (tmp_path / name).write_text(text, "utf-8")
        assert main([str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{tmp_path / name}: ")


def test_criteria_of_a_team_are_under_the_group_of_their_ids(entries: list[dict[str, Any]]) -> None:
    rows = [line.split() for line in table(entries)]
    assert rows[1:] == [["shop", "3"], ["a_long_name_of_a_group", "1"], ["all", "1", "3"]]
    lines = list(markdown({"run": {"python": "3.11", "machine": {}, "started": "2026-11-30T"}, "criteria": entries}))
    assert [line for line in lines if line.startswith("## ")] == ["## shop", "## a_long_name_of_a_group"]
    assert not any("make validate" in line for line in lines)
    assert "| `shop.order_time` |  | p95 < 2 ms | p95 6.2 ms of 30 samples | over |  |" in lines
    assert "| `shop.lost` |  | total == 0 | total 3 | over (warns) |  |" in lines
    assert "| `shop.ready` |  | over | `shop.order_time` (over), `a_long_name_of_a_group.growth` |" in lines
    headings = [at for at, line in enumerate(lines) if line.startswith("| id |")]
    assert all(lines[at - 1] == "" for at in headings), "a table is one only after an empty line"
    assert len(headings) == 3, "what is derived has a table of its own"
