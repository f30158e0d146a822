"""Two locks, by many threads, in one order."""
import threading


class Bank:
    def __init__(self):
        self.accounts_lock, self.log_lock = threading.Lock(), threading.Lock()
        self.balance, self.log = 0, []

    def deposit(self, amount):
        with self.accounts_lock:
            self.balance += amount
            with self.log_lock:
                self.log.append(amount)

    def last(self):
        with self.log_lock:
            return self.log[-1]


def test_deposits():
    bank = Bank()
    threads = [threading.Thread(target=bank.deposit, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (bank.balance, bank.last()) == (8, 1)
