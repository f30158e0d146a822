"""The errors of coresys. This module imports nothing, so every layer may raise from it."""

from __future__ import annotations

from typing import Any


class CoreSysError(Exception):
    """Base of all errors that coresys raises. Values are attributes, and survive pickling."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ would call the subclass with the message alone, which keyword-only
        # constructors refuse: rebuild without calling it, and put the attributes back.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[CoreSysError], args: tuple[Any, ...], state: dict[str, Any]) -> CoreSysError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UnitError(CoreSysError, ValueError):
    """A quantity could not be read: no unit, an unknown one, or a wrong one for its measure.

    ``key`` is the measure that it was written for, where that is known.
    """

    def __init__(self, *, text: object, unit: str, problem: str, key: str | None = None) -> None:
        self.text, self.unit, self.problem, self.key = text, unit, problem, key
        super().__init__(f"{key} = {text!r}: {problem}" if key else f"{text!r}: {problem}")


class UnknownMeasureError(CoreSysError, ValueError):
    """A budget was given for a measure that does not exist, or not here; ``problem`` names the nearest valid key."""

    def __init__(self, *, key: str, problem: str) -> None:
        self.key, self.problem = key, problem
        super().__init__(problem)


class BudgetExceededError(CoreSysError, AssertionError):
    """A part of a test, or of any program, used more than ``coresys.budget(...)`` allowed it.

    ``key`` is the first measure that was over, ``exceeded`` are all of them; ``details`` tells about each.
    """

    def __init__(
        self, *, key: str, actual: str, limit: str, details: tuple[str, ...] = (), exceeded: tuple[str, ...] = ()
    ) -> None:
        self.key, self.actual, self.limit, self.details = key, actual, limit, details
        self.exceeded = exceeded or (key,)
        super().__init__("\n".join([f"{key}: {actual} > {limit}", *(f"  {line}" for line in details)]))


class BudgetNotMeasuredError(CoreSysError):
    """A measure of ``coresys.budget(...)`` could not be taken, so that nobody can say whether it was within."""

    def __init__(self, *, key: str, why: str) -> None:
        self.key, self.why = key, why
        super().__init__(f"{key}: not measured: {why}")
