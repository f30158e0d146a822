"""Potential deadlocks: of one test, of several, in one process and in many."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from innersuite import InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]
KEY = "locks.potential_deadlocks"
AGREED = '[[accept]]\nkey = "locks.potential_deadlocks"\nreason = "#1"\n'
QUIET = '[budgets]\nmemory.growth = "off"\nmemory.fragmentation = "off"\n'

BANK = """\
import threading
class Account:
    def __init__(self):
        self.lock = threading.Lock()
def transfer(one, other):
    with one.lock:
        with other.lock:
            pass
"""
APP = """\
import threading
POOL = threading.Lock()
class Cache:
    lock = threading.RLock()
    def __init__(self):
        self.own = threading.Lock()
def evict():
    with POOL:
        with Cache.lock:
            pass
def fill():
    with Cache.lock:
        with POOL:
            pass
def of_one(cache):
    with POOL, cache.own:
        pass
def of_other(cache):
    with cache.own, POOL:
        pass
"""


def write(inner: InnerSuite, toml: str = "", **files: str) -> None:
    for name, text in files.items():
        Path(inner.path, f"{name}.py").write_text(text, encoding="utf-8")
    Path(inner.path, "coresys.toml").write_text(QUIET + toml, encoding="utf-8")


def circles(run: Any) -> list[Any]:
    return [finding for finding in run.facts["findings"] if finding["key"] == KEY]


TRANSFERS = """\
import threading
import bank
def test_both_ways():
    a, b = bank.Account(), bank.Account()
    for pair in ((a, b), (b, a)):
        thread = threading.Thread(target=bank.transfer, args=pair, name=f"clerk {pair[0] is a}")
        thread.start()
        thread.join()
def test_one_way():
    a, b = bank.Account(), bank.Account()
    bank.transfer(a, b)
    bank.transfer(a, b)
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_a_test_that_passes_fails_for_what_its_threads_would_do_if_they_met(
    inner: InnerSuite, workers: tuple[str, ...]
) -> None:
    write(inner, bank=BANK, test_it=TRANSFERS)
    run = inner.run("--coresys-budget", *workers)
    assert run.seen["test_it.py::test_both_ways"][1] == "call failed", run.text
    assert run.seen["test_it.py::test_one_way"][1] == "call passed", run.text
    (test,) = [test for test in run.facts["tests"] if test["nodeid"] == "test_it.py::test_both_ways"]
    (finding,) = test["findings"]
    assert finding["summary"] == f"{KEY}: 1 > 0 (default)"
    assert finding["details"][:2] == [
        "clerk True held Account.lock #1 and took Account.lock #2",
        "clerk False held Account.lock #2 and took Account.lock #1",
    ]
    places = [(place["path"], place["line"], place["function"]) for place in finding["locations"]]
    assert [(path, line) for path, line, _ in places] == [("bank.py", 6), ("bank.py", 7)] * 2
    assert {function.rpartition(".")[2] for _, _, function in places} == {"transfer"}
    assert finding["locks"] == ["bank.py:4"]
    assert not circles(run)
    (cycle,) = run.facts["locks"]["cycles"]
    assert cycle["tests"] == ["test_it.py::test_both_ways"]
    told = [line.strip() for line in run.text.splitlines()]
    assert f"{KEY}: 1 > 0 (default)" in told


ONE = "import app\ndef test_evict(): app.evict()\ndef test_evict_again(): app.evict()\n"
TWO = "import app\ndef test_fill(): app.fill()\n"


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["serial", "n2"])
def test_what_two_tests_do_in_different_orders_is_a_finding_of_the_run(
    inner: InnerSuite, workers: tuple[str, ...]
) -> None:
    write(inner, app=APP, test_one=ONE, test_two=TWO)
    run = inner.run("--coresys-budget", *workers)
    assert run.status == 1
    assert all(phases[1] == "call passed" for phases in run.seen.values()), run.text
    (finding,) = circles(run)
    assert finding["tests"] == ["test_one.py::test_evict", "test_two.py::test_fill"]
    assert finding["locks"] == ["app.py:2", "app.py:4"]
    assert finding["details"][:2] == [
        "MainThread held POOL and took Cache.lock, in test_one.py::test_evict",
        "MainThread held Cache.lock and took POOL, in test_two.py::test_fill",
    ]
    assert "each is one for the whole class or module" in finding["details"][-1]
    assert run.facts["locks"]["cycles"] == [{"edges": [0, 1], "tests": finding["tests"]}]
    assert not run.facts["summary"]["compliant"]


def test_the_same_run_file_whichever_way_it_was_run(inner: InnerSuite) -> None:
    write(inner, app=APP, test_one=ONE, test_two=TWO)
    serial = inner.run("--coresys-budget").facts
    spread = inner.run("--coresys-budget", "-n", "2", "--dist", "loadfile").facts
    assert serial["locks"] == spread["locks"]
    assert serial["findings"] == spread["findings"]


def test_an_instance_that_lives_on_is_the_same_lock_and_one_of_each_test_is_not(inner: InnerSuite) -> None:
    write(
        inner,
        app=APP,
        test_it="""\
import app, pytest
@pytest.fixture(scope="module")
def shared(): return app.Cache()
def test_one(shared): app.of_one(shared)
def test_other(shared): app.of_other(shared)
def test_own(): app.of_one(app.Cache())
def test_own_too(): app.of_other(app.Cache())
""",
    )
    run = inner.run("--coresys-budget")
    (finding,) = circles(run)
    assert finding["tests"] == ["test_it.py::test_one", "test_it.py::test_other"]
    assert "the very instances" in finding["details"][-1]


@pytest.mark.parametrize(
    ("toml", "level", "status"),
    [
        ('locks.potential_deadlocks = "off"\n', None, 0),
        ('locks.potential_deadlocks = { max = 0, level = "warn" }\n', "warn", 0),
        ('[[accept]]\nkey = "locks.potential_deadlocks"\nlocks = ["app.py:2", "app.py:4"]\nreason = "#1"\n', "warn", 0),
        (
            '[[accept]]\nkey = "locks.potential_deadlocks"\nlocks = ["app.py:2", "app.py:6"]\nreason = "#1"\n',
            "error",
            1,
        ),
    ],
    ids=["off", "warned", "agreed", "others agreed"],
)
def test_budgets_and_what_is_agreed_hold_for_findings_of_the_run(
    inner: InnerSuite, toml: str, level: str | None, status: int
) -> None:
    write(inner, toml, app=APP, test_one=ONE, test_two=TWO)
    run = inner.run("--coresys-budget")
    assert [finding["level"] for finding in circles(run)] == ([] if level is None else [level]), run.text
    assert run.status == status


BOTH = """\
import app
def test_both():
    app.evict()
    app.fill()
def test_another():
    cache = app.Cache()
    app.of_one(cache)
    app.of_other(cache)
    app.evict()
    app.fill()
"""


MADE = """\
import threading
GATE = threading.Lock()
class Store:
    def __init__(self):
        self.reads = threading.Lock()
        self.writes = threading.Lock()
STORE = Store()
ONE_LINE = [threading.Lock(), threading.Lock()]
BY_NAME = {}
for name in ("a", "b"):
    BY_NAME[name] = threading.Lock()
SHARDS = [threading.Lock() for _ in range(2)]
STORES = [Store() for _ in range(2)]
"""
# What it is, the locks of one test, and those of the other one; and whether that is a circle in one process.
PAIRS = {
    "a line of a module makes their owner": ("STORE.reads, STORE.writes", "STORE.writes, STORE.reads", True),
    "two of one line": ("ONE_LINE[0], ONE_LINE[1]", "ONE_LINE[1], ONE_LINE[0]", True),
    "two of a loop": ("SHARDS[0], SHARDS[1]", "SHARDS[1], SHARDS[0]", True),
    "one of a line, and another of it": ("ONE_LINE[0], GATE", "GATE, ONE_LINE[1]", False),
    "one of a loop, and another of it": ('BY_NAME["a"], GATE', 'GATE, BY_NAME["b"]', False),
    "one of a comprehension, and another of it": ("SHARDS[0], GATE", "GATE, SHARDS[1]", False),
    "of one owner, and of another of the same line": ("STORES[0].reads, GATE", "GATE, STORES[1].reads", False),
    "of an owner that a test made for itself": ("Store().reads, GATE", "GATE, Store().reads", False),
}


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["serial", "n2"])
def test_what_stands_for_the_same_lock_in_another_test(inner: InnerSuite, workers: tuple[str, ...]) -> None:
    """A name, or a line, is not enough: one line makes several. Those of a loop are known by themselves."""
    write(inner, **{f"made{number}": MADE for number in range(len(PAIRS))})
    for number, (one, other, _) in enumerate(PAIRS.values()):
        for which, locks in (("one", one), ("other", other)):
            text = f"from made{number} import *\ndef test_{which}():\n    with {locks}: pass\n"
            Path(inner.path, f"test_pair{number}_{which}.py").write_text(text, encoding="utf-8")
    run = inner.run("--coresys-budget", *workers)
    found = {int(test.partition("pair")[2][0]) for finding in circles(run) for test in finding["tests"]}
    told = {name: number in found for number, name in enumerate(PAIRS)}
    expected = {name: circle for name, (_, _, circle) in PAIRS.items()}
    if workers and told["two of a loop"] is False:  # where other workers ran its tests nothing says which is which
        expected["two of a loop"] = False
    assert told == expected
    names = {node["name"] for node in run.facts["locks"]["nodes"]}
    assert {"Store.reads", "Store.writes", "ONE_LINE", "GATE"} < names
    assert "lock made at made4.py:11" in names  # it goes into a dictionary, and what is stored next is another thing
    assert "SHARDS" not in names


def test_of_two_circles_the_one_that_is_not_agreed_to_fails_the_test(inner: InnerSuite) -> None:
    write(inner, AGREED + 'locks = ["app.py:2", "app.py:4"]\n', app=APP, test_it=BOTH)
    run = inner.run("--coresys-budget")
    levels = {test["nodeid"]: [each["level"] for each in test["findings"]] for test in run.facts["tests"]}
    assert levels["test_it.py::test_both"] == ["warn"]
    assert sorted(levels["test_it.py::test_another"]) == ["error", "warn"]
    assert run.seen["test_it.py::test_both"][1] == "call passed"
    assert run.seen["test_it.py::test_another"][1] == "call failed"
    assert not circles(run)  # each was closed by a test alone


def test_a_test_in_a_process_of_its_own_is_compared_too(inner: InnerSuite) -> None:
    isolated = "import app, pytest\n@pytest.mark.coresys_isolated\ndef test_fill(): app.fill()\n"
    write(inner, app=APP, test_one=ONE, test_two=isolated)
    (finding,) = circles(inner.run("--coresys-budget"))
    assert finding["tests"] == ["test_one.py::test_evict", "test_two.py::test_fill"]


def test_locks_made_before_the_plugin_are_watched_where_a_module_has_them(inner: InnerSuite) -> None:
    write(
        inner,
        test_it="""\
import logging, threading
LOCK = threading.Lock()
class Handler(logging.Handler):
    def emit(self, record):
        with LOCK:
            pass
def test_it():
    logger = logging.getLogger("it")
    handler = Handler()
    logger.addHandler(handler)
    logger.warning("takes the lock under the handler's")
    with LOCK:
        handler.acquire()
    handler.release()
    logger.removeHandler(handler)
""",
    )
    run = inner.run("--coresys-budget")
    (test,) = run.facts["tests"]
    (finding,) = [each for each in test["findings"] if each["key"] == KEY]
    assert finding["details"][:2] == [
        "MainThread held LOCK and took handler",
        "MainThread held handler and took LOCK",
    ], finding
    assert all(place["path"] == "test_it.py" for place in finding["locations"]), finding


def test_locks_are_as_they_were_after_the_run(inner: InnerSuite) -> None:
    code = """\
import _thread, logging, sys, threading
before = threading.Lock, threading.RLock, logging._lock, vars(logging)["_lock"]
import pytest
sys.exit(0 if pytest.main(["-q", "-p", "no:cacheprovider", "--coresys-budget", "test_it.py"]) == 0
    and before == (threading.Lock, threading.RLock, logging._lock, vars(logging)["_lock"]) else 3)
"""
    write(inner, run=code, test_it="def test_it(): pass\n")
    done = subprocess.run([sys.executable, "run.py"], cwd=inner.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


GROWS = """\
import sys, threading
sys.path.insert(0, ".")
from coresys.threads.watching import chains
def nested():
    one, other = threading.Lock(), threading.Lock()
    with one, other: pass
    print("notes:", len(chains.current.seen))
def test_it(): nested()
def test_again(): nested()
"""


@pytest.mark.parametrize(
    ("toml", "options"),
    [('locks.potential_deadlocks = "off"\n', []), ("", ["--coresys-soak", "3 s"])],
    ids=["off", "soak"],
)
def test_what_nobody_reads_is_not_kept(inner: InnerSuite, toml: str, options: list[str]) -> None:
    write(inner, toml, test_it=GROWS)
    run = inner.run("--coresys-budget", "-s", *options)
    counts = [int(line.rpartition(" ")[2]) for line in run.text.splitlines() if "notes:" in line]
    assert len(counts) >= 2
    assert max(counts) <= 1, run.text


def test_the_readme_shows_what_is_printed(inner: InnerSuite) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme[readme.index("## A deadlock that did not happen") : readme.index("## Measures")]
    for path, code in re.findall(r"```python\n# (\S+)\n(.*?)```", section, re.DOTALL):
        place = Path(inner.path, path)
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"# {path}\n{code}", encoding="utf-8")
    Path(inner.path, "app", "__init__.py").touch()
    Path(inner.path, "coresys.toml").write_text('profile = "default"\n', encoding="utf-8")
    run = inner.run("--coresys-budget", "--coresys-profile", "default")
    (shown,) = re.findall(r"```\n___+ test_transfers_both_ways ___+\n(.*?)```", section, re.DOTALL)

    lucky = re.compile(r"clerk_\d( did all of it)?|they did not meet")  # which of the clerks takes the second transfer

    def lines(text: str) -> list[str]:
        return [lucky.sub("clerk", line).rstrip() for line in text.splitlines()]

    printed = lines(run.text)
    missing = [line for line in lines(shown) if "repro" not in line and line not in printed]
    assert not missing, run.text
