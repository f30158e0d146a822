"""Each criterion of locks can be broken: a system with one fault is found out by what measures it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from faultcases import Case, Table, above, over, raising

from validation_suites import ours
from validation_suites.faults import locks as faults
from validation_suites.faults import threads as thread_faults
from validation_suites.locks import measures
from validation_suites.threads import locking, times

RANKS = locking.RANKS[:3]


def storm(system: Any) -> list[str]:
    with system as entered:
        return measures.system_storm(entered, RANKS, 0.5).faults


def raw_locks(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "coordinator.py"
    path.write_text(text, encoding="utf-8")
    return measures.raw_locks([path])


TABLE = Table(
    faulty={
        "locks.hierarchy_enforced": {
            "no order": lambda: storm(faults.system_without_an_order(RANKS)),
            "an outer lock is taken inside": lambda: storm(faults.system_that_locks_outwards(RANKS)),
        },
        "locks.critical_section_time": {
            "a lock held in sleep": lambda: above(
                "locks.critical_section_time", measures.worst(faults.holds_of_a_sleeper()).p99
            ),
        },
        "locks.deadlock_detection_time": {
            "nobody is told": lambda: over(
                "locks.deadlock_detection_time",
                lambda: locking.circle(thread_faults.impatient, 2, 1.0).seconds,
                calls=1,
            ),
            "told late": lambda: over("locks.deadlock_detection_time", lambda: time.sleep(1.05), calls=1),
        },
        "locks.monitoring_overhead": {
            "a diary": lambda: above("locks.monitoring_overhead", times.overhead(thread_faults.DearLock(), rounds=3)),
        },
    },
    sound={
        "locks.hierarchy_enforced": lambda: storm(ours.system(ranks=RANKS)),
        "locks.deadlock_detection_time": lambda: locking.circle(measures.unranked, 2).faults,
        "threads.deadlocks, orders": measures.inversion_faults,
    },
)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.rows()])
def test_a_system_with_a_fault_is_found_out(case: Case) -> None:
    assert raising(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.sound.items()])
def test_a_sound_system_is_not_found_at_fault(case: Case) -> None:
    assert list(case()) == []


def test_there_is_a_fault_for_each_criterion_of_locks() -> None:
    assert TABLE.lacks("locks.") == []


def test_raw_locks_in_a_source_are_found_by_whatever_name(tmp_path: Path) -> None:
    assert raw_locks(faults.RAW_LOCKS, tmp_path) == [
        "coordinator.py:8 makes a raw Lock",
        "coordinator.py:8 makes a raw RLock",
        "coordinator.py:8 makes a raw allocate_lock",
    ]


def test_what_only_looks_like_a_raw_lock_is_none(tmp_path: Path) -> None:
    text = "import threading\nfrom coresys.threads import OrderedLock as Lock\nboth = Lock(), threading.Thread()\n"
    assert raw_locks(text, tmp_path) == []


def test_orders_that_nobody_reports_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = "import json\nprint(json.dumps({'two': {'locks': ['left', 'right'], 'reports': []}}))\n"
    (tmp_path / "silent.py").write_text(silent, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert measures.inversion_faults("silent") == ["case two: 0 reports of 2 locks in a circle: []"]


def test_the_locks_of_our_own_are_all_timed_where_they_are_made() -> None:
    held = measures.critical_sections(0.5)
    files = {each.where.split(":")[0].replace("\\", "/") for each in held}
    assert {"raw", "coresys/resources/lending.py", "coresys/components/claims.py"} <= files
    assert all(each.count >= 100 and 0 <= each.p99 < 60 for each in held)
