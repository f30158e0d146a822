"""The service: takes orders, and brings each to its end, on a few threads, through errors and restarts.

An order's steps are tasks of a channel of its own, so they are made one after the other, while other orders go on. What
is acknowledged is in the store; what was under way when the process ended is begun again by ``resume``.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from coresys.clock import WallClock
from coresys.errors import ErrorManager, Retrying
from coresys.errors.backoff import Wait, stop_after_attempt, wait_random_exponential
from coresys.errors.hierarchy import TransitionRefusedError
from coresys.state import SQLiteStore, StateManager
from coresys.system_records import ErrorRecord
from coresys.threads import AtomicCounter, LockHierarchy, ThreadManager, ThreadPool
from orders.payments import Payments
from orders.table import ORDER

AGAIN_SOON: Wait = wait_random_exponential(0.001, max=0.01)
LOCKS = LockHierarchy("orders", ["service", "tally"])


class Orders:
    """Places orders and processes them. Close it, or leave its ``with`` block.

    ``path`` is the file that has the orders; with ":memory:" they end with the process, as in a test that is not about
    the disk. ``wait`` is how long a provider that is away is given before it is asked again.
    """

    def __init__(
        self,
        path: Path | str,
        payments: Payments,
        *,
        clock: WallClock | None = None,
        workers: int = 4,
        wait: Wait = AGAIN_SOON,
    ) -> None:
        self._payments = payments
        self.alarms: deque[ErrorRecord] = deque(maxlen=100)
        self.errors = ErrorManager(clock=clock)
        self.errors.sink("operator", self.alarms.append)
        self.errors.route("orders", "operator")
        self.errors.route("payments", "orders")
        again = Retrying(stop=stop_after_attempt(4), wait=wait)
        self.errors.policies("payments", {ConnectionError: [again]})
        store = SQLiteStore(path, durability="memory" if path == ":memory:" else "process")
        self.states = StateManager(store=store, clock=clock)
        self.threads = ThreadManager(pool=ThreadPool(max_workers=workers, name="orders"), hierarchy=LOCKS)
        self._tally_lock = self.threads.lock("tally")
        self._tally: dict[str, int] = {}
        self.shipped = AtomicCounter()
        self._unwatch = self.states.watch(lambda record: self._count(record.target))

    def place(self, name: str, amount: int) -> Future[str]:
        """Take an order. When this returns it is in the store; the future has the state that it comes to."""
        self.states.add(name, ORDER)
        try:
            self.states.fire(name, "place", amount, actor="customer")
        except TransitionRefusedError:
            self.states.release(name)
            raise
        return self._process(name)

    def retry(self, name: str) -> Future[str]:
        """Try an order again that is in trouble."""
        self.states.fire(name, "retry", actor="operator")
        return self._process(name)

    def resume(self) -> list[Future[str]]:
        """Take up what the store has, and go on with what had not come to an end."""
        under_way = []
        for order in self.states.recover([ORDER]):
            if order.state == "new":  # the process ended before it was placed: nobody was told that it was
                self.states.release(order.name)
            elif not order.final and order.state != "trouble":
                under_way.append(self._process(order.name))
        return under_way

    def tally(self) -> dict[str, int]:
        """How often orders came to each state, in this process."""
        with self._tally_lock:
            return dict(self._tally)

    def close(self) -> None:
        self.threads.shutdown()
        self._unwatch()  # or this and the states would keep each other until somebody collects
        self.states.close()

    def __enter__(self) -> Orders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(self, state: str) -> None:
        with self._tally_lock:
            self._tally[state] = self._tally.get(state, 0) + 1

    def _process(self, name: str) -> Future[str]:
        return self.threads.submit_with(partial(self._bring_to_its_end, name), channel=name)

    def _bring_to_its_end(self, name: str) -> str:
        order = self.states.machine(name)
        try:
            with self.errors.guard("orders"):
                if order.state == "placed":
                    self.errors.recovering("payments").call(self._payments.charge, name)
                    order.fire("pay", actor="payments")
                if order.state == "paid":
                    order.fire("ship", actor="warehouse")
                    self.shipped.add()
        except Exception as error:
            order.fire("fail", cause=f"{type(error).__name__}: {error}")
        return order.state
