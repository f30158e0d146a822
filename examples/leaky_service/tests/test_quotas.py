from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from shortlinks.quotas import Account, Directory, Refresher, move


def in_threads(*jobs: Callable[[], object]) -> None:
    threads = [threading.Thread(target=job, name=f"clerk-{number}") for number, job in enumerate(jobs, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_credits_move_both_ways() -> None:
    one, other = Account("acme", 10), Account("bolt", 10)
    in_threads(lambda: move(one, other, 3))
    in_threads(lambda: move(other, one, 5))
    assert (one.credits, other.credits) == (12, 8)


def test_nobody_gives_what_is_not_there() -> None:
    one, other = Account("acme", 1), Account("bolt", 0)
    with pytest.raises(ValueError, match="acme has no 3 credits"):
        move(one, other, 3)
    assert (one.credits, other.credits) == (1, 0)


def test_plans_are_looked_up_by_many_at_once() -> None:
    directory = Directory()
    plans: dict[str, str] = {}

    def look_up(tenant: str) -> None:
        for number in range(5):
            plans[tenant] = directory.plan(f"{tenant}{number}")

    in_threads(*(lambda tenant=tenant: look_up(tenant) for tenant in "abcd"))
    assert plans == {"a": "pro", "b": "free", "c": "free", "d": "free"}
    assert directory.known() == 20


def test_the_refresher_stops_when_it_is_told_to() -> None:
    begun = threading.Event()
    refresher = Refresher(begun.set)
    assert begun.wait(5)
    refresher.stop()
    assert refresher.rounds >= 1
