"""Knowing an exception again: whether this is the occurrence that was reported, or another one.

The mark is in the exception's own dictionary, which every exception has, whatever its class does to attributes: it
goes when the exception goes, and refers to no frame. It is told by numbers whether the exception is still on its way
from where it was reported, or was raised anew, as one object that is raised again and again is:

- It was raised *again*, when the part of the traceback that came since has an entry at the very instruction that the
  first part ends with, and it did not come out of a call there; also when a traceback of its own ends there.
- Anything else that was added to the traceback is its way out, another thread's ``result()``, or somebody who raised
  it once more while handling it: the same occurrence. Unless its way had *ended*: at a hook of last resort, or at a
  procedure that recovered from it. What grows after that was raised after that.

What cannot be told: an exception object that is emptied (``with_traceback(None)``) and raised again at once by the
same instruction may get a traceback at the address of the first, and then is taken for it. Nor can occurrences of one
object be told that threads raise at the same time: before 3.12 each unwinds with what it found in the object and puts
that back, so that ways are lost; from 3.12 on the entries of all are in one list. The thread says nothing either, for
another one may report what was handed to it.
"""

from __future__ import annotations

from collections.abc import Callable
from opcode import opmap
from types import CodeType, FrameType, TracebackType
from typing import Any

from coresys.system_records import ErrorRecord

# The dictionary itself, whatever properties or slots a class has in its place.
dict_of: Callable[[BaseException], dict[str, Any]] = BaseException.__dict__["__dict__"].__get__

_SUSPENDABLE = 0x20 | 0x80 | 0x200
_RAISE = opmap["RAISE_VARARGS"]
_Place = tuple[str, int, int]


class Mark:
    """What one manager knows of one exception: where it stood when it was reported, and what was made of it.

    ``counted`` is false while the record is made and waits, for somebody may ask for the error yet.
    """

    __slots__ = ("counted", "ended", "leaf", "length", "number", "owner", "place", "record", "tail")

    def __init__(self, error: BaseException) -> None:
        self.owner = id(error)  # a copy of the exception has a copy of its dictionary
        self.length, self.tail, self.place = _shape(error.__traceback__)
        self.number = 0
        self.record: ErrorRecord | None = None
        self.counted = True
        self.leaf = True  # no group, and so one that has a number
        self.ended = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (_nothing, ())  # what comes out of pickle is another exception, perhaps in another process

    def is_of(self, error: BaseException) -> bool:
        """Whether this is still the occurrence that was marked."""
        if self.owner != id(error):
            return False
        trace = error.__traceback__
        length, tail, place = _shape(trace)
        if self.length == 0:  # reported before it was raised: the first time that it is, it is this one
            if length and self.ended:
                return False
            self.length, self.tail, self.place = length, tail, place
            return True
        if tail != self.tail or place != self.place:  # it has another traceback
            return place != self.place and not self.ended
        if length <= self.length:
            return True
        if self.ended or self._raised_again(trace, length - self.length):
            return False
        self.length = length  # so that the next part is told from this one
        return True

    def _raised_again(self, trace: TracebackType | None, entries: int) -> bool:
        """Whether one of the outermost entries is where the exception was raised, and not on its way out."""
        for _ in range(entries):
            assert trace is not None
            inner = trace.tb_next
            # A function that calls itself by way of C passes its errors on by the instruction that raises them.
            if (
                trace.tb_lasti == self.place[2]
                and _place(trace) == self.place
                and not _hands_on(trace.tb_frame.f_code)
                and (inner is None or not _came_out_of(inner.tb_frame, trace))
            ):
                return True
            trace = inner
        return False


def _hands_on(code: CodeType) -> bool:
    """Whether it is ``Future.result``: it raises what was raised elsewhere, or never, as errors of other processes."""
    return code.co_name == "__get_result" and code.co_filename.endswith("_base.py")


def _came_out_of(inner: FrameType, trace: TracebackType) -> bool:
    """Whether the error came to an entry out of the frame of the one within."""
    if inner.f_back is trace.tb_frame:
        return True
    # A generator or coroutine that is over does not say who resumed it (before 3.13). But ``raise`` raises anew.
    code = trace.tb_frame.f_code
    return inner.f_back is None and inner.f_code.co_flags & _SUSPENDABLE != 0 and code.co_code[trace.tb_lasti] != _RAISE


def _shape(trace: TracebackType | None) -> tuple[int, int, _Place]:
    """How many entries it has, which one is the innermost, and where that is."""
    if trace is None:
        return 0, 0, ("", 0, 0)
    length = 1
    following = trace.tb_next
    while following is not None:
        trace = following
        length += 1
        following = trace.tb_next
    return length, id(trace), _place(trace)


def _place(trace: TracebackType) -> _Place:
    code = trace.tb_frame.f_code
    return code.co_filename, code.co_firstlineno, trace.tb_lasti


def _nothing() -> None:
    return None
