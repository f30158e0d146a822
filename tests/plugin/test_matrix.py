"""Beside the plugins that people use: what they report stays as it is, and a leak beside it is still found."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from innersuite import FAILED_BY_US, LEAK, InnerSuite, changed

pytestmark = [pytest.mark.slow, pytest.mark.inner, pytest.mark.other_plugins]

# All descriptors, and no more: bytes take many more repetitions, and are the corpus's matter.
MEASURED = (
    *("--coresys-budget", "--coresys-profile", "strict"),
    *("--coresys-set", "memory.growth=off", "--coresys-set", "memory.fragmentation=off"),
)


def only_the_leak_is_changed(inner: InnerSuite, *arguments: str, leaks: tuple[str, ...] = ("test_leaks",)) -> None:
    bare, measured = inner.both(*arguments)
    assert bare.seen, bare.text
    assert changed(bare, measured) == dict.fromkeys(leaks, FAILED_BY_US), measured.text
    assert {name: "descriptors.leaked" in keys for name, keys in measured.found().items()} == dict.fromkeys(leaks, True)
    assert measured.status == 1


def test_subtests(inner: InnerSuite) -> None:
    inner._pytester.makepyfile(
        LEAK
        + """
import unittest
def test_parts(subtests):
    for number in range(3):
        with subtests.test(msg="part", number=number):
            assert number != 1
def test_parts_pass(subtests):
    for number in range(3):
        with subtests.test(number=number): pass
def test_parts_leak(subtests):
    with subtests.test(number=1): KEPT.append(os.open(os.devnull, os.O_RDONLY))
class Test(unittest.TestCase):
    def test_case(self):
        for number in range(3):
            with self.subTest(number=number): self.assertNotEqual(number, 1)
"""
    )
    bare, measured = inner.both()
    differing = changed(bare, measured)
    assert differing.pop("test_leaks") == FAILED_BY_US
    was, now = differing.pop("test_parts_leak")
    assert was is not None
    assert now == [word.replace("call passed", "call failed") if word == "call passed" else word for word in was]
    assert differing == {}
    assert measured.found().keys() == {"test_leaks", "test_parts_leak"}
    assert "descriptors.leaked" in measured.found()["test_parts_leak"]
    parts = [
        [line for line in run.text.splitlines() if line.startswith(("SUBFAIL", "SUBPASS"))] for run in (bare, measured)
    ]
    assert parts[0] == parts[1] != []
    # A test of which a part failed has failed: nothing is held against it.
    assert measured.test("test_parts")["outcome"] == "failed"
    assert measured.test("test_parts")["verdict"] == "not_measured"


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_timeout(inner: InnerSuite, method: str) -> None:
    """The clock of the test's protocol does not go on for its repetitions, however many they are."""
    inner._pytester.makepyfile(
        LEAK
        + """
import time, pytest
def test_quick(): time.sleep(0.05)
@pytest.mark.timeout(30)
def test_marked(): pass
"""
    )
    bare, measured = inner.both("--timeout", "1", "--timeout-method", method)
    assert changed(bare, measured) == {"test_leaks": FAILED_BY_US}, measured.text
    assert measured.test("test_quick")["repetitions"] * 0.05 > 1  # longer than the time limit, all together
    assert "Timeout" not in measured.text


def test_timeout_still_ends_a_test(inner: InnerSuite) -> None:
    inner._pytester.makepyfile("import time\ndef test_slow(): time.sleep(60)\ndef test_after(): pass")
    bare, measured = inner.both("--timeout", "0.5", "--timeout-method", "signal")
    assert changed(bare, measured) == {}
    assert "Failed: Timeout" in measured.text


def test_asyncio(inner: InnerSuite) -> None:
    inner._pytester.makepyfile(
        """
import asyncio, os, pytest, pytest_asyncio
KEPT = []
@pytest_asyncio.fixture
async def ready():
    await asyncio.sleep(0)
    yield 1
    await asyncio.sleep(0)
@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared():
    queue = asyncio.Queue()
    yield queue
@pytest.mark.asyncio
async def test_plain(ready): assert ready == 1
@pytest.mark.asyncio(loop_scope="module")
async def test_shared(shared):
    await shared.put(1)
    assert await shared.get() == 1
@pytest.mark.asyncio
async def test_leaks():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
@pytest.mark.asyncio
async def test_fails(): assert 0
@pytest.mark.asyncio(loop_scope="module")
async def test_leaves_task(shared):
    KEPT.append(asyncio.get_running_loop().create_task(asyncio.sleep(3600)))
"""
    )
    bare, measured = inner.both("--asyncio-mode", "strict", "-W", "ignore")
    assert changed(bare, measured) == {"test_leaks": FAILED_BY_US, "test_leaves_task": FAILED_BY_US}, measured.text
    assert "descriptors.leaked" in measured.found()["test_leaks"]
    assert "tasks.leaked" in measured.found()["test_leaves_task"]


def test_anyio(inner: InnerSuite) -> None:
    inner._pytester.makepyfile(
        """
import anyio, os, pytest
KEPT = []
pytestmark = pytest.mark.anyio
@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request): return request.param
@pytest.fixture
async def stream():
    send, receive = anyio.create_memory_object_stream(1)
    async with send, receive: yield send, receive
async def test_stream(stream):
    await stream[0].send(1)
    assert await stream[1].receive() == 1
async def test_thread(): assert await anyio.to_thread.run_sync(lambda: 1) == 1
async def test_leaks(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
"""
    )
    only_the_leak_is_changed(inner, leaks=("test_leaks[asyncio]", "test_leaks[trio]"))


def test_randomly(inner: InnerSuite) -> None:
    """The order, and the numbers that a test draws, are those of the seed."""
    inner._pytester.makepyfile(
        LEAK
        + """
import random, pytest
@pytest.mark.parametrize("number", range(8))
def test_draws(number):
    with open("drawn.txt", "a") as file: file.write(f"{number} {random.random()}\\n")
"""
    )
    drawn = Path(inner.path, "drawn.txt")
    results = []
    for extra in ((), MEASURED):
        drawn.unlink(missing_ok=True)
        run = inner.run("-p", "randomly", "--randomly-seed=7", *extra)
        assert "Using --randomly-seed=7" in run.text
        results.append((run.started, drawn.read_text()))
    assert results[0] == results[1]
    assert len(results[0][0]) == 9
    assert results[0][0] != sorted(results[0][0])
    assert {name: "descriptors.leaked" in keys for name, keys in run.found().items()} == {"test_leaks": True}
    assert run.seen["test_randomly.py::test_leaks"] == FAILED_BY_US[1]


def test_cov(inner: InnerSuite) -> None:
    """What only a repetition ran is not covered, and what was covered stays."""
    inner._pytester.makepyfile(
        app="""
import os
KEPT, runs = [], 0
def work():
    global runs
    runs += 1
    if runs > 1:
        KEPT.append("only in a repetition")
    return os.open(os.devnull, os.O_RDONLY)
""",
        test_app="import app\ndef test_leaks(): app.KEPT.append(app.work())\ndef test_clean(): pass",
    )
    tables, runs = [], []
    for extra in ((), MEASURED):
        run = inner.run("--cov=.", "--cov-report=term-missing", "--cov-branch", *extra)
        tables.append(re.findall(r"^(?:\S+\.py|TOTAL) +\d.*$", run.text, re.MULTILINE))
        runs.append(run)
    assert tables[0] == tables[1]
    assert re.fullmatch(r"app\.py +7 +1 +2 +1 +78% +7", tables[0][0])
    assert tables[0][-1].startswith("TOTAL")
    assert changed(*runs) == {"test_leaks": FAILED_BY_US}
    assert {name: "descriptors.leaked" in keys for name, keys in runs[1].found().items()} == {"test_leaks": True}


def test_mock(inner: InnerSuite) -> None:
    inner._pytester.makepyfile(
        LEAK
        + """
import os.path
def test_patches(mocker):
    exists = mocker.patch("os.path.exists", return_value=True)
    assert os.path.exists("nowhere")
    exists.assert_called_once_with("nowhere")
def test_spies(mocker):
    spy = mocker.spy(os.path, "basename")
    os.path.basename("a/b")
    assert spy.call_count == 1
"""
    )
    only_the_leak_is_changed(inner)


def test_hypothesis(inner: InnerSuite) -> None:
    """What it finds, what it keeps of that for the next run, and what it says of a test's health stay the same."""
    inner._pytester.makepyfile(
        LEAK
        + """
from hypothesis import given, settings, strategies as st
few = settings(max_examples=2, deadline=None)
@given(st.lists(st.integers()))
@few
def test_sorts(numbers): assert sorted(sorted(numbers)) == sorted(numbers)
@given(st.integers())
@few
def test_leaks_too(number): KEPT.append(os.open(os.devnull, os.O_RDONLY))
@given(st.integers(min_value=0))
@settings(deadline=None)
def test_falsified(number): assert number < 1000
@given(st.integers().filter(lambda number: False))
@few
def test_is_unhealthy(number): pass
"""
    )
    database = Path(inner.path, ".hypothesis")
    runs, kept, said = [], [], []
    for extra in ((), MEASURED):
        # By name: where it finds itself in a CI it takes a profile that keeps nothing.
        run = inner.run("-p", "hypothesispytest", "--hypothesis-profile=default", *extra)
        runs.append(run)
        kept.append({path.relative_to(database) for path in Path(database, "examples").iterdir()})
        words = ("Falsifying example", "number=", "FailedHealthCheck", "Unsatisfiable")
        said.append([line for line in run.text.splitlines() if any(word in line for word in words)])
        shutil.rmtree(database)
    assert changed(*runs) == dict.fromkeys(("test_leaks", "test_leaks_too"), FAILED_BY_US), runs[1].text
    assert kept[0] == kept[1] != set()
    assert said[0] == said[1]
    assert any("number=1000," in line for line in said[0])
    assert any("FailedHealthCheck" in line for line in said[0])
    assert runs[1].test("test_sorts")["repetitions"] > 0
    assert runs[1].found() == {name: {"descriptors.leaked"} for name in ("test_leaks", "test_leaks_too")}


def test_rerunfailures(inner: InnerSuite) -> None:
    """It has a protocol of its own: ours steps back, repeats nothing, fails nothing on a single run, and says so."""
    inner._pytester.makepyfile(
        LEAK
        + """
import pytest
runs = []
def test_second_time():
    runs.append(1)
    assert len(runs) == 2
def test_never(): assert 0
@pytest.mark.flaky(reruns=0)
def test_marked(): pass
"""
    )
    bare, measured = inner.both("--reruns", "1")
    assert changed(bare, measured) == {}
    assert measured.status == bare.status == 1
    for run in (bare, measured):
        assert run.seen["test_rerunfailures.py::test_second_time"].count("call rerun") == 1
    assert measured.found() == {}
    assert "descriptors.leaked" in measured.found("suspicion")["test_leaks"]
    leaked = measured.test("test_leaks")["measures"]["descriptors.leaked"]
    assert leaked["verdict"] == "not_measured"
    assert leaked["why"] == "suspected: 1 left after one run; run by another plugin's protocol: not repeated"
    told = [line for line in measured.text.splitlines() if "measured around" in line]
    assert told == ["note: 4 tests were run by rerunfailures: measured around, not repeated"]
    suspicions = measured.text.partition("suspected, fails nothing: ")[2].partition("coresys: ")[0]
    assert "  descriptors.leaked  test_rerunfailures.py::test_leaks\n" in suspicions
    assert [line for line in bare.text.splitlines() if line.startswith("FAILED")] == [
        line for line in measured.text.splitlines() if line.startswith("FAILED")
    ]
    assert re.findall(r"\d+ \w+, .*\d rerun", bare.text) == re.findall(r"\d+ \w+, .*\d rerun", measured.text) != []


def test_what_one_run_shows_fails_a_test_that_another_plugin_runs(inner: InnerSuite) -> None:
    """Its report is amended, in the place of the pass: so that plugin runs it again, as all that fails."""
    inner._pytester.makepyfile(
        """
import time, pytest
runs = []
@pytest.mark.coresys_budget("time.call", max="10 ms")
def test_slow(): time.sleep(0.05)
@pytest.mark.coresys_budget("time.call", max="10 ms", level="warn")
def test_slow_and_only_warned(): time.sleep(0.05)
@pytest.mark.coresys_budget("time.call", max="1 min")
def test_second_time():
    runs.append(1)
    assert len(runs) == 2
@pytest.mark.coresys_budget("time.cal", max="1 min")
def test_wrong(): pass
"""
    )
    bare, measured = inner.both("--reruns", "1")
    failed_last = {"test_slow": {"time.call"}, "test_wrong": {"coresys"}}
    assert measured.found() == failed_last, measured.text
    assert bare.status == 0
    assert measured.status == 1
    assert {name.rpartition("::")[2] for name in changed(bare, measured)} == set(failed_last)
    failures = [line for line in measured.text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert len(failures) == 2, "once each, and not passed as well"
    assert "2 failed, 2 passed, 3 rerun" in measured.text
    assert measured.test("test_second_time")["outcome"] == "passed"


def test_rerunfailures_that_reruns_nothing_leaves_us_the_tests(inner: InnerSuite) -> None:
    inner._pytester.makepyfile(LEAK)
    only_the_leak_is_changed(inner)
    assert "measured around" not in inner.run("--coresys-budget", "--coresys-repeat", "0").text


def test_a_crowd_of_plugins(inner: InnerSuite) -> None:
    inner._pytester.makepyfile(
        LEAK
        + """
import asyncio, random, pytest
@pytest.mark.asyncio
async def test_waits(mocker):
    mocker.patch("os.getpid", return_value=7)
    await asyncio.sleep(0)
    assert os.getpid() == 7
@pytest.mark.timeout(30)
@pytest.mark.parametrize("number", range(3))
def test_draws(number):
    with open(f"drawn-{number}.txt", "a") as file: file.write(f"{random.random()}\\n")
"""
    )
    crowd = ("--cov=.", "--timeout", "60", "--asyncio-mode", "auto", "--randomly-seed=7", "-n", "2")
    results = []
    for extra in ((), MEASURED):
        run = inner.run("-p", "randomly", *crowd, *extra)
        table = re.findall(r"^(?:\S+\.py|TOTAL) +\d.*$", run.text, re.MULTILINE)
        drawn = {path.name: path.read_text() for path in inner.path.glob("drawn-*.txt")}
        for name in drawn:
            Path(inner.path, name).unlink()
        results.append((run, table, drawn))
    (bare, *before), (measured, *after) = results
    assert before == after
    assert len(before[1]) == 3
    assert changed(bare, measured) == {"test_leaks": FAILED_BY_US}, measured.text
    assert measured.found() == {"test_leaks": {"descriptors.leaked"}}
