"""What a test is held to: its markers, what they leave out, and what is shared between tests that say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.config.resolve import PluginBudget
from pytest_coresys.config.sources import load_settings
from pytest_coresys.engine.plan import Plan, Planner
from pytest_coresys.measures import MEASURES

BUDGET, SKIP, NO_REPEAT = pytest.mark.coresys_budget, pytest.mark.coresys_skip, pytest.mark.coresys_no_repeat


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    (tmp_path / "coresys.toml").write_text(
        '[budgets]\nmemory.growth = "1 KB"\n'
        '[[overrides]]\nmarkers = ["slow"]\nbudgets = { memory.growth = "4 KB", globals.changed = "off" }\n'
    )
    settings = load_settings(
        tmp_path,
        inipath=None,
        ini_lines=(),
        cli_sets=(),
        profile=None,
        repeat=None,
        require_measured=(),
        measures=MEASURES,
    )
    return Planner(settings, MEASURES)


def planned(planner: Planner, *decorators: pytest.MarkDecorator, given: dict[str, object] | None = None) -> Plan:
    """The plan of ``test_a.py:8``; decorators closest first, as ``iter_markers`` gives their marks."""
    marks: list[Any] = [decorator.mark for decorator in decorators]
    return planner.plan(path="test_a.py", marks=marks, line=7, plugin_budgets=given)


def growth(plan: Plan) -> tuple[float | None, str]:
    limit = plan.limits["memory.growth"]
    return limit.maximum, limit.origin


@pytest.mark.parametrize(
    ("decorators", "expected"),
    [
        pytest.param([], (1024, "coresys.toml:2"), id="the file"),
        pytest.param(
            [pytest.mark.slow], (4096, "coresys.toml:5 [[overrides]]"), id="its override, by a marker of another"
        ),
        pytest.param([BUDGET("memory.growth", max="8 KB")], (8192, "marker (test_a.py:8)"), id="a marker"),
        pytest.param([BUDGET(memory_growth="8 KB")], (8192, "marker (test_a.py:8)"), id="a marker with several keys"),
        pytest.param(
            [BUDGET("memory.growth", max="8 KB"), BUDGET("memory.growth", max="2 KB")],
            (8192, "marker (test_a.py:8)"),
            id="of two markers the closest",
        ),
        pytest.param(
            [BUDGET("memory.growth", max="8 KB"), pytest.mark.slow],
            (8192, "marker (test_a.py:8)"),
            id="a marker is stronger than an override",
        ),
    ],
)
def test_the_strongest_source_gives_the_limit(
    planner: Planner, decorators: list[pytest.MarkDecorator], expected: tuple[float, str]
) -> None:
    plan = planned(planner, *decorators)
    assert growth(plan) == expected
    assert plan.problem is None


def test_another_plugin_is_stronger_than_files_and_weaker_than_markers(planner: Planner) -> None:
    given: dict[str, object] = {"memory.growth": PluginBudget("theirs", "16 KB")}
    assert growth(planned(planner, pytest.mark.slow, given=given)) == (16384, "plugin theirs")
    assert growth(planned(planner, BUDGET(memory_growth="8 KB"), given=given)) == (8192, "marker (test_a.py:8)")


def test_what_is_off_is_not_in_force_and_what_is_skipped_is_not_wanted(planner: Planner) -> None:
    plan = planned(planner, pytest.mark.slow, SKIP("memory.*", reason="ours"))
    assert "globals.changed" not in plan.in_force
    assert plan.skipped["memory.growth"] == plan.skipped["memory.peak"] == "skipped by marker: ours"
    assert "memory.growth" in plan.in_force
    assert "memory.growth" not in plan.wanted
    assert {"threads.leaked", "descriptors.leaked"} <= set(plan.wanted)


def test_a_test_that_may_not_be_repeated_says_why(planner: Planner) -> None:
    assert planned(planner).no_repeat is None
    assert planned(planner, NO_REPEAT(reason="books a flight")).no_repeat == "books a flight"
    assert planned(planner, NO_REPEAT).no_repeat == "no reason given"
    both = planned(planner, NO_REPEAT(reason="closest"), NO_REPEAT(reason="of the class"))
    assert both.no_repeat == "closest"


@pytest.mark.parametrize(
    ("decorator", "problem"),
    [
        (BUDGET("memory.grwth", max="8 KB"), 'did you mean "memory.growth"?'),
        (BUDGET("memory.growth", max=8), "a bare number"),
        (BUDGET("memory.growth", most="8 KB"), 'unknown argument "most"'),
        (SKIP("nope.*"), '"nope.*" matches no measure'),
        (NO_REPEAT(3), "coresys_no_repeat"),
    ],
)
def test_a_marker_that_is_wrong_is_the_problem_of_its_test_alone(
    planner: Planner, decorator: pytest.MarkDecorator, problem: str
) -> None:
    plan = planned(planner, decorator)
    assert plan.problem is not None
    assert problem in plan.problem
    assert "test_a.py:8" in plan.problem
    assert growth(plan) == (1024, "coresys.toml:2")
    assert planned(planner).problem is None


def test_tests_of_one_file_whose_markers_say_nothing_share_a_plan(planner: Planner) -> None:
    first = planned(planner, pytest.mark.slow)
    assert planned(planner, pytest.mark.slow) is first
    assert planned(planner) is not first
    assert planned(planner, pytest.mark.slow, SKIP("memory.*")) is not first
    other = planner.plan(path="test_b.py", marks=[pytest.mark.slow.mark], line=7)
    assert other is not first
