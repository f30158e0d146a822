"""A soak in the run file and in the terminal: the worst of the workers speaks, and each line says what it rests on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from pytest_coresys.reports import runfile, soaks
from pytest_coresys.reports.model import RunReport, breaches, required_unmeasured
from pytest_coresys.reports.terminal import summary_lines
from pytest_coresys.schema import run_schema
from pytest_coresys.wire import test_to_dict as to_dict

jsonschema = pytest.importorskip("jsonschema")
MIB = 2**20


def entry(verdict: str, value: float | None, **more: Any) -> dict[str, Any]:
    why = "too short: 12 readings" if value is None else None
    base = {"times": [9.0, 90.0], "values": [8e7, 8e7 + 5], "interval": [-0.01 * MIB, 0.25 * MIB]}
    limit = {"limit": MIB, "unit": "B/h", "level": "error", "origin": "default", "why": why}
    return {**base, "verdict": verdict, "value": value, **limit, **more}


def threads(value: float | None, verdict: str = "within") -> dict[str, Any]:
    return entry(verdict, value, values=[2, 62], limit=0, unit="count")


def result(worker: str | None, rate: dict[str, Any], **more: Any) -> dict[str, Any]:
    facts = {"planned": 90.0, "elapsed": 90.2, "rounds": 4012, "tests": 12, "left_out": {"did not pass": 1}}
    look = {"at": 1.0, "level": 0.026, "verdict": rate["verdict"], "rate": 5.0, "interval": [0.0, 1.0]}
    told = {"ended": "finished", "resumed_at": None, "looks": [look], "series": {soaks.RATE: rate}, "findings": []}
    return {"worker": worker, **facts, **told, **more}


def run_of(*results: dict[str, Any]) -> dict[str, Any]:
    report = RunReport(mode="budget")
    report.add_test(to_dict(nodeid="t.py::a", outcome="passed", verdict="within"))
    series = soaks.soak_series(results) or {soaks.RATE: soaks.unmeasured(soaks.RATE, "none", **_LIMIT)}
    run = report.finish(95.0, soak={"series": series, "facts": soaks.soak_facts(results)})
    read: dict[str, Any] = json.loads(runfile.encoded(run))
    return read


_LIMIT = {"limit": MIB, "unit": "B/h", "level": "error", "origin": "default", "worker": None}


def problems(run: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(run_schema()).iter_errors(run)]


def text_of(run: dict[str, Any], verbose: int = 0) -> str:
    return "\n".join(line.text for line in summary_lines(run, width=120, verbose=verbose))


def test_the_worst_worker_speaks_and_the_others_stand_behind_it() -> None:
    run = run_of(
        result("gw0", entry("within", 0.1 * MIB)),
        result("gw1", entry("over", 2.0 * MIB)),
        result("gw2", entry("not_measured", None)),
        result("gw3", entry("over", 9.0 * MIB)),
    )
    worst = run["soak"][soaks.RATE]
    assert worst["worker"] == "gw3"
    assert [each["worker"] for each in worst["others"]] == ["gw1", "gw2", "gw0"]
    assert problems(run) == []
    assert "in each of 4 workers, 4,012 rounds at most of 48 tests" in text_of(run)


def test_the_headline_is_told_to_its_end_however_narrow_the_terminal_is() -> None:
    run = run_of(*(result(f"gw{n}", entry("not_measured", None), ended="interrupted") for n in range(4)))
    lines = [line for line in summary_lines(run, width=60, verbose=0) if line.markup.get("bold")]
    assert all(len(line.text) <= 60 for line in lines)
    head = " ".join(line.text.strip() for line in lines)
    whole = "soak: 90.2 s of 90 s in each of 4 workers, 4,012 rounds at most of 48 tests; interrupted"
    assert whole in head
    quiet = summary_lines(run, width=60, verbose=-1)
    assert whole in " ".join(line.text.strip() for line in quiet)


def test_each_line_has_the_figure_its_interval_and_the_limit_with_its_origin() -> None:
    rate = entry("within", 0.125 * MIB)
    series = {soaks.RATE: rate, "threads.leaked": threads(1.0, "over")}
    run = run_of(result(None, rate, series=series))
    text = text_of(run)
    assert "soak: 90.2 s of 90 s, 4,012 rounds of 12 tests" in text
    told = "  within  memory.growth_rate  128 KiB/h, between -10.2 KiB/h and 256 KiB/h; limit 1 MiB/h, set by default"
    assert told in text
    assert "  over    threads.leaked  2 to 62, 1 a round; limit 0, set by default" in text
    quiet = text_of(run, verbose=-1)
    assert "threads.leaked" in quiet
    assert "memory.growth_rate" not in quiet
    assert problems(run) == []


def test_what_is_open_says_why_and_what_might_tell() -> None:
    run = run_of(result(None, entry("not_measured", None, needed=600.0), ended="early"))
    text = text_of(run)
    assert "open    memory.growth_rate  not measured: too short: 12 readings; limit 1 MiB/h, set by default" in text
    assert 'to tell: --coresys-soak "10 min" may be long enough' in text
    assert "ended at a look" in text
    assert required_unmeasured(run, ["memory.*"]) == ["memory.growth_rate in the soak: too short: 12 readings"]
    assert required_unmeasured(run, ["threads.*"]) == []
    for name in ("verdict", "why", "level"):  # as the schema allows it
        run["soak"]["memory.growth_rate"].pop(name)
    assert required_unmeasured(run, ["memory.*"]) == ["memory.growth_rate in the soak: it was not judged"]
    assert breaches(run) == []


def test_what_grows_is_told_with_the_command_that_names_its_line() -> None:
    run = run_of(result(None, entry("over", 2.0 * MIB)))
    assert "  try: soak half of the tests, and then half of those that grow" in text_of(run)
    run["findings"].append({"key": soaks.RATE, "level": "error", "owner": None, "summary": "s", "details": [],
                            "locations": [], "holders": [], "tests": ["t.py::a"]})  # fmt: skip
    assert '  to see the line: pytest "t.py::a" --coresys-budget --coresys-profile strict' in text_of(run)
    assert "repro" not in text_of(run), "one run of a test is no soak"


def test_a_soak_of_nothing_is_told() -> None:
    run = run_of()
    assert problems(run) == []
    assert "soak: none" in text_of(run)
    assert "not measured: none" in text_of(run)


def test_what_is_off_is_not_required() -> None:
    run = run_of(result(None, entry("not_measured", None, level="off", limit=None)))
    assert required_unmeasured(run, ["memory.*"]) == []
    assert problems(run) == []


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "unmeasured without why": lambda run: run["soak"][soaks.RATE].update(verdict="not_measured", why=None),
    "an unknown verdict": lambda run: run["soak"][soaks.RATE].update(verdict="growing"),
    "an unknown end": lambda run: run["run"]["soak"][0].update(ended="tired"),
    "a look beyond the end": lambda run: run["run"]["soak"][0]["looks"][0].update(at=1.25),
    "a look without level": lambda run: run["run"]["soak"][0]["looks"][0].pop("level"),
    "half a round": lambda run: run["run"]["soak"][0].update(rounds=1.5),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_soak_is_refused(name: str) -> None:
    run = run_of(result(None, entry("within", 5.0)))
    before = copy.deepcopy(run)
    WRONG[name](run)
    assert run != before
    assert problems(run)
