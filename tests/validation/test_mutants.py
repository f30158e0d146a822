"""The machine that puts faults into the library, and the list of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from validation_suites.mutants import __main__ as command
from validation_suites.mutants import machine
from validation_suites.mutants.listed import MUTANTS
from validation_suites.mutants.machine import Mutant, MutantError, Outcome, applied, check, check_unchanged, judged

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}

COUNTER = "threads/atomics.py"
ADDS = "            value = self._value = self._value + amount\n"

# Each of them is caught within some seconds, by other suites and for other reasons.
QUICK = (
    "components: hooks are asked about the first component of a change only",
    "components: those that need one that is restarted are not started again",
    "cleanup: what a step raises is swallowed",
)

SUITE = """
from coresys.threads import AtomicCounter

def test_a_counter_is_added_to():
    assert AtomicCounter(3).add(2) == 5
"""


def mutant(new: str, *, old: str = ADDS, name: str = "a fault", suites: tuple[str, ...] = ("tiny",)) -> Mutant:
    return Mutant(name, COUNTER, old, new, suites)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of suites with one that is over at once."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "test_tiny.py").write_text(SUITE, encoding="utf-8")
    monkeypatch.setattr(machine, "SUITES", tmp_path)
    return tmp_path


# -- what can be applied ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [("x = 1\n", "stands 0 times"), (ADDS + ADDS, "stands 2 times"), ("y = 1\n" + ADDS, "is no Python then")],
)
def test_what_does_not_apply_is_told(text: str, problem: str) -> None:
    with pytest.raises(MutantError, match=problem):
        applied(mutant("  ) nothing\n"), text)


def test_a_fault_is_put_in_the_place_of_the_text() -> None:
    assert applied(Mutant("a fault", COUNTER, "+ 1", "+ 2", ()), "x = y + 1\n") == "x = y + 2\n"


def test_a_list_is_wrong_where_a_name_is_there_twice_or_a_suite_is_not(tiny: Path) -> None:
    check([mutant("            value = self._value\n")])
    with pytest.raises(MutantError, match="two have this name"):
        check([mutant("            value = self._value\n")] * 2)
    with pytest.raises(MutantError, match="there is no suite tinier"):
        check([mutant("            value = self._value\n", suites=("tinier",))])


def test_every_fault_of_the_list_can_be_put_into_the_library() -> None:
    check(MUTANTS)


def test_the_list_has_faults_of_every_manager() -> None:
    of = Counter(each.name.partition(":")[0] for each in MUTANTS)
    assert len(MUTANTS) >= 64
    least = {"state": 12, "resources": 12, "errors": 8, "threads": 12, "monitoring": 5, "components": 6, "cleanup": 6}
    assert {name: of[name] for name in least if of[name] < least[name]} == {}
    assert of["testing"] + of["coordinators"] >= 6


def test_a_fault_says_which_suites_are_to_notice_it() -> None:
    assert [each.name for each in MUTANTS if not each.suites or each.old == each.new] == []


# -- what becomes of one ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_fault_is_caught_by_a_test_that_fails_and_survives_where_none_does(tiny: Path) -> None:
    lost = mutant("            value = self._value\n", name="an update lost")
    harmless = mutant("            value = self._value = amount + self._value\n", name="no fault at all")

    found = list(machine.run([lost, harmless], at_once=2))

    assert [(each.mutant.name, each.caught) for each in found] == [("an update lost", True), ("no fault at all", False)]
    assert found[0].by == ("test_tiny.py::test_a_counter_is_added_to",)


@pytest.mark.slow
def test_suites_that_are_red_without_a_fault_prove_nothing(tiny: Path) -> None:
    (tiny / "tiny" / "test_red.py").write_text("def test_red():\n    assert False\n", encoding="utf-8")

    with pytest.raises(MutantError, match=r"tiny: not green without any fault: test_red.py::test_red"):
        list(machine.run([mutant("            value = self._value\n")], at_once=1))


def test_a_run_that_hangs_is_ended_and_counts_as_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SECONDS", 0.2)
    hanging = [sys.executable, "-c", "import time; time.sleep(3600)"]

    assert machine._ended(hanging, tmp_path) is None
    monkeypatch.setattr(machine, "_ended", lambda *_: None)
    assert machine._faults(tmp_path, ("tiny",)) == ("did not end within 0 s",)


@pytest.mark.slow
def test_the_library_itself_is_left_as_it_is(tiny: Path) -> None:
    before = (machine.LIBRARY / COUNTER).read_bytes()

    judged(mutant("            value = self._value\n"))

    assert (machine.LIBRARY / COUNTER).read_bytes() == before


# -- the command -----------------------------------------------------------------------------------------------------


def outcomes(*caught: bool) -> list[Outcome]:
    return [
        Outcome(Mutant(f"number {at}", COUNTER, "", "", ()), ("a.test",) if yes else ())
        for at, yes in enumerate(caught)
    ]


@pytest.mark.parametrize(
    ("caught", "status", "last"), [((True, True), 0, "2 of 2 caught"), ((True, False), 1, "survived: number 1")]
)
def test_survivors_are_told_and_are_the_exit_status(
    caught: tuple[bool, ...],
    status: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "MUTANTS", tuple(each.mutant for each in outcomes(*caught)))
    monkeypatch.setattr(command, "run", lambda mutants, at_once: iter(outcomes(*caught)))

    assert command.main([]) == status
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_list_that_is_wrong_is_another_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(mutants: Sequence[Mutant], at_once: int) -> NoReturn:
        raise MutantError("it stands 0 times")

    monkeypatch.setattr(command, "run", wrong)

    assert command.main([]) == 2
    assert command.main(["--only", "nothing of the kind"]) == 2
    assert capsys.readouterr().err.splitlines() == ["it stands 0 times", "no mutant matches 'nothing of the kind'"]


def test_faults_are_chosen_by_name_and_by_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "--only", "cleanup"]) == 0
    by_suite = capsys.readouterr().out.splitlines()
    assert command.main(["--list", "--only", "cleanup: *"]) == 0
    by_name = capsys.readouterr().out.splitlines()

    assert 6 <= len(by_name) < len(by_suite) < len(MUTANTS)


# -- the list ----------------------------------------------------------------------------------------------------------


@cache
def green(suite: str) -> bool:
    """Once for all that this suite is to notice."""
    check_unchanged((suite,))
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_noticed(name: str) -> None:
    assert all(map(green, BY_NAME[name].suites))
    assert judged(BY_NAME[name]).caught


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in QUICK])
def test_every_other_fault_is_noticed(name: str) -> None:
    assert all(map(green, BY_NAME[name].suites))
    assert judged(BY_NAME[name]).caught
