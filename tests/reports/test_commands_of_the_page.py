"""The commands that the report gives: a shell makes the ids of them that pytest made, and they judge as the run did."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import bigruns
import pytest

from pytest_coresys import again as options
from pytest_coresys.reports.page import cards, rows
from pytest_coresys.reports.page.again import Again, words_of

ODD = (
    "t.py::test[a b]",
    "t.py::test[it's]",
    't.py::test["quoted"]',
    "t.py::test[$HOME `id` \\n !!]",
    "t.py::test[[x]-*?]",
    "t.py::test[<b>&;|]",
)


@pytest.mark.parametrize("nodeid", ODD)
def test_a_shell_takes_an_odd_id_for_one_word(nodeid: str) -> None:
    assert shlex.split(words_of([nodeid])) == [nodeid]


def test_of_very_many_ids_their_files_are_told_and_of_very_many_files_their_folders() -> None:
    ids = [f"tests/a/t{number % 3}.py::test[{number}]" for number in range(9)]
    assert shlex.split(words_of(ids[:8])) == ids[:8]
    assert shlex.split(words_of(ids)) == [f"tests/a/t{number}.py" for number in range(3)]
    many = [f"tests/a/t{number}.py::test" for number in range(500)]
    assert shlex.split(words_of([*many, "more/t.py::test"])) == ["tests", "more"]


def test_an_id_that_the_page_can_only_show_as_an_escape_is_told_as_its_file() -> None:
    assert shlex.split(words_of(["t.py::test[\u202ex]", "t.py::test[\x07]"])) == ["t.py"]


def test_a_command_has_what_the_run_was_judged_by() -> None:
    run = bigruns.run_of(3)
    run["run"]["options"] = ["--coresys-criteria", "my own.toml", "--coresys-set", "memory.growth=2 KB"]
    command = shlex.split(Again(run).text(["t.py::a"]))
    assert command[:4] == ["python", "-m", "pytest", "t.py::a"]
    assert command[4:] == ["--coresys-budget", "--coresys-profile", "ci", *run["run"]["options"]]
    strict = shlex.split(Again(run).text(["t.py::a"], strict=True))
    assert strict[6] == "strict"
    assert strict[7:] == run["run"]["options"]


def _given(**values: Any) -> Any:
    found = {"coresys_criteria": None, "coresys_subject": [], "coresys_set": [], "coresys_baseline": None, **values}
    return found.__getitem__


@pytest.mark.parametrize(("here", "path"), [(".", "own.toml"), ("sub", "sub/own.toml")])
def test_the_options_of_a_run_are_told_from_its_root(here: str, path: str, tmp_path: Path) -> None:
    option = _given(coresys_criteria="own.toml", coresys_subject=["state=a:b"], coresys_set=["memory.growth=off"])
    assert options.options(option, tmp_path / here, tmp_path) == [
        *("--coresys-criteria", path, "--coresys-subject", "state=a:b", "--coresys-set", "memory.growth=off")
    ]


@pytest.mark.parametrize(("here", "path"), [(".", "known.json"), ("sub", "sub/known.json")])
def test_a_command_knows_what_the_run_knew(here: str, path: str, tmp_path: Path) -> None:
    """Else it fails by what is excused."""
    option = _given(coresys_baseline="known.json")
    assert options.options(option, tmp_path / here, tmp_path) == ["--coresys-baseline", path]


def test_a_run_by_nothing_of_its_own_has_no_options_and_a_whole_path_stays(tmp_path: Path) -> None:
    assert options.options(_given(), tmp_path, tmp_path) == []
    whole = str(tmp_path / "own.toml")
    assert options.options(_given(coresys_criteria=whole), tmp_path, tmp_path / "x")[1] == whole


def criterion(name: str, verdict: str, evidence: list[str], parts: dict[str, str] | None = None) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": name, "verdict": verdict, "evidence": evidence, "limit": 1, "comparison": "<"}
    plain |= {"unit": "count", "statistic": "derived" if parts else "p95", "samples": 3, "trend": [], "why": "why"}
    return {**plain, "value": None if verdict == "not_measured" else 2, **({"parts": parts} if parts else {})}


def test_a_derived_criterion_is_measured_by_the_tests_of_its_parts() -> None:
    run = bigruns.run_of(2)
    run["run"]["criteria"]["told"] = True
    run["criteria"] = [
        criterion("a.whole", "over", [], {"a.half": "over", "a.other": "not_measured"}),
        criterion("a.half", "over", [], {"a.one": "over", "a.whole": "over"}),
        criterion("a.one", "over", ["t.py::one", "t.py::two"]),
        criterion("a.other", "not_measured", ["t.py::three"]),
        criterion("a.none", "not_measured", []),
    ]
    found = {row.id: row for group in rows.groups(run) for row in group.rows}
    expected = ["t.py::three", "t.py::one", "t.py::two"]
    assert sorted(shlex.split(found["a.whole"].more["command"])[3:6]) == sorted(expected)
    assert shlex.split(found["a.other"].more["command"])[3] == "t.py::three"
    assert "command" not in found["a.none"].more
    assert 'record("a.none"' in found["a.none"].remedy
    assert "evidence" in found["a.other"].remedy
    (one,) = [card for card in cards.cards(run) if card.key == "a.one"]
    assert one.command is not None
    assert shlex.split(one.command[0])[3:] == ["t.py::one", "t.py::two"]
