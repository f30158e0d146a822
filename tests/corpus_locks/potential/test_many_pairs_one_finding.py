"""Twenty pairs of accounts, both ways each: one line is wrong, so it is one finding."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Account:
    def __init__(self):
        self.balance, self.lock = 0, threading.Lock()


def move(source, target):
    with source.lock:  # SITE
        with target.lock:  # SITE
            source.balance -= 1
            target.balance += 1


def test_all_pairs():
    accounts = [Account() for _ in range(20)]
    for one, other in zip(accounts, accounts[1:]):
        move(one, other)
        move(other, one)
    assert sum(account.balance for account in accounts) == 0
