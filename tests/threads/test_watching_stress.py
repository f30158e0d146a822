"""The watch itself, with sixteen threads that take turns every microsecond: no lost edge, no false one, nothing left.

What is asked of it is in ``lockstorm``; ``benchmarks/locks_storm.py`` asks it a million times and more. Watches that
are wrong on purpose show that it would be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from typing import Any

import pytest
from languages import LANGUAGES, written_in
from lockstorm import alive, storm

from coresys.threads.watching import chains, locks, speed, waits
from coresys.threads.watching.chains import here, leave
from coresys.threads.watching.locks import Lock, RLock

OPERATIONS = 120_000


@pytest.mark.slow
@pytest.mark.parametrize("language", [*LANGUAGES, "both"])
def test_nothing_lost_nothing_false_nothing_left(language: str) -> None:
    changes = cycle([speed.use_python, speed.use_c] if language == "both" else [lambda: None])
    before = alive()
    with written_in("c" if language == "both" else language):
        done, told = storm(OPERATIONS, seed=1, meanwhile=lambda: next(changes)())
    chains.renew()
    assert told == []
    assert done >= OPERATIONS
    assert chains.here.me.chain.ident is None
    chains.renew()
    assert [now - then for now, then in zip(alive(), before, strict=True) if now > then] == []


def exit_that_lets_go_first(self: Any, *_: object) -> None:
    """The raw lock goes before it is said: another thread has taken it meanwhile."""
    self._raw.release()
    me = here.me
    if self._me is me:
        leave(me, self._ident)
        self._me = None
    else:
        self._handed_over()


def enter_that_says_so_first(self: Any) -> bool:
    """``_me`` is written by a thread that has not got the lock yet."""
    self._me = here.me
    if not self._raw.acquire(False):
        waits.block(self)
    self._taken(locks._getframe(1))
    return True


def enter_that_forgets_its_wait(self: Any) -> bool:
    """Where it was not free, nothing is noted."""
    if self._raw.acquire(False):
        self._taken(locks._getframe(1))
        return True
    waits.block(self)
    self._me = me = here.me
    code, offset = self._place(locks._getframe(1))
    me.chain = chains._join(me.chain, self._ident, (code, offset))
    return True


def acquire_that_notes_a_timed_wait(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
    """What is waited for with a timeout is noted as what is waited for without."""
    if blocking is True and timeout == -1:
        if not self._raw.acquire(False):
            waits.block(self)
    elif not waits.asked(self, blocking, timeout):
        return False
    self._taken(locks._getframe(1))
    return True


def restore_that_forgets(self: Any, state: Any) -> None:
    """Taken again by a Condition, and not noted."""
    waits.restore(self, state[1])
    self._me, self._again = here.me, state[0]
    here.me.chain = chains._join(here.me.chain, self._ident, (None, 0))


WRONG: list[tuple[type[Any], str, Callable[..., Any]]] = [
    (Lock, "__exit__", exit_that_lets_go_first),
    (Lock, "__enter__", enter_that_says_so_first),
    (Lock, "__enter__", enter_that_forgets_its_wait),
    (Lock, "acquire", acquire_that_notes_a_timed_wait),
    (RLock, "_acquire_restore", restore_that_forgets),
]


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "name", "wrong"), WRONG, ids=[wrong.__name__ for _, _, wrong in WRONG])
def test_a_watch_that_is_wrong_is_seen(
    cls: type[Any], name: str, wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        stack.enter_context(written_in("python"))
        monkeypatch.setattr(cls, name, wrong)
        stack.callback(monkeypatch.undo)
        _, told = storm(40_000, seed=2)
    assert told
    chains.renew()
