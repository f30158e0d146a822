"""The commands that the report gives: a shell makes the ids of them that pytest made, and they judge as the run did."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import bigruns
import pytest

from pytest_coresys import again as options
from pytest_coresys.reports import htmlpage, shape
from pytest_coresys.reports.again import Places, names_for_commands, words_of_test
from pytest_coresys.reports.page import cards, rows
from pytest_coresys.reports.page.again import Again, words_of
from pytest_coresys.reports.terminal import renamed

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
    assert "run them again" in found["a.other"].remedy
    (one,) = [card for card in cards.cards(run) if card.key == "a.one"]
    assert one.command is not None
    assert shlex.split(one.command[0])[3:] == ["t.py::one", "t.py::two"]


def of_pyargs(*modules: str, asked: tuple[str, ...] = ("shop",)) -> Places:
    return Places([{"nodeid": f"{each.rpartition('.')[2]}.py::t", "module": each} for each in modules], asked)


def test_tests_that_no_path_leads_to_are_called_by_their_modules() -> None:
    places = of_pyargs("shop.a", "shop.deep.b", "/there/c.py")
    assert names_for_commands(["a.py::t"], places=places) == ["--pyargs", '"shop.a::t"']
    mixed = names_for_commands(["tests/x.py::t", "b.py::t"], places=places)
    assert mixed == ["--pyargs", '"tests/x.py::t"', '"shop.deep.b::t"']
    assert names_for_commands(["py.py::t"], places=places) == ['"/there/c.py::t"'], "a whole path is one"
    assert names_for_commands(["a.py::not_run"], places=places) == ["--pyargs", '"shop.a::not_run"']
    assert names_for_commands(["tests/x.py::t"], places=places) == ['"tests/x.py::t"']
    assert shlex.split(words_of(["a.py::t", "tests/x.py::t"], places)) == ["--pyargs", "shop.a::t", "tests/x.py::t"]


def test_of_two_files_of_one_id_both_are_named_and_of_a_test_its_own() -> None:
    places = of_pyargs("shop.a", "other.a")
    assert names_for_commands(["a.py::t"], places=places) == ["--pyargs", '"shop.a::t"', '"other.a::t"']
    assert words_of_test({"nodeid": "a.py::t", "module": "other.a"}) == ["--pyargs", '"other.a::t"']
    assert words_of_test({"nodeid": "a.py::t"}) == ['"a.py::t"']
    assert names_for_commands(["a.py::not_run"], places=places) == ['"a.py::not_run"'], "it is not known in which"


def test_very_many_of_them_are_what_was_asked_for_and_never_the_whole_suite() -> None:
    modules = [f"shop.deep.m{at}" for at in range(9)]
    places = of_pyargs(*modules)
    ids = [f"m{at}.py::t" for at in range(9)]
    assert names_for_commands(ids[:3], places=places)[1:] == [f'"{each}::t"' for each in modules[:3]]
    assert names_for_commands(ids, places=places) == ["--pyargs", '"shop"']
    assert names_for_commands([*ids, "x.py::t"], places=places) == ["--pyargs", '"shop"', '"x.py"']
    by_name = of_pyargs(*modules, asked=())
    assert names_for_commands(ids, places=by_name) == ["--pyargs", *(f'"{each}"' for each in modules)]
    assert shlex.split(words_of(ids, places)) == ["--pyargs", *modules]
    many = [f"shop.{'long' * 9}.m{at}" for at in range(99)]
    ids = [f"m{at}.py::t" for at in range(99)]
    assert shlex.split(words_of([*ids, "tests/x.py::t"], of_pyargs(*many))) == ["--pyargs", "shop", "tests"]


def test_the_page_and_the_terminal_name_modules() -> None:
    run = bigruns.run_of(3)
    first = run["tests"][0]
    first["module"], run["run"]["pyargs"] = "shop.test_a", ["shop"]
    assert shape.problem_of(run) is None
    rest = first["nodeid"].partition("::")[2]
    assert shlex.split(Again(run).text([first["nodeid"]]))[3:5] == ["--pyargs", f"shop.test_a::{rest}"]
    assert f'--pyargs \\"shop.test_a::{rest}\\"' in htmlpage.page(run)
    moved = renamed(run, lambda nodeid: f"../{nodeid}")
    assert moved["tests"][0]["nodeid"] == first["nodeid"], "it is no path that could be one from elsewhere"
    assert moved["tests"][1]["nodeid"].startswith("../")
