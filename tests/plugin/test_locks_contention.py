"""What waiting for locks costs, in a run: what is over each time fails the test, and is told with its places."""

from __future__ import annotations

import sys

import pytest
from innersuite import FAILED_BY_US, Inner, InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]

INSIDE = "Store." if sys.version_info >= (3, 11) else ""  # whose a function is, code objects do not know before

SUITE = """
import queue, threading, time
import pytest

def together(*functions):
    threads = [threading.Thread(target=function, name=f"worker-{at}") for at, function in enumerate(functions)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

class Store:
    def __init__(self):
        self.lock = threading.Lock()
    def put(self):
        with self.lock:
            self.write()
    def write(self):
        time.sleep(0.02)

def use(store, times=8):
    for _ in range(times):
        store.put()

def test_hot():
    store = Store()
    together(*[lambda: use(store)] * 3)

def test_calm():
    lock, done = threading.Lock(), queue.Queue()
    def work():
        for at in range(2000):
            with lock:
                pass
            done.put(at)
    together(*[work] * 4)

CLIENT, making = [], threading.Lock()
def client():
    with making:
        if not CLIENT:
            time.sleep(0.1)
            CLIENT.append(object())
def test_pays_once(): together(*[client] * 4)

@pytest.mark.coresys_no_repeat(reason="it books")
def test_not_repeated(): use_all = Store(); together(*[lambda: use(use_all)] * 3)

@pytest.mark.coresys_budget("locks.contention", max="100 %")
@pytest.mark.coresys_budget("locks.wait", max="10 ms")
def test_one_long_wait(): store = Store(); together(*[lambda: use(store)] * 3)

@pytest.mark.coresys_budget(locks_contention="100 %", locks_wait="10 min")
def test_allowed(): store = Store(); together(*[lambda: use(store)] * 3)

@pytest.mark.coresys_skip("locks.*", reason="measured elsewhere")
def test_skipped(): store = Store(); together(*[lambda: use(store)] * 3)
"""


def measured(inner: Inner, name: str, key: str = "locks.contention") -> dict[str, object]:
    return dict(inner.test(name)["measures"][key])


@pytest.fixture
def suite(pytester: pytest.Pytester) -> InnerSuite:
    pytester.makepyfile(test_store=SUITE)
    return InnerSuite(pytester)


def judge(inner: Inner) -> None:
    assert inner.status == 1, inner.text
    assert inner.found() == {"test_hot": {"locks.contention"}, "test_one_long_wait": {"locks.wait"}}
    assert "locks.contention" in inner.found("suspicion")["test_not_repeated"]
    failed = {name.rpartition("::")[2] for name, phases in inner.seen.items() if phases in FAILED_BY_US[1:]}
    assert failed == {"test_hot", "test_one_long_wait"}
    assert measured(inner, "test_calm")["verdict"] == "within"
    assert measured(inner, "test_pays_once")["verdict"] == "within"
    assert measured(inner, "test_allowed")["verdict"] in ("within", "near")
    assert measured(inner, "test_skipped")["verdict"] == "not_measured"
    suspected = str(measured(inner, "test_not_repeated")["why"])
    assert suspected.startswith("suspected: ")
    assert suspected.endswith(" in one run; coresys_no_repeat: it books")


def test_a_hot_lock_fails_its_test_and_is_named(suite: InnerSuite) -> None:
    inner = suite.run("--coresys-budget", "--coresys-repeat", "4")
    judge(inner)
    hot = measured(inner, "test_hot")
    assert (hot["verdict"], hot["evidence"], hot["unit"]) == ("over", "repeated", "ratio")
    series = hot["series"]
    assert isinstance(series, list)
    assert len(series) == 3  # the run, and two repetitions
    assert hot["value"] == min(series)
    (finding,) = (each for each in inner.test("test_hot")["findings"] if each["key"] == "locks.contention")
    assert finding["summary"].startswith("locks.contention: ")
    name = f"{INSIDE}lock"
    assert finding["details"][0].startswith(f"{name}: 3 threads lost ")
    assert finding["details"][2].startswith("the interpreter ")
    places = [(place["function"], place["note"]) for place in finding["locations"]]
    assert places[0] == (f"{INSIDE}__init__", f"{name} made")
    assert [function for function, _ in places[1:3]] == [f"{INSIDE}put", f"{INSIDE}put"]
    assert places[1][1].endswith(" waited longest")
    assert all(note.endswith(" stood here") for _, note in places[3:])  # where it was looked at
    block = inner.text.partition("locks.contention: ")[2].partition("repro")[0].splitlines()
    assert len(block) <= 14
    assert any("in 3 runs" in line or "in each of 3 runs" in line for line in block)
    assert any("hold it for less" in line for line in block)


def test_it_is_the_same_in_workers(suite: InnerSuite) -> None:
    pytest.importorskip("xdist")
    judge(suite.run("--coresys-budget", "--coresys-repeat", "4", "-n", "2"))


def test_nothing_fails_where_it_is_only_observed(suite: InnerSuite) -> None:
    inner = suite.run("--coresys-observe", "--coresys-repeat", "4", "-k", "hot or calm")
    assert inner.status == 0, inner.text
    assert measured(inner, "test_hot")["verdict"] == "over"


def test_it_is_off_where_nobody_asks(suite: InnerSuite) -> None:
    inner = suite.run("-k", "hot")
    assert inner.status == 0
    assert inner.facts == {}
