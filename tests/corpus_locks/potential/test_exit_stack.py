"""All locks of a set, entered through an ExitStack in the order in which they are asked for."""
import threading
from contextlib import ExitStack

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

TABLES = {"users": threading.Lock(), "orders": threading.Lock()}


def transaction(names, work):
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(TABLES[name])  # SITE
        return work()


def test_two_transactions():
    assert transaction(["users", "orders"], lambda: 1) == 1
    assert transaction(["orders", "users"], lambda: 2) == 2
