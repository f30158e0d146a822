"""Where errors come to light that nobody caught: hooks of the interpreter and of event loops, chained and taken out.

An error that a hook sees has come to its end: nothing will handle it. So it is reported as ``ended``: the same object
raised again later is another error. One that was reported on its way is not counted again.

Whatever hook was there before is called after ours, so that nothing that was printed or collected is missed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from coresys.errors.guards import is_error

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Reporter(Protocol):
    """What hooks need of an error manager."""

    def report(
        self,
        error: BaseException,
        *,
        component: str,
        severity: str = "error",
        task: str | None = None,
        ended: bool = False,
    ) -> object:
        """Capture an error and send it along its path."""


class ErrorHooks:
    """Reports what nobody caught, between entering and leaving a ``with`` block.

    ``main``, ``threads``, ``unraisable`` and ``tasks`` are the components of errors that end the program, a thread
    (a ``threading.Timer`` is one), that are raised where nobody can catch them (in finalizers), and that an event loop
    was left with; None leaves that hook alone. ``component_of`` is asked for the component of a thread or task, by its
    name; None from it is the default. Loops are hooked one by one: ``with hooks.loop(asyncio.get_running_loop()):``.

    Hooks that others put over ours stay in place when ours are taken out; ours only pass on then.
    """

    def __init__(
        self,
        errors: Reporter,
        *,
        main: str | None = "main",
        threads: str | None = "threads",
        unraisable: str | None = "unraisable",
        tasks: str | None = "tasks",
        component_of: Callable[[str], str | None] | None = None,
    ) -> None:
        self._errors = errors
        self._main, self._threads, self._unraisable, self._tasks = main, threads, unraisable, tasks
        self._component_of = component_of
        self._installed: list[_Installed] = []

    def __enter__(self) -> ErrorHooks:
        if self._installed:
            raise RuntimeError("these hooks are in place already")
        if self._main is not None:
            self._installed.append(_Installed(sys, "excepthook", self._from_main))
        if self._threads is not None:
            self._installed.append(_Installed(threading, "excepthook", self._from_thread))
        if self._unraisable is not None:
            self._installed.append(_Installed(sys, "unraisablehook", self._from_nowhere))
        return self

    def __exit__(self, *exc: object) -> None:
        while self._installed:
            self._installed.pop().take_out()

    @contextmanager
    def loop(self, loop: AbstractEventLoop) -> Iterator[None]:
        """Report what tasks and callbacks of a loop end with, and whatever else it is left with."""
        before = loop.get_exception_handler()
        active = True

        def handler(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
            try:
                if active:
                    self._from_loop(context)
            finally:
                if before is None:
                    loop.default_exception_handler(context)
                else:
                    before(loop, context)

        loop.set_exception_handler(handler)
        try:
            yield
        finally:
            active = False
            if loop.get_exception_handler() is handler:
                loop.set_exception_handler(before)

    # -- what they report --------------------------------------------------------------------------------------------

    def _from_main(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._report(error, self._main)

    def _from_thread(self, args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else ""
        self._report(_made(args.exc_type, args.exc_value), self._threads, name)

    def _from_nowhere(self, args: sys.UnraisableHookArgs) -> None:
        # args.object may be on its way out: it is not looked at.
        self._report(_made(args.exc_type, args.exc_value), self._unraisable)

    def _from_loop(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:  # no error, but a complaint, such as of a task that was never awaited
            return
        task = context.get("task") or context.get("future")
        get_name, get_context = getattr(task, "get_name", None), getattr(task, "get_context", None)
        name = None if get_name is None else str(get_name())
        belongs: Context | None = None if get_context is None else get_context()  # from CPython 3.12 on
        if belongs is None:
            self._report(error, self._tasks, name, name)
        else:  # a copy, for this may be called from inside of it
            belongs.copy().run(self._report, error, self._tasks, name, name)

    def _report(
        self, error: BaseException, component: str | None, name: str | None = None, task: str | None = None
    ) -> None:
        if component is None or not is_error(error):
            return
        if name and self._component_of is not None:
            try:
                component = self._component_of(name) or component
            except Exception as problem:
                self._errors.report(problem, component=component, ended=True)
        self._errors.report(error, component=component, task=task, ended=True)


class _Installed:
    """One hook in its place, and what was there before."""

    def __init__(self, module: Any, name: str, tell: Callable[..., None]) -> None:
        self._module, self._name = module, name
        self._before: Callable[..., object] = getattr(module, name)
        self._active = True

        def hook(*args: Any) -> None:
            try:
                if self._active:
                    tell(*args)
            finally:  # also when telling fails: what was there before is not to miss anything
                self._before(*args)

        self._hook = hook
        hook.installed = self  # type: ignore[attr-defined]  # so that one below can be taken out from between
        setattr(module, name, hook)

    def take_out(self) -> None:
        self._active = False
        present = getattr(self._module, self._name)
        if present is self._hook:
            setattr(self._module, self._name, self._before)
            return
        above: _Installed | None = getattr(present, "installed", None)
        while above is not None and above._before is not self._hook:
            above = getattr(above._before, "installed", None)
        if above is not None:  # one of ours is right over this one
            above._before = self._before


def _made(kind: type[BaseException], error: BaseException | None) -> BaseException:
    """The exception; the interpreter may have had no memory to make it of its class."""
    if error is not None:
        return error
    try:
        return kind()
    except Exception:
        return RuntimeError(f"{kind.__name__}, of which there is nothing else")
