"""build_system: what is wired to what, and how it goes down."""

from __future__ import annotations

import doctest
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from inturn import in_turn
from storms import no_threads_left

from coresys import build_system
from coresys.coordinators import assembly, testing
from coresys.coordinators.assembly import System
from coresys.errors.hierarchy import CleanupIncompleteError, DuplicateMachineError, LockOrderError, RankError
from coresys.resources.tiers import Tier
from coresys.state import SQLiteStore
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec, StateDefinition
from coresys.testing.fakes import FakeClock

__all__ = ["no_threads_left"]  # a fixture

SMALL = (Tier("small", 4096, 8), Tier("medium", 65536, 4))
DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"),))
OURS = ("close environments", "stop components", "end threads", "end sampling", "close state", "close resources")


def built(name: str = "s", **given: Any) -> System:
    return build_system(name, **{"tiers": SMALL, "sampling": None, **given})


@pytest.mark.parametrize("module", [assembly, testing], ids=lambda module: module.__name__)
def test_the_examples_run(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted >= 2
    assert result.failed == 0


def test_it_goes_down_in_order_and_only_once() -> None:
    system, made = built(), list[str]()
    system.components.register(ComponentSpec("web"), start=list, stop=lambda: made.append("web"))
    system.resources.register("socket", owner="web", close=lambda: made.append("socket"))
    for phase in ("stop-intake", "drain", "flush", "release", "verify"):
        system.cleanup.add(CleanupStep(f"my {phase}", phase=phase), partial(made.append, phase))
    with system:
        system.start()
        assert system.coordinators.component.status("web").state == "running"
        assert repr(system).startswith("<System s: up")
    assert made == ["stop-intake", "drain", "web", "flush", "release", "socket", "verify"]
    assert repr(system).startswith("<System s: down")
    again = system.shutdown()
    assert (again.done, again.complete) == ((), True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        system.threads.submit(str)


def test_our_steps_come_last_of_their_phases() -> None:
    system = built()
    system.cleanup.add(CleanupStep("mine"), list)
    assert system.shutdown().done == (*OURS[:4], "mine", *OURS[4:])


def test_what_is_left_is_told_with_its_place_and_raised() -> None:
    system, kept = built(), list[object]()
    with pytest.raises(CleanupIncompleteError, match=f"lent to 'web', taken at {__file__}"), system:
        kept += [system.resources.lease(10, owner="web") for _ in range(2)]
    assert system.resources.leases() == ()
    assert len(kept) == 2


def test_an_error_that_is_on_its_way_is_not_hidden_by_what_was_left(caplog: pytest.LogCaptureFixture) -> None:
    system = built()
    kept: list[object] = []

    def work() -> None:
        kept.append(system.resources.lease(10, owner="web"))
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"), system:
        work()
    assert "lent to 'web'" in caplog.text


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


HANGING: dict[str, Callable[[System, threading.Event], object]] = {
    "a component": lambda system, gate: system.components.register(
        ComponentSpec("web"), start=list, stop=lambda: gate.wait(30)
    ),
    "a task": lambda system, gate: system.threads.submit(gate.wait, 30),
    "a close": lambda system, gate: system.resources.register("f", owner="web", close=lambda: gate.wait(30)),
    "a step": lambda system, gate: system.cleanup.add(CleanupStep("mine"), lambda: gate.wait(30)),
}
STEPS = {"a component": "stop components", "a task": "end threads", "a close": "close resources", "a step": "mine"}


@pytest.mark.parametrize("what", HANGING)
def test_what_hangs_is_told_within_the_deadline_and_the_rest_goes_down(what: str, gate: threading.Event) -> None:
    system, closed = built(timeout=0.3), list[str]()
    HANGING[what](system, gate)
    system.resources.register("other", owner="other", close=lambda: closed.append("other"))
    system.start()
    report = system.shutdown()
    told = [*(step for step, _ in report.failed), *report.hung]
    assert told == [STEPS[what]]
    assert sorted({*report.done, *told} - {"mine"}) == sorted(OURS)
    assert closed == ["other"] or what == "a close"
    assert report.seconds < 5, "it waited for what hangs"
    if what == "a task":
        assert "1 task did not end" in report.failed[0][1]
    gate.set()


def test_a_task_that_waits_for_a_lock_that_nobody_gives_back_ends_when_locks_are_closed() -> None:
    system, became = built(timeout=0.3, ranks=["book"]), list[str]()
    lock = system.threads.lock("book")

    def work() -> None:
        try:
            with lock:
                became.append("had it")
        except Exception as error:
            became.append(type(error).__name__)
            raise

    with lock:
        future = system.threads.submit(work)
        report = system.shutdown()
        assert isinstance(future.exception(10), Exception)
    assert [step for step, _ in report.failed] == ["end threads"]
    assert became == ["LockClosedError"]


def test_a_task_that_shuts_its_system_down_does_not_wait_for_itself() -> None:
    system = built(timeout=30.0)
    entered, go_on = threading.Event(), threading.Event()
    other = system.threads.submit(in_turn(entered.set, lambda: go_on.wait(10)))
    entered.wait(10)
    down = system.threads.submit(system.shutdown)
    threading.Timer(0.02, go_on.set).start()
    report = down.result(10)
    assert report.complete
    assert other.done(), "others are waited for"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_of_a_small_pool_may_shut_it_down_while_others_wait_for_its_thread(workers: int) -> None:
    system = built(timeout=30.0, workers=workers)
    begun, go_on = threading.Event(), threading.Event()
    down = system.threads.submit(in_turn(begun.set, lambda: go_on.wait(10), system.shutdown))
    begun.wait(10)
    waiting = [system.threads.submit(str) for _ in range(3)]
    go_on.set()
    assert down.result(10).complete  # type: ignore[attr-defined]
    assert [each.result(10) for each in waiting] == [""] * 3


def test_two_threads_that_shut_down_at_once_take_it_down_once() -> None:
    system, made, reports = built(), list[str](), list[Any]()
    entered, go_on = threading.Event(), threading.Event()
    system.cleanup.add(
        CleanupStep("mine", here=True), in_turn(entered.set, lambda: go_on.wait(10), lambda: made.append("mine"))
    )
    threads = [threading.Thread(target=lambda: reports.append(system.shutdown())) for _ in range(2)]
    for each in threads:
        each.start()
    entered.wait(10)
    go_on.set()
    for each in threads:
        each.join()
    assert made == ["mine"]
    assert sorted(step for report in reports for step in report.done) == sorted((*OURS, "mine"))
    assert all(report.complete for report in reports)


def test_a_component_that_shuts_the_system_down_as_it_stops_waits_for_nobody() -> None:
    system, found = built(timeout=30.0), list[Any]()
    system.components.register(
        ComponentSpec("web"), start=list, stop=lambda: found.append(system.shutdown(deadline=20.0))
    )
    system.start()
    report = system.shutdown()
    assert report.complete
    assert found[0].done == ()


def test_what_interrupts_the_shutdown_is_raised_when_all_is_down() -> None:
    system = built()

    def interrupted() -> None:
        raise KeyboardInterrupt

    system.cleanup.add(CleanupStep("mine", phase="stop-intake"), interrupted)
    system.resources.register("f", owner="web", close=lambda: closed.append("f"))
    closed: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        system.shutdown()
    assert closed == ["f"]
    assert repr(system).startswith("<System s: down")


def test_all_that_fails_to_close_is_told() -> None:
    system = built()
    for owner in ("a", "b"):
        system.resources.register("f", owner=owner, close=partial(int, owner))
    ((step, problem),) = system.shutdown().failed
    assert step == "close resources"
    assert "base 10: 'a'" in problem
    assert "base 10: 'b'" in problem


def test_environments_that_are_open_are_closed_and_what_they_left_is_told() -> None:
    system = built()
    clean, left = (system.coordinators.testing.open(EnvironmentSpec(name)) for name in ("clean", "left"))
    lease = left.resources.lease(10, owner="web")
    ((step, problem),) = system.shutdown().failed
    assert step == "close environments"
    assert "lent to 'web'" in problem
    assert "clean" not in problem
    assert clean.left() == ()
    assert lease is not None


def test_errors_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with built() as system:
        system.errors.report(OSError("no disk"), component="store")
        system.errors.report(OSError("slow disk"), component="store", severity="warning")
    assert [(each.levelno, each.getMessage()) for each in caplog.records if each.name == "coresys"] == [
        (logging.ERROR, "store: OSError: no disk"),
        (logging.WARNING, "store: OSError: slow disk"),
    ]


def test_a_step_that_fails_is_an_error_of_the_cleanup(caplog: pytest.LogCaptureFixture) -> None:
    system = built()
    system.cleanup.add(CleanupStep("mine"), partial(int, "x"))
    assert not system.shutdown().complete
    assert [each.component for each in system.errors.recent()] == ["cleanup"]
    assert "cleanup: ValueError" in caplog.text


def test_what_was_dropped_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with built() as system:
        system.resources.lease(10, owner="web")
        system.resources.lease(10, owner="web").release()
    assert ("resources.leaked", "web", 1.0) in system.monitoring.snapshot().counters
    assert "a buffer of 'web' was dropped" in caplog.text


def test_the_sampler_looks_at_the_system() -> None:
    seen = threading.Event()
    with built(sampling=50.0) as system:
        system.threads.submit(pow, 2, 5).result()
        observe = system.coordinators.monitoring.observe
        system.coordinators.monitoring.observe = in_turn(observe, seen.set)  # type: ignore[method-assign,assignment]
        assert seen.wait(10)
        gauges = {name for name, _, _ in system.monitoring.snapshot().gauges}
    assert {"threads.workers", "pools.busy"} <= gauges


def test_all_who_ask_at_once_get_the_same_coordinators(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=10)
    make = System._new_coordinators
    monkeypatch.setattr(System, "_new_coordinators", lambda self: (both.wait(), make(self))[1])
    system, found = built(), list[Any]()
    askers = [threading.Thread(target=lambda: found.append(system.coordinators)) for _ in range(2)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert found[0] is found[1] is system.coordinators
    assert system.lives.names() == ("cleanup/system",)
    system.shutdown()


def test_ranks_are_in_force_and_coordinators_come_innermost() -> None:
    with built(ranks=["registry", "order"]) as system:
        assert system.hierarchy["order"].index < system.hierarchy[assembly.COORDINATORS].index
        outer, inner = system.threads.lock("registry"), system.threads.lock("order")
        with outer, inner:
            system.coordinators.monitoring.observe()
        with inner, pytest.raises(LockOrderError):
            outer.acquire()
    with pytest.raises(RankError):
        built(ranks=["coordinators"])


def test_a_store_outlives_the_system(tmp_path: Path) -> None:
    with built(store=tmp_path / "machines.db") as system:
        system.state.define("door", DOOR)
        system.state.fire("door", "push")
    with built(store=SQLiteStore(tmp_path / "machines.db")) as system:
        with pytest.raises(DuplicateMachineError, match="store"):
            system.state.define("door", DOOR)
        assert system.coordinators.cleanup.state.state("system") == "up", "is of this process"


def test_all_go_by_the_clock_that_is_given() -> None:
    clock = FakeClock()
    with built(clock=clock) as system:
        before = system.monitoring.snapshot().time
        clock.advance(100.0)
        assert system.monitoring.snapshot().time - before == 100.0
        assert system.clock is clock


SERVICE = """
import os, signal, sys, threading, time
from coresys import build_system
from coresys.resources.tiers import Tier
from coresys.system_records import CleanupStep, ComponentSpec

said = lambda text: print(text, flush=True)
with build_system("service", tiers=[Tier("small", 4096, 4)], store=sys.argv[1]) as system:
    system.components.register(ComponentSpec("web"), start=lambda: said("up"), stop=lambda: said("web stopped"))
    system.resources.register("f", owner="web", close=lambda: said("f closed"))
    if sys.argv[2] == "twice":
        def again():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
            said("went on")
        system.cleanup.add(CleanupStep("again", phase="stop-intake", here=True), again)
    system.start()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    system.serve()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("times", ["once", "twice"])
def test_sigterm_ends_a_service_with_143_and_everything_closed(tmp_path: Path, times: str) -> None:
    code = [sys.executable, "-c", SERVICE, str(tmp_path / "s.db"), times]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
    assert done.stdout.split("\n")[:-1] == ["up", *(["went on"] if times == "twice" else []), "web stopped", "f closed"]


def test_signals_are_handled_as_before_when_the_system_is_down() -> None:
    before = signal.getsignal(signal.SIGTERM)
    system = built()
    killer = threading.Timer(0.02, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM))
    with pytest.raises(SystemExit) as caught, system:
        in_turn(killer.start, system.serve)()
    killer.join()
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


HUNG = """
import signal, sys, threading
from coresys import build_system
from coresys.resources.tiers import Tier

if sys.argv[1] == "hangs":
    with build_system("service", tiers=[Tier("small", 4096, 4)], timeout=0.3) as system:
        system.threads.submit(threading.Event().wait)
        threading.Timer(0.05, signal.raise_signal, (signal.SIGTERM,)).start()
        system.serve()
else:  # and nobody shuts it down
    system = build_system("service", tiers=[Tier("small", 4096, 4)])
    system.threads.submit(lambda: (threading.Event().wait(0.1), print("done")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_task_that_hangs_keeps_no_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", HUNG, "hangs"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 128 + signal.SIGTERM
    assert "1 task did not end" in done.stderr


def test_tasks_are_done_before_the_interpreter_ends() -> None:
    done = subprocess.run([sys.executable, "-c", HUNG, "ends"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
