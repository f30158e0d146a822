"""One thread alone takes two locks in both orders: two of them at once would hang."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Shop:
    def __init__(self):
        self.stock_lock = threading.Lock()
        self.order_lock = threading.Lock()
        self.stock, self.orders = {"tea": 3}, []

    def order(self, what):
        with self.order_lock:  # SITE
            with self.stock_lock:  # SITE
                self.stock[what] -= 1
                self.orders.append(what)

    def cancel(self):
        with self.stock_lock:  # SITE
            with self.order_lock:  # SITE
                self.stock[self.orders.pop()] += 1


def test_order_and_cancel():
    shop = Shop()
    shop.order("tea")
    shop.cancel()
    assert shop.stock == {"tea": 3}
