"""Each test takes the locks of the module in one order: no test is wrong, the two together are."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "merge"

plan_lock, crew_lock = threading.Lock(), threading.Lock()
plan, crew = [], []


def assign(name):
    with plan_lock:  # SITE
        with crew_lock:  # SITE
            plan.append(name)


def hire(name):
    with crew_lock:  # SITE
        with plan_lock:  # SITE
            crew.append(name)


def test_assign():
    assign("anna")
    assert "anna" in plan


def test_hire():
    hire("ben")
    assert "ben" in crew
