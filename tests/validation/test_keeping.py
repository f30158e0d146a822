"""A soak of the suites that was stopped goes on where it was, and with nothing that it should not go on with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coresys.monitoring.growth import judge_growth
from validation_suites.keeping import Kept, checkpoint_of, state_of
from validation_suites.soak import growth

PLANTED = growth.PLANTED


class Stopped(Exception):
    """As a run is, within a piece."""


@dataclass
class Turns:
    each: list[list[float]] = field(default_factory=list)


def measured(kept: Kept, whole: float, *, stop_at: float | None = None) -> list[list[float]]:
    def measure(done: float, amount: float) -> Turns:
        if done == stop_at:
            raise Stopped
        return Turns([[done, amount]])

    turns = Turns()
    kept.in_pieces(turns, "turns", whole, 10, measure)
    return turns.each


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        measured(Kept(tmp_path, "state", "a test", ["a test"]), 25, stop_at=20)
    kept = Kept(tmp_path, "state", "a test", ["a test"])
    assert measured(kept, 25, stop_at=0) == [[0, 10], [10, 10], [20, 5]]
    assert kept.remark("turns") == ", 20 turns of a run before this one, which was stopped"
    assert measured(kept, 25, stop_at=20)[2] == [20, 5]


@pytest.mark.parametrize(("state", "test"), [("another state", "a test"), ("state", "another test")])
def test_what_is_of_other_code_or_of_another_test_is_measured_anew(tmp_path: Path, state: str, test: str) -> None:
    measured(Kept(tmp_path, "state", "a test", ["a test", "another test"]), 20)
    kept = Kept(tmp_path, state, test, ["a test", "another test"])
    with pytest.raises(Stopped):
        measured(kept, 20, stop_at=0)
    assert kept.remark("turns") == ""


def test_all_is_removed_when_the_last_is_over_and_not_before(tmp_path: Path) -> None:
    tests = ["one", "other"]
    one, other = (Kept(tmp_path, "state", test, tests) for test in tests)
    measured(one, 20)
    measured(other, 20)
    (tmp_path / ".coresys" / "soak-of-a-user.json").write_text("{}")
    one.over()
    with pytest.raises(Stopped):
        measured(one, 30, stop_at=20)
    other.over()
    assert sorted(path.name for path in (tmp_path / ".coresys").iterdir()) == [".gitignore", "soak-of-a-user.json"]
    with pytest.raises(Stopped):
        measured(one, 20, stop_at=0)


def test_a_run_that_is_no_soak_keeps_nothing_and_measures_at_once() -> None:
    kept = Kept(None, "", "a test", ())
    assert measured(kept, 25) == [[0, 25]]
    kept.over()
    assert kept.remark("turns") == ""


def test_where_nothing_can_be_kept_it_is_measured_and_said(tmp_path: Path) -> None:
    (tmp_path / ".coresys").write_text("a file where the folder would be")
    kept = Kept(tmp_path, "state", "a test", ["a test"])
    assert len(measured(kept, 25)) == 3
    assert "not kept" in kept.remark("turns")
    kept.over()


def test_the_state_is_of_the_subject_and_of_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "subject_of_a_soak.py"
    module.write_text("make = dict\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    subjects = {"state": "subject_of_a_soak:make"}
    before = state_of(subjects)
    assert before == state_of(subjects) != state_of({})
    module.write_text("make = list\n")
    assert state_of(subjects) != before


# -- growth ------------------------------------------------------------------------------------------------------------


def series(seconds: float, rate: float, level: float) -> growth.Readings:
    times = [number / 2 for number in range(int(seconds * 2))]
    return times, [level + rate / 3600 * at + (number * 7919 % 1000) for number, at in enumerate(times)]


@pytest.mark.parametrize(("rate", "verdict"), [(0.0, "steady"), (PLANTED, "growing")])
def test_readings_of_two_processes_are_judged_by_how_they_rise_not_by_where_they_begin(
    rate: float, verdict: str
) -> None:
    both = growth.joined(series(300, rate, 5e6), series(300, rate, 9e6))
    found = judge_growth(*both)
    assert found.verdict == verdict
    assert found.seconds == pytest.approx(599.5)
    assert abs(found.rate - rate) < 0.05 * PLANTED


def test_a_few_readings_more_are_no_window_and_change_nothing() -> None:
    whole, few = series(300, PLANTED, 5e6), series(3, 0, 9e6)
    assert growth.joined(whole, few) == whole
    assert growth.joined(few, whole) == whole


def test_a_window_that_was_stopped_goes_on_with_what_is_left(tmp_path: Path) -> None:
    kept = checkpoint_of(tmp_path, "state", "growth of lending")
    ticks = time.monotonic() + 2.0
    first = growth.measure("lending", 6.0, {}, lambda: time.monotonic() < ticks, kept)
    assert 0.0 < first.seconds < 3.0
    began = time.monotonic()
    second = growth.measure("lending", 6.0, {}, None, kept)
    assert second.earlier == pytest.approx(first.seconds, abs=0.1)
    assert second.seconds > first.seconds
    assert time.monotonic() - began < 6.0 + 2.0
    assert "in a run before this one" in second.line()


# -- a whole run -------------------------------------------------------------------------------------------------------

SHORT = """
from validation_suites import conftest
conftest._SOAK = conftest.Effort(
    soak=True, kills=10, storm_seconds=3.0, growth_seconds=6.0, kills_each=2, storm_each=1.0
)
"""
LONG = "acknowledged_survives or storm_of_locks or order_of_locks or soak"


@pytest.mark.slow
def test_a_soak_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "short_soak.py").write_text(SHORT)
    command = [sys.executable, "-m", "pytest", "-q", "--pyargs", "validation_suites", "-k", LONG]
    command += ["-p", "short_soak", "-p", "no:cacheprovider"]
    command += ["--coresys-budget", "--coresys-profile", "soak", "--coresys-json", "run.json"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    kept = tmp_path / ".coresys"
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as run:
        until = time.monotonic() + 120
        while not _begun(kept) and time.monotonic() < until:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    assert _begun(kept)
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    told = json.dumps(json.loads((tmp_path / "run.json").read_text())["criteria"])
    assert re.search(r"\d+ (kills|s) of a run before this one, which was stopped", told)
    assert [path.name for path in kept.iterdir() if path.name.startswith("soak-validation")] == []


def _begun(folder: Path) -> bool:
    return any(json.loads(path.read_bytes())["soak"].get("pieces") for path in folder.glob("soak-validation-*.json"))
