"""CPython's own tests of locks, and of what is built on them, run on watched ones: each passes.

They come with the interpreter, where it carries its tests (not every distribution does).
"""

from __future__ import annotations

import threading
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coresys.threads.watching.install import install, installed, uninstall
from coresys.threads.watching.locks import InnerRLock, Lock, RLock

lock_tests: Any = pytest.importorskip("test.lock_tests", reason="this Python comes without its tests")

pytestmark = [pytest.mark.slow, pytest.mark.inner]


def _inner(cls: Any, make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: cls._around(make()._raw, (None, 0))


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Lock": ("LockTests", {"locktype": Lock}),
    "RLock": ("RLockTests", {"locktype": RLock}),
    "InnerRLock": ("RLockTests", {"locktype": _inner(InnerRLock, RLock)}),
    "Condition": ("ConditionTests", {"condtype": threading.Condition}),
    "Condition of a Lock": ("ConditionTests", {"condtype": lambda lock=None: threading.Condition(lock or RLock())}),
    "Semaphore": ("SemaphoreTests", {"semtype": threading.Semaphore}),
}


@pytest.fixture
def watched() -> Iterator[None]:
    install()
    yield
    uninstall()


def _outcomes(base: Any, given: dict[str, Any]) -> tuple[set[str], list[str]]:
    """Which of the tests failed, and what they said."""
    attributes = {name: staticmethod(value) for name, value in given.items()}
    case = type(base.__name__, (base,), {**attributes, "__module__": base.__module__})
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun > 5
    failed = result.failures + result.errors
    return {test.id() for test, _ in failed}, [text for _, text in failed]


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in ("Lock", "RLock", "Condition") else pytest.mark.long) for kind in KINDS],
)
@pytest.mark.filterwarnings("ignore")  # of the tests themselves, which mean some
def test_they_pass_the_tests_of_the_interpreter(kind: str, watched: None) -> None:
    assert installed()
    name, given = KINDS[kind]
    failed, texts = _outcomes(vars(lock_tests)[name], given)
    assert not failed, "\n".join(texts)


def test_these_tests_can_fail(watched: None) -> None:
    class Loose:
        """A lock that does not lock."""

        def acquire(self, *given: Any, **named: Any) -> bool:
            return True

        def release(self) -> None:
            pass

        def locked(self) -> bool:
            return False

        __enter__ = acquire

        def __exit__(self, *error: object) -> None:
            pass

    failed, _ = _outcomes(lock_tests.LockTests, {"locktype": Loose})
    assert failed
