"""Money goes from one account to another: the giver's lock first, whoever that is."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Account:
    def __init__(self, balance):
        self.balance, self.lock = balance, threading.Lock()

    def transfer(self, other, amount):
        with self.lock:  # SITE
            with other.lock:  # SITE
                self.balance -= amount
                other.balance += amount


def test_there_and_back():
    anna, ben = Account(10), Account(20)
    anna.transfer(ben, 5)
    ben.transfer(anna, 1)
    assert (anna.balance, ben.balance) == (6, 24)
