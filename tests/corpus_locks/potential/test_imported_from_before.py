"""``from early import FLUSH``: the test's own name for a lock that is older than the plugin."""
from early_locks import FLUSH, SWEEP

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


def flush():
    with FLUSH:  # SITE
        with SWEEP:  # SITE
            return "flushed"


def sweep():
    with SWEEP:  # SITE
        with FLUSH:  # SITE
            return "swept"


def test_flush_and_sweep():
    assert (flush(), sweep()) == ("flushed", "swept")
