"""Locks of a module that was imported before the plugin."""
import early_locks

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


def save(log):
    with early_locks.STORE:  # SITE
        with early_locks.INDEX:  # SITE
            log.append("saved")


def find(log):
    with early_locks.INDEX:  # SITE
        with early_locks.STORE:  # SITE
            log.append("found")


def test_save_and_find():
    log = []
    save(log)
    find(log)
    assert log == ["saved", "found"]
