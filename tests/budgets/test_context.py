"""``coresys.budget(...)``: what is left by a block is counted to the byte, and named."""

# ruff: noqa: PT012  # the block is what is tested, and budgets end with it

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coresys
from coresys import BudgetExceededError, BudgetNotMeasuredError, CoreSysError, UnitError, UnknownMeasureError
from coresys.budgets import context
from coresys.budgets.context import Budget

linux = pytest.mark.skipif(sys.platform != "linux", reason="the counters are those of Linux")


class FakeClock:
    """Time that passes when it is told to, or when somebody waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits = 0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.waits += 1


@pytest.fixture
def parked() -> Iterator[threading.Event]:
    """What left threads wait for; they are let go afterwards."""
    event = threading.Event()
    before = set(threading.enumerate())
    yield event
    event.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()


# -- what limits can be given ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"memory_grwth": "4 KB"}, 'unknown measure "memory_grwth"; did you mean "memory_growth"?'),
        ({"Threads_Leaked": 0}, 'unknown measure "Threads_Leaked"; did you mean "threads_leaked"?'),
        ({"threads": 0}, 'unknown measure "threads"; did you mean "threads_leaked"?'),
        ({"time": "50 ms"}, 'unknown measure "time"; did you mean "time_call"?'),
        ({"xyz": 0}, 'unknown measure "xyz"; valid: memory_growth, threads_leaked, descriptors_leaked,'),
        ({"locks_contention": "5 %"}, "locks_contention has no budget for a block: one pass does not show it"),
        ({"pools_component": "5 KB"}, "pools_component has no budget for a block: give the test one"),
        ({"memory_peak": "5 MB"}, "memory_peak has no budget for a block: only tracemalloc would see"),
        ({"globals_changed": 0}, "globals_changed has no budget for a block: it may well set what is put back later"),
        ({"loop_blocked": "5 ms"}, "loop_blocked has no budget for a block: one pass does not show it"),
    ],
)
def test_a_measure_that_there_is_not_is_refused_with_the_nearest(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownMeasureError, match=f"^{re.escape(message)}") as caught:
        coresys.budget(**limits)
    assert caught.value.key == next(iter(limits))
    assert isinstance(caught.value, CoreSysError)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"memory_growth": 4096}, 'memory_growth = 4096: a bare number: write text with a unit, such as "2 KB"'),
        ({"memory_growth": "4"}, "memory_growth = '4': a bare number: write a unit, such as \"2 KB\""),
        ({"memory_growth": "4 KX"}, "memory_growth = '4 KX': unknown unit \"KX\": write another"),
        ({"threads_leaked": "many"}, "threads_leaked = 'many': not a count: write a whole number"),
        ({"threads_leaked": -1}, "threads_leaked = -1: a negative count"),
        ({"time_call": None}, "time_call = None: nothing: write text with a unit"),
        ({"cpu_share": "5 ms"}, "cpu_share = '5 ms': unknown unit \"ms\""),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_its_name(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(UnitError, match=f"^{re.escape(message)}"):
        coresys.budget(**limits)


def test_a_budget_for_nothing_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="needs at least one measure"):
        coresys.budget()


def test_the_repr_shows_the_limits() -> None:
    budget = coresys.budget(memory_growth="4 KB", threads_leaked=2, time_call="50 ms")
    assert repr(budget) == "<Budget: memory.growth 4 KiB, threads.leaked 2, time.call 50 ms>"


# -- memory ---------------------------------------------------------------------------------------------------------


def growth_of(budget: Budget, passes: int, keep: Any) -> list[float | None]:
    """What ``memory.growth`` reads in so many passes that each keep what ``keep(pass)`` returns."""
    kept: list[Any] = [None] * passes  # made beforehand, or growing it would be growth
    readings: list[float | None] = [None] * passes
    for at in range(passes):
        with budget:
            kept[at] = keep(at)
        readings[at] = budget.readings["memory.growth"]
    return readings


# Of ten passes: under xdist a thread receives messages now and then, and what it keeps counts too, and what it lets go.
UNDISTURBED = 6 if "PYTEST_XDIST_WORKER" in os.environ else 10


@linux
def test_an_empty_block_reads_zero_bytes_every_time() -> None:
    budget = coresys.budget(memory_growth="1 GB", threads_leaked=0, descriptors_leaked=0, time_call="1 h")
    readings = growth_of(budget, 12, lambda _: None)[2:]
    assert readings.count(0) >= UNDISTURBED, readings


@linux
def test_one_small_object_is_seen_to_the_byte_in_one_pass() -> None:
    budget = coresys.budget(memory_growth="1 GB")
    # 49 bytes of object in a block of 64
    readings = growth_of(budget, 12, lambda _: bytes(16))[2:]
    assert readings.count(64) >= UNDISTURBED, readings


@linux
def test_a_limit_of_zero_bytes_catches_one_kept_object() -> None:
    passes = 9
    kept: list[Any] = [None] * passes
    budget = coresys.budget(memory_growth="0 B")
    said = []
    for at in range(passes):
        with pytest.raises(BudgetExceededError) as caught:
            keep_in(budget, kept, at)
        said.append("\n".join(str(caught.value).splitlines()[:2]))
    # Under xdist a thread receives messages now and then, and what it keeps counts too.
    usual, times = Counter(said).most_common(1)[0]
    assert re.match(r"memory\.growth: 64 B > 0 B\n  pymalloc 64 B, malloc 0 B, mapp", usual)
    assert times > passes // 2


def keep_in(budget: Budget, kept: list[Any], at: int) -> None:
    with budget:
        kept[at] = bytes(16)


@linux
@pytest.mark.parametrize("size", [1_000, 100_000, 50_000_000])
def test_memory_is_seen_in_whichever_allocator_it_is(size: int) -> None:
    budget = coresys.budget(memory_growth="1 GB")
    reading = growth_of(budget, 3, lambda _: bytearray(size))[2]
    assert reading is not None
    assert size <= reading <= size + 16 * 1024


@linux
def test_garbage_in_cycles_is_no_growth() -> None:
    def cycle(_: int) -> None:
        first: list[Any] = [bytes(10_000)]
        first.append(first)

    gc.disable()
    try:
        assert growth_of(coresys.budget(memory_growth="1 GB"), 6, cycle)[3:] == [0, 0, 0]
    finally:
        gc.enable()


@linux
def test_threads_that_ended_leave_no_stack_behind() -> None:
    def run_threads(_: int) -> None:
        threads = [threading.Thread(target=int) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # Of the 64 MB that eight stacks map, glibc keeps some and gives back some.
    readings = growth_of(coresys.budget(memory_growth="1 GB"), 4, run_threads)
    assert all(abs(reading or 0) < 64 * 1024 for reading in readings), readings


@linux
def test_async_blocks_are_as_exact() -> None:
    budget = coresys.budget(memory_growth="1 GB", tasks_leaked=0)
    kept: list[Any] = [None] * 12
    empty: list[Any] = [None] * 12
    full: list[Any] = [None] * 12

    async def main() -> None:
        for at in range(12):
            async with budget:
                pass
            empty[at] = budget.readings["memory.growth"]
            async with budget:
                kept[at] = bytes(16)
            full[at] = budget.readings["memory.growth"]

    asyncio.run(main())
    assert empty[2:] == [0] * 10
    assert full[2:] == [64] * 10


@linux
def test_a_forked_child_has_a_meter_of_its_own() -> None:
    coresys.budget(memory_growth="1 GB")
    pid = os.fork()
    if not pid:
        status = 1
        try:
            readings = growth_of(coresys.budget(memory_growth="1 GB"), 6, lambda _: bytes(16))
            status = 0 if readings[2:] == [64] * 4 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@linux
def test_a_block_that_closes_our_descriptor_is_not_measured_and_the_next_one_is() -> None:
    budget = coresys.budget(memory_growth="1 GB")
    with budget:
        pass
    meter = context._shared._meter
    assert meter is not None
    with pytest.raises(BudgetNotMeasuredError, match=r"^memory\.growth: not measured: .*Bad file descriptor"), budget:
        os.close(meter.descriptors[0])
    with budget:
        pass
    assert budget.readings["memory.growth"] is not None


# -- things that are left, by name ----------------------------------------------------------------------------------


def test_a_thread_left_behind_is_named_with_what_it_runs_and_where_it_stands(parked: threading.Event) -> None:
    clock = FakeClock()
    with pytest.raises(BudgetExceededError) as caught, Budget({"threads_leaked": 0}, clock=clock):
        threading.Thread(target=parked.wait, name="poller", daemon=True).start()
    first, second = str(caught.value).splitlines()
    assert first == "threads.leaked: 1 > 0"
    assert re.match(r"  thread 'poller' daemon, runs threading\.Event\.wait, now at .*threading\.py:\d+ wait$", second)
    assert clock.now() >= context.GRACE


def test_a_thread_that_ends_within_the_grace_is_not_left_behind(parked: threading.Event) -> None:
    class Patient(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            parked.set()
            thread.join()
            while os.path.exists(f"/proc/self/task/{thread.native_id}"):
                os.sched_yield()  # joined, but the kernel has not taken it away yet

    clock = Patient()
    thread = threading.Thread(target=parked.wait)
    budget = Budget({"threads_leaked": 0}, clock=clock)
    with budget:
        thread.start()
    assert budget.readings == {"threads.leaked": 0}
    assert clock.waits == 1


def test_nothing_is_waited_for_where_nothing_is_left() -> None:
    clock = FakeClock()
    with Budget({"threads_leaked": 0, "descriptors_leaked": 0, "processes_leaked": 0}, clock=clock):
        pass
    assert clock.waits == 0


def test_as_many_as_allowed_are_within(parked: threading.Event) -> None:
    clock = FakeClock()
    budget = Budget({"threads_leaked": 1}, clock=clock)
    with budget:
        threading.Thread(target=parked.wait).start()
    assert budget.readings == {"threads.leaked": 1}
    with pytest.raises(BudgetExceededError, match=r"^threads\.leaked: 2 > 1"), budget:
        threading.Thread(target=parked.wait).start()
        threading.Thread(target=parked.wait).start()


@linux
def test_a_descriptor_left_open_is_named_by_its_path(tmp_path: Path) -> None:
    with (
        pytest.raises(BudgetExceededError, match=r"^descriptors\.leaked: 1 > 0\n  fd \d+ file .*/kept\.txt$"),
        Budget({"descriptors_leaked": 0}, clock=FakeClock()),
    ):
        file = open(tmp_path / "kept.txt", "w")  # noqa: SIM115
    file.close()


@linux
def test_a_descriptor_that_takes_the_number_of_a_closed_one_is_new(tmp_path: Path) -> None:
    old = os.open(tmp_path / "old", os.O_CREAT)
    with (
        pytest.raises(BudgetExceededError, match=r"^descriptors\.leaked: 1 > 0\n  fd \d+ file .*/new$"),
        Budget({"descriptors_leaked": 0}, clock=FakeClock()),
    ):
        os.close(old)
        new = os.open(tmp_path / "new", os.O_CREAT)
    assert new == old
    os.close(new)


@linux
def test_a_process_left_running_is_named_by_its_command() -> None:
    with (
        pytest.raises(BudgetExceededError, match=r"^processes\.leaked: 1 > 0\n  process \d+ .*import time"),
        Budget({"processes_leaked": 0}, clock=FakeClock()),
    ):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process.kill()
    process.wait()


def test_a_task_left_pending_is_named_by_its_coroutine() -> None:
    async def listener() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(BudgetExceededError) as caught:
            async with Budget({"tasks_leaked": 0}, grace=0):
                task = asyncio.create_task(listener(), name="ears")
                await asyncio.sleep(0)
        assert re.search(
            r"^tasks\.leaked: 1 > 0\n  task 'ears' of .*listener\(\), waits at .*test_context\.py:\d+ listener$",
            str(caught.value),
        )
        task.cancel()

    asyncio.run(main())


def test_the_loop_goes_on_while_a_task_gets_its_grace() -> None:
    async def short() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def main() -> Budget:
        async with coresys.budget(tasks_leaked=0) as budget:
            asyncio.create_task(short())  # noqa: RUF006
        return budget

    assert asyncio.run(main()).readings == {"tasks.leaked": 0}


def test_only_the_first_of_many_are_named_and_the_rest_counted(parked: threading.Event) -> None:
    with pytest.raises(BudgetExceededError) as caught, Budget({"threads_leaked": 0}, clock=FakeClock()):
        for _ in range(11):
            threading.Thread(target=parked.wait).start()
    assert len(caught.value.details) == 9
    assert caught.value.details[-1] == "... and 3 more"


def test_names_are_safe_for_a_terminal(parked: threading.Event) -> None:
    with pytest.raises(BudgetExceededError) as caught, Budget({"threads_leaked": 0}, clock=FakeClock()):
        threading.Thread(target=parked.wait, name="\x1b[31m\u202eevil\ud800" + "x" * 10_000).start()
    assert str(caught.value).isascii()
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


# -- time -----------------------------------------------------------------------------------------------------------


def test_the_time_of_the_block_is_judged() -> None:
    clock = FakeClock()
    with (
        pytest.raises(BudgetExceededError, match=r"^time\.call: 51 ms > 50 ms$"),
        Budget({"time_call": "50 ms"}, clock=clock),
    ):
        clock.sleep(0.051)
    budget = Budget({"time_call": "50 ms"}, clock=clock)
    clock.time = 0.0
    with budget:
        clock.sleep(0.05)
    assert budget.readings == {"time.call": 0.05}


def test_the_share_of_the_processor_is_judged() -> None:
    clock, spent = FakeClock(), [0.0]
    budget = Budget({"cpu_share": "50 %"}, clock=clock, cpu_seconds=lambda: spent[0])
    with pytest.raises(BudgetExceededError, match=r"^cpu\.share: 75 % > 50 %$"), budget:
        clock.sleep(1.0)
        spent[0] = 0.75
    assert budget.readings == {"cpu.share": 0.75}


def test_a_block_too_short_for_the_clock_has_no_share_of_the_processor() -> None:
    budget = Budget({"cpu_share": "50 %"}, clock=FakeClock())
    with (
        pytest.raises(
            BudgetNotMeasuredError, match=r"^cpu\.share: not measured: the block was too short for the clock$"
        ),
        budget,
    ):
        pass
    assert budget.readings == {"cpu.share": None}


# -- the context manager --------------------------------------------------------------------------------------------


def test_an_exception_of_the_block_passes_through_as_it_is(parked: threading.Event) -> None:
    error = KeyError("mine")
    budget = Budget({"threads_leaked": 0, "memory_growth": "0 B"}, clock=FakeClock())
    with pytest.raises(KeyError) as caught, budget:
        threading.Thread(target=parked.wait).start()
        raise error
    assert caught.value is error
    assert not getattr(error, "__notes__", [])
    assert error.__context__ is None
    assert budget.readings == {"threads.leaked": 1, "memory.growth": None}


def test_an_exception_of_an_async_block_passes_through_as_it_is() -> None:
    async def main() -> None:
        async with coresys.budget(time_call="0 s", memory_growth="0 B"):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())


def test_several_excesses_are_one_error_that_tells_of_all(parked: threading.Event, tmp_path: Path) -> None:
    clock = FakeClock()
    with (
        pytest.raises(BudgetExceededError) as caught,
        Budget({"threads_leaked": 0, "descriptors_leaked": 5, "time_call": "1 s"}, clock=clock),
    ):
        clock.sleep(2.0)
        threading.Thread(target=parked.wait, name="poller").start()
    error = caught.value
    assert (error.key, error.actual, error.limit) == ("threads.leaked", "1", "0")
    assert error.exceeded == ("threads.leaked", "time.call")
    assert "time.call: 2 s > 1 s" in error.details
    assert isinstance(error, AssertionError)


@pytest.mark.parametrize("key", ["memory.growth", "descriptors.leaked", "processes.leaked"])
def test_what_cannot_be_measured_here_is_no_pass(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(context, "_unmeasured", lambda: {key: "no such counter here"})
    ran = []
    budget = coresys.budget(**{key.replace(".", "_"): "0 B" if key == "memory.growth" else 0})
    with (
        pytest.raises(
            BudgetNotMeasuredError, match=f"^{re.escape(key)}: not measured: no such counter here$"
        ) as caught,
        budget,
    ):
        ran.append(1)
    assert (ran, caught.value.key, caught.value.why) == ([1], key, "no such counter here")
    assert budget.readings == {key: None}


def test_what_was_over_comes_before_what_was_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_unmeasured", lambda: {"processes.leaked": "no such counter here"})
    clock = FakeClock()
    with (
        pytest.raises(BudgetExceededError) as caught,
        Budget({"processes_leaked": 0, "time_call": "1 s"}, clock=clock),
    ):
        clock.sleep(2.0)
    assert caught.value.details == ("processes.leaked: not measured: no such counter here",)


def test_one_object_serves_nested_blocks() -> None:
    clock = FakeClock()
    budget = Budget({"time_call": "1 h"}, clock=clock)
    with budget:
        clock.sleep(1.0)
        with budget:
            clock.sleep(2.0)
        assert budget.readings == {"time.call": 2.0}
    assert budget.readings == {"time.call": 3.0}


@linux
def test_a_nested_block_is_no_growth_of_the_outer_one() -> None:
    outer, inner = coresys.budget(memory_growth="1 GB"), coresys.budget(memory_growth="1 GB")
    readings: list[Any] = [None] * 6
    for at in range(6):
        with outer, inner:
            pass
        readings[at] = outer.readings["memory.growth"]
    # The figures of the inner one are dropped and made anew: as large, and not to the byte at the same place.
    assert all(abs(reading) <= 1024 for reading in readings[2:])


def test_several_threads_and_tasks_use_one_object_at_once() -> None:
    clock = FakeClock()
    budget = Budget({"time_call": "1 h"}, clock=clock)
    seen: list[float | None] = []
    inside, go_on = threading.Event(), threading.Event()

    def other() -> None:
        with budget:
            inside.set()
            go_on.wait()
        seen.append(budget.readings["time.call"])

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    clock.sleep(1.0)
    with budget:
        clock.sleep(2.0)
    seen.append(budget.readings["time.call"])
    go_on.set()
    thread.join()
    assert seen == [2.0, 3.0]

    async def task(before: float, within: float) -> None:
        await asyncio.sleep(before)
        async with budget:
            clock.sleep(10)
            await asyncio.sleep(within)
        seen.append(budget.readings["time.call"])

    async def main() -> None:
        await asyncio.gather(task(0, 0.02), task(0.01, 0.03))

    asyncio.run(main())
    assert seen[2:] == [20.0, 10.0]  # the first one ends first: its own pass, and not the one begun last


def test_leaving_what_was_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="without being entered"):
        coresys.budget(threads_leaked=0).__exit__(None, None, None)


def test_it_imports_neither_asyncio_nor_pytest() -> None:
    code = (
        "import sys, coresys\n"
        "with coresys.budget(memory_growth='1 MB', threads_leaked=0, tasks_leaked=0): pass\n"
        "assert not {'asyncio', 'pytest', '_pytest'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.inner
@pytest.mark.parametrize("flag", [[], ["--coresys-budget"]], ids=["no flag", "measuring"])
def test_it_works_the_same_in_a_test_run(pytester: pytest.Pytester, flag: list[str]) -> None:
    pytester.makepyfile(
        """
        import coresys, threading
        KEPT = [None] * 10_000
        def test_within():
            with coresys.budget(memory_growth="64 KB", threads_leaked=0):
                pass
        def test_over():
            with coresys.budget(memory_growth="64 KB"):
                keep = bytearray(100_000)
        """
    )
    result = pytester.runpytest_subprocess("-W", "ignore", *flag)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *memory.growth: 97.* KiB > 64 KiB"])
