"""Guards: report what comes out of a block, a function or a coroutine, and let it go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction, isroutine
from types import TracebackType
from typing import Any, Protocol, TypeVar

from coresys.errors.capture import group_members

F = TypeVar("F", bound=Callable[..., Any])


class Reporter(Protocol):
    """What a guard needs of an error manager."""

    def report(self, error: BaseException, *, component: str, severity: str = "error") -> object:
        """Capture an error and send it along its path."""


class Guard:
    """Reports each error that passes, as one of ``component``. May be entered by many threads and tasks at once.

    As a decorator it takes functions, coroutine functions and generator functions. What ends a thread, a task or the
    program by intent (SystemExit, KeyboardInterrupt, GeneratorExit, a cancellation) passes unreported.
    """

    __slots__ = ("_component", "_reporter", "_severity")

    def __init__(self, reporter: Reporter, component: str, severity: str = "error") -> None:
        self._reporter, self._component, self._severity = reporter, component, severity

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and is_error(error):
            self._reporter.report(error, component=self._component, severity=self._severity)

    def __call__(self, function: F) -> F:
        """The function, guarded. Raises TypeError for asynchronous generators: guard the block inside."""
        wrapper: Callable[..., Any]
        called = _called(function)
        if isasyncgenfunction(called):
            raise TypeError(f"{_named(function)} is an asynchronous generator; use the guard inside of it")
        if makes_coroutines(function):

            @wraps(function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                try:
                    return await function(*args, **kwargs)
                except BaseException as error:
                    self.__exit__(None, error, None)
                    raise

            wrapper = guarded_coroutine
        elif isgeneratorfunction(called):

            @wraps(function)
            def guarded_generator(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return (yield from function(*args, **kwargs))

            wrapper = guarded_generator
        else:

            @wraps(function)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                try:
                    return function(*args, **kwargs)
                except BaseException as error:
                    self.__exit__(None, error, None)
                    raise

            wrapper = guarded
        return wrapper  # type: ignore[return-value]  # wraps keeps what F says of it

    def __repr__(self) -> str:
        return f"<Guard of {self._component}>"


def makes_coroutines(function: Callable[..., Any]) -> bool:
    """Whether a call makes a coroutine: of an ``async def``, a partial of one, an object whose ``__call__`` is one."""
    return iscoroutinefunction(function) or iscoroutinefunction(_called(function))


def refuse_generators(function: Callable[..., Any], what: str) -> None:
    """Raises TypeError for what runs when it is iterated over, and not when it is called."""
    called = _called(function)
    if isgeneratorfunction(called) or isasyncgenfunction(called):
        raise TypeError(f"{_named(function)} is a generator, which runs after the call: use {what} inside of it")


def _called(function: Callable[..., Any]) -> Any:
    """The function that runs when this is called: of an object, its class's ``__call__``."""
    while isinstance(function, partial):
        function = function.func
    if isroutine(function) or isinstance(function, type):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


def is_error(error: BaseException) -> bool:
    """Whether it is an error, and not a request to end; of a group, whether any of its members is."""
    looked_at = [error]
    while looked_at:  # not by recursion: groups may be as deep as they like
        each = looked_at.pop()
        if isinstance(each, Exception):
            return True
        looked_at += group_members(each)
    return False
