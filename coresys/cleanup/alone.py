"""A call that may hang, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any


class Alone:
    """A call on a thread of its own, which is left behind where the call does not end.

    It is made in the context of whoever makes this: what is called may ask for the cleanup that it is a part of, and
    must not wait for it. ``wake`` is called when it has ended.
    """

    def __init__(self, call: Callable[[], object], name: str, wake: Callable[[], object] | None = None) -> None:
        self._call, self._wake = call, wake
        self.ended = threading.Event()
        self._found: Any = None
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = threading.Thread(
            target=copy_context().run, args=(self._run,), name=name, daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # no thread can be started any more: the interpreter is about to end
            self._thread = None
            self._run()

    def _run(self) -> None:
        try:
            self._error, self._found = called_for(self._call)
        finally:
            self.ended.set()
            if self._wake is not None:
                try:
                    self._wake()
                except RuntimeError:  # the loop was closed: nobody waits any more
                    pass

    def outcome(self) -> tuple[BaseException | None, Any]:
        """What the call raised, and what it gave, when its thread has ended: so that nobody calls that left.

        Once: an error has the frame that has this. Kept here it would be in a circle, with all that its frames have.
        """
        if self._thread is not None:
            self._thread.join()
        error, found = self._error, self._found
        self._error = self._found = None
        return error, found


def called_for(call: Callable[[], object]) -> tuple[BaseException | None, object]:
    """What a call raised, and what it gave."""
    try:
        return None, call()
    except BaseException as error:
        return error, None


__all__ = ["Alone", "called_for"]
