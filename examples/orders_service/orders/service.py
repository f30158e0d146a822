"""The service: takes orders, and brings each to its end, on a few threads, through errors, restarts and shutdowns.

An order that was acknowledged is in the store, and its document on the disk. Its steps can be made twice without harm,
so whatever was under way when a step failed, or the process ended, is begun again: by ``resume``, or as soon as another
order gets through. What is about the order itself (it cannot be paid, say) brings it into ``trouble``, where somebody
has to look.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from coresys.coordinators.assembly import System
from coresys.coordinators.views import ScopedThreads
from coresys.errors import RestartComponent, Retrying
from coresys.errors.backoff import stop_after_attempt, wait_random_exponential
from coresys.errors.hierarchy import StoreError, TransitionFailedError
from coresys.monitoring import Threshold
from coresys.state import Machine
from coresys.system_records import AlarmRecord, CleanupStep, ComponentSpec, ErrorRecord
from orders.payments import Payments, ProviderAwayError
from orders.table import ORDER

LARGEST = 64 * 1024  # bytes of a document
HELD_UP_BY = (StoreError, TransitionFailedError, OSError)  # what the disk, or who locks the store, is to blame for


class Orders:
    """Orders, on a system that has the ranks ``RANKS``: its components ``payments`` and ``orders``."""

    RANKS = ("placing", "held up")

    def __init__(self, system: System, payments: Payments, folder: Path) -> None:
        self.system, self._state, self._errors, self._folder = system, system.state, system.errors, folder
        self._now, self._monitoring = system.clock.now, system.monitoring
        self.problems: deque[ErrorRecord] = deque(maxlen=100)  # what an operator has to know of
        self.alarms: deque[AlarmRecord] = deque(maxlen=100)
        self._placing = system.threads.lock("placing")  # a store has one writer anyway
        self._is_open = False
        self._guard = system.threads.lock("held up")
        self._held_up: set[str] = set()
        self._took = self._monitoring.histogram("orders.time", unit="seconds")
        self._monitoring.alarm(Threshold("orders.held_up", above=0), self.alarms.append)
        self._declare_errors()
        self._charge = self._errors.recovering("payments")(payments.charge)
        self._leases = system.coordinators.component.resources
        register = system.coordinators.component.register
        # Orders can do without payments for a while: they need them only to be up first, and down last.
        spec = ComponentSpec("payments", restarts=3, within=5.0)
        register(spec, start=payments.connect, stop=payments.close)
        register(ComponentSpec("orders"), start=self._start, stop=self._stop, lease=32 * LARGEST)
        drain = CleanupStep("finish orders", phase="drain", deadline=5.0)
        system.coordinators.cleanup.add(drain, partial(system.components.stop, "orders"))

    def _declare_errors(self) -> None:
        errors = self._errors
        again = Retrying(stop=stop_after_attempt(4), wait=wait_random_exponential(0.01, max=0.1))
        errors.sink("operator", self.problems.append)
        errors.route("orders", "operator")
        errors.route("payments", "orders")
        errors.policies("payments", {ProviderAwayError: [again, RestartComponent(self.system.components, "payments")]})
        errors.policies("orders", dict.fromkeys(HELD_UP_BY, [again]))

    def place(self, name: str, amount: int, document: bytes | memoryview = b"") -> Future[str]:
        """Take an order. When this returns it is acknowledged; the future has the state that it comes to.

        Raises TransitionRefusedError for one that is none, DuplicateMachineError, and what is in ``HELD_UP_BY`` where
        it cannot be kept: it is none then; and ValueError for a document of more than ``LARGEST`` bytes.
        """
        if len(document) > LARGEST:
            raise ValueError(f"a document is of {LARGEST} bytes at most, not of {len(document)}")
        with self._placing:
            if not self._is_open:
                raise RuntimeError("no orders are taken now")
            if name in self._state and self._state.state(name) == "new":  # it could be neither placed nor forgotten
                order = self._state.machine(name)
            else:
                order = self._state.add(name, ORDER)
            try:
                self._file("documents", name).write_bytes(document)
                order.fire("place", amount, actor="customer")
            except BaseException:
                with suppress(StoreError, OSError):
                    self._state.release(name)
                    self._file("documents", name).unlink(missing_ok=True)
                raise
            self._monitoring.count("orders", component="placed")
            return self._process(name)

    def retry(self, name: str) -> Future[str]:
        """Try an order again that is in trouble."""
        self._state.fire(name, "retry", actor="operator")
        return self._process(name)

    def resume(self) -> list[Future[str]]:
        """Take up what the store has, and go on with what had not come to an end."""
        if self._state.durability != "memory":
            self._state.recover([ORDER])
        under_way = []
        for order in self._state:
            if order.state == "new":  # the process ended before it was placed: nobody was told that it was
                self._state.release(order.name)
            elif order.final:
                self._state.release(order.name, keep=True)
            elif order.state != "trouble":
                under_way.append(self._process(order.name))
        return under_way

    def _start(self) -> None:
        for kind in ("documents", "receipts"):
            (self._folder / kind).mkdir(exist_ok=True)
        self._threads = ScopedThreads(self.system.threads, "orders")
        self._held_up.clear()  # they are among those that are taken up
        self.resume()
        self._is_open = True

    def _stop(self) -> None:
        with self._placing:
            self._is_open = False
        self._go_on_with_held_up()
        self._threads.shutdown()  # waits for all that is under way

    def _file(self, kind: str, name: str) -> Path:
        return self._folder / kind / f"{quote(name, safe='')}.txt"

    def _process(self, name: str) -> Future[str]:
        # A channel of its own: an order's steps are made one after the other, while other orders go on.
        return self._threads.submit_with(partial(self._bring_to_its_end, name, self._now()), channel=name)

    def _bring_to_its_end(self, name: str, began: float) -> str:
        order = self._state.machine(name)
        try:
            try:
                self._errors.recovering("orders").call(self._go_on, order)
            except HELD_UP_BY:  # nothing is wrong with the order
                raise
            except Exception as error:
                order.fire("fail", cause=f"{type(error).__name__}: {error}")
        except BaseException as error:  # of whatever kind: a library that wants to exit must not cost us an order
            self._errors.report(error, component="orders")
            self._hold_up(name)
            raise
        self._monitoring.count("orders", component=order.state)
        self._took.record(self._now() - began)
        if order.final:
            self._state.release(name, keep=True)  # who asks for it later, asks the store
        self._go_on_with_held_up()
        return order.state

    def _go_on(self, order: Machine) -> None:
        if order.state == "placed":
            self._charge(order.name)
            order.fire("pay", actor="payments")
        if order.state == "paid":
            self._write_receipt(order.name)
            order.fire("ship", actor="warehouse")

    def _write_receipt(self, name: str) -> None:
        with self._leases.lease(LARGEST, owner="orders") as room, self._file("documents", name).open("rb") as file:
            size = file.readinto(room)
            self._file("receipts", name).write_text(f"{hashlib.sha256(room[:size]).hexdigest()} {size} bytes\n")

    def _hold_up(self, name: str) -> None:
        with self._guard:
            self._held_up.add(name)
            self._monitoring.gauge("orders.held_up", len(self._held_up))

    def _go_on_with_held_up(self) -> None:
        """An order got through: so may those that did not, while the disk was full, say."""
        with self._guard:
            names, self._held_up = self._held_up, set()
            self._monitoring.gauge("orders.held_up", 0)
        with suppress(RuntimeError):  # the service is going down: the store has them, for the next one
            for name in names:
                self._process(name)
