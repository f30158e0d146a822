"""The component manager: starts, stops and restarts components in the order of what they need.

Invariants, and what holds them:

- *What a component needs runs while it starts, runs and stops.* Whoever changes a component has claimed it alone, and
  leans on what it needs (``claims``); starting goes along the order of the registry, stopping against it, and whoever
  is to stop something has claimed all that need it.
- *start() and stop() of one component are never called at one time*, and in turns: each start() that returned is
  followed by one stop(), or the component still runs. An interruption (KeyboardInterrupt) between the return of
  start() and the line after it would lose that: so the call is made from C, which notes its return in one step.
- *No component is left starting or stopping, and nothing claimed, when a change is over*, however it ends: ``_leave``
  sees to that, and is called twice, for an interruption may hit the first call.
- *Nothing of a user's is called under the lock*: not start(), stop(), healthy(), a hook, nor a manager that is told.
"""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, NoReturn, TypeVar

from coresys.clock import Clock, MonotonicClock
from coresys.components.claims import RESTART, START, STOP, Claims
from coresys.components.hooks import ComponentChange, Hook, Hooks
from coresys.components.offers import lacking, named
from coresys.components.registry import Registry
from coresys.components.telling import FAILED, RUNNING, STARTING, STOPPED, STOPPING, Teller, in_short
from coresys.components.work import WHOLE, Component, Offer, Scope, Work, scope_of
from coresys.errors.guards import makes_coroutines
from coresys.errors.hierarchy import (
    ComponentSpecError,
    DuplicateComponentError,
    InterfaceError,
    NotProvidedError,
    OutsideViewError,
    StartFailedError,
    StopFailedError,
)
from coresys.forks import renew_in_children
from coresys.system_records import ComponentRecord, ComponentSpec

if TYPE_CHECKING:
    from coresys.components.view import ComponentView
    from coresys.interfaces import IComponentManager, IErrorManager, IMonitoringManager, IStateManager

T = TypeVar("T")
Problems = list[tuple[str, BaseException]]
_NO_ARGUMENTS: tuple[tuple[()], ...] = ((),)
_MOST_TRIES = 3  # of a stop() that was interrupted each time before it was called


class ComponentManager:
    """Starts, stops and restarts components.

    ``clock`` counts the time within which a component may be restarted so often. ``monitoring`` is told of every state
    that a component comes to (counters ``components.running`` and so on), of restarts, refusals and what a start took
    (``components.start_time``, in seconds). ``states`` holds a machine ``component.NAME`` for each. ``errors`` gets
    the problems that nobody gets raised, such as a stop() that failed in a restart which succeeded; without one they
    go to the log ``coresys.components``. ``timeout``: seconds that a change waits for another one's to be over; None:
    for as long as it takes.

    Any thread may call any method, also from inside a component's start() or stop().

    >>> from coresys.system_records import ComponentSpec
    >>> components = ComponentManager()
    >>> components.register(ComponentSpec("orders", needs=("db",)), start=lambda: print("orders"), stop=lambda: None)
    >>> components.register(ComponentSpec("db"), start=lambda: print("db"), stop=lambda: None)
    >>> components.start("orders")
    db
    orders
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        monitoring: IMonitoringManager | None = None,
        states: IStateManager | None = None,
        errors: IErrorManager | None = None,
        timeout: float | None = None,
    ) -> None:
        self._clock: Clock = clock or MonotonicClock()
        self._teller = Teller(monitoring, states, errors)
        self._hooks = Hooks()
        components: dict[str, Component] = {}
        self._components = components
        # Its lock is that of all that follows. It knows the components, not this: no circle.
        self._claims = Claims(lambda name: components[name].in_flux, timeout)
        self._registry = Registry()
        self._coming: set[str] = set()  # names that are taken by components which nobody may see yet
        renew_in_children(self, ComponentManager._after_fork)

    # -- declaring ---------------------------------------------------------------------------------------------------

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        """Declare a component, which is stopped. What it needs may be declared later, and has to be when it starts.

        ``start`` returns when the component runs, ``stop`` when it does so no more; what they return is not looked at.
        ``stop`` is not called after a ``start`` that raised. None of them is a coroutine function. Raises
        ComponentSpecError, DuplicateComponentError, ComponentCycleError with the circle, ChangeRefusedError, and what a
        state manager raises that cannot hold a machine for it; then nothing was declared.
        """
        self._register(spec, start, stop, healthy, WHOLE)

    def _register(
        self,
        spec: ComponentSpec,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None,
        scope: Scope,
    ) -> None:
        self._check_scope(spec.name, scope, "it is to be registered")
        self._claims.refuse_within("register", spec.name)
        for what, function in (("start", start), ("stop", stop), ("healthy", healthy)):
            # What it returns is not looked at: nobody would await it, and a coroutine is always true.
            if function is not None and makes_coroutines(function):
                problem = f"its {what} is a coroutine function: give one that runs it"
                raise ComponentSpecError(component=spec.name, problem=problem)
        new = held = False
        try:
            with self._claims.lock:
                declared = self._registry.declared(spec)
                if spec.name in self._coming:
                    raise DuplicateComponentError(component=spec.name)
                new = True  # first: to give up a name that was not taken does no harm
                self._coming.add(spec.name)
            self._ask(ComponentChange(spec.name, "register"))
            component = Component(spec, start, stop, healthy, self._clock)
            held = self._teller.declare(spec.name)
            with self._claims.lock:
                declared = self._registry.declared(spec)  # others have come meanwhile, and may close a circle
                self._components[spec.name] = component
                self._registry = declared
        finally:
            if new:
                if held and spec.name not in self._registry.specs:
                    self._teller.take_back(spec.name)
                with self._claims.lock:
                    self._coming.discard(spec.name)
                    if spec.name not in self._registry.specs:
                        self._components.pop(spec.name, None)

    def add_hook(self, hook: Hook, *, name: str | None = None) -> Callable[[], None]:
        """Have ``hook`` asked before each change that somebody asks for; returns what ends that.

        It is given a ComponentChange, one for each component that is going to change, before the first of them does.
        It refuses by returning a text that says why, or by raising; the caller gets ChangeRefusedError with ``name``
        (by default that of the function) and nothing is changed. It is called in the thread of whoever asks, without a
        lock. What has to follow a failure is not asked about: to stop again what was started, or what needs a
        component that failed.
        """
        return self._hooks.add(hook, name)

    def view(self, part: str | Iterable[str]) -> ComponentView:
        """A manager of a part: of all whose names begin with a text, or of these names, registered or not.

        It sees and changes nothing else. Its components may need others, which have to run by then.
        """
        from coresys.components.view import ComponentView  # which is over this module

        return ComponentView(self, scope_of(part))

    # -- changing ----------------------------------------------------------------------------------------------------

    def start(self, name: str | None = None) -> None:
        """Start a component and what it needs; None: all. What runs is left alone.

        Where one fails, what was started in this call is stopped again, last first, and StartFailedError tells all; an
        interruption is handled as a failure, and raised as it is. Raises UnknownComponentError, also for what is
        needed and not registered, ChangeRefusedError and ComponentBusyError; then nothing was changed.
        """
        self._start(name, WHOLE)

    def stop(self, name: str | None = None) -> None:
        """Stop a component and those that need it, which are first; None: all. One that failed is stopped after that,
        its stop() not called.

        Where one fails to stop it is ``failed``, the others are stopped all the same, and StopFailedError tells all;
        so with an interruption, which is raised as it is when that is done. Raises UnknownComponentError,
        ChangeRefusedError and ComponentBusyError; then nothing was changed.
        """
        self._stop(name, WHOLE)

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        """Stop and start a component, and those that need it; by ``rest-for-one`` all that start after it too.

        Others than ``name`` are started again if they ran, or would run had not something befallen them. What it needs
        is started where that does not run. False where it has been restarted as often as it may within its time: then
        it is ``failed``, and those that need it are stopped.

        A stop() that fails does not keep it from being started again. Where ``name`` itself does not start, what was
        started for it is stopped again; where another does not, those that need that stay stopped, and the rest goes
        on: StartFailedError tells all. Raises StopFailedError where it was not to be restarted, and something failed
        to stop; else as ``start``.
        """
        return self._restart(name, WHOLE, cause)

    def _start(self, name: str | None, scope: Scope) -> None:
        work = Work(START, name, scope)
        self._change(work, self._plan_start, self._run_start)

    def _stop(self, name: str | None, scope: Scope) -> None:
        work = Work(STOP, name, scope)
        self._change(work, self._plan_stop, self._run_stop)

    def _restart(self, name: str, scope: Scope, cause: str | None) -> bool:
        work = Work(RESTART, name, scope, cause)
        return self._change(work, self._plan_restart, self._run_restart)

    def _change(self, work: Work, plan: Callable[[Work], None], run: Callable[[Work], T]) -> T:
        try:
            try:
                self._claims.take(work, partial(plan, work))
                work.asking = True
                for name in work.asked:
                    self._ask(ComponentChange(name, work.action, work.cause))
                work.asking = False
                return run(work)
            finally:
                self._leave(work)
        finally:
            self._leave(work)

    def _leave(self, work: Work) -> None:
        """A change is over; twice does no harm."""
        component = work.current
        if component is not None:  # an interruption came while another one, or a failure, was being handled
            with self._claims.lock:
                if component.in_flux:
                    component.state, component.problem = FAILED, "interrupted"
            work.current = None
        outer = work.outer
        if isinstance(outer, Work) and outer.action == START:
            outer.started += work.started  # so that they are stopped again where the outer one fails
            work.started = []
        self._claims.leave(work)

    def _ask(self, change: ComponentChange) -> None:
        try:
            self._hooks.ask(change)
        except Exception:
            self._teller.count("components.refused", change.component)
            raise

    # -- what is to be done: under the lock --------------------------------------------------------------------------

    def _named(self, work: Work) -> list[str]:
        """Those that were asked for by name, or all."""
        if work.name is None:
            return [name for name in self._registry.order if work.scope.has(name)]
        self._check_scope(work.name, work.scope, f"{work.action} was asked for")
        self._registry.spec(work.name)
        return [work.name]

    def _plan_start(self, work: Work) -> None:
        needed = self._of(self._registry.with_needs(self._named(work)))
        work.starts = [each for each in needed if not each.running]
        work.touches = _names(work.starts)
        # Leant on also where there is nothing to start: another thread may be about to stop what runs yet.
        work.leans = _names(needed) - work.touches
        work.asked = tuple(each.name for each in work.starts)
        self._keep_to_scope(work, work.touches, "it has to be started first")

    def _plan_stop(self, work: Work) -> None:
        users = self._of(self._registry.with_users(self._named(work)))
        outside = {each.name for each in users if not work.scope.has(each.name)}
        # A failed one outside of the view needs nothing any more, and is left to its owner.
        work.stops = [
            each for each in reversed(users) if each.state != STOPPED and not (each.name in outside and not _up(each))
        ]
        work.unwanted = [each for each in users if each.name not in outside]
        # Claimed also where it has stopped: another thread may be about to start it.
        work.touches = _names(work.stops) | _names(work.unwanted)
        work.asked = tuple(each.name for each in work.stops)
        self._keep_to_scope(work, work.touches, "it needs what is to be stopped")

    def _plan_restart(self, work: Work) -> None:
        (name,) = self._named(work)
        registry = self._registry
        users = set(registry.with_users([name]))
        down = {each.name for each in self._of(registry.with_needs([name])) if not each.running} | {name}
        affected = [
            each
            for each in self._of(registry.restarted_with(name))
            if (work.scope.has(each.name) and (_up(each) or each.wanted)) or (each.name in users and _up(each))
        ]
        work.stops = [each for each in reversed(affected) if _up(each)]
        work.starts = self._of(registry.sorted({*down, *_names(affected)}))
        work.touches = _names(work.starts)
        work.leans = frozenset(registry.with_needs(work.touches)) - work.touches
        work.asked = tuple(each.name for each in work.starts)
        self._keep_to_scope(work, work.touches, f"it would have to be stopped or started with {name!r}")

    def _keep_to_scope(self, work: Work, names: Iterable[str], problem: str) -> None:
        outside = sorted(name for name in names if not work.scope.has(name))
        work.in_vain = (
            OutsideViewError(component=outside[0], view=work.scope.label, problem=problem) if outside else None
        )

    def _check_scope(self, name: str, scope: Scope, problem: str) -> None:
        if not scope.has(name):
            raise OutsideViewError(component=name, view=scope.label, problem=problem)

    def _of(self, names: Iterable[str]) -> list[Component]:
        return [self._components[name] for name in names]

    # -- doing it: what is touched has been claimed ------------------------------------------------------------------

    def _run_start(self, work: Work) -> None:
        try:
            for component in work.starts:
                if not component.running:  # else a change from inside of this one was there first
                    self._start_one(work, component)
        except BaseException as error:
            problems: Problems = [(work.current.name if work.current else work.subject, error)]
            self._settle_start(work, error)
            self._undo(work, problems, [each for each, _ in work.started])
            self._raise(StartFailedError, work, problems)

    def _run_stop(self, work: Work) -> None:
        for component in work.unwanted:
            component.wanted = False
        problems: Problems = []
        self._stop_each(work, work.stops, problems)
        if problems:
            self._raise(StopFailedError, work, problems)

    def _run_restart(self, work: Work) -> bool:
        assert work.name is not None
        subject = self._components[work.name]
        problems: Problems = []
        if not subject.intensity.allow(subject.name):
            self._give_up(work, subject, problems)
            if problems:
                self._raise(StopFailedError, work, problems)
            return False
        self._stop_each(work, work.stops, problems)
        interrupted = any(not isinstance(error, Exception) for _, error in problems)
        failed_to_stop = len(problems)
        if not interrupted:
            subject.restarted += 1
            self._start_again(work, subject, problems)
        if len(problems) == failed_to_stop and not interrupted:
            self._teller.count("components.restarted", subject.name)
            for name, error in problems:
                self._teller.problem(name, error)
            problems.clear()
            return True
        return self._raise(StartFailedError, work, problems, failed_to_stop)

    def _give_up(self, work: Work, subject: Component, problems: Problems) -> None:
        """It was restarted too often."""
        users = self._registry.with_users([subject.name])
        self._stop_each(work, [each for each in work.stops if each.name in users], problems)
        spec = subject.spec
        why = f"not restarted again: {spec.restarts} times within {spec.within:g} s is all it may be"
        self._move(work, subject, FAILED, why + (f" ({work.cause})" if work.cause else ""))
        subject.wanted = False
        self._teller.count("components.given_up", subject.name)

    def _start_again(self, work: Work, subject: Component, problems: Problems) -> None:
        """Start what can be; what needs one that does not run stays as it is, and wanted."""
        try:
            for component in work.starts:
                if not component.running and all(self._components[need].running for need in component.spec.needs):
                    try:
                        self._start_one(work, component)
                    except Exception as error:
                        problems.append((component.name, error))
                        self._settle_start(work, error)
        except BaseException as error:
            problems.append((work.current.name if work.current else work.subject, error))
            self._settle_start(work, error)
        if not subject.running:
            for_it = set(self._registry.with_needs([subject.name]))
            self._undo(work, problems, [each for each, _ in work.started if each.name in for_it])

    def _start_one(self, work: Work, component: Component) -> None:
        """Start it. Where that raises, ``_settle_start`` has to be called."""
        work.begin(component)
        if not self._move(work, component, STARTING, unless=RUNNING):
            work.current = None  # a signal's handler has come in since it was looked at, and has started it
            return
        began = self._clock.now()
        call = starmap(component.start, _NO_ARGUMENTS)
        work.called = True  # from here to the end of the next line no interruption comes but from start() itself
        work.done.extend(call)
        work.started.append((component, component.wanted))
        component.wanted = True
        component.starts += 1
        self._move(work, component, RUNNING)
        work.current = None
        self._teller.took("components.start_time", self._clock.now() - began, component.name)

    def _settle_start(self, work: Work, error: BaseException) -> None:
        """After what a start raised, at whatever place: it runs, for its start() had returned, or it failed."""
        component = work.current
        if component is None:
            return
        if work.done:
            if not work.started or work.started[-1][0] is not component:
                work.started.append((component, component.wanted))
            self._move(work, component, RUNNING)
        elif work.called:
            self._move(work, component, FAILED, in_short(error))
        elif component.state == STARTING:
            self._move(work, component, STOPPED)
        work.current = None

    def _undo(self, work: Work, problems: Problems, components: list[Component]) -> None:
        """Stop what was started, last first, but for what somebody else needs by now."""
        mine = _names(components)
        gone = [
            each
            for each in reversed(components)
            if all(user.name in mine or not _up(user) for user in self._of(self._registry.with_users([each.name])))
        ]
        before = {each.name: wanted for each, wanted in reversed(work.started)}
        for each in gone:
            each.wanted = before[each.name]
        self._stop_each(work, gone, problems)
        work.started = []

    def _stop_each(self, work: Work, components: Iterable[Component], problems: Problems) -> None:
        """Stop them in this order, each, whatever becomes of those before it, and whoever interrupts."""
        left = deque(components)
        tries = 0
        while left:
            try:
                while left:
                    self._stop_one(work, left[0], problems)
                    left.popleft()
                    tries = 0
            except BaseException as error:
                problems.append((left[0].name if left else work.subject, error))
                tries += 1
                self._settle_stop(work, error, last=tries == _MOST_TRIES)

    def _stop_one(self, work: Work, component: Component, problems: Problems) -> None:
        if component.state == FAILED:
            self._move(work, component, STOPPED)
        if component.state == STOPPED:
            return
        work.begin(component)
        self._move(work, component, STOPPING)
        call = starmap(component.stop, _NO_ARGUMENTS)
        try:
            work.called = True  # as in _start_one
            work.done.extend(call)
        except Exception as error:
            problems.append((component.name, error))
            self._move(work, component, FAILED, in_short(error))
        else:
            self._move(work, component, STOPPED)
        work.current = None

    def _settle_stop(self, work: Work, error: BaseException, *, last: bool) -> None:
        """After an interruption of a stop, at whatever place. One whose stop() was not called yet is tried again."""
        component = work.current
        if component is None:
            return
        if work.done:
            self._move(work, component, STOPPED)
        elif work.called or last:
            self._move(work, component, FAILED, in_short(error))
        work.current = None

    def _move(
        self, work: Work, component: Component, state: str, problem: str | None = None, *, unless: str = ""
    ) -> bool:
        """Have it in a state; False where it is in the one that is excepted."""
        offers = component.offers  # what is let go is let go outside of the lock: that may call its finalizer
        with self._claims.lock:
            if component.state == unless:
                return False
            if component.state == state and component.problem == problem:
                return True
            component.state, component.problem, component.healthy = state, problem, None
            if state in (STOPPED, FAILED):
                component.offers = {key: offer for key, offer in offers.items() if offer.lasts}
        self._teller.moved(component.name, state, problem or work.cause)
        return True

    def _raise(
        self, kind: type[StartFailedError | StopFailedError], work: Work, problems: Problems, first: int = 0
    ) -> NoReturn:
        """Raise the interruption, if one is among the problems, or an error that has all of them; ``first`` is the
        number of the one that it is named after."""
        interrupted = [error for _, error in problems if not isinstance(error, Exception)]
        causes = tuple(error for _, error in problems)
        told = tuple((name, in_short(error)) for name, error in problems)
        try:
            if interrupted:
                for name, error in problems:
                    if error is not interrupted[0]:
                        self._teller.problem(name, error)
                raise interrupted[0]
            action = f"{work.action} of {work.subject}"
            raise kind(component=told[first][0], action=action, problems=told, causes=causes) from _together(
                action, causes
            )
        finally:
            # Each has this frame or the caller's in its traceback: no circles, so that they go when they are let go.
            problems.clear()
            del interrupted, causes

    # -- looking -----------------------------------------------------------------------------------------------------

    def status(self, name: str) -> ComponentRecord:
        """Where it stands. ``healthy`` is the last answer of its health check in this run, None before the first.

        Raises UnknownComponentError.
        """
        with self._claims.lock:
            return self._component(name).record()

    def components(self) -> tuple[ComponentRecord, ...]:
        """All of them, in the order they start in, as of one moment."""
        return self._records(WHOLE)

    def _records(self, scope: Scope) -> tuple[ComponentRecord, ...]:
        with self._claims.lock:
            return tuple(self._components[name].record() for name in self._registry.order if scope.has(name))

    def check(self, name: str) -> ComponentRecord:
        """Ask a component that runs whether it is healthy, and say where it stands.

        A health check that raises an error says no; ``problem`` has the error. It is called in this thread and without
        a claim: it may be at work while another thread stops the component, and its answer is dropped then. Nothing
        is done about an answer: report what is amiss to an error manager, whose policies may restart.
        """
        with self._claims.lock:
            component = self._component(name)
            ask, run = component.check, component.starts
            if ask is None or not component.running:
                return component.record()
        problem = None
        try:
            healthy = bool(ask())
        except Exception as error:
            healthy, problem = False, in_short(error)
        with self._claims.lock:
            if component.running and component.starts == run:
                component.healthy, component.problem = healthy, problem
            record = component.record()
        self._teller.count("components.healthy" if healthy else "components.unhealthy", name)
        return record

    def _component(self, name: str) -> Component:
        self._registry.spec(name)  # raises, with names that look like it
        return self._components[name]

    def close(self) -> None:
        """Let go of what was declared (start, stop, health, offers, hooks) and of whoever is told: at the end of all.

        Where components stand can be asked still. What runs, or is being changed, is left as it is: ``stop`` first.
        What is started after that fails. Without this, a service and the managers that it was declared to would keep
        one another until somebody collects garbage. May be called twice.
        """
        with self._claims.lock:
            down = [each for each in self._components.values() if each.state in (STOPPED, FAILED)]
            gone: list[object] = [(each.start, each.stop, each.check, each.offers) for each in down]
            for each in down:
                each.start, each.stop, each.check, each.offers = _closed, _closed, None, {}
            if len(down) == len(self._components):
                gone.append((self._hooks, self._teller))
                self._hooks, self._teller = Hooks(), Teller(None, None, None)
        del gone  # outside the lock: finalizers are not ours

    def __repr__(self) -> str:
        components = list(self._components.values())
        running = sum(each.running for each in components)
        return f"<ComponentManager: {len(components)} components, {running} running>"

    # -- communication -----------------------------------------------------------------------------------------------

    def provide(self, name: str, interface: Callable[..., object], provided: object) -> None:
        """Have a component provide an object under an interface: a Protocol, or an abstract class.

        Others get it with ``require``, while the component runs. What was provided during a run (from start() on) is
        let go when that ends; what was provided before stays. Raises InterfaceError where the interface is none, or
        the object lacks something that it asks for, and UnknownComponentError.
        """
        problem = lacking(interface, provided)
        if problem is not None:
            raise InterfaceError(component=name, interface=named(interface), problem=problem)
        with self._claims.lock:
            component = self._component(name)
            offers = component.offers
            component.offers = {**offers, id(interface): Offer(interface, provided, lasts=not _up(component))}

    def require(self, name: str, interface: Callable[..., T], *, of: str | None = None) -> T:
        """What one of those that component ``name`` has declared to need provides under an interface.

        ``of`` names which, where several do. Raises NotProvidedError where none does, more than one, or it does not
        run now; and UnknownComponentError. Keep it no longer than the component runs.
        """
        with self._claims.lock:
            needs = self._component(name).spec.needs
            components = [self._components[need] for need in needs if need in self._components]
            having = [each for each in components if id(interface) in each.offers and of in (None, each.name)]
            if len(having) == 1 and having[0].running:
                found: T = having[0].offers[id(interface)].provided
                return found
            if of is not None and of not in needs:
                problem = f"it has not declared that it needs {of!r}"
            elif not having:
                among = f"of those it needs ({', '.join(needs)}) provides it" if needs else "is needed by it"
                problem = f"none {among}"
            elif len(having) > 1:
                problem = f"{', '.join(each.name for each in having)} provide it: say of which"
            else:
                problem = f"{having[0].name!r} provides it, and is {having[0].state}"
        raise NotProvidedError(component=name, interface=named(interface), problem=problem)

    def _after_fork(self) -> None:
        """In a forked child other threads' changes are not there to be completed."""
        self._claims.after_fork()
        mine = self._claims.touched()
        self._coming.clear()
        for component in self._components.values():
            if component.in_flux and component.name not in mine:
                component.problem = f"the process was forked while it was {component.state}"
                component.state = FAILED


def _closed() -> None:
    raise RuntimeError("the component manager is closed")


def _up(component: Component) -> bool:
    return component.state not in (STOPPED, FAILED)


def _names(components: Iterable[Component]) -> frozenset[str]:
    return frozenset(each.name for each in components)


def _together(message: str, causes: tuple[BaseException, ...]) -> BaseException:
    """One cause for all: itself, or a group; the first before Python 3.11, which has no groups."""
    group = getattr(builtins, "BaseExceptionGroup", None)
    if len(causes) == 1 or group is None:
        return causes[0]
    made: BaseException = group(message, causes)
    return made


if TYPE_CHECKING:
    _check: type[IComponentManager] = ComponentManager

__all__ = ["ComponentManager"]
