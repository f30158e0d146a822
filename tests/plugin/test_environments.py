"""The fixtures of isolated environments: what a test leaves in its own is its failure, by name, and nobody else's."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from innersuite import FAILED_BY_US, InnerSuite, changed

pytestmark = [pytest.mark.slow, pytest.mark.inner]

PASSED = ["setup passed", "call passed", "teardown passed"]
ERROR = ["setup passed", "call passed", "teardown failed"]
HEAD = """
import asyncio, pickle, pytest, threading, unittest
from coresys.system_records import CleanupStep, ComponentSpec, StateDefinition
from pytest_coresys.fixtures import coresys_environment

KEPT = []
GATE = threading.Event()
DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"),))

def used(own):
    own.state.define("door", DOOR)
    own.state.fire("door", "push")
    with own.resources.lease(100, owner="web"):
        assert own.threads.submit(pow, 2, 5).result() == 32
    assert own.state.names() == ("door",) and own.resources.leases() == () and own.errors.recent() == ()
"""
# What a test leaves, and what is told of it; the line in which MARK stands is the place of it.
LENT = "a buffer of 10 bytes, lent to 'web'"
PLANTED = {
    "lent": ("KEPT.append(own.resources.lease(10, owner='web'))  # MARK", f"{LENT}, taken at"),
    "dropped": ("own.resources.lease(10, owner='web')  # MARK", f"{LENT} and dropped, taken at"),
    "task": ("own.threads.submit(wait_long); BEGUN.wait(5)", "a task that runs on"),
    "closing": ("own.resources.register('f', owner='web', close=lambda: int('x'))  # MARK", "'f' of 'web', registered"),
    "step": ("own.cleanup.add(CleanupStep('mine'), lambda: int('x'))", "cleanup step 'mine' failed"),
}
TASK = """
BEGUN = threading.Event()
def wait_long():
    BEGUN.set()
    GATE.wait(2)  # MARK
"""


def write(inner: InnerSuite, text: str, name: str = "test_it.py") -> Path:
    path = Path(inner.path, name)
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def suite(seed: int) -> tuple[str, dict[str, tuple[str, str]]]:
    """Sixty tests in any order, eight of which leave something; by name, what is told, and how the line ends."""
    tests: dict[str, str] = {}
    planted: dict[str, tuple[str, str]] = {}
    for number in range(60):
        name = f"test_{number}"
        tests[name] = f"def {name}(coresys):\n    used(coresys)\n"
    kinds = [*PLANTED, "lent", "closing", "dropped"]
    order = random.Random(seed)
    for kind, name in zip(kinds, order.sample(list(tests), len(kinds)), strict=True):
        code, told = PLANTED[kind]
        tests[name] += f"    own = coresys\n    {code.replace('MARK', name)}\n"
        planted[name] = (told, "wait(2)" if kind == "task" else name)
    names = list(tests)
    order.shuffle(names)
    return TASK + "\n".join(tests[name] for name in names), planted


def line_of(path: Path, text: str) -> int | None:
    """Of a comment; None where there is none."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.endswith(f"# {text}") or (text == "wait(2)" and "GATE.wait(2)" in line):
            return number
    return None


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_of_sixty_tests_those_that_leave_something_are_named_with_its_line_and_no_other(
    inner: InnerSuite, workers: tuple[str, ...]
) -> None:
    text, planted = suite(seed=len(workers) + 4)
    path = write(inner, text)
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", *workers)
    assert run.found() == {name: {"environment.left"} for name in planted}, run.text
    assert run.text.count("environment.left: 1 > 0 (default)") >= len(planted)
    for name, (told, comment) in planted.items():
        (finding,) = [each for each in run.test(name)["findings"] if each["level"] == "error"]
        assert finding["summary"].startswith("environment.left: 1 > 0"), finding
        (line,) = [each for each in finding["details"] if told in each]
        number = line_of(path, comment)
        assert number is None or f"test_it.py:{number}" in line, line
        assert run.seen[f"test_it.py::{name}"] == FAILED_BY_US[1]
    assert len(run.seen) == 60
    assert sum(phases == PASSED for phases in run.seen.values()) == 60 - len(planted)
    assert run.status == 1


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_without_a_measuring_run_each_is_an_error_at_teardown_that_names_it(
    inner: InnerSuite, workers: tuple[str, ...]
) -> None:
    text, planted = suite(seed=7)
    write(inner, text)
    run = inner.run(*workers)
    failed = {nodeid.rpartition("::")[2] for nodeid, phases in run.seen.items() if phases != PASSED}
    assert failed == set(planted), run.text
    assert all(run.seen[f"test_it.py::{name}"] == ERROR for name in failed)
    for name, (told, _) in planted.items():
        assert f"1 left behind in environment 'test_it.py::{name}':" in run.text
        assert told in run.text
    assert run.status == 1


def test_to_observe_changes_nothing(inner: InnerSuite) -> None:
    text, _ = suite(seed=8)
    write(
        inner,
        text
        + "\nshop = coresys_environment()\ndef test_shop(shop):\n    KEPT.append(shop.resources.lease(1, owner='w'))\n",
    )
    bare, observed = inner.run(), inner.run("--coresys-observe", "--coresys-repeat", "0")
    assert changed(bare, observed) == {}
    assert bare.status == observed.status == 1


WIDER = """
shop = coresys_environment(scope="{scope}", lease=64 * 1024)

class TestIt:
    def test_first(self, shop):
        KEPT.append(shop.resources.lease(10, owner="web"))  # first
    def test_second(self, shop):
        assert len(shop.resources.leases()) == 1
def test_other(coresys):
    assert coresys.resources.leases() == ()
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["serial", "n2"])
@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_what_is_left_in_a_wider_environment_is_a_finding_of_the_run_with_its_owner(
    inner: InnerSuite, scope: str, workers: tuple[str, ...]
) -> None:
    path = write(inner, WIDER.format(scope=scope))
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", *workers)
    assert set(map(tuple, run.seen.values())) == {tuple(PASSED)}, run.text
    (finding,) = [each for each in run.facts["findings"] if each["level"] == "error"]
    made = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith("shop ="))
    assert (finding["key"], finding["owner"]) == ("environment.left", f"fixture shop (test_it.py:{made})")
    assert finding["tests"] == ["test_it.py::TestIt::test_first"]
    assert f"test_it.py:{line_of(path, 'first')}" in finding["details"][0]
    assert run.status == 1


def test_who_maps_the_buffers_of_a_wider_environment_is_not_suspected_of_them(inner: InnerSuite) -> None:
    write(
        inner,
        """
import mmap
shop = coresys_environment()
def test_first(shop):
    with shop.resources.lease(10, owner="web"): pass
def test_second(shop):
    with shop.resources.lease(10, owner="web"): pass
def test_maps_its_own(): KEPT.append(mmap.mmap(-1, 1024 * 1024))
""",
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.found("suspicion") == {"test_maps_its_own": {"memory.growth"}}, run.text


def test_a_test_of_a_wider_environment_is_not_measured_for_one_of_its_own(inner: InnerSuite) -> None:
    write(inner, "shop = coresys_environment()\ndef test_it(shop): used(shop)\n")
    run = inner.run("--coresys-budget")
    assert "environment.left" not in run.test("test_it")["measures"]
    assert run.facts["summary"]["within"] == 1, run.text
    assert run.status == 0


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ("[tool.coresys.budgets]\nenvironment.left = 1\n", None),
        ('[tool.coresys.budgets]\nenvironment.left = { max = 0, level = "warn" }\n', "warn"),
        ('[[tool.coresys.overrides]]\npaths = ["test_it.py"]\nbudgets = { environment.left = 2 }\n', None),
        ('[[tool.coresys.overrides]]\npaths = ["other.py"]\nbudgets = { environment.left = 2 }\n', "error"),
        ('pytestmark = pytest.mark.coresys_skip("environment.left", reason="known")', None),
        ('pytestmark = pytest.mark.coresys_budget("environment.left", max=1, reason="known")', None),
    ],
    ids=["budget", "warn", "override", "another's", "skip", "marker"],
)
def test_what_may_be_left_is_said_as_for_every_measure(inner: InnerSuite, settings: str, level: str | None) -> None:
    body = """
shop = coresys_environment()
def test_shop(shop): KEPT.append(shop.resources.lease(10, owner="web"))
def test_own(coresys): KEPT.append(coresys.resources.lease(10, owner="web"))
"""
    if settings.startswith("pytestmark"):
        write(inner, settings + body)
    else:
        write(inner, body)
        Path(inner.path, "pyproject.toml").write_text(settings, encoding="utf-8")
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    findings = [*run.facts["findings"], *run.test("test_own")["findings"]]
    levels = [each["level"] for each in findings if each["key"] == "environment.left"]
    assert levels == ([] if level is None else [level] * 2), run.text
    assert run.status == (1 if level == "error" else 0)


def test_the_fixtures_are_parts_of_one_environment(inner: InnerSuite) -> None:
    write(
        inner,
        """
def test_all(coresys, testing_coordinator, state_manager, resource_manager, error_manager, thread_manager,
             monitoring_manager, component_manager, cleanup_manager, buffer_pool):
    assert state_manager is coresys.state and resource_manager is coresys.resources
    assert error_manager is coresys.errors and thread_manager is coresys.threads
    assert monitoring_manager is coresys.monitoring and component_manager is coresys.components
    assert cleanup_manager is coresys.cleanup and buffer_pool is coresys.pools
    assert [each.name for each in testing_coordinator.tests.environments()] == [coresys.name.removeprefix("tests/")]
    used(coresys)

@pytest.mark.usefixtures("coresys")
class TestOld(unittest.TestCase):
    def test_old(self): pass

@pytest.mark.parametrize("name", ["a/b", "c[d]", "", "\\u00e4"])
def test_names(name, coresys): used(coresys)

def test_while_it_runs(request):
    used(request.getfixturevalue("coresys"))

def test_of_its_own(testing_coordinator):
    with testing_coordinator.environment("mine") as own:
        used(own)
""",
    )
    bare, measured = inner.both()
    assert set(map(tuple, bare.seen.values())) == {tuple(PASSED)}, bare.text
    assert len(bare.seen) == 8
    assert changed(bare, measured) == {}
    assert (bare.status, measured.status) == (0, 0), measured.text
    assert measured.found() == measured.found("warn") == {}


def test_failing_tests_and_failing_fixtures_keep_their_own_errors(inner: InnerSuite) -> None:
    write(
        inner,
        """
@pytest.fixture
def broken(coresys):
    KEPT.append(coresys.resources.lease(10, owner="web"))
    raise OSError("mine")

@pytest.fixture
def breaks(coresys):
    yield
    raise OSError("mine")

def test_fails(coresys):
    KEPT.append(coresys.resources.lease(10, owner="web"))
    assert 1 == 2
def test_setup(broken): pass
def test_teardown(breaks): pass
def test_skips(coresys): pytest.skip("no")
def test_after(coresys): used(coresys)
""",
    )
    bare, measured = inner.both()
    for run in (bare, measured):
        assert run.seen["test_it.py::test_after"] == PASSED, run.text
        assert run.seen["test_it.py::test_fails"][1] == "call failed"
        assert run.seen["test_it.py::test_setup"][0] == "setup failed"
        assert run.seen["test_it.py::test_teardown"] == ERROR
        assert "OSError: mine" in run.text
        assert "assert 1 == 2" in run.text
    assert measured.found() == {"test_fails": {"environment.left"}, "test_setup": {"environment.left"}}


FAILING = """
def keep(own):
    KEPT.append(own.resources.lease(10, owner="web"))

@pytest.fixture
def broken(coresys):
    keep(coresys)
    raise OSError("mine")
@pytest.fixture
def breaks(coresys):
    yield
    raise OSError("mine")

def test_fails(coresys):
    keep(coresys)
    assert 1 == 2
def test_setup(broken): pass
def test_teardown(breaks, coresys): keep(coresys)
def test_exits(coresys):
    keep(coresys)
    raise SystemExit(3)
@pytest.mark.xfail(strict=True)
def test_strict(coresys): keep(coresys)
@pytest.mark.coresys_isolated
def test_apart(coresys):
    keep(coresys)
    assert 3 == 4
def test_skips(coresys):
    keep(coresys)
    pytest.skip("no")
@pytest.mark.xfail
def test_expected(coresys):
    keep(coresys)
    assert 5 == 6
@pytest.mark.xfail(strict=False)
def test_unexpected(coresys): keep(coresys)
def test_clean(coresys):
    used(coresys)
    assert 7 == 8
def test_after(coresys): used(coresys)
@pytest.mark.coresys_skip("environment.left", reason="known")
def test_known(coresys):
    keep(coresys)
    assert 9 == 10
"""
FAILS = ["test_fails", "test_setup", "test_teardown", "test_exits", "test_strict", "test_apart"]
WARNS = ["test_skips", "test_expected", "test_unexpected"]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_what_a_test_left_that_did_not_pass_is_told_after_its_own_traceback_and_changes_no_outcome(
    inner: InnerSuite, workers: tuple[str, ...]
) -> None:
    path = write(inner, FAILING)
    clean = write(inner, FAILING.replace('KEPT.append(own.resources.lease(10, owner="web"))', "pass"), "test_clean.py")
    as_it_is = inner.run("test_clean.py")
    clean.unlink()
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", *workers)
    alone = {nodeid.rpartition("::")[2]: phases for nodeid, phases in as_it_is.seen.items()}
    assert {nodeid.rpartition("::")[2]: phases for nodeid, phases in run.seen.items()} == alone, run.text
    assert run.found() == {name: {"environment.left"} for name in FAILS}, run.text
    assert run.found("warn") == {name: {"environment.left"} for name in WARNS}, run.text
    for name in (*FAILS, *WARNS):
        (finding,) = run.test(name)["findings"]
        assert finding["summary"] == "environment.left: 1 > 0 (default)"
        assert [place["path"] for place in finding["locations"]] == ["test_it.py"], finding
        assert "a buffer of 10 bytes, lent to 'web', taken at test_it.py:" in finding["details"][0]
        measure = run.test(name)["measures"]["environment.left"]
        assert (measure["value"], measure["verdict"]) == (1, "over")
        assert measure["level"] == ("error" if name in FAILS else "warn")
        assert run.test(name)["measures"]["memory.growth"]["verdict"] == "not_measured"
    for name in FAILS:  # in the block of the test: its own first
        block = re.split(rf"^_+ (?:ERROR at \w+ of )?{name} _+$", run.text, flags=re.M)[1]
        block = re.split(r"^(?:_{3,} .* _{3,}|={3,} .* ={3,})$", block, flags=re.M)[0]
        own = {"test_fails": "assert 1 == 2", "test_exits": "SystemExit: 3", "test_apart": "assert 3 == 4"}
        first = own.get(name, "[XPASS(strict)]" if name == "test_strict" else "OSError: mine")
        assert 0 <= block.find(first) < block.find("environment.left: 1 > 0 (default)"), block
        assert block.count("environment.left: 1 > 0 (default)") == 1
    assert run.test("test_clean")["measures"]["environment.left"]["verdict"] == "within"
    assert run.test("test_known")["findings"] == []
    assert (run.status, path.name) == (1, "test_it.py")
    assert not run.facts["summary"]["compliant"]


def test_what_a_skipped_test_left_fails_nothing(inner: InnerSuite) -> None:
    write(
        inner,
        """
def test_skips(coresys):
    KEPT.append(coresys.resources.lease(10, owner="web"))
    pytest.skip("no")
""",
    )
    run = inner.run("--coresys-budget")
    assert (run.status, run.facts["summary"]["compliant"]) == (0, True), run.text
    assert run.found("warn") == {"test_skips": {"environment.left"}}
    assert "a buffer of 10 bytes, lent to 'web', taken at test_it.py:" in run.text
    assert "limit      0, set by default: told as a warning: the test skipped" in run.text


def test_fixtures_of_a_users_own_come_first(inner: InnerSuite) -> None:
    write(
        inner,
        """
@pytest.fixture
def coresys(): return "mine"
@pytest.fixture
def state_manager(): return "mine too"
def test_it(coresys, state_manager): assert (coresys, state_manager) == ("mine", "mine too")
""",
    )
    bare, measured = inner.both()
    assert changed(bare, measured) == {}
    assert (bare.status, measured.status) == (0, 0), measured.text
    assert "environment.left" not in measured.test("test_it")["measures"]


def test_two_of_a_session_may_have_one_name(inner: InnerSuite) -> None:
    for folder in ("a", "b"):
        Path(inner.path, folder).mkdir()
        text = "from pytest_coresys.fixtures import coresys_environment\nshop = coresys_environment('session')\n"
        Path(inner.path, folder, "conftest.py").write_text(text, encoding="utf-8")
        write(inner, "def test_it(shop): used(shop)\n", f"{folder}/test_{folder}.py")
    bare, measured = inner.both("-n", "0")
    assert set(map(tuple, bare.seen.values())) == {tuple(PASSED)}, bare.text
    assert changed(bare, measured) == {}


def test_the_budgets_of_pools_are_kept_to(inner: InnerSuite) -> None:
    write(
        inner,
        """
def test_large(coresys):
    leases = [coresys.resources.lease(64 * 1024, owner="web") for _ in range(9)]
    for lease in leases: lease.release()
def test_granted(coresys):
    coresys.resources.grant("web", 1024 * 1024)
    coresys.resources.lease(1024 * 1024, owner="web").release()
def test_small(coresys): used(coresys)
""",
    )
    run = inner.run("--coresys-budget")
    assert run.found() == {"test_large": {"pools.component"}}, run.text
    measures = run.test("test_large")["measures"]
    assert measures["pools.component"]["value"] == 9 * 64 * 1024
    assert measures["pools.fragmentation"]["verdict"] == "within"
    assert run.test("test_granted")["measures"]["pools.component"]["value"] == 0


@pytest.mark.other_plugins
def test_each_rerun_has_an_environment_of_its_own(inner: InnerSuite) -> None:
    write(
        inner,
        """
RUNS = []
def test_it(coresys):
    RUNS.append(1)
    used(coresys)
    assert len(RUNS) == 3
def test_left(coresys): KEPT.append(coresys.resources.lease(10, owner="web"))
""",
    )
    run = inner.run("--coresys-budget", "--reruns", "3", "-p", "no:randomly")
    assert run.seen["test_it.py::test_it"][-3:] == PASSED, run.text
    assert run.found() == {"test_left": {"environment.left"}}


@pytest.mark.other_plugins
def test_async_tests_have_one_too(inner: InnerSuite) -> None:
    write(
        inner,
        """
@pytest.mark.asyncio
async def test_it(coresys):
    assert await asyncio.wrap_future(coresys.threads.submit(pow, 2, 5)) == 32
    used(coresys)
""",
    )
    bare, measured = inner.both("-p", "no:randomly")
    assert bare.seen["test_it.py::test_it"] == PASSED, bare.text
    assert changed(bare, measured) == {}


def test_what_is_repeated_is_no_growth_and_leaves_nothing(inner: InnerSuite) -> None:
    write(inner, "@pytest.mark.parametrize('n', range(3))\ndef test_it(coresys, n): used(coresys)\n")
    run = inner.run("--coresys-budget")
    assert (run.status, run.found(), run.found("suspicion")) == (0, {}, {}), run.text
    assert [each for each in run.facts["findings"] if "testing_coordinator" in (each["owner"] or "")] == []
    assert all(each["repetitions"] for each in run.facts["tests"])


def test_the_fixtures_are_told_with_their_help_and_import_nothing_before(inner: InnerSuite) -> None:
    text = "import sys\ndef test_it(): assert 'coresys.coordinators' not in sys.modules\n"
    Path(inner.path, "test_it.py").write_text(text, encoding="utf-8")
    assert inner.run().status == 0
    told = inner.run("--fixtures").text
    for name in ("coresys ", "testing_coordinator ", "buffer_pool", "state_manager"):
        assert name in told
    assert "The isolated environment of this test" in told


def test_the_page_shows_what_is_seen(inner: InnerSuite) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n# test_uploads.py\n(.*?)```", page, re.DOTALL)
    shown = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert code is not None
    assert len(shown) == 2
    Path(inner.path, "test_uploads.py").write_text(f"# test_uploads.py\n{code[1]}", encoding="utf-8")
    bare, measured = inner.run(), inner.run("--coresys-budget", "--coresys-repeat", "0")
    for run, text in zip((bare, measured), shown, strict=True):
        assert [line for line in text.splitlines() if line not in run.text.splitlines()] == [], run.text
