"""A soak: rounds that change nothing, a leak over them that is found and named, and a killed one that goes on.

The clock of the inner soaks is moved by the inner tests: a round takes a second of it, however busy the machine is.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from innersuite import Inner, InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]

# A round of a test takes a second of a soak's clock, and nothing of ours.
CLOCK = """
import gc
import pytest
import pytest_coresys.engine.recording as recording

gc.freeze()  # what was imported by now: garbage is collected before each reading, and that goes through all the rest

class Clock:
    now = 1000.0

recording.monotonic = lambda: Clock.now
recording.READINGS = MOST  # to collect garbage before each takes longer than the round

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    Clock.now += 1.0 / SHARE
SHARE = 1
"""
SOAK = ("--coresys-repeat", "0", "--coresys-soak")


class SoakSuite:
    """An inner suite whose soaks go by the clock of its tests."""

    def __init__(self, inner: InnerSuite) -> None:
        self.inner, self.path = inner, Path(inner.path)

    def write(self, text: str, *, conftest: str = "", tests: int = 1, readings: int = 64) -> None:
        """The suite, of so many tests: a round of them is a second."""
        clock = CLOCK.replace("SHARE = 1", f"SHARE = {tests}").replace("MOST", str(readings))
        (self.path / "conftest.py").write_text(clock + conftest)
        (self.path / "test_it.py").write_text(text)

    def run(self, duration: str, *arguments: str, flag: str = "--coresys-budget") -> Inner:
        return self.inner.run(flag, *SOAK, duration, *arguments)


@pytest.fixture
def suite(inner: InnerSuite) -> SoakSuite:
    """A folder for a suite, to be soaked in processes of its own."""
    return SoakSuite(inner)


def rate(run: Inner) -> dict[str, Any]:
    return dict(run.facts["soak"]["memory.growth_rate"])


LEAK = """
KEPT = []
def test_before(): pass
def test_keeps(): KEPT.append(bytearray(3000))
def test_after(): pass
"""


def test_a_leak_over_the_rounds_fails_the_run_and_names_its_test(suite: SoakSuite) -> None:
    suite.write(LEAK, tests=3)
    run = suite.run("100 s")
    assert run.status == 1, run.text
    assert {words[1] for words in run.seen.values()} == {"call passed"}  # the outcomes are those of the first round
    assert all(len(words) == 3 for words in run.seen.values())
    entry = rate(run)
    assert entry["verdict"] == "over"
    assert entry["interval"][0] > entry["limit"] == 2**20
    assert 9e6 < entry["value"] < 14e6  # 3,000 bytes a second, and what pytest adds
    (finding,) = (each for each in run.facts["findings"] if each["key"] == "memory.growth_rate")
    assert finding["level"] == "error"
    assert finding["tests"] == ["test_it.py::test_keeps"]
    assert finding["summary"].startswith("memory.growth_rate: ")
    assert " MiB/h > 1 MiB/h (default) over " in finding["summary"]
    assert finding["details"][0].startswith("grows: test_it.py::test_keeps +")
    assert "fails the run" in run.text
    assert "over    memory.growth_rate" in run.text
    assert "limit 1 MiB/h, set by default" in run.text
    assert not list((suite.path / ".coresys").glob("*.json"))  # it is over: the next one begins anew


def test_a_leak_ends_the_soak_at_the_second_look_that_sees_it(suite: SoakSuite) -> None:
    suite.write(LEAK, tests=3, readings=400)
    run = suite.run("800 s")
    (facts,) = run.facts["run"]["soak"]
    assert facts["ended"] == "early"
    assert [(look["at"], look["verdict"]) for look in facts["looks"]] == [(0.25, "over"), (0.5, "over")]
    assert 400 <= facts["elapsed"] < 402
    assert facts["looks"][0]["level"] < 0.0001  # far surer than 95 %
    assert "soak 25%: " in run.text


def test_a_cache_that_takes_a_third_of_the_time_to_fill_is_no_leak(suite: SoakSuite) -> None:
    suite.write(
        """
KEPT = []
def test_fills(): len(KEPT) < 231 and KEPT.append(bytearray(3000))
""",
        readings=330,  # of which there are 48 at the first look
    )
    run = suite.run("660 s")
    assert run.status == 0, run.text
    (facts,) = run.facts["run"]["soak"]
    assert facts["looks"][0]["verdict"] == "over"  # so it was, and yet the soak went on
    assert facts["ended"] == "finished"
    assert rate(run)["verdict"] == "within"
    assert run.facts["findings"] == []


def test_what_fills_a_cache_with_a_bound_that_is_seen_is_a_suspicion_and_is_soaked_to_the_end(suite: SoakSuite) -> None:
    suite.write(
        """
import functools, itertools
NUMBERS = itertools.count()
@functools.lru_cache(maxsize=5000)
def made(number): return bytearray(3000)
def test_fills(): made(next(NUMBERS))
"""
    )
    run = suite.run("100 s")
    entry = rate(run)
    bound = "suspected: kept by functools.lru_cache(maxsize=5000) of made (test_it.py:4), whose bound was not reached"
    assert (run.status, entry["verdict"], entry["why"]) == (0, "not_measured", bound), run.text
    (finding,) = run.facts["findings"]
    assert (finding["key"], finding["level"]) == ("memory.growth_rate", "suspicion")
    (facts,) = run.facts["run"]["soak"]
    assert facts["ended"] == "finished"  # it goes on, for the bound may be reached


def test_a_leak_beside_a_cache_with_a_bound_is_a_leak(suite: SoakSuite) -> None:
    suite.write(
        """
import functools, itertools
NUMBERS, KEPT = itertools.count(), []
@functools.lru_cache(maxsize=5000)
def made(number): return bytearray(3000)
def test_fills(): made(next(NUMBERS))
def test_keeps(): KEPT.append(bytearray(3000))
""",
        tests=2,
    )
    run = suite.run("100 s")
    assert (run.status, rate(run)["verdict"]) == (1, "over"), run.text


def test_a_suite_that_keeps_nothing_is_within_whatever_its_fixtures(suite: SoakSuite) -> None:
    """And each of them rises and falls as it does in a run, but for the session's, which stay up."""
    suite.write(
        """
import pytest
from conftest import up
@pytest.fixture(autouse=True)
def of_test(up_class): yield from up("function")
@pytest.fixture(scope="class")
def up_class(up_module): yield from up("class")
@pytest.fixture(scope="module")
def up_module(up_session, tmp_path_factory):
    tmp_path_factory.mktemp("module")
    yield from up("module")
class TestFirst:
    def test_one(self, tmp_path): (tmp_path / "file").write_text("text")
    def test_two(self, late): pass
class TestSecond:
    def test_three(self, late): print("output")
""",
        conftest="""
COUNTS = {}
def up(name):
    COUNTS[name] = COUNTS.get(name, 0) + 1
    yield name
    COUNTS[name + " down"] = COUNTS.get(name + " down", 0) + 1
@pytest.fixture(scope="session")
def up_session(): yield from up("session")
@pytest.fixture(scope="module")
def late(up_session): yield from up("late")  # first asked for by a second test
def pytest_unconfigure():
    import json
    with open("counts.json", "w") as file: json.dump(COUNTS, file)
""",
        tests=3,
    )
    run = suite.run("100 s", "--coresys-set", "memory.growth_rate=8 MB/h")
    assert run.status == 0, run.text
    assert rate(run)["verdict"] == "within", rate(run)
    (facts,) = run.facts["run"]["soak"]
    assert (facts["ended"], facts["tests"], facts["left_out"]) == ("finished", 3, {})
    rounds = facts["rounds"] + 1
    assert 95 <= rounds <= 101
    counts = json.loads((suite.path / "counts.json").read_text())
    ups = {name: count for name, count in counts.items() if not name.endswith(" down")}
    assert {f"{name} down": count for name, count in ups.items()} == {
        name: count for name, count in counts.items() if name.endswith(" down")
    }
    assert ups["session"] == 1
    # The time may be over in the midst of a round.
    assert rounds <= ups["late"] <= ups["module"] <= rounds + 1
    assert 2 * rounds <= ups["class"] <= 2 * rounds + 2
    assert 3 * rounds <= ups["function"] <= 3 * rounds + 2
    assert {key: entry["verdict"] for key, entry in run.facts["soak"].items()} == dict.fromkeys(
        ("memory.growth_rate", "threads.leaked", "descriptors.leaked", "memory.fragmentation"), "within"
    )


def test_threads_and_descriptors_that_are_left_in_each_round_are_findings(suite: SoakSuite) -> None:
    suite.write(
        """
import os, threading
KEPT = []
def test_thread(): threading.Thread(target=threading.Event().wait, daemon=True).start()
def test_descriptor(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_pool(): len(KEPT) < 20 and KEPT.append(os.open(os.devnull, os.O_RDONLY))
""",
        tests=3,
    )
    run = suite.run("100 s", "--coresys-set", "memory.growth_rate=off")
    assert run.status == 1
    found = {each["key"]: each for each in run.facts["findings"]}
    assert found.keys() == {"threads.leaked", "descriptors.leaked"}
    assert found["threads.leaked"]["tests"] == ["test_it.py::test_thread"]
    assert found["descriptors.leaked"]["tests"] == ["test_it.py::test_descriptor"]
    assert found["threads.leaked"]["summary"].startswith("threads.leaked: ")
    assert " a round > 0 (default) over " in found["threads.leaked"]["summary"]
    assert run.facts["soak"]["memory.growth_rate"]["why"] == "its budget is off"


def test_a_budget_that_allows_it_lets_it_pass(suite: SoakSuite) -> None:
    suite.write(
        "import threading\ndef test_it(): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    allowed = ("--coresys-set", "threads.leaked=1", "--coresys-set", "memory.growth_rate=100 MB/h")
    run = suite.run("100 s", *allowed)
    assert run.status == 0, run.text
    assert run.facts["findings"] == []


def test_observing_changes_no_exit_status(suite: SoakSuite) -> None:
    suite.write(LEAK, tests=3)
    run = suite.run("100 s", flag="--coresys-observe")
    assert run.status == 0
    assert rate(run)["verdict"] == "over"
    assert "observed only" in run.text


def test_a_test_that_fails_in_a_later_round_is_told_and_changes_nothing(suite: SoakSuite) -> None:
    suite.write(
        """
RUNS = []
def test_wears_out():
    RUNS.append(1)
    assert len(RUNS) != 5, "worn out"
def test_only_once():
    RUNS.append("once")
    assert RUNS.count("once") < 2, "again"
def test_fine(): pass
""",
        tests=3,
    )
    run = suite.run("100 s", "--coresys-set", "memory.growth_rate=off")
    assert run.status == 0, run.text
    assert {words[1] for words in run.seen.values()} == {"call passed"}
    assert [test["outcome"] for test in run.facts["tests"]] == ["passed"] * 3
    found = {each["tests"][0].rpartition("::")[2]: each for each in run.facts["findings"]}
    assert found.keys() == {"test_wears_out", "test_only_once"}
    assert {each["level"] for each in found.values()} == {"warn"}
    assert found["test_only_once"]["details"][0].startswith("round 2: call failed: AssertionError: again")
    assert found["test_only_once"]["details"][-1] == "left out of the rounds from then on"
    assert len(found["test_wears_out"]["details"]) == 1
    assert run.facts["run"]["soak"][0]["tests"] == 2
    assert "soak.failed: passed in the first round, failed in a later one" in run.text


def test_what_did_not_pass_or_must_not_be_repeated_is_not_soaked(suite: SoakSuite) -> None:
    suite.write(
        """
import pytest
RUNS = []
def test_fails(): RUNS.append("fails"); assert 0
@pytest.mark.skip
def test_skips(): RUNS.append("skips")
@pytest.mark.xfail
def test_xfails(): RUNS.append("xfails"); assert 0
@pytest.mark.coresys_no_repeat(reason="books a flight")
def test_books(): RUNS.append("books")
def test_goes_on():
    assert RUNS.count("fails") == RUNS.count("xfails") == RUNS.count("books") == 1
"""
    )
    run = suite.run("100 s", "--coresys-set", "memory.growth_rate=off")
    assert run.status == 1
    (facts,) = run.facts["run"]["soak"]
    assert facts["tests"] == 1
    assert facts["rounds"] > 90
    assert facts["left_out"] == {
        "did not pass in the first round": 3,
        "must not be repeated (coresys_no_repeat)": 1,
    }
    assert run.facts["findings"] == []


def test_where_no_test_passes_the_rate_is_not_measured(suite: SoakSuite) -> None:
    suite.write("def test_fails(): assert 0\n")
    run = suite.run("100 s", "--coresys-require-measured", "memory.growth_rate")
    assert run.status == 1
    assert rate(run)["verdict"] == "not_measured"
    why = "no test was soaked: 1 did not pass in the first round"
    assert rate(run)["why"] == why
    assert run.facts["summary"]["required_unmeasured"] == [f"memory.growth_rate in the soak: {why}"]


def test_the_first_failure_with_x_ends_the_run_without_a_soak(suite: SoakSuite) -> None:
    suite.write("def test_passes(): pass\ndef test_fails(): assert 0\ndef test_after(): pass\n")
    run = suite.run("100 s", "-x")
    assert run.status == 1
    assert len(run.seen) == 2
    assert run.facts["run"]["soak"] == []
    assert rate(run)["why"].startswith("no test was soaked")


def test_a_session_fixture_that_fails_to_fall_is_an_error_of_the_last_test_as_ever(suite: SoakSuite) -> None:
    text = """
import pytest
@pytest.fixture(scope="session", autouse=True)
def shared():
    yield
    raise RuntimeError("does not close")
def test_one(): pass
def test_two(): pass
"""
    suite.write(text, tests=2)
    bare = suite.inner.run()
    run = suite.run("20 s")
    assert run.seen == bare.seen
    assert run.status == bare.status == 1
    assert run.test("test_two")["outcome"] == "error"
    assert "does not close" in run.text


def test_what_tests_print_and_log_and_warn_in_rounds_is_neither_shown_nor_kept(suite: SoakSuite) -> None:
    suite.write(
        """
import logging, warnings
def test_speaks():
    print("a word" * 1000)
    logging.getLogger("it").warning("another word" * 1000)
    warnings.warn("take care")
"""
    )
    run = suite.run("100 s", "-rA", "--coresys-set", "memory.growth_rate=8 MB/h")
    assert run.status == 0, run.text
    assert rate(run)["verdict"] == "within", rate(run)
    assert run.text.count("take care") <= 2  # of the first round, and its line
    assert run.text.count("another word" * 1000) == 1


def test_a_doctest_goes_on_in_rounds(suite: SoakSuite) -> None:
    suite.write("def add(a, b):\n    '''\n    >>> add(1, 2)\n    3\n    '''\n    return a + b\n")
    run = suite.run("60 s", "--doctest-modules", "--coresys-set", "memory.growth_rate=off")
    assert run.status == 0, run.text
    assert run.facts["run"]["soak"][0]["rounds"] > 50
    assert run.facts["findings"] == []


def test_too_short_a_soak_says_so_and_how_long_might_do(suite: SoakSuite) -> None:
    suite.write("def test_it(): pass\n")
    run = suite.run("10 s", "--coresys-require-measured", "memory.growth_rate")
    assert run.status == 1
    assert rate(run)["verdict"] == "not_measured"
    assert rate(run)["why"].startswith("too short: ")
    assert "to tell: --coresys-soak" in run.text
    assert "required, but not measured: 1" in run.text


def test_outside_of_a_soak_the_rate_is_not_in_force(suite: SoakSuite) -> None:
    suite.write("def test_it(): pass\n")
    run = suite.inner.run("--coresys-budget", "--coresys-require-measured", "memory.growth_rate")
    assert run.status == 0, run.text
    assert run.facts["soak"] == {}
    assert "soak" not in run.facts["run"]
    assert "memory.growth_rate" not in run.test("test_it")["measures"]
    assert run.test("test_it")["verdict"] == "within"


def test_workers_soak_what_they_ran_each_for_itself(suite: SoakSuite) -> None:
    pytest.importorskip("xdist")
    suite.write(
        """
KEPT = []
def test_keeps(): KEPT.append(bytearray(30000))
def test_other(): pass
def test_third(): pass
def test_fourth(): pass
""",
        tests=2,
    )
    run = suite.run("100 s", "-n", "2")
    assert run.status == 1, run.text
    assert {words[1] for words in run.seen.values()} == {"call passed"}
    entry, (leaky,) = rate(run), [test["worker"] for test in run.facts["tests"] if test["nodeid"].endswith("keeps")]
    assert entry["verdict"] == "over"
    assert entry["worker"] == leaky
    (other,) = entry["others"]
    assert other["worker"] != leaky
    assert other["verdict"] != "over"
    facts = run.facts["run"]["soak"]
    assert sum(each["tests"] for each in facts) == 4
    assert {each["worker"] for each in facts} == {"gw0", "gw1"}
    assert all(each["looks"][0]["level"] < 0.00005 for each in facts)  # each has half of what is to be spent
    (finding,) = (each for each in run.facts["findings"] if each["key"] == "memory.growth_rate")
    assert finding["tests"] == ["test_it.py::test_keeps"]
    assert f"in worker {leaky}" in finding["summary"]


def test_a_worker_that_dies_in_a_round_fails_the_run_and_nothing_is_within(suite: SoakSuite) -> None:
    pytest.importorskip("xdist")
    suite.write(
        """
import os
RUNS = []
def test_fine(): pass
def test_dies():
    RUNS.append(1)
    if len(RUNS) > 20: os._exit(3)
"""
    )
    run = suite.run("60 s", "-n", "2", "--coresys-set", "memory.growth_rate=8 MB/h")
    assert run.status == 1, run.text
    assert {words[1] for words in run.seen.values()} == {"call passed"}
    assert (rate(run)["verdict"], rate(run)["why"]) == ("not_measured", "its worker died")
    assert [each["verdict"] for each in rate(run)["others"]] == ["within"]
    (finding,) = run.facts["findings"]
    assert (finding["key"], finding["level"]) == ("soak.failed", "error")
    assert finding["owner"] == f"worker {rate(run)['worker']}"


def test_a_plugin_that_runs_tests_itself_keeps_them_and_the_others_are_soaked(suite: SoakSuite) -> None:
    suite.write(
        """
RUNS = []
def test_theirs(): RUNS.append("theirs"); assert RUNS.count("theirs") == 1
def test_ours(): pass
""",
        conftest="""
from _pytest.runner import runtestprotocol
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if item.name != "test_theirs": return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
""",
    )
    run = suite.run("60 s", "--coresys-set", "memory.growth_rate=off")
    assert run.status == 0, run.text
    (facts,) = run.facts["run"]["soak"]
    assert facts["tests"] == 1
    assert list(facts["left_out"].values()) == [1]
    assert all(len(words) == 3 for words in run.seen.values())


PAUSES = """
import os, pathlib, signal
def test_it(): pass
def test_ends():
    from conftest import Clock
    if Clock.now > 1000 + 60 and not pathlib.Path("ended").exists():
        pathlib.Path("ended").touch()
        os.kill(os.getpid(), signal.{signal})
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_soak_that_was_ended_goes_on_where_it_was(suite: SoakSuite, name: str) -> None:
    suite.write(
        PAUSES.format(signal=name),
        conftest="import pytest_coresys.soak as soak\nsoak._SAVED_EACH = 0.0, 0.0\n",
        tests=2,
    )
    first = suite.run("100 s", "--coresys-set", "memory.growth_rate=20 MB/h")
    assert (suite.path / "ended").exists()
    if name == "SIGINT":
        assert first.status == 2
        assert rate(first)["why"] == "the soak was interrupted; the same command goes on with it"
        assert {words[-1] for words in first.seen.values()} == {"teardown passed"}
    (saved,) = (suite.path / ".coresys").glob("soak-*.json")
    second = suite.run("100 s", "--coresys-set", "memory.growth_rate=20 MB/h")
    assert second.status == 0, second.text
    (facts,) = second.facts["run"]["soak"]
    assert 20 < facts["resumed_at"] < 62
    assert facts["rounds"] > 80
    assert [look["at"] for look in facts["looks"]] == [0.25, 0.5, 0.75, 1.0]
    assert f"from .coresys/{saved.name}" in second.text
    times = rate(second)["times"]
    assert times == sorted(times)
    assert times[0] == pytest.approx(10, abs=2)
    assert times[-1] == pytest.approx(100, abs=2)
    assert not saved.exists()
    third = suite.run("100 s", "--coresys-set", "memory.growth_rate=20 MB/h")
    assert third.facts["run"]["soak"][0]["resumed_at"] is None


ENDS_ALL = """
import os, pathlib, signal, time
ENDED, OTHER = pathlib.Path("ended"), pathlib.Path("other")
def test_it(): pass
def test_ends():
    from conftest import Clock
    if Clock.now > 1000 + 60 and not ENDED.exists():
        while not OTHER.exists() or not OTHER.read_text(): time.sleep(0.01)
        ENDED.touch()
        for pid in (os.getppid(), int(OTHER.read_text()), os.getpid()):  # as a terminal does to all of its group
            os.kill(pid, signal.SIGINT)
"""
OTHER = """
import os, pathlib, time
def test_other():
    from conftest import Clock
    if Clock.now > 1000 + 30 and not pathlib.Path("ended").exists():
        pathlib.Path("other").write_text(str(os.getpid()))
        time.sleep(60)
"""


def test_a_soak_of_workers_that_was_interrupted_tells_how_far_it_was_and_goes_on(suite: SoakSuite) -> None:
    pytest.importorskip("xdist")
    hasty = "import pytest_coresys.soak as soak\nsoak._SAVED_EACH = 0.0, 0.1\n"
    suite.write(ENDS_ALL, conftest=hasty, tests=2)
    arguments = ("100 s", "-n", "2", "--dist", "loadscope", "--coresys-set", "memory.growth_rate=20 MB/h")
    (suite.path / "test_other.py").write_text(OTHER)
    first = suite.run(*arguments)
    assert first.status == 2, first.text
    assert (rate(first)["verdict"], rate(first)["why"]) == (
        "not_measured",
        "the soak was interrupted; the same command goes on with it",
    )
    facts = {each["worker"]: each for each in first.facts["run"]["soak"]}
    assert set(facts) == {"gw0", "gw1"}
    assert {each["ended"] for each in facts.values()} == {"interrupted"}
    assert sum(each["tests"] for each in facts.values()) == 3
    ended = next(each for each in facts.values() if each["tests"] == 2)
    assert ended["elapsed"] == pytest.approx(60, abs=3)
    assert ended["rounds"] == pytest.approx(60, abs=3)
    assert [look["at"] for look in ended["looks"]] == [0.25, 0.5]
    assert sorted(each["elapsed"] for each in facts.values())[0] == pytest.approx(30, abs=3)
    assert "no test was soaked" not in first.text
    assert "interrupted" in " ".join(first.text.split())
    for entry in (rate(first), *rate(first)["others"]):
        assert len(entry["times"]) == len(entry["values"]) > 5
        assert (entry["limit"], entry["origin"]) == (20 * 1024 * 1024, "--coresys-set")
    for _ in range(20):  # until each worker has the same tests as before: the first that is ready has the first of them
        second = suite.run(*arguments)
        assert second.status == 0, second.text
        now = {each["worker"]: each for each in second.facts["run"]["soak"]}
        if all(now[worker]["tests"] == each["tests"] for worker, each in facts.items()):
            break
    for worker, each in facts.items():
        assert now[worker]["resumed_at"] == pytest.approx(each["elapsed"], abs=0.1)


def test_workers_that_were_interrupted_and_have_kept_nothing_are_told_so(suite: SoakSuite) -> None:
    pytest.importorskip("xdist")
    suite.write(
        "import os, signal, time\ndef test_ends():\n    os.kill(os.getppid(), signal.SIGINT)\n    time.sleep(60)\n"
    )
    run = suite.run("100 s", "-n", "2")
    assert run.status == 2, run.text
    assert rate(run)["why"] == "the soak was interrupted, and its worker has told and kept nothing"


def test_other_code_does_not_go_on_with_it(suite: SoakSuite) -> None:
    suite.write(
        PAUSES.format(signal="SIGINT"),
        conftest="import pytest_coresys.soak as soak\nsoak._SAVED_EACH = 0.0, 0.1\n",
        tests=2,
    )
    suite.run("100 s")
    suite.write(PAUSES.format(signal="SIGINT") + "# changed\n", tests=2)
    run = suite.run("100 s")
    assert run.facts["run"]["soak"][0]["resumed_at"] is None
    assert "was not gone on with: it is of other code" in " ".join(run.text.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--coresys-soak", "90 s"), "--coresys-soak belongs to a measuring run: add --coresys-budget or"),
        (("--coresys-budget", "--coresys-soak", "90"), 'write a unit; did you mean "90 s"?'),
        (("--coresys-budget", "--coresys-soak", "90 minuts"), 'did you mean "90 min"?'),
        (("--coresys-budget", "--coresys-soak", "0 s"), "is too short for a soak"),
        (("--coresys-budget", "--coresys-soak", "9 s", "--setup-show"), "--setup-show would print each round"),
    ],
    ids=["no flag", "no unit", "a wrong unit", "nothing", "setup-show"],
)
def test_what_cannot_be_soaked_is_a_usage_error(inner: InnerSuite, arguments: tuple[str, ...], line: str) -> None:
    (Path(inner.path) / "test_it.py").write_text("def test_it(): pass\n")
    result = inner._pytester.runpytest_inprocess("-p", "no:asyncio", *arguments)
    text = "\n".join((*result.outlines, *result.errlines))
    assert result.ret == 4, text
    assert line in text
    assert "Traceback" not in text
    assert "passed" not in text


def test_a_soak_by_the_real_clock_comes_to_its_end(suite: SoakSuite) -> None:
    (suite.path / "test_it.py").write_text("def test_it(): pass\n")
    began = time.monotonic()
    run = suite.run("2 s")
    assert time.monotonic() - began > 2
    assert run.status == 0, run.text
    (facts,) = run.facts["run"]["soak"]
    assert facts["elapsed"] >= 2
    assert facts["ended"] == "finished"
    assert facts["looks"][-1]["at"] == 1.0


def test_temporary_folders_of_a_round_take_the_place_of_the_last_ones(suite: SoakSuite) -> None:
    suite.write(
        """
import pathlib
def test_it(tmp_path, shared):
    (tmp_path / "file").write_text("text")
    assert shared.is_dir()
    with pathlib.Path("folders.txt").open("a") as file: file.write(f"{len(list(tmp_path.parent.glob('test_it*')))}\\n")
""",
        conftest="""
@pytest.fixture(scope="session")
def shared(tmp_path_factory): return tmp_path_factory.mktemp("shared")
""",
    )
    run = suite.run("60 s", "--coresys-set", "memory.growth_rate=off")
    assert run.status == 0, run.text
    assert run.facts["findings"] == []
    counts = {int(line) for line in (suite.path / "folders.txt").read_text().split()}
    assert max(counts) <= 4


def test_who_asks_the_session_to_stop_ends_the_soak_which_can_go_on(suite: SoakSuite) -> None:
    suite.write(
        """
def test_it(): pass
def test_stops(request):
    from conftest import Clock
    if Clock.now > 1000 + 30: request.session.shouldstop = "enough"
""",
        tests=2,
    )
    run = suite.run("100 s")
    assert run.status == 2, run.text
    assert "enough" in run.text
    assert rate(run)["why"] == "the soak was interrupted; the same command goes on with it"
    assert run.facts["run"]["soak"][0]["ended"] == "interrupted"
    assert all(words[-1] == "teardown passed" for words in run.seen.values())
    assert list((suite.path / ".coresys").glob("soak-*.json"))


def test_an_error_of_our_own_in_the_rounds_costs_the_soak_and_nothing_else(suite: SoakSuite) -> None:
    broken = "import pytest_coresys.soak as soak\ndef broken(self): raise OSError('broken')\nsoak.Soak._read = broken\n"
    suite.write("def test_it(): pass\ndef test_fails(): assert 0\n", conftest=broken)
    run = suite.run("100 s")
    assert run.status == 1
    assert "INTERNALERROR" not in run.text
    assert "an error of coresys' own, please report it: OSError: broken" in run.text
    assert rate(run)["verdict"] == "not_measured"
    assert all(words[-1] == "teardown passed" for words in run.seen.values())
