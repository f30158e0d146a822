"""How many links each tenant may still make: credits, the directory that says who is one, and a refresher."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Account:
    """The credits of a tenant."""

    def __init__(self, tenant: str, credits: int) -> None:
        self.tenant = tenant
        self.credits = credits
        self.lock = threading.Lock()


def move(source: Account, target: Account, credits: int) -> None:
    """Move credits from one tenant to another, all or none."""
    first, second = sorted((source, target), key=lambda account: account.tenant)
    with first.lock, second.lock:
        if source.credits < credits:
            raise ValueError(f"{source.tenant} has no {credits} credits")
        source.credits -= credits
        target.credits += credits


def ask_directory(tenant: str) -> str:
    """The plan of a tenant, by a request that takes its time."""
    time.sleep(0.01)
    return "pro" if tenant.startswith("a") else "free"


class Directory:
    """The plans of tenants, asked for once in a while."""

    def __init__(self, ask: Callable[[str], str] = ask_directory) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._plans: dict[str, str] = {}

    def plan(self, tenant: str) -> str:
        plan = self._ask(tenant)  # not under the lock: others need not wait for it
        with self._lock:
            self._plans[tenant] = plan
        return plan

    def known(self) -> int:
        with self._lock:
            return len(self._plans)


class Refresher:
    """A thread that calls *refresh* until it is stopped."""

    def __init__(self, refresh: Callable[[], object], interval: float = 0.01) -> None:
        self._refresh, self._interval = refresh, interval
        self._lock = threading.Lock()
        self._is_stopped = False
        self.rounds = 0
        self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the round that goes on."""
        with self._lock:
            self._is_stopped = True
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._is_stopped:
                    return
                self.rounds += 1
            self._refresh()
            time.sleep(self._interval)
