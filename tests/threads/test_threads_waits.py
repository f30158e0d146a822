"""The search for circles, step by step, with threads that are made up: what each is seen to wait for is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from threads_helping import no_threads_left  # noqa: F401  # autouse

from coresys.errors.hierarchy import DeadlockError
from coresys.threads import OrderedLock, waits
from coresys.threads.held import Holder, thread_name
from coresys.threads.sites import location, owner_of, site


class Raw:
    """Says of itself what a raw lock says; its owner may change from one look to the next."""

    def __init__(self, *owners: int) -> None:
        self.owners = list(owners)

    def __repr__(self) -> str:
        owner = self.owners.pop(0) if len(self.owners) > 1 else self.owners[0]
        return f"<locked _thread.RLock object owner={owner} count=1 at 0x7f>"


def waiting(ident: int, *owners: int, patient: bool = True) -> Holder:
    """A thread that waits for a lock of that owner."""
    holder = Holder()
    lock = OrderedLock(name=f"lock of {owners[0]}")
    lock.raw = Raw(*owners)
    holder.ident, holder.waiting, holder.patient, holder.turn = ident, lock, patient, 1
    waits._waiting[holder] = holder, waits.Waits()
    return holder


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    assert not waits._waiting
    yield
    waits._waiting.clear()


def look(holder: Holder) -> None:
    assert holder.waiting is not None
    waits._look(holder, holder.waiting)


def test_a_circle_is_told_to_one_of_its_threads_and_to_no_other() -> None:
    threads = [waiting(1, 2), waiting(2, 3), waiting(3, 1)]
    with pytest.raises(DeadlockError) as told:
        look(threads[1])
    assert told.value.cycle == (
        ("thread 2", "lock of 3", "thread 3"),
        ("thread 3", "lock of 1", "thread 1"),
        ("thread 1", "lock of 2", "thread 2"),
    )
    assert told.value.sites == (("a place not known", "a place not known"),) * 3
    look(threads[0])  # the one that was told has left
    look(threads[2])


@pytest.mark.parametrize(
    "others",
    [
        [],  # the holder runs
        [(2, 3)],  # it waits for one that runs
        [(2, 3), (3, 2)],  # a circle further on: those in it will find it
        [(2, 2)],  # it has just got what it waited for
        [(2, 0)],  # and that was let go again
    ],
)
def test_what_is_no_circle_of_ones_own_is_left_alone(others: list[tuple[int, int]]) -> None:
    mine = waiting(1, 2)
    for ident, owner in others:
        waiting(ident, owner)
    look(mine)
    assert mine.waiting is not None


@pytest.mark.parametrize("impatient", [0, 1])
def test_a_circle_with_a_timeout_in_it_is_left_to_that(impatient: int) -> None:
    threads = [waiting(1, 2, patient=impatient != 0), waiting(2, 1, patient=impatient != 1)]
    look(threads[1 - impatient])


def test_a_circle_that_is_there_in_one_of_two_looks_only_is_none() -> None:
    mine = waiting(1, 2, 5)  # when it is looked at again, another thread has it
    waiting(2, 1)
    look(mine)


def test_the_owner_of_a_raw_lock_is_read_from_what_it_says() -> None:
    raw = threading.RLock()
    assert owner_of(raw) == 0
    with raw:
        assert owner_of(raw) == threading.get_ident()
        assert thread_name(owner_of(raw)) == "MainThread"
    assert owner_of(object()) == 0
    assert thread_name(1) == "thread 1"


def test_a_place_is_a_file_and_the_line_of_the_instruction() -> None:
    code = compile("a = 1\n\n\nb = 2\n", "some.py", "exec")
    offsets = {line: start for start, _, line in code.co_lines() if line}
    assert site(code, offsets[4]) == "some.py:4"
    assert site(code, offsets[1]) == "some.py:1"
    assert site(None, 0) is None
    assert location(None, 0) is None
