"""Calls that recover: procedures are asked along the path of a component until one says to call again.

On a failure, in this order: the procedures that the component's policies have for the class of the error; those of the
next on its path; and so on. Where none helps, the error goes to the caller. It is reported on its path in any case:
as a ``warning`` when it is simply tried again, as an ``error`` before anything is done about it (a restart may take
its time), or when nothing helped. An attempt that fails is an error of its own, also where the same exception object
is raised each time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from coresys.errors.backoff import RetryState
from coresys.errors.breaker import CLOSED, CircuitBreaker
from coresys.errors.guards import is_error, makes_coroutines, refuse_generators
from coresys.errors.policies import Escalate, Failure, Policies, Procedure, timed

if TYPE_CHECKING:
    from coresys.errors.manager import ErrorManager

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_Asked = Generator[tuple[Procedure, Failure], "float | None", "float | None"]


class Recovery:
    """One call of a component, from its first attempt until it succeeds or nothing helps any more."""

    __slots__ = ("_called", "_component", "_failed", "_manager", "_policies", "_retries", "_started", "_turns", "_used")

    def __init__(
        self,
        manager: ErrorManager,
        component: str,
        policies: Mapping[str, Policies],
        started: float = 0.0,
        *,
        called: bool = True,
    ) -> None:
        self._manager, self._component, self._policies = manager, component, policies
        self._started, self._called = started, called
        self._used: dict[int, int] = {}
        self._retries: dict[int, RetryState] = {}
        self._turns: list[tuple[object, CircuitBreaker, int]] = []  # by what each was declared
        self._failed = 0

    # -- an attempt --------------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Before each attempt: ask the circuits. Raises CircuitOpenError."""
        self._turns = []
        table = self._policies.get(self._component)
        if table is None:
            return
        for declared, circuit in table.declared_circuits(self._component):
            try:
                self._turns.append((declared, circuit, circuit.admit()))
            except BaseException:
                for _, admitted, turn in self._turns:
                    admitted.abandoned(turn)
                self._turns = []
                raise

    def was_admitted(self, declared: object, circuit: CircuitBreaker, turn: int) -> None:
        """An attempt was made already, which this circuit had let through."""
        self._turns = [(declared, circuit, turn)]

    def succeeded(self) -> None:
        """The attempt succeeded."""
        for _, circuit, turn in self._turns:
            circuit.succeeded(turn)
        self._manager.count_recovered(self._failed)

    def _count_failure(self, error: BaseException) -> None:
        table = self._policies.get(self._component)
        for declared, circuit, turn in self._turns:
            if not is_error(error):
                circuit.abandoned(turn)
            elif table is not None and table.counts(type(error), declared):
                circuit.failed(turn, error)
            else:  # it answers, if with an error
                circuit.succeeded(turn)
        self._turns = []

    def refused(self, error: BaseException) -> None:
        """There was no attempt, and there is no other."""
        if is_error(error):
            self._decided(error, None)

    # -- a failure ---------------------------------------------------------------------------------------------------

    def failed(self, error: BaseException) -> float | None:
        """The attempt raised: report it, do what the tables say; seconds until the next one, None: there is none."""
        self._count_failure(error)
        if not is_error(error):
            return None
        asking = self._ask(error)
        answer: float | None = None
        try:
            while True:
                procedure, failure = asking.send(answer)
                answer = self._recover(procedure, failure)
        except StopIteration as end:
            return self._decided(error, end.value)

    async def failed_async(self, error: BaseException) -> float | None:
        """The same; procedures that act do so in another thread."""
        self._count_failure(error)
        if not is_error(error):
            return None
        asking = self._ask(error)
        answer: float | None = None
        try:
            while True:
                procedure, failure = asking.send(answer)
                if procedure.acts:
                    from asyncio import to_thread  # not needed by programs that have no coroutines

                    answer = await to_thread(self._recover, procedure, failure)
                else:
                    answer = self._recover(procedure, failure)
        except StopIteration as end:
            return self._decided(error, end.value)

    def _ask(self, error: BaseException) -> _Asked:
        """Whom to ask, one after the other; returns the first answer that is no None."""
        for at in self._manager.paths.resolve(self._component):
            table = self._policies.get(at)
            procedures = () if table is None else table.of(type(error))
            for procedure in procedures:
                if isinstance(procedure, Escalate):
                    break
                if procedure.acts:
                    self._manager.report(error, component=self._component)
                answer = yield procedure, self._failure(error, at, procedure)
                self._manager.count_step(procedure.name, "again" if answer is not None else "next", at)
                if answer is not None:
                    return answer
            if procedures:
                self._manager.escalated()
                self._manager.count_step("escalate", "up", at)
        return None

    def _failure(self, error: BaseException, at: str, procedure: Procedure) -> Failure:
        key = id(procedure)
        used = self._used.get(key, 0)
        self._used[key] = used + 1
        retries = self._retries.setdefault(key, RetryState(self._started))
        return Failure(error=error, component=self._component, at=at, used=used, called=self._called, retries=retries)

    def _recover(self, procedure: Procedure, failure: Failure) -> float | None:
        try:
            return procedure.recover(failure)
        except Exception as problem:
            self._manager.report(problem, component=failure.at, ended=True)
            self._manager.count_step(procedure.name, "failed", failure.at)
            return None
        finally:
            # A worker thread that asked the procedure may keep its arguments for a while: not the error with them.
            del failure.error

    def _decided(self, error: BaseException, seconds: float | None) -> float | None:
        again = seconds is not None
        self._manager.report(error, component=self._component, severity="warning" if again else "error", ended=again)
        self._failed += again
        return seconds


class Recovering:
    """Calls of one component, as its policies and those along its path have it. Any thread and task may use it at once.

    Calls a function, decorates one, or is looped over: ``for attempt in recovering: with attempt: ...``. Policies that
    are declared later count from the next call on. A call that succeeds at once makes nothing and reads no clock,
    unless a policy has a deadline, or the component more than one circuit.
    """

    __slots__ = ("_async_sleep", "_circuit", "_component", "_declared", "_looked_at", "_manager", "_plain", "_timed")

    def __init__(
        self,
        manager: ErrorManager,
        component: str,
        *,
        async_sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        self._manager, self._component = manager, component
        self._async_sleep = async_sleep or _sleep_async
        self._looked_at: Mapping[str, Policies] | None = None
        self._plain = self._timed = False
        self._declared: object = None
        self._circuit: CircuitBreaker | None = None  # the one that calls go through, where there is no more than one

    def _look(self) -> None:
        """Find out what the policies ask of a call before it fails."""
        policies = self._manager.declared_policies
        own = policies.get(self._component)
        self._timed = timed(policies.values())
        circuits = () if own is None else own.declared_circuits(self._component)
        self._declared, self._circuit = circuits[0] if circuits else (None, None)
        self._plain = not self._timed and len(circuits) <= 1
        self._looked_at = policies  # last: another thread may look at the same time

    def _begin(self) -> Recovery:
        manager = self._manager
        policies = manager.declared_policies
        if self._looked_at is not policies:
            self._look()
        return Recovery(manager, self._component, policies, manager.clock.now() if self._timed else 0.0)

    # -- as a call ---------------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call a function until it succeeds or nothing helps any more; raises the error of the last attempt."""
        return self._calls(self._begin(), function, args, kwargs)

    def _calls(self, run: Recovery, function: Callable[..., T], args: tuple[Any, ...], kwargs: Any) -> T:
        while True:
            try:
                run.admit()
                result = function(*args, **kwargs)
            except BaseException as error:
                seconds = run.failed(error)
                if seconds is None:
                    raise
            else:
                run.succeeded()
                return result
            # Outside of the handler: that error is gone now, and is not the context of those that follow.
            self._manager.clock.sleep(seconds)

    async def call_async(self, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
        """The same for a coroutine function."""
        run = self._begin()
        while True:
            try:
                run.admit()
                result = await function(*args, **kwargs)
            except BaseException as error:
                seconds = await run.failed_async(error)
                if seconds is None:
                    raise
            else:
                run.succeeded()
                return result
            await self._async_sleep(seconds)

    # -- as a decorator ----------------------------------------------------------------------------------------------

    def __call__(self, function: F) -> F:
        """The function, or coroutine function, called so. Raises TypeError for generators."""
        wrapper: Any
        refuse_generators(function, "the loop of attempts")
        if makes_coroutines(function):

            @wraps(function)
            async def recovering_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await self.call_async(function, *args, **kwargs)

            wrapper = recovering_coroutine
        else:

            @wraps(function)
            def recovering(*args: Any, **kwargs: Any) -> Any:
                if self._looked_at is not self._manager.declared_policies:
                    self._look()
                declared, circuit = self._declared, self._circuit
                turn = 0 if circuit is None else circuit.turn  # before its state is looked at
                if not self._plain or (circuit is not None and circuit.state is not CLOSED):
                    return self._calls(self._begin(), function, args, kwargs)
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    run = self._begin()
                    if circuit is not None:
                        run.was_admitted(declared, circuit, turn)
                    seconds = run.failed(error)
                    if seconds is None:
                        raise
                else:
                    if circuit is not None:
                        circuit.succeeded(turn)
                    return result
                self._manager.clock.sleep(seconds)
                return self._calls(run, function, args, kwargs)

            wrapper = recovering
        return wrapper  # type: ignore[no-any-return]  # wraps keeps what F says of it

    # -- as a loop ---------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[RecoveryAttempt]:
        """Attempts, until the block inside of one succeeds, or raises its error."""
        run = self._begin()
        while True:
            attempt = RecoveryAttempt(run)
            yield attempt
            if attempt.seconds is None:
                return
            self._manager.clock.sleep(attempt.seconds)

    async def __aiter__(self) -> AsyncIterator[RecoveryAttempt]:
        """The same for ``async for`` and ``async with``."""
        run = self._begin()
        while True:
            attempt = RecoveryAttempt(run)
            yield attempt
            if attempt.seconds is None:
                return
            await self._async_sleep(attempt.seconds)

    # -- without a call ----------------------------------------------------------------------------------------------

    def handle(self, error: BaseException) -> bool:
        """Report an error that came from elsewhere, and do what the tables say; whether a procedure ended it.

        There is nothing to call again, so that trying again is left out.
        """
        run = Recovery(self._manager, self._component, self._manager.declared_policies, called=False)
        if run.failed(error) is None:
            return False
        run.succeeded()
        return True

    def __repr__(self) -> str:
        return f"<Recovering {self._component}>"


class RecoveryAttempt:
    """One attempt: ``with attempt``, in a coroutine ``async with attempt``. Swallows the error if there is another."""

    __slots__ = ("_run", "seconds")

    def __init__(self, run: Recovery) -> None:
        self._run = run
        self.seconds: float | None = None  # until the next one; None: there is none

    def __enter__(self) -> RecoveryAttempt:
        try:
            self._run.admit()
        except BaseException as error:
            self._run.refused(error)  # a block cannot be left out and tried later: what refuses it, is raised
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._run.succeeded()
            return False
        self.seconds = self._run.failed(error)
        return self.seconds is not None

    async def __aenter__(self) -> RecoveryAttempt:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._run.succeeded()
            return False
        self.seconds = await self._run.failed_async(error)
        return self.seconds is not None


async def _sleep_async(seconds: float) -> None:
    from asyncio import sleep  # not needed by programs that have no coroutines

    await sleep(seconds)
