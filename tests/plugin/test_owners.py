"""What a fixture of a wider scope makes is that fixture's: judged when it falls, and never the test's that asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from innersuite import InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]

PASSED = ["setup passed", "call passed", "teardown passed"]


def write(inner: InnerSuite, text: str, name: str = "test_it.py") -> None:
    head = "import os, subprocess, threading, unittest, pytest\nKEPT = []\n"
    Path(inner.path, name).write_text(head + text, encoding="utf-8")


def owners(run_facts: dict[str, object], level: str = "error") -> dict[str, str]:
    """Key by owner, of the findings of the run."""
    findings = run_facts["findings"]
    assert isinstance(findings, list)
    return {finding["owner"]: finding["key"] for finding in findings if finding["level"] == level}


@pytest.mark.parametrize(
    ("scope", "workers"),
    [("class", ()), ("module", ()), ("session", ()), ("session", ("-n", "2", "--dist", "loadfile"))],
    ids=["class", "module", "session", "n2"],
)
def test_a_wider_fixture_that_leaves_something_is_a_finding_of_the_run(
    inner: InnerSuite, scope: str, workers: tuple[str, ...]
) -> None:
    write(
        inner,
        f"""
@pytest.fixture(scope="{scope}")
def pool():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    yield 1
class TestIt:
    def test_first(self, pool): pass
    def test_second(self, pool): pass
""",
    )
    run = inner.run("--coresys-budget", *workers)
    assert set(map(tuple, run.seen.values())) == {tuple(PASSED)}, run.text
    assert run.found() == {}
    assert owners(run.facts) == {"fixture pool (test_it.py:4)": "descriptors.leaked"}
    (finding,) = run.facts["findings"]
    assert finding["tests"]
    assert [(place["path"], place["line"]) for place in finding["locations"]] == [("test_it.py", 6)]
    assert run.status == 1
    assert run.facts["summary"]["compliant"] is False
    assert "owner  fixture pool (test_it.py:4)" in run.text


@pytest.mark.parametrize(
    ("makes", "key"),
    [
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "threads.leaked"),
        ("KEPT.append(subprocess.Popen(['sleep', '60']))", "processes.leaked"),
    ],
    ids=["thread", "process"],
)
def test_other_things_that_are_left(inner: InnerSuite, makes: str, key: str) -> None:
    write(inner, f"@pytest.fixture(scope='module')\ndef pool():\n    {makes}\ndef test_it(pool): pass\n")
    run = inner.run("--coresys-budget")
    assert owners(run.facts) == {"fixture pool (test_it.py:3)": key}, run.text
    assert run.status == 1


def test_what_the_next_one_replaces_is_no_leak(inner: InnerSuite) -> None:
    # As subprocess does with children that nobody waited for: it does so when it starts another.
    write(
        inner,
        """
@pytest.fixture(scope='module')
def last():
    KEPT[:] = [open(os.devnull)]
def test_it(last): pass
""",
    )
    run = inner.run("--coresys-budget")
    assert (run.facts["findings"], run.status) == ([], 0), run.text


def test_observing_changes_no_status(inner: InnerSuite) -> None:
    write(
        inner,
        "@pytest.fixture(scope='module')\ndef pool(): KEPT.append(os.open(os.devnull, os.O_RDONLY))\n"
        "def test_it(pool): pass\n",
    )
    run = inner.run("--coresys-observe")
    assert owners(run.facts) == {"fixture pool (test_it.py:3)": "descriptors.leaked"}
    assert run.status == 0


def test_what_stands_for_setup_functions_is_named(inner: InnerSuite) -> None:
    write(
        inner,
        """
def setup_module(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls): KEPT.append(os.open(os.devnull, os.O_RDONLY))
    def test_case(self): pass
def test_it(): pass
""",
    )
    run = inner.run("--coresys-budget")
    assert run.found() == {}
    assert all(owner.startswith("setup and teardown of test_it.py") for owner in owners(run.facts)), run.text
    assert owners(run.facts)
    assert run.status == 1


INNOCENT = """
@pytest.fixture(scope="session")
def server():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    yield os.open(os.devnull, os.O_RDONLY)
    stop.set()
    thread.join()
@pytest.fixture(scope="module")
def outer(server, request):
    handle = os.open(os.devnull, os.O_RDONLY)
    request.addfinalizer(lambda: os.close(handle))
    return handle
@pytest.fixture(scope="module")
def kept_by_process():
    if not KEPT: KEPT.append(os.open(os.devnull, os.O_RDONLY))  # a pool that lives as long as the process
def test_first(outer): pass
def test_uses_pool(kept_by_process): pass
def test_large(big): assert len(big) > 1
@pytest.fixture(scope="module")
def big(): return [bytes(100) for _ in range(100_000)]
"""


def test_what_is_closed_in_the_end_or_made_once_is_nobodys_fault(inner: InnerSuite) -> None:
    write(inner, INNOCENT.replace("yield os.open(os.devnull, os.O_RDONLY)", "yield 1"))
    run = inner.run("--coresys-budget")
    assert run.found() == {}, run.text
    assert owners(run.facts) == {}, run.text
    assert run.status == 0


def test_bytes_that_a_wider_fixture_keeps_are_a_suspicion_and_fail_nothing(inner: InnerSuite) -> None:
    write(
        inner,
        "@pytest.fixture(scope='module')\ndef big(): KEPT.append(bytearray(8_000_000))\ndef test_it(big): pass\n",
    )
    run = inner.run("--coresys-budget")
    assert owners(run.facts) == {}
    assert owners(run.facts, "suspicion") == {"fixture big (test_it.py:3)": "memory.growth"}, run.text
    assert run.found() == {}
    assert run.status == 0


def test_a_leak_of_the_test_beside_wider_fixtures_is_the_tests(inner: InnerSuite) -> None:
    write(
        inner,
        """
@pytest.fixture(scope="session")
def wide():
    handle = os.open(os.devnull, os.O_RDONLY)
    yield handle
    os.close(handle)
@pytest.fixture
def narrow(wide): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_by_fixture(narrow): pass
def test_by_itself(wide): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_clean(wide): pass
""",
    )
    run = inner.run("--coresys-budget", "--coresys-profile", "strict")
    assert run.found().keys() == {"test_by_fixture", "test_by_itself"}, run.text
    assert owners(run.facts) == {}


SETTINGS = """
import logging, signal, sys
def handler(number, frame): pass
@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("NARROW", "1")
    monkeypatch.syspath_prepend("/narrow")
    own = logging.StreamHandler()
    logging.getLogger("app").addHandler(own)
    yield
    logging.getLogger("app").removeHandler(own)
@pytest.fixture(scope="{scope}")
def wide():
    os.environ["WIDE"] = "1"
    sys.path.insert(0, "/wide")
    own = logging.StreamHandler()
    logging.root.addHandler(own)
    logging.getLogger("app").setLevel(10)
    before = signal.signal(signal.SIGUSR1, handler)
    yield
    del os.environ["WIDE"]
    sys.path.remove("/wide")
    logging.root.removeHandler(own)
    logging.getLogger("app").setLevel(0)
    signal.signal(signal.SIGUSR1, before)
@pytest.fixture(scope="{scope}")
def guard():
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before): del os.environ[name]
def setup_module(): os.environ["MODULE"] = "1"
def teardown_module(): del os.environ["MODULE"]
class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls): logging.disable(50)
    @classmethod
    def tearDownClass(cls): logging.disable(0)
    def test_of_a_class(self): pass
def test_beside_a_narrow_one(narrow, wide): pass
def test_that_changes_something(wide): os.environ["MINE"] = "1"
def test_that_comes_last(wide): pass
def test_in_whose_teardown_it_is_put_back(wide, guard): os.environ["GUARDED"] = "1"
"""


@pytest.mark.parametrize("scope", ["module", "session"])
def test_what_wider_fixtures_set_and_put_back_is_no_tests(inner: InnerSuite, scope: str) -> None:
    write(inner, SETTINGS.replace("{scope}", scope))
    run = inner.run("--coresys-budget", "--coresys-profile", "strict")
    changed = {test["nodeid"]: test["measures"]["globals.changed"]["verdict"] for test in run.facts["tests"]}
    assert changed == {
        "test_it.py::TestCase::test_of_a_class": "within",
        "test_it.py::test_beside_a_narrow_one": "within",
        "test_it.py::test_that_changes_something": "over",
        "test_it.py::test_that_comes_last": "within",
        "test_it.py::test_in_whose_teardown_it_is_put_back": "within",
    }, run.text


NESTED = """
import sys
@pytest.fixture(scope="module")
def inner():
    sys.path.insert(0, "/inner")
    yield
    sys.path.remove("/inner")
@pytest.fixture(scope="module")
def outer(request):
    sys.path.insert(0, "/outer")
    request.getfixturevalue("inner")
    yield
    sys.path.remove("/outer")
def test_first(monkeypatch, outer): pass
def test_last(outer): pass
"""


def test_a_wider_fixture_that_asks_for_another_in_its_setup_changes_things_once(inner: InnerSuite) -> None:
    # Beside what a narrow fixture has up: else the whole row is as the outer one left it.
    write(
        inner,
        NESTED.replace("(monkeypatch, outer): pass", "(own, outer): pass").replace(
            "def test_first",
            "@pytest.fixture\ndef own(monkeypatch): monkeypatch.syspath_prepend('/own')\ndef test_first",
        ),
    )
    run = inner.run("--coresys-budget", "--coresys-profile", "strict")
    assert run.found() == {}, run.text
    assert run.status == 0


LEVELS = """
import logging
@pytest.fixture(scope="module")
def verbose():
    before = logging.root.level
    logging.root.setLevel(logging.DEBUG)
    yield
    logging.root.setLevel(before)
def test_first(verbose): pass
def test_second(verbose): pass
def test_sets_it(): logging.root.setLevel(50)
def test_last(verbose): pass
"""


@pytest.mark.parametrize("level", [(), ("-o", "log_level=INFO")], ids=["", "log_level"])
def test_a_level_that_pytest_takes_back_with_its_own_was_not_changed_by_the_test(
    inner: InnerSuite, level: tuple[str, ...]
) -> None:
    write(inner, LEVELS)
    run = inner.run("--coresys-budget", "--coresys-profile", "strict", *level)
    # With log_level, pytest takes back what the test sets as well.
    assert run.found() == ({} if level else {"test_sets_it": {"globals.changed"}}), run.text


LEAVES_ONE = """
{head}
@pytest.fixture(scope="module")
def pool():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
{mark}
def test_it(pool): pass
def test_other(pool): pass
"""


@pytest.mark.parametrize(
    ("mark", "head", "toml", "level"),
    [
        ("", "", "", "error"),
        ("", "", 'descriptors.leaked = "off"', None),
        ("", "", "descriptors.leaked = 1", None),
        ("", "", 'descriptors.leaked = { max = 0, level = "warn" }', "warn"),
        ("", 'pytestmark = pytest.mark.coresys_budget("descriptors.leaked", max=1)', "", None),
        ("", 'pytestmark = pytest.mark.coresys_skip("descriptors.*", reason="mine")', "", None),
        # A fixture of the module is not held to what one test of it says of itself.
        ('@pytest.mark.coresys_budget("descriptors.leaked", max=1)', "", "", "error"),
        ('@pytest.mark.coresys_skip("descriptors.*", reason="mine")', "", "", "error"),
    ],
    ids=["default", "off", "allowed", "warned", "allowed around", "skipped around", "one test", "one test skips"],
)
def test_budgets_are_those_of_what_the_fixture_is_for(
    inner: InnerSuite, mark: str, head: str, toml: str, level: str | None
) -> None:
    write(inner, LEAVES_ONE.format(mark=mark, head=head))
    Path(inner.path, "coresys.toml").write_text(f"[budgets]\n{toml}\n")
    run = inner.run("--coresys-budget")
    assert [finding["level"] for finding in run.facts["findings"]] == ([level] if level else []), run.text
    assert run.status == (1 if level == "error" else 0)
    origin = "coresys.toml:2" if "warn" in toml else "default"
    for finding in run.facts["findings"]:
        assert finding["summary"] == f"descriptors.leaked: 1 left by each teardown > 0 ({origin})"


def test_a_test_that_may_not_be_repeated_is_not_for_its_fixtures_either(inner: InnerSuite) -> None:
    write(inner, LEAVES_ONE.format(mark="@pytest.mark.coresys_no_repeat(reason='books a flight')", head=""))
    run = inner.run("--coresys-budget")
    (finding,) = run.facts["findings"]
    assert (finding["level"], run.status) == ("suspicion", 0)
    assert finding["details"][-1] == "seen once; not repeated: coresys_no_repeat of test_it: books a flight"


@pytest.mark.parametrize(
    ("accept", "level"),
    [
        ('owner = "fixture pool (test_it.py:5)"', "warn"),
        ("", "warn"),
        ('owner = "fixture other (test_it.py:5)"', "error"),
        ('paths = ["test_it.py:6"]', "error"),
        ('locks = ["a.py:1"]', "error"),
    ],
)
def test_what_is_accepted_of_a_fixture_is_told_and_fails_nothing(inner: InnerSuite, accept: str, level: str) -> None:
    write(inner, LEAVES_ONE.format(mark="", head=""))
    text = f'[[accept]]\nkey = "descriptors.leaked"\nreason = "#412: ends with the process"\n{accept}\n'
    Path(inner.path, "coresys.toml").write_text(text)
    run = inner.run("--coresys-budget")
    (finding,) = run.facts["findings"]
    assert (finding["level"], run.status) == (level, 1 if level == "error" else 0), run.text
    assert run.facts["summary"]["compliant"] is (level == "warn")
    noted = finding["details"][0] == "accepted: #412: ends with the process (coresys.toml:1)"
    assert noted is (level == "warn")


def test_what_is_accepted_of_a_test_is_told_and_fails_nothing(inner: InnerSuite) -> None:
    write(
        inner,
        "def test_agreed(): KEPT.append(os.open(os.devnull, os.O_RDONLY))\n"
        "def test_new(): KEPT.append(os.open(os.devnull, os.O_RDONLY))\n",
    )
    text = '[[accept]]\nkey = "descriptors.leaked"\nreason = "#412"\npaths = ["test_it.py:3"]\n'
    Path(inner.path, "coresys.toml").write_text(text + '[budgets]\nmemory.growth = "off"\n')
    run = inner.run("--coresys-budget")
    outcomes = {nodeid.rpartition("::")[2]: phases[1] for nodeid, phases in run.seen.items()}
    assert outcomes == {"test_agreed": "call passed", "test_new": "call failed"}, run.text
    told = " ".join(run.text.split())
    assert "test_it.py::test_agreed descriptors.leaked: 1 per run > 0" in told
    assert "accepted: #412 (coresys.toml:1)" in told


@pytest.mark.parametrize("first", ["coresys_budget('descriptors.leaked', max=1)", "coresys_no_repeat(reason='mine')"])
def test_what_one_user_of_a_fixture_allows_is_not_allowed_to_all(inner: InnerSuite, first: str) -> None:
    write(
        inner,
        f"""
@pytest.fixture(scope="class")
def pool(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
@pytest.mark.{first}
class TestAllowed:
    def test_it(self, pool): pass
class TestOther:
    def test_it(self, pool): pass
""",
    )
    run = inner.run("--coresys-budget")
    assert "error" in [finding["level"] for finding in run.facts["findings"]], run.text
    assert run.status == 1


def test_a_wrong_marker_repeats_nothing_for_fixtures(inner: InnerSuite) -> None:
    write(inner, LEAVES_ONE.format(mark="@pytest.mark.coresys_no_repeat('why', 'more')", head=""))
    run = inner.run("--coresys-budget")
    assert [finding["level"] for finding in run.facts["findings"]] == ["suspicion"], run.text


def test_the_reason_of_what_is_accepted_is_told_at_the_end(inner: InnerSuite) -> None:
    write(inner, LEAVES_ONE.format(mark="", head=""))
    Path(inner.path, "coresys.toml").write_text('[[accept]]\nkey = "descriptors.leaked"\nreason = "#412"\n')
    assert "accepted: #412 (coresys.toml:1)" in inner.run("--coresys-budget").text


def test_a_place_is_told_only_of_what_is_one_fixtures_alone(inner: InnerSuite) -> None:
    write(
        inner,
        """
@pytest.fixture(scope="module")
def one():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
@pytest.fixture(scope="module")
def other():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
def test_it(one, other): pass
""",
    )
    run = inner.run("--coresys-budget")
    places = {
        (finding["owner"], finding["key"]): [place["line"] for place in finding["locations"]][:1]
        for finding in run.facts["findings"]
    }
    assert places == {
        ("fixture one (test_it.py:4)", "descriptors.leaked"): [],
        ("fixture other (test_it.py:7)", "descriptors.leaked"): [],
        ("fixture other (test_it.py:7)", "threads.leaked"): [11],
    }, run.text


def test_a_place_is_not_told_where_the_test_leaves_such_things_too(inner: InnerSuite) -> None:
    write(
        inner,
        """
@pytest.fixture(scope="module")
def one():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_it(one):
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
""",
    )
    run = inner.run("--coresys-budget")
    (finding,) = run.facts["findings"]
    assert (finding["key"], finding["locations"]) == ("descriptors.leaked", [])


def test_a_quick_test_is_repeated_however_long_the_wider_fixture_takes_that_it_asks_for(inner: InnerSuite) -> None:
    write(
        inner,
        """
import time
@pytest.fixture(scope="module")
def slow():
    time.sleep(0.3)  # thirty repetitions of it would take three times the effort of the run
def test_it(slow): pass
""",
    )
    run = inner.run("--coresys-budget")
    [test] = run.facts["tests"]
    assert test["repetitions"] >= 24
    assert test["measures"]["memory.growth"]["evidence"] == "repeated"


@pytest.mark.parametrize("profile", ["default", "strict"])
def test_a_pool_of_a_wider_fixture_that_grows_when_it_is_needed_is_no_leak_of_the_test(
    inner: InnerSuite, profile: str
) -> None:
    """Its idle workers are not in the process that repeats the test: new ones are, and are a pool."""
    write(
        inner,
        """
from concurrent.futures import ThreadPoolExecutor
@pytest.fixture(scope="module")
def shared():
    with ThreadPoolExecutor(4, "shared") as executor:
        yield executor
def test_first(shared):
    assert shared.submit(pow, 2, 2).result() == 4
def test_more(shared):
    gate = threading.Barrier(3)
    [each.result() for each in [shared.submit(gate.wait) for _ in range(3)]]
def test_leaks(shared):
    shared.submit(pow, 2, 2).result()
    KEPT.append(threading.Event())
    threading.Thread(target=KEPT[-1].wait, daemon=True).start()
def test_last(shared): pass
""",
    )
    run = inner.run("--coresys-budget", "--coresys-profile", profile)
    assert run.found() == {"test_leaks": {"threads.leaked", "memory.growth"}}, run.text
    assert run.found("suspicion") == {}, run.text
    assert run.facts["findings"] == []
