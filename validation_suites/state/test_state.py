"""The criteria ``state.*`` that are counted, and what is timed in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.asking import judging, record_faults
from validation_suites.conftest import Effort, Subject
from validation_suites.keeping import Kept
from validation_suites.running import CannotBeNamed, as_long_as
from validation_suites.state import measures, timings
from validation_suites.state.kills import CAN_FORK, killed_in_pieces
from validation_suites.tally import Tally, counted


@pytest.mark.coresys_criterion("state.centralised")
def test_every_machine_is_listed_once(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "state.centralised"):
        record_faults(coresys_criteria, "state.centralised", measures.machines_missing_or_doubled(subject("state")))


@pytest.mark.coresys_no_repeat(reason="a hundred thousand events")
@pytest.mark.coresys_criterion("state.invalid_transitions_accepted")
def test_what_a_table_does_not_declare_is_refused(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "state.invalid_transitions_accepted"):
        faults = measures.wrong_decisions(subject("state"))
        record_faults(coresys_criteria, "state.invalid_transitions_accepted", faults)
        manager = subject("state")
        if measures.takes_tables(manager):
            faults = measures.wrong_guarding(manager)
            record_faults(coresys_criteria, "state.invalid_transitions_accepted", faults)


@pytest.mark.coresys_criterion("state.rollback_incomplete")
def test_a_transition_that_fails_leaves_all_as_it_was(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "state.rollback_incomplete"):
        faults = measures.refused_faults(subject("state"))
        manager = subject("state")
        faults += measures.going_back_faults(manager)
        if measures.takes_tables(manager):
            faults += measures.rollback_faults(manager)
        else:
            why = "by what is refused, and by going back: it has no add() for tables that call back, and may fail"
            coresys_criteria.note("state.rollback_incomplete", why)
        record_faults(coresys_criteria, "state.rollback_incomplete", faults)


@pytest.mark.coresys_criterion("state.rollback_incomplete")
def test_what_a_store_cannot_keep_leaves_all_as_it_was(
    subject: Subject, coresys_criteria: CriteriaRecorder, tmp_path: Path
) -> None:
    if not subject.takes("state", "path"):
        coresys_criteria.note("state.rollback_incomplete", "it has no store that may fail")
        return
    with judging(coresys_criteria, "state.rollback_incomplete"):
        faults = measures.unkept_faults(subject("state", path=tmp_path))
        record_faults(coresys_criteria, "state.rollback_incomplete", faults)


@pytest.mark.coresys_no_repeat(reason="sixteen thousand transitions by threads")
@pytest.mark.coresys_criterion("state.monitoring_missed")
def test_every_transition_is_told_to_monitoring_once(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    if not subject.takes("state", "monitoring"):
        coresys_criteria.unmeasured("state.monitoring_missed", "its factory takes no monitoring")
        return
    with judging(coresys_criteria, "state.monitoring_missed"):
        monitoring = subject("monitoring")
        tally = Tally(monitoring)
        faults = measures.untold_transitions(subject("state", monitoring=tally), tally)
        known = any(name == "state.transitions" for name, _, _ in monitoring.snapshot().counters)
        if known or subject.is_ours("monitoring"):
            count = counted(monitoring.snapshot(), "state.transitions")
            if count != len(tally.transitions):
                faults.append(f"{len(tally.transitions)} transitions were told to monitoring, which counted {count:g}")
        record_faults(coresys_criteria, "state.monitoring_missed", faults)


@pytest.mark.coresys_no_repeat(reason="kills processes")
@pytest.mark.coresys_criterion("state.acknowledged_lost", "coordination.recovery_procedures")
def test_what_was_acknowledged_survives_a_kill(
    subject: Subject, coresys_criteria: CriteriaRecorder, effort: Effort, kept: Kept, tmp_path: Path
) -> None:
    """Machines by themselves and pairs that move together; the second criterion asks whether what is there is whole."""
    ids = ("state.acknowledged_lost", "coordination.recovery_procedures")
    if not subject.takes("state", "path") or not CAN_FORK:
        for identity in ids:
            coresys_criteria.unmeasured(identity, "no store" if CAN_FORK else "this system cannot fork")
        return
    levels = ("process", "power") if subject.takes("state", "durability") else ("",)
    for level in levels:
        folder = tmp_path / (level or "store")
        folder.mkdir()
        options = {"path": str(folder), **({"durability": level} if level else {})}
        kills = effort.kills if not level else effort.kills * 4 // 5 if level == "process" else effort.kills // 5
        with judging(coresys_criteria, *ids):
            try:
                longest = 0.1 if level == "power" else 0.02  # seconds; a sync takes some milliseconds
                make = subject.factory("state")
                seen = killed_in_pieces(make, options, kills, longest, kept=kept, each=effort.kills_each)
            except CannotBeNamed as why:
                for identity in ids:
                    coresys_criteria.unmeasured(identity, str(why))
                return
            record_faults(coresys_criteria, ids[0], seen.lost)
            record_faults(coresys_criteria, ids[1], seen.inconsistent)
            line = f"{level or 'its own'} durability: {seen.kills} kills, {seen.acknowledged} transitions acknowledged"
            line += kept.remark("kills")
            for identity in ids:
                coresys_criteria.note(identity, line)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("state.transition_time")
def test_a_transition_is_quick(subject: Subject, coresys_criteria: CriteriaRecorder, tmp_path: Path) -> None:
    with judging(coresys_criteria, "state.transition_time"):
        operation = timings.transition(subject("state"))
        beside = as_long_as(operation, timings.look_up_in_a_dictionary)
        coresys_criteria.timed("state.transition_time", operation, beside=beside, calls=10_000, rounds=3)
    for level in ("process", "power"):
        if subject.takes("state", "path") and subject.takes("state", "durability"):
            folder = tmp_path / level
            folder.mkdir()
            with judging(coresys_criteria, "state.transition_time"):
                durable = timings.transition(subject("state", path=folder, durability=level))
                seconds = sorted(durable() for _ in range(100))
                coresys_criteria.note(
                    "state.transition_time", f"{level} durability: median {seconds[50] * 1e6:.0f} us of 100"
                )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("state.validation_time")
def test_checking_a_transition_adds_little(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "state.validation_time"):
        operation, how = timings.validation(subject("state"))
        beside = as_long_as(timings.transition(subject("state")), timings.look_up_in_a_dictionary)
        coresys_criteria.timed("state.validation_time", operation, beside=beside)
        coresys_criteria.note("state.validation_time", how)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("state.history_time")
def test_keeping_a_history_adds_little(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "state.history_time"):
        operation = timings.transition(subject("state"))
        beside = as_long_as(operation, timings.look_up_in_a_dictionary)
        if subject.takes("state", "kept"):
            operation = timings.history(subject("state", kept=10_000), subject("state", kept=1))
            how = f"{timings.bytes_an_entry(subject('state', kept=1_000_000)):.0f} bytes an entry"
        else:
            how = "an upper bound: all of a transition, for its history cannot be bounded"
        coresys_criteria.timed("state.history_time", operation, beside=beside)
        coresys_criteria.note("state.history_time", how)
