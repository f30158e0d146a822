"""Transfers either way, but the account with the lower number is locked first."""
import threading


class Account:
    def __init__(self, number, balance):
        self.number, self.balance, self.lock = number, balance, threading.Lock()


def transfer(source, target, amount):
    first, second = sorted((source, target), key=lambda account: account.number)
    with first.lock:
        with second.lock:
            source.balance -= amount
            target.balance += amount


def test_there_and_back():
    accounts = [Account(number, 100) for number in range(4)]
    threads = [
        threading.Thread(target=transfer, args=(one, other, 1)) for one in accounts for other in accounts if one != other
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [account.balance for account in accounts] == [100] * 4
