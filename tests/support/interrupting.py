"""What a signal's handler could do at any place of some code: raise, or call something, at each of them in turn.

CPython looks for signals after a call has returned and where a function begins. A ``with`` of 3.10 may be hit elsewhere
too, as anybody's.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Collection
from types import CodeType, FrameType
from typing import Any

import pytest

NOT_TRACED = pytest.mark.skipif(sys.gettrace() is not None, reason="traced by another, coverage perhaps")


@functools.cache
def after_which(code: CodeType, *, same_handler: bool = False) -> frozenset[int]:
    """The places in ``code`` that follow an instruction after which the interpreter looks for signals.

    What is raised there is the call's: with ``same_handler`` (from CPython 3.11 on) those are left out that are not in
    the same handler as the call, and so stand for nothing that happens.
    """
    table = getattr(dis, "_parse_exception_table")(code) if same_handler else ()  # noqa: B009  # mypy: it is private

    def handler(offset: int) -> object:
        return next((entry.target for entry in table if entry.start <= offset < entry.end), None)

    found = []
    before: int | None = None
    looked = True  # where a function begins
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("CACHE", "EXTENDED_ARG"):
            continue
        if looked and (before is None or handler(before) == handler(instruction.offset)):
            found.append(instruction.offset)
        looked = instruction.opname.startswith(("CALL", "RESUME")) and "INTRINSIC" not in instruction.opname
        before = instruction.offset
    return frozenset(found)


def interrupt() -> None:
    raise KeyboardInterrupt


class Hitting:
    """Calls ``hit`` at the n-th of those places that a thread comes to in ``files``; ``where`` says which that was."""

    def __init__(
        self, files: Collection[object], at: int, hit: Callable[[], object] = interrupt, *, same_handler: bool = False
    ) -> None:
        self.files, self.at, self.hit, self.same_handler = files, at, hit, same_handler
        self.seen, self.where, self.raised = 0, "", False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Hitting | None:
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in after_which(frame.f_code, same_handler=self.same_handler):
            self.seen += 1
            if self.seen == self.at:
                self.where = f"{frame.f_code.co_name}, line {frame.f_lineno}"
                self.hit()
        return self

    def watching(self, work: Callable[[], object]) -> bool:
        """Run ``work``, which may be interrupted; whether it came to that many places."""
        outer = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # CPython 3.12 wants one that has it before it begins to trace
        sys.settrace(self)
        try:
            work()
        except KeyboardInterrupt:
            self.raised = True
        finally:
            sys.settrace(outer)
        return self.seen >= self.at


def untraced(call: Callable[[], object]) -> Callable[[], None]:
    """What does it without being traced itself: for handlers, which are not at the places that are counted."""

    def run() -> None:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            call()
        finally:
            sys.settrace(tracer)

    return run
