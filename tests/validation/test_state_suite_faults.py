"""Each criterion of state is over for a manager with a fault, and within for ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judged_suites import SteppingClock, results

from coresys.state import StateManager
from coresys.system_records import TransitionRecord
from validation_suites.faults import state as faults
from validation_suites.state import kills, test_state, test_state_recovery, test_state_validation, timings

COUNTED = [
    (test_state.test_every_machine_is_listed_once, "state.centralised", faults.ForgetsMachines),
    (test_state.test_what_a_table_does_not_declare_is_refused, "state.invalid_transitions_accepted", None),
    (
        test_state.test_what_a_table_does_not_declare_is_refused,
        "state.invalid_transitions_accepted",
        faults.AcceptsUndeclared,
    ),
    (
        test_state.test_what_a_table_does_not_declare_is_refused,
        "state.invalid_transitions_accepted",
        faults.RefusesDeclared,
    ),
    (
        test_state.test_what_a_table_does_not_declare_is_refused,
        "state.invalid_transitions_accepted",
        faults.AsksGuardsWrongly,
    ),
    (test_state.test_a_transition_that_fails_leaves_all_as_it_was, "state.rollback_incomplete", faults.MovesOneByOne),
    (
        test_state.test_a_transition_that_fails_leaves_all_as_it_was,
        "state.rollback_incomplete",
        faults.SwallowsFailures,
    ),
    (test_state.test_a_transition_that_fails_leaves_all_as_it_was, "state.rollback_incomplete", faults.LeavesTraces),
    (test_state.test_every_transition_is_told_to_monitoring_once, "state.monitoring_missed", faults.misses_transitions),
    (test_state.test_every_transition_is_told_to_monitoring_once, "state.monitoring_missed", faults.tells_twice),
    (test_state.test_every_machine_is_listed_once, "state.centralised", None),
    (test_state.test_a_transition_that_fails_leaves_all_as_it_was, "state.rollback_incomplete", None),
    (test_state.test_every_transition_is_told_to_monitoring_once, "state.monitoring_missed", None),
]


@pytest.mark.parametrize(("test", "identity", "fault"), COUNTED)
def test_a_fault_is_counted_and_no_other(
    test: Callable[..., object], identity: str, fault: Callable[..., Any] | None
) -> None:
    found = results(test, {} if fault is None else {"state": fault})[identity]
    assert (found.verdict, found.details != ()) == (("within", False) if fault is None else ("over", True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "over"),
    [
        (None, ""),
        (faults.acknowledges_early, "state.acknowledged_lost"),
        (faults.keeps_halves, "coordination.recovery_procedures"),
    ],
)
def test_what_a_kill_takes_is_counted(tmp_path: Path, fault: Callable[..., Any] | None, over: str) -> None:
    test = test_state.test_what_was_acknowledged_survives_a_kill
    found = results(test, {} if fault is None else {"state": fault}, tmp_path=tmp_path)
    assert set(found) == {"state.acknowledged_lost", "coordination.recovery_procedures"}
    assert [name for name, result in found.items() if result.verdict != "within" and (name == over or not over)] == (
        [over] if over else []
    )


def unusable(path: Path | None = None) -> StateManager:
    """No manager at all."""
    raise OSError("no such luck")


def forgetful(path: Path) -> StateManager:
    """A manager that has no store, whatever it says."""
    return _Forgetful()


class _Forgetful(StateManager):
    def recover(self, tables: Any) -> tuple[Any, ...]:
        return ()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [unusable, forgetful])
def test_what_keeps_nothing_is_neither_whole_nor_kept(
    tmp_path: Path, fault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)  # for the process that is killed, which has to find them
    found = results(test_state.test_what_was_acknowledged_survives_a_kill, {"state": fault}, tmp_path=tmp_path)
    assert {name: result.verdict for name, result in found.items()} == {
        "state.acknowledged_lost": "over",
        "coordination.recovery_procedures": "over",
    }


def test_a_factory_that_has_no_name_is_not_measured(tmp_path: Path) -> None:
    test = test_state.test_what_was_acknowledged_survives_a_kill
    found = results(test, {"state": lambda path: StateManager()}, tmp_path=tmp_path)["state.acknowledged_lost"]
    assert found.verdict == "not_measured"
    assert "could not find it by that name" in str(found.why)


def test_a_subject_without_a_store_is_not_measured(tmp_path: Path) -> None:
    for test, identity in (
        (test_state.test_what_was_acknowledged_survives_a_kill, "state.acknowledged_lost"),
        (test_state_recovery.test_a_store_with_a_long_history_is_up_again_soon, "state.recovery_time"),
    ):
        found = results(test, {"state": storeless}, tmp_path=tmp_path, roomy=tmp_path)
        assert (found[identity].verdict, found[identity].why) == ("not_measured", "no store")


def storeless() -> StateManager:
    """A manager of memory alone."""
    return StateManager()


class _Raises(StateManager):
    def define(self, name: str, definition: Any) -> None:
        raise OSError("no such luck")


def test_what_a_subject_raises_is_its_fault_and_ends_no_run(tmp_path: Path) -> None:
    counted = results(test_state.test_every_machine_is_listed_once, {"state": _Raises})["state.centralised"]
    timed = results(test_state.test_checking_a_transition_adds_little, {"state": _Raises})["state.validation_time"]
    assert (counted.verdict, timed.verdict) == ("over", "not_measured")
    assert "OSError: no such luck" in f"{counted.details} {timed.why}"
    assert "OSError: no such luck" in str(timed.why)


# -- times ------------------------------------------------------------------------------------------------------------


def slow(clock: SteppingClock, **seconds: float) -> Callable[..., StateManager]:
    """A manager that takes so long for a transition, for one that is checked, for one whose history is long, to go
    back."""

    class Slow(StateManager):
        def __init__(self, kept: int = 1) -> None:
            super().__init__(history_count=kept, history_bytes=10**9)
            self.kept = kept

        def fire(self, name: str, event: str, payload: Any = None, **said: str | None) -> TransitionRecord | None:
            clock.spend(seconds.get("fire", 0.0))
            clock.spend(seconds.get("check", 0.0) * (name == "checked"))
            clock.spend(seconds.get("record", 0.0) * (self.kept > 1))
            return super().fire(name, event, payload, **said)

    return Slow


@pytest.mark.parametrize(
    ("test", "identity", "cost", "limit"),
    [
        (test_state.test_a_transition_is_quick, "state.transition_time", "fire", 0.050),
        (test_state.test_checking_a_transition_adds_little, "state.validation_time", "check", 0.010),
        (test_state.test_keeping_a_history_adds_little, "state.history_time", "record", 0.005),
    ],
)
def test_what_is_slow_is_over(
    test: Callable[..., object],
    identity: str,
    cost: str,
    limit: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SteppingClock.put_into(monkeypatch, timings)
    for seconds, verdict in ((limit * 1.1, "over"), (limit * 0.8, "within")):
        found = results(test, {"state": slow(clock, **{cost: seconds})}, tmp_path=tmp_path)[identity]
        assert found.verdict == verdict
        assert found.value == pytest.approx(seconds, rel=0.02)


@pytest.mark.slow
def test_a_store_that_is_slow_to_open_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_state_recovery, "FOREIGN_LENGTHS", (100,))
    monkeypatch.setattr(test_state_recovery, "EACH", 20)
    monkeypatch.setattr(test_state_recovery, "ROUNDS", 1)
    test = test_state_recovery.test_a_store_with_a_long_history_is_up_again_soon
    found = results(test, {"state": faults.opens_slowly}, roomy=tmp_path)
    assert (found["state.recovery_time"].verdict, found["state.recovery_time"].why) == ("over", None)


# -- validation -------------------------------------------------------------------------------------------------------

VALIDATIONS = {
    "validation.transitions": (
        test_state_validation.test_transitions_are_verified_against_their_table,
        "AcceptsUndeclared",
    ),
    "validation.history": (test_state_validation.test_a_history_that_is_not_whole_is_found, "NumbersTwice"),
    "validation.state_impact": (test_state_validation.test_what_checks_cost_is_known, "ChecksSlowly"),
}


@pytest.mark.parametrize("identity", VALIDATIONS)
def test_a_validation_that_catches_nothing_is_over(identity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    test, planted = VALIDATIONS[identity]
    assert results(test)[identity].verdict == "within"
    monkeypatch.setattr(faults, planted, StateManager)
    assert results(test)[identity].verdict == "over"


@pytest.mark.slow
def test_a_validation_of_recovery_that_catches_nothing_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = test_state_validation.test_what_a_kill_loses_or_halves_is_found
    assert results(test, tmp_path=tmp_path)["validation.recovery"].verdict == "within"
    for planted in ("acknowledges_early", "keeps_halves"):
        with monkeypatch.context() as patching:
            patching.setattr(test_state_validation, "killed_storms", lambda *given, **options: kills.Storms())
            found = results(test, tmp_path=fresh(tmp_path / f"without {planted}"))["validation.recovery"]
        assert found.verdict == "over"
        assert f"{planted} was not caught" in str(found.details)


def fresh(folder: Path) -> Path:
    """A new folder."""
    folder.mkdir()
    return folder
