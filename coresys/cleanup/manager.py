"""Runs the steps of a cleanup: each once, in order, whatever becomes of the others.

Invariants:

- A step is *taken* under the lock, in the same look in which it was found to be next; whoever took it runs it, nobody
  else does, and tells its end by its ``ended``. A run has taken one step at a time, and runs it at once. So two runs
  at once, of channels that need one another, run each step once, and the one waits for what the other has taken.
- The call of a step is claimed in one step of a dictionary (``_Step.call``): an interruption between taking a step and
  calling it, or while its thread is being started, neither loses it nor has it called twice.
- Nothing of a user's is called under the lock, and nothing waits under it; it is re-entrant, for a signal's handler may
  come in anywhere.
- Who is inside a cleanup is known by a context variable, which goes along to the threads and tasks that run steps: a
  step, or a handler that interrupts one, that asks for the same cleanup would wait for itself: it gets an empty report.
- What interrupts (KeyboardInterrupt, SystemExit, a cancellation) ends the step that runs, not the cleanup: it is raised
  again when all steps were begun, as an ExitStack does.
"""

from __future__ import annotations

import asyncio
import atexit
import builtins
import inspect
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from coresys.cleanup.alone import Alone, called_for
from coresys.cleanup.sequence import checked, concerned, in_order, missing
from coresys.cleanup.verify import Baseline, Level, Probe
from coresys.clock import monotonic
from coresys.errors.hierarchy import CleanupIncompleteError
from coresys.forks import free_lock, renew_in_children
from coresys.system_records import CleanupReport, CleanupStep

if TYPE_CHECKING:
    from coresys.interfaces import ICleanupManager

# What each step is given at least, where the deadline of the whole is over: every step is begun.
_LEAST = 0.01  # seconds
# What a task that overran gets to end in, after it was cancelled.
_LAST_WORDS = 0.01  # seconds
# How often a run plans anew because its steps have declared others.
_MOST_PLANS = 10_000
_MOST_NAMES = 10_000  # of steps that are over, which others may say that they come after


class _Step:
    """A step, and what has become of it: taken by nobody yet, called, or over."""

    __slots__ = ("_claim", "_run", "ended", "spec", "taken")

    def __init__(self, spec: CleanupStep, run: Callable[[], object]) -> None:
        self.spec, self._run = spec, run
        self.taken: _Run | None = None
        self._claim: dict[str, object] = {}
        self.ended = threading.Event()

    @property
    def is_coroutine(self) -> bool:
        """Whether a call of it gives something to be awaited, and does nothing else."""
        return inspect.iscoroutinefunction(self._run)

    @property
    def is_called(self) -> bool:
        """Whether somebody has called it, or is about to."""
        return bool(self._claim)

    def call(self) -> object:
        """Call it, once; ``_TWICE`` where somebody has."""
        mine = object()
        try:
            if self._claim.setdefault("by", mine) is not mine:
                return _TWICE
            return self._run()
        except BaseException as error:
            # An interruption that came before its first line: it has its turn again.
            if not isinstance(error, Exception) and self._claim.get("by") is mine and not self._was_entered(error):
                self._claim.clear()
            raise

    def _was_entered(self, error: BaseException) -> bool:
        """Whether an error came out of it; what is not written in Python has no frames, and may well have begun."""
        code = getattr(self._run, "__code__", None)
        traceback = error.__traceback__
        while traceback is not None and code is not None:
            if traceback.tb_frame.f_code is code:
                return True
            traceback = traceback.tb_next
        return code is None


_TWICE = object()


class _Run:
    """One run of a cleanup: what it has to do, and what it has seen."""

    def __init__(self, of: object, channel: str | None, deadline: float | None, now: Callable[[], float]) -> None:
        self.of, self.channel, self.now, self.began = of, channel, now, now()
        self.until = None if deadline is None else self.began + deadline
        self.goes_on = True
        self.plan: list[_Step] = []  # the next one last
        self.version = -1  # of what was declared, when it was planned
        self.plans = 0
        self.done: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.hung: list[str] = []
        self.errors: list[BaseException] = []
        self.interrupted: BaseException | None = None
        self.given_up: set[_Step] = set()  # of others, that were waited for long enough

    def seconds(self, step: CleanupStep) -> float | None:
        """How long a step may take from now on; None: as long as it wants."""
        if self.until is None:
            return step.deadline
        left = max(self.until - self.now(), _LEAST)
        return left if step.deadline is None else min(step.deadline, left)

    def note(self, step: CleanupStep, error: BaseException) -> None:
        """A step raised something, or was interrupted by it."""
        self.failed.append((step.name, f"{type(error).__name__}: {error}".rstrip(": ")))
        self.errors.append(error)
        self.interrupt(error)

    def interrupt(self, error: BaseException) -> None:
        """Remember what has to be raised when all steps were begun: the first."""
        if self.interrupted is None and not isinstance(error, Exception):
            self.interrupted = error

    def late(self, step: CleanupStep, seconds: float | None, took: float) -> None:
        """A step that could not be left behind is over: say so where it took too long, and others had left it time."""
        if seconds is not None and took > seconds and (seconds > _LEAST or step.deadline is not None):
            self.failed.append((step.name, f"it was done, but took {took:.3g} s of {seconds:.3g} s"))


_inside: ContextVar[tuple[_Run, ...]] = ContextVar("coresys.cleanup", default=())


def _enter(run: _Run) -> None:
    _inside.set((*_inside.get(), run))


def _forget_what_is_over() -> None:
    # Tasks that a step has left behind have the context for good: so it is asked whether a run goes on.
    _inside.set(tuple(run for run in _inside.get() if run.goes_on))


class CleanupManager:
    """Steps that take things down, in phases, each after what has to be done before it.

    >>> cleanup = CleanupManager()
    >>> cleanup.add(CleanupStep("close the store", after=("write the rest",)), lambda: print("closed"))
    >>> cleanup.add(CleanupStep("write the rest", phase="flush"), lambda: print("written"))
    >>> cleanup.add(CleanupStep("listen no more", phase="stop-intake"), lambda: print("deaf"))
    >>> cleanup.run().done
    deaf
    written
    closed
    ('listen no more', 'write the rest', 'close the store')
    >>> cleanup.run().done
    ()

    A step that has a deadline, by itself or by that of the whole, or is ``blocking``, runs on a thread of its own, and
    is left behind there where it overruns. One that is neither runs in the thread that runs the cleanup, as does one
    that is ``here``. A step may be a coroutine function: ``run`` gives it a loop of its own, ``run_async`` awaits it.

    ``probes`` look for what is left: ``verify_from_here`` notes what is there before a system is built, and each run
    says in its report what is there after it and was not before. ``on_error`` is told of whatever a step raises.
    """

    def __init__(
        self,
        *,
        probes: Iterable[Probe | Level] = (),
        on_error: Callable[[BaseException, CleanupStep], object] | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._lock = threading.RLock()
        self._steps: dict[str, _Step] = {}  # those that are not over
        self._over: dict[str, None] = {}  # names, the oldest first
        self._version = 0  # of what is declared
        self._probes, self._on_error, self._now = tuple(probes), on_error, now
        self._baseline: Baseline | None = None
        self.last_report: CleanupReport | None = None
        """Of the last run that came to its end, also where that raised."""
        renew_in_children(self, free_lock)

    # -- declaring ---------------------------------------------------------------------------------------------------

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Declare a step. Raises CleanupOrderError: see ``sequence.checked``.

        A name is taken until its step is over: then another may have it.
        """
        with self._lock:
            checked({name: each.spec for name, each in self._steps.items()}, step)
            self._steps[step.name] = _Step(step, run)
            self._version += 1

    def discard(self, name: str) -> bool:
        """Take a step out again, because what it takes down is gone; false where it was begun, or never declared."""
        with self._lock:
            step = self._steps.get(name)
            if step is None or step.taken is not None:
                return False
            del self._steps[name]
            self._version += 1
            return True

    def steps(self, channel: str | None = None) -> tuple[CleanupStep, ...]:
        """What is still to be begun, of a channel (with what that brings along) or all, in the order it will be."""
        with self._lock:
            return tuple(step.spec for step in self._in_order(channel) if step.taken is None)

    def _in_order(self, channel: str | None) -> list[_Step]:
        specs = {name: each.spec for name, each in self._steps.items()}
        wanted = concerned(specs, channel)
        return [self._steps[spec.name] for spec in in_order(specs.values()) if spec.name in wanted]

    def verify_from_here(self) -> None:
        """Note what is there now: whatever a whole run finds beyond it was left."""
        self._baseline = Baseline(self._probes)

    # -- running -----------------------------------------------------------------------------------------------------

    def run(self, *, channel: str | None = None, deadline: float | None = None, raising: bool = False) -> CleanupReport:
        """Run the steps of a channel and what those come after, or all, within ``deadline`` seconds.

        Every step is begun, each once; those that another thread has begun are waited for. What a step raises is in the
        report, and with ``raising`` in one CleanupIncompleteError in the end; what is no Exception (KeyboardInterrupt,
        SystemExit) is raised again in any case. Called from inside one of its own steps, or by a handler that
        interrupts one, it does nothing: whoever runs goes on to run all.
        """
        run = _Run(self, channel, deadline, self._now)
        if self._is_inside():
            return self._report(run)
        try:
            _enter(run)
            while not self._is_done(run, self._go_on):
                pass
        finally:
            run.goes_on = False  # in one step: whatever of the context an interruption leaves means nothing now
            _forget_what_is_over()
        return self._outcome(run, raising)

    async def run_async(
        self, *, channel: str | None = None, deadline: float | None = None, raising: bool = False
    ) -> CleanupReport:
        """As ``run``, in a running loop, which goes on meanwhile: coroutines are awaited, and cancelled when late."""
        run = _Run(self, channel, deadline, self._now)
        if self._is_inside():
            return self._report(run)
        try:
            _enter(run)
            while True:
                try:
                    if await self._go_on_async(run):
                        break
                except BaseException as error:
                    self._gives_up(run, error)
        finally:
            run.goes_on = False  # in one step: whatever of the context an interruption leaves means nothing now
            _forget_what_is_over()
        return self._outcome(run, raising)

    def _is_inside(self) -> bool:
        return any(run.of is self and run.goes_on for run in _inside.get())

    def _is_done(self, run: _Run, go_on: Callable[[_Run], bool]) -> bool:
        try:
            return go_on(run)
        except BaseException as error:
            self._gives_up(run, error)
            return False

    def _gives_up(self, run: _Run, error: BaseException) -> None:
        """An interruption came: the step that runs is ended by it, the others are not."""
        if isinstance(error, Exception):
            raise error  # a fault of ours: there is no step of anybody's that does not have its own handler
        run.interrupt(error)
        with self._lock:
            steps = [step for step in self._steps.values() if step.taken is run and step.is_called]
        for step in steps:
            run.note(step.spec, error)
            self._over_with(step)

    def _go_on(self, run: _Run) -> bool:
        """Run the next step, or wait for one of another's; true where there is none."""
        step = self._next(run)
        if step is None:
            return True
        if step.taken is run:
            self._run_step(run, step)
        elif not step.ended.wait(None if run.until is None else max(run.until - run.now(), _LEAST)):
            run.given_up.add(step)
        return False

    async def _go_on_async(self, run: _Run) -> bool:
        step = self._next(run)
        if step is None:
            return True
        if step.taken is run:
            await self._run_step_async(run, step)
            return False
        until = None if run.until is None else max(run.until, run.now() + _LEAST)
        while not step.ended.is_set():
            if until is not None and run.now() > until:
                run.given_up.add(step)
                break
            await asyncio.sleep(0.005)
        return False

    def _next(self, run: _Run) -> _Step | None:
        """The next step, taken; or one that another has taken and that has to be over first; None: all is done."""
        with self._lock:
            if run.version != self._version:
                self._plan(run)
            while run.plan:
                step = run.plan[-1]
                if step.ended.is_set() or step in run.given_up or self._steps.get(step.spec.name) is not step:
                    run.plan.pop()
                    continue
                if step.taken is None:
                    step.taken = run
                return step
        return None

    def _plan(self, run: _Run) -> None:
        if run.plans == 0:
            unknown = missing((each.spec for each in self._steps.values()), {*self._steps, *self._over})
            run.failed += [(name, f"comes after {before!r}, which nobody declared") for name, before in unknown]
        run.plans += 1
        if run.plans > _MOST_PLANS:
            run.failed.append(
                ("", f"steps went on declaring steps, {_MOST_PLANS} times by now: the rest was not begun")
            )
            run.plan.clear()
        else:
            run.plan = self._in_order(run.channel)[::-1]
        run.version = self._version

    # -- one step ----------------------------------------------------------------------------------------------------

    def _run_step(self, run: _Run, step: _Step) -> None:
        spec, seconds, began = step.spec, run.seconds(step.spec), run.now()
        alone = (spec.blocking or seconds is not None or step.is_coroutine) and not spec.here
        if alone:
            thread = Alone(lambda: _awaited_in_a_loop(step.call()), f"cleanup: {spec.name}")
            try:
                in_time = thread.ended.wait(seconds)
            except BaseException:
                self._hangs(run, step)
                raise
            if not in_time:
                self._hangs(run, step)
                return
            error, found = thread.outcome()
        else:
            error, found = called_for(lambda: _awaited_in_a_loop(step.call()))
        try:
            self._ended(run, step, error, found)
            if error is None and not alone:
                run.late(spec, seconds, run.now() - began)
        finally:
            del error  # it may have this frame

    async def _run_step_async(self, run: _Run, step: _Step) -> None:
        spec, seconds, began = step.spec, run.seconds(step.spec), run.now()
        alone = (spec.blocking or seconds is not None) and not spec.here and not step.is_coroutine
        if alone:
            loop, woken = asyncio.get_running_loop(), asyncio.Event()
            thread = Alone(step.call, f"cleanup: {spec.name}", lambda: loop.call_soon_threadsafe(woken.set))
            try:
                in_time = await _in_time(woken.wait(), seconds)
            except BaseException:
                self._hangs(run, step)
                raise
            if not in_time:
                self._hangs(run, step)
                return
            error, found = thread.outcome()
        else:
            error, found = called_for(step.call)
        if error is None and inspect.isawaitable(found):
            left = None if seconds is None else max(seconds - (run.now() - began), 0.0)
            task = asyncio.ensure_future(found)
            try:
                in_time = await _in_time(asyncio.wait({task}), left)
                if not in_time:
                    task.cancel()
                    if not await _in_time(asyncio.wait({task}), _LAST_WORDS):
                        self._hangs(run, step)
                        return
            except BaseException:  # our own task is cancelled: so is what it waits for
                task.cancel()
                raise
            if not in_time:
                error = TimeoutError(f"it was cancelled after {seconds:.3g} s")
            else:
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
            found = None
        try:
            self._ended(run, step, error, found)
            if error is None and spec.here:
                run.late(spec, seconds, run.now() - began)
        finally:
            del error  # it may have this frame

    def _ended(self, run: _Run, step: _Step, error: BaseException | None, found: object) -> None:
        if error is not None and not step.is_called:
            raise error  # an interruption, before the step was called: it has its turn again
        if found is _TWICE:  # by a thread that an interruption has left behind while it was being started
            self._hangs(run, step)
            return
        if error is None:
            run.done.append(step.spec.name)
        else:
            run.note(step.spec, error)
        self._over_with(step)
        if error is not None and self._on_error is not None:
            try:
                self._on_error(error, step.spec)
            except Exception as another:  # a stranger's; the first is in the report
                run.errors.append(another)

    def _hangs(self, run: _Run, step: _Step) -> None:
        run.hung.append(step.spec.name)
        self._over_with(step)

    def _over_with(self, step: _Step) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            if self._steps.get(step.spec.name) is step:
                del self._steps[step.spec.name]
                self._over[step.spec.name] = None
                if len(self._over) > _MOST_NAMES:
                    del self._over[next(iter(self._over))]
        step.ended.set()

    # -- the end of a run --------------------------------------------------------------------------------------------

    def _report(self, run: _Run) -> CleanupReport:
        # What was declared for one channel only says nothing of what the others still have.
        baseline = self._baseline if run.channel is None and not run.goes_on else None
        return CleanupReport(
            done=tuple(run.done),
            failed=tuple(run.failed),
            hung=tuple(run.hung),
            left=() if baseline is None else baseline.left(),
            seconds=run.now() - run.began,
            unmeasured=() if baseline is None else tuple(baseline.unmeasured.items()),
        )

    def _outcome(self, run: _Run, raising: bool) -> CleanupReport:
        report = self.last_report = self._report(run)
        errors, interrupted = tuple(run.errors), run.interrupted
        run.errors.clear()  # they have frames that have the run
        run.interrupted = None
        if interrupted is not None:
            try:
                raise interrupted
            finally:
                del interrupted, errors
        if raising and not report.complete:
            cause = _group(errors)
            raise CleanupIncompleteError(
                failed=report.failed, hung=report.hung, left=report.left, errors=errors
            ) from cause
        return report

    # -- when a process ends -----------------------------------------------------------------------------------------

    def at_exit(self, *, deadline: float | None = None) -> Callable[[], None]:
        """Run when the interpreter ends, if nobody did before; returns what takes that back.

        Threads that are no daemons were waited for by then. Forked children don't: what is to be taken down is their
        parent's.
        """
        process = os.getpid()

        def run() -> None:
            if os.getpid() == process:
                self.run(deadline=deadline)

        atexit.register(run)
        return lambda: atexit.unregister(run)

    def exit_on(self, *signals: signal.Signals) -> Callable[[], None]:
        """End the main thread by SystemExit(128 + n) when the process gets such a signal (SIGTERM where none is named).

        So ``with`` blocks let go of what they hold, as for Ctrl-C, and the cleanup finds nobody's locks taken. A signal
        that comes while the main thread is in a cleanup changes nothing: it is about to end. Returns what
        puts the handlers before it back. Raises ValueError in any thread but the main one.
        """

        def end(number: int, frame: object) -> None:
            if not self._is_inside():
                raise SystemExit(128 + number)

        before = [(each, signal.signal(each, end)) for each in signals or (signal.SIGTERM,)]

        def put_back() -> None:
            for each, handler in before:
                if signal.getsignal(each) is end:
                    signal.signal(each, signal.SIG_DFL if handler is None else handler)

        return put_back

    def __repr__(self) -> str:
        return f"<CleanupManager: {len(self._steps)} steps to be run>"


def _awaited_in_a_loop(found: object) -> object:
    """What a step gave; where that is to be awaited, it is, in a loop of its own."""
    return asyncio.run(_await(found)) if inspect.isawaitable(found) else found


async def _await(found: Awaitable[object]) -> object:
    return await found


async def _in_time(waiting: Awaitable[object], seconds: float | None) -> bool:
    try:
        await asyncio.wait_for(waiting, seconds)
    except asyncio.TimeoutError:
        return False
    return True


def _group(errors: tuple[BaseException, ...]) -> BaseException | None:
    """All errors as one; the first where there are no groups yet (Python 3.10)."""
    group: Any = getattr(builtins, "BaseExceptionGroup", None)
    if not errors or group is None:
        return errors[0] if errors else None
    grouped: BaseException = group("cleanup", list(errors))
    return grouped


if TYPE_CHECKING:
    _check: type[ICleanupManager] = CleanupManager

__all__ = ["CleanupManager"]
