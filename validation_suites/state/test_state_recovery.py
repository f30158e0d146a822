"""What is timed of stores with long histories, which are made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from pytest_coresys.subjects import close
from validation_suites.asking import judging
from validation_suites.conftest import Subject
from validation_suites.running import CannotBeNamed, as_long_as
from validation_suites.state import kills, timings
from validation_suites.state.child import reopen

LENGTHS = (1_000, 100_000, 1_000_000)
FOREIGN_LENGTHS = (1_000, 20_000)  # which are filled by one transition after the other
EACH, ROUNDS = 25, 3  # how often each is opened
IDS = ("state.recovery_time", "errors.restore_time")


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A folder whose content is not kept after the test, passed or not: a million entries take 50 MB."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion(*IDS)
def test_a_store_with_a_long_history_is_up_again_soon(
    subject: Subject, coresys_criteria: CriteriaRecorder, roomy: Path
) -> None:
    """Opened by new processes, each of which is killed; then a machine of the longest is taken back and forth."""
    if not subject.takes("state", "path") or not kills.CAN_FORK:
        why = "no store" if kills.CAN_FORK else "this system cannot fork"
        coresys_criteria.unmeasured("state.recovery_time", why)
        coresys_criteria.note("errors.restore_time", f"from disk: {why}")
        return
    factory, ours = subject.factory("state"), subject.is_ours("state")
    bound: dict[str, Any] = {"kept": 10_000_000} if subject.takes("state", "kept") else {}
    options = bound
    with judging(coresys_criteria, "state.recovery_time"):
        try:
            killed = kills.Killed(factory)
        except CannotBeNamed as why_not:
            coresys_criteria.unmeasured("state.recovery_time", str(why_not))
            return
        with killed:
            for entries in LENGTHS if ours else FOREIGN_LENGTHS:
                options = {**bound, "path": str(roomy / str(entries))}
                kills.build(killed, options, entries, ours=ours)
                _time_recovery(coresys_criteria, killed, options, entries)
    with judging(coresys_criteria, "errors.restore_time"):
        manager = reopen(factory, options)
        try:
            restore = timings.restoring(manager, "m")
            restore()  # the first transition after opening looks through the history, once
            coresys_criteria.timed(
                "errors.restore_time", restore, beside=as_long_as(restore, timings.look_up_in_a_dictionary), calls=100
            )
            coresys_criteria.note("errors.restore_time", "the line above: from disk, of the longest history")
        finally:
            close(manager)


def _time_recovery(criteria: CriteriaRecorder, killed: kills.Killed, options: dict[str, Any], entries: int) -> None:
    def recover() -> float:
        return kills.recovery(killed, options, entries)

    def open_a_small_database() -> float:
        return kills.plain_recovery(killed, options)

    criteria.timed("state.recovery_time", recover, beside=open_a_small_database, calls=EACH, rounds=ROUNDS)
    criteria.note("state.recovery_time", f"the line above is of {entries:,} entries")
