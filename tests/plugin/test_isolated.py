"""``coresys_isolated``: a test in a process of its own is reported as any other, and can hurt nobody."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from pytests import fresh_interpreters  # tests/support
from test_protocol import EVERYTHING

pytestmark = [pytest.mark.slow, pytest.mark.inner, pytest.mark.skipif(sys.platform != "linux", reason="no safe fork")]

# Writes down all that a report says, in the process that shows it. ISOLATE in the environment marks every test.
RECORDER = """
import json, os, pytest
PATH = os.path.join(os.path.dirname(__file__), "reports.jsonl")

class Recorder:
    def pytest_runtest_logreport(self, report):
        record = dict(
            kind=type(report).__name__, nodeid=report.nodeid, when=report.when, outcome=report.outcome,
            text=report.longreprtext, whole=repr(report.longrepr) if isinstance(report.longrepr, tuple) else None,
            sections=report.sections, xfail=getattr(report, "wasxfail", None), location=report.location,
            properties=[[name, str(value)] for name, value in report.user_properties],
            sound=isinstance(report.duration, float) and report.duration >= 0 and report.start <= report.stop,
            keywords=sorted(set(report.keywords) - {"coresys_isolated"}),
        )
        with open(PATH, "a") as file:
            file.write(json.dumps(record) + "\\n")
    def pytest_warning_recorded(self, warning_message, nodeid, when):
        with open(PATH, "a") as file:
            file.write(json.dumps(dict(warning=str(warning_message.message), kind=warning_message.category.__name__,
                line=warning_message.lineno, nodeid=nodeid, when=when)) + "\\n")

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder())

def pytest_collection_modifyitems(items):
    for item in items if "ISOLATE" in os.environ else ():
        item.add_marker("coresys_isolated")
"""

MORE = """
class MineWarning(UserWarning):
    def __init__(self, text, more): super().__init__(text, more)
    def __str__(self): return f"{self.args[0]}: {self.args[1]}"
def test_warns_its_own_way():
    warnings.warn(MineWarning("mine", 3))
    warnings.warn("old", DeprecationWarning)

@pytest.fixture(scope="module", params=["one", "two"])
def wide(request):
    print("wide up", request.param)
    logging.getLogger("wide").warning("wide is up")
    yield request.param
    print("wide down", request.param)
    logging.getLogger("wide").warning("wide is down")
@pytest.fixture
def narrow(wide):
    print("narrow up")
    logging.getLogger("narrow").error("narrow is up")
    yield wide * 2
    print("narrow down", file=sys.stderr)
@pytest.fixture(scope="module")
def wide_breaks(): raise RuntimeError("in the setup of a module's")
@pytest.fixture(scope="class")
def wide_skips(): pytest.skip("a module's")
@pytest.fixture(scope="module")
def wide_falls_badly():
    yield
    print("falls")
    raise RuntimeError("in the teardown of a module's")
@pytest.fixture(scope="module")
def late(): return [1]
def test_with_fixtures(narrow, wide):
    print("body")
    logging.getLogger("mine").warning("body")
    assert narrow == wide
def test_of_broken(wide_breaks): pass
def test_of_broken_again(wide_breaks): pass
def test_of_skipping(wide_skips): pass
def test_asks_late(request): assert request.getfixturevalue("late") == [1]
def test_asks_late_again(request): assert request.getfixturevalue("late") == [1]
def test_properties(record_property):
    record_property("a", 1)
    record_property("b", ("x", 2))
@pytest.mark.skipif("1 +", reason="wrong condition")
def test_wrong_condition(): pass
@pytest.mark.xfail(run=False, reason="not even run")
def test_not_run(wide_breaks): pass
@pytest.mark.skip(reason="before its fixtures")
def test_skipped_before_fixtures(wide_breaks): pass
def test_adds_xfail(request):
    request.node.add_marker(pytest.mark.xfail(reason="late"))
    assert 0
def test_chained():
    try: {}["x"]
    except KeyError as error: raise ValueError("zwölf") from error
def test_raises_group():
    if sys.version_info < (3, 11): pytest.skip("none here")
    raise ExceptionGroup("several", [ValueError(1), KeyError(2)])
async def test_async_unhandled(): pass
class TestShared:
    seen = []
    @classmethod
    def setup_class(cls): cls.seen.append(os.getpid())
    def test_one(self): assert len(self.seen) == 1
    def test_two(self): assert len(self.seen) == 1
def test_subs(subtests):
    for number in range(3):
        with subtests.test(number=number):
            print("sub", number)
            assert number != 1
def test_last(wide_falls_badly): pass
"""


def records(path: Path) -> list[dict[str, Any]]:
    file = path / "reports.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def alike(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, str):
        if "_pytest.runner.CallInfo" in value or "pytest.CallInfo.from_call(" in value:
            # Frames of old pytest's own, where ours stand.
            value = "\n".join(line[1:].strip() for line in value.splitlines() if line.startswith("E "))
        return re.sub(r"0x[0-9a-f]+|\d+\.\d+s|pytest-\d+", "N", value)
    if isinstance(value, list):
        return [alike(each) for each in value]
    if isinstance(value, dict):
        return {key: alike(each) for key, each in value.items()}
    return value


class Suite:
    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester, self._monkeypatch = pytester, monkeypatch
        pytester.makeconftest(RECORDER)

    def write(self, text: str) -> None:
        self._pytester.path.joinpath("test_it.py").write_text(text, encoding="utf-8")

    def run(
        self, *arguments: str, isolate: bool = False, stdin: bytes = b""
    ) -> tuple[pytest.RunResult, list[dict[str, Any]]]:
        if isolate:
            self._monkeypatch.setenv("ISOLATE", "1")
        else:
            self._monkeypatch.delenv("ISOLATE", raising=False)
        (self._pytester.path / "reports.jsonl").unlink(missing_ok=True)
        words = ["-p", "no:randomly", *arguments]
        command = (sys.executable, "-m", "pytest", *words)
        result = self._pytester.run(*command, stdin=stdin, timeout=120)
        return result, records(self._pytester.path)


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    return Suite(pytester, monkeypatch)


def by_name(found: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """The reports of a test, by phase."""
    return {each["when"]: each for each in found if each["nodeid"].endswith(f"::{name}") and "outcome" in each}


def outcomes(found: list[dict[str, Any]]) -> dict[str, str]:
    """``setup call teardown`` in one letter each, by the name of the test."""
    said: dict[str, str] = {}
    for each in found:
        if each.get("kind") == "TestReport":
            name = each["nodeid"].rpartition("::")[2]
            said[name] = said.get(name, "") + {"passed": ".", "failed": "F", "skipped": "s"}[each["outcome"]]
    return said


def _by_test(record: dict[str, Any]) -> tuple[str, bool]:
    return record["nodeid"], "warning" in record


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_all_reports_are_those_of_an_ordinary_run(suite: Suite, capture: str) -> None:
    suite.write(EVERYTHING + MORE)
    bare, expected = suite.run(f"--capture={capture}")
    isolated, seen = suite.run(f"--capture={capture}", isolate=True)
    assert isolated.ret == bare.ret == 1
    # Warnings come when a test is over, and with it its reports: as a whole they are the same.
    expected, seen = (sorted(alike(each), key=_by_test) for each in (expected, seen))
    assert len(expected) > 100
    for one, other in zip(expected, seen, strict=True):
        assert one == other, "\n".join(
            f"{key}: {one[key]!r} {other.get(key)!r}" for key in one if one[key] != other.get(key)
        )


def test_all_outcomes_are_the_same_in_two_workers(suite: Suite) -> None:
    suite.write(EVERYTHING + MORE)
    _, expected = suite.run()
    _, seen = suite.run("-n", "2", isolate=True)
    # Which test comes last for a wide fixture, and bears its teardown, hangs on the workers.
    assert len(expected) > 100
    assert _kinds(seen) == _kinds(expected)


def _kinds(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    reports = (each for each in found if "outcome" in each and not each["nodeid"].endswith("test_last"))
    return sorted((each["nodeid"], each["when"], each["outcome"], each["kind"]) for each in reports)


DEATHS = """
import ctypes, os, pytest, signal, subprocess, sys, threading, time
pytestmark = pytest.mark.coresys_isolated
KEPT = []

def test_exits(): print("so far"); os._exit(3)
def test_exits_well(): print("so far", file=sys.stderr); os._exit(0)
def test_is_killed(): print("so far"); os.kill(os.getpid(), signal.SIGKILL)
def test_kills_its_group(): print("so far"); os.killpg(0, signal.SIGTERM)
def test_crashes(): print("so far"); ctypes.string_at(0)
def test_aborts(): print("so far"); os.abort()
def test_becomes_another(): print("so far"); os.execv(sys.executable, [sys.executable, "-c", "raise SystemExit(5)"])
@pytest.mark.coresys_isolated(timeout="1 s")
def test_hangs(): print("so far"); threading.Event().wait()
@pytest.mark.coresys_isolated(timeout="1 s")
def test_hangs_in_c():
    print("so far")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    ctypes.PyDLL(None).sleep(600)  # with the interpreter's lock held
@pytest.fixture
def dies_in_setup(): print("so far"); os._exit(4)
def test_of_setup(dies_in_setup): pass
@pytest.fixture
def dies_in_teardown():
    yield
    print("so far"); os._exit(4)
def test_of_teardown(dies_in_teardown): pass
@pytest.mark.xfail(reason="known to crash")
def test_expected_to_die(): os.abort()
@pytest.mark.xfail(raises=KeyError)
def test_expected_to_fail_otherwise(): os.abort()
def test_interrupts(): raise KeyboardInterrupt
def test_leaves_at_once(): sys.exit(0)

def test_spoils_its_process():
    sys.modules.clear(); os.environ.clear(); os.chdir("/"); os.umask(0o777); sys.stdout = None
    signal.signal(signal.SIGINT, signal.SIG_IGN); KEPT.append(1)
def test_is_fine():
    assert not KEPT and "PATH" in os.environ and os.getcwd() != "/"
"""

# By test: letters of its reports, the phase that died, and what is said of it.
TOLD = {
    "test_exits": (".F.", "call", "ended its process with exit status 3 in its call"),
    "test_exits_well": (".F.", "call", "ended its process with exit status 0 in its call"),
    "test_is_killed": (".F.", "call", r"was killed by SIGKILL \(Killed\) in its call"),
    "test_kills_its_group": (".F.", "call", r"was killed by SIGTERM \(Terminated\) in its call"),
    "test_crashes": (
        ".F.",
        "call",
        r"was killed by SIGSEGV \(Segmentation fault\) in its call, at test_it.py:\d+ in test_crashes",
    ),
    "test_aborts": (".F.", "call", r"was killed by SIGABRT \(Aborted\) in its call, at test_it.py:\d+ in test_aborts"),
    "test_becomes_another": (".F.", "call", r"ended its process with exit status 5 in its call \(os._exit, or another"),
    "test_hangs": (
        ".F.",
        "call",
        r"took longer than 1 s \(its marker\), and was ended in its call, at test_it.py:\d+ in test_hangs",
    ),
    "test_hangs_in_c": (
        ".F.",
        "call",
        r"took longer than 1 s \(its marker\), and was ended in its call, at test_it.py:\d+ in test_hangs_in_c",
    ),
    "test_of_setup": ("F.", "setup", "ended its process with exit status 4 in its setup"),
    "test_of_teardown": ("..F", "teardown", "ended its process with exit status 4 in its teardown"),
    "test_expected_to_fail_otherwise": (".F.", "call", "was killed by SIGABRT"),
}


@pytest.mark.parametrize("workers", [(), ("-n", "2"), ("--capture=sys",)], ids=["serial", "n2", "sys"])
def test_whatever_kills_a_test_fails_it_and_no_other(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.write(DEATHS)
    result, found = suite.run(*workers)
    assert result.ret == 1
    text = result.stdout.str()
    assert "INTERNALERROR" not in text
    assert "crashed while running" not in text, "of xdist: the worker itself died"
    said = outcomes(found)
    for name, (letters, phase, words) in TOLD.items():
        assert said.pop(name) == letters, name
        report = by_name(found, name)[phase]
        text = re.sub(r"^\[gw\d\].*\n", "", report["text"])  # which xdist writes above any text
        assert re.match(f"coresys_isolated: {words}", text), text
        in_memory = "--capture=sys" in workers and name == "test_becomes_another"
        if name not in ("test_expected_to_fail_otherwise",) and not in_memory:
            assert "so far\n" in [content for _, content in report["sections"]], name
        assert sum(report["text"].count(line) for line in ("/pluggy/", "/_pytest/")) == 0
    assert said == {
        "test_expected_to_die": ".s.",
        "test_interrupts": ".F.",
        "test_leaves_at_once": ".F.",
        "test_spoils_its_process": "...",
        "test_is_fine": "...",
    }
    assert by_name(found, "test_expected_to_die")["call"]["xfail"] == "known to crash"
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_exits*"])


LEFT_RUNNING = """
import os, pytest, subprocess, sys, time
@pytest.mark.coresys_isolated(timeout="5 s")
@pytest.mark.parametrize("how", ["exit", "pass", "hang"])
def test_leaves(how):
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "MARK"], start_new_session=True)
    if os.fork() == 0:  # an orphan, of a session of its own
        os.setsid()
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "MARK"])
        os._exit(0)
    os.wait()
    os.fork()  # goes on with the code of pytest, or would
    if how == "exit": os._exit(1)
    if how == "hang": time.sleep(600)
def test_after():
    import psutil
    assert [each.info for each in psutil.process_iter(["cmdline"]) if "MARK" in (each.info["cmdline"] or ())] == []
    assert psutil.Process().children(recursive=True) == []
"""


def test_all_that_it_started_is_ended_with_it(suite: Suite, tmp_path: Path) -> None:
    suite.write(LEFT_RUNNING.replace("MARK", f"mark-of-{tmp_path.name}"))
    result, found = suite.run()
    assert outcomes(found) == {
        "test_leaves[exit]": ".F.",
        "test_leaves[pass]": "...",
        "test_leaves[hang]": ".F.",
        "test_after": "...",
    }, result.stdout.str()


WIDER = """
import os, pytest, threading
HERE = os.getpid()
SEEN = []
@pytest.fixture(scope="session")
def whole(): yield os.getpid(); assert os.getpid() == HERE; SEEN.append("whole")
@pytest.fixture(scope="module")
def server(whole):
    import socket
    listener = socket.create_server(("127.0.0.1", 0))
    def serve():
        while True:
            try: peer, _ = listener.accept()
            except OSError: return
            with peer: peer.sendall(str(os.getpid()).encode())
    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    assert os.getpid() == HERE
    SEEN.append("server")
@pytest.fixture
def own():
    yield os.getpid()
    assert os.getpid() != HERE
@pytest.fixture(scope="module")
def late():
    yield os.getpid()
    assert os.getpid() != HERE
    with open("late", "a") as file: file.write("fell\\n")
@pytest.mark.coresys_isolated(timeout="20 s")
@pytest.mark.parametrize("turn", [1, 2])
def test_isolated(whole, server, own, request, turn):
    import socket
    assert whole == HERE != own == os.getpid()
    assert threading.active_count() == 1  # the server's thread is in the other process, and serves
    with socket.create_connection(server) as client: assert int(client.recv(100)) == HERE
    assert request.getfixturevalue("late") == os.getpid()
    SEEN.append("isolated")
    server = None
def test_ordinary(whole, server):
    assert SEEN == [] and whole == os.getpid()
    with open("late") as file: assert file.read() == "fell\\nfell\\n"
class TestClass:
    @pytest.fixture(scope="class", autouse=True)
    def around(self): yield; SEEN.append("class")
    @pytest.mark.coresys_isolated
    def test_last_of_class(self): pass
def test_class_has_fallen_here(): assert SEEN == ["class"]
"""


def test_wider_fixtures_are_up_in_the_tests_process_and_seen_from_the_own(suite: Suite) -> None:
    suite.write(WIDER)
    result, found = suite.run()
    assert set(outcomes(found).values()) == {"..."}, result.stdout.str()


LOOP = """
import asyncio, pytest
@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    yield loop
    loop.close()
async def work(number):
    reader, writer = await asyncio.open_connection(*number)
    writer.close()
async def serve():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server: await work(server.sockets[0].getsockname())
@pytest.mark.coresys_isolated(timeout="20 s")
@pytest.mark.parametrize("turn", range(3))
def test_isolated(loop, turn):
    loop.run_until_complete(serve())
    loop.call_soon_threadsafe(lambda: None)
def test_ordinary(loop):
    assert not loop._selector.select(0)  # nobody has woken it
    loop.run_until_complete(serve())
"""


def test_an_event_loop_that_is_kept_serves_both_processes(suite: Suite) -> None:
    suite.write(LOOP)
    result, found = suite.run()
    assert set(outcomes(found).values()) == {"..."}, result.stdout.str()


def test_a_run_stops_and_begins_again_at_a_test_that_died(suite: Suite) -> None:
    suite.write(DEATHS)
    result, found = suite.run("-x", "-k", "exits or is_fine or spoils")
    assert outcomes(found) == {"test_exits": ".F."}
    assert result.ret == 1
    result, found = suite.run("--maxfail=2", "-k", "exits or is_fine or spoils")
    assert outcomes(found) == {"test_exits": ".F.", "test_exits_well": ".F."}
    suite.run("--cache-clear", "-k", "is_killed or is_fine")
    result, found = suite.run("--lf")
    assert outcomes(found) == {"test_is_killed": ".F."}


def test_junit_has_it_as_any_failure(suite: Suite, pytester: pytest.Pytester) -> None:
    suite.write(DEATHS + "def test_property(record_property): record_property('mine', 1)\n")
    suite.run("-k", "test_exits or is_fine or of_setup or property", "--junitxml", "junit.xml")
    cases = {
        case.get("name"): case for case in ElementTree.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    }
    failure = cases["test_exits"].find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("coresys_isolated: ended its process with exit status 3")
    assert cases["test_of_setup"].find("error") is not None
    assert len(cases["test_is_fine"]) == 0
    assert [(each.get("name"), each.get("value")) for each in cases["test_property"].iter("property")] == [
        ("mine", "1")
    ]


def test_the_end_of_the_run_can_still_be_asked_for(suite: Suite) -> None:
    suite.write("""
import pytest
pytestmark = pytest.mark.coresys_isolated
def test_ends(): pytest.exit("enough", 7)
def test_never(): pass
""")
    result, found = suite.run()
    assert result.ret == 7
    assert "test_never" not in outcomes(found)
    result.stdout.fnmatch_lines(["*Exit: enough*"])


def test_a_debugger_talks_to_the_test_in_its_process_for_as_long_as_it_takes(suite: Suite) -> None:
    suite.write("""
import os, pytest, time
HERE = os.getpid()
@pytest.mark.coresys_isolated(timeout="2 s")
def test_stops():
    apart = os.getpid() != HERE
    assert 0, "stop here"
def test_after(): assert HERE == os.getpid()
""")
    said = b'p "apart", apart\nimport time; time.sleep(3)\nc\n'
    result, found = suite.run("--pdb", stdin=said)
    assert outcomes(found) == {"test_stops": ".F.", "test_after": "..."}
    result.stdout.fnmatch_lines(["*('apart', True)"])
    assert "took longer" not in result.stdout.str()


def test_a_debugger_that_is_quit_ends_the_run(suite: Suite) -> None:
    suite.write(DEATHS + "def test_fails(): assert 0\ndef test_later(): pass\n")
    result, found = suite.run("--pdb", "-k", "test_fails or later", stdin=b"q\n")
    assert outcomes(found) == {"test_fails": ".F"}
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*Quitting debugger*"])


WRONG = """
import os, pytest
@pytest.mark.coresys_isolated("10 s")
def test_unnamed(): os._exit(1)
@pytest.mark.coresys_isolated(timout="10 s")
def test_misspelt(): os._exit(1)
@pytest.mark.coresys_isolated(timeout=10)
def test_bare_number(): os._exit(1)
@pytest.mark.coresys_isolated(timeout="0 s")
def test_no_time(): os._exit(1)
@pytest.mark.coresys_isolated(timeout="10 KB")
def test_wrong_unit(): os._exit(1)
@pytest.mark.coresys_isolated(reason=3)
def test_wrong_reason(): os._exit(1)
@pytest.mark.coresys_isolated(timeout=None, reason="takes long")
def test_right(): pass
def test_other(): pass
"""


@pytest.mark.parametrize("flag", [(), ("--coresys-budget", "--coresys-repeat", "0")], ids=["bare", "budget"])
def test_wrong_arguments_fail_that_one_test_which_is_not_run(suite: Suite, flag: tuple[str, ...]) -> None:
    suite.write(WRONG)
    result, found = suite.run(*flag)
    assert result.ret == 1
    texts = {name: by_name(found, name)["call"]["text"] for name, word in outcomes(found).items() if word == ".F."}
    start = "coresys: @pytest.mark.coresys_isolated (test_it.py:"
    assert texts.pop("test_unnamed") == f'{start}3): takes no argument without a name; write timeout="10 s"'
    assert texts.pop("test_misspelt") == f'{start}5): unknown argument "timout"; did you mean "timeout"?'
    assert texts.pop("test_bare_number").startswith(f"{start}7): timeout = 10: a bare number: write text with a unit")
    assert texts.pop("test_no_time") == f'{start}9): timeout = "0 s": write a time, or None for none'
    assert 'unknown unit "KB"' in texts.pop("test_wrong_unit")
    assert texts.pop("test_wrong_reason") == f"{start}13): reason = 3: write some text in quotes"
    assert not texts


def test_nothing_heavy_is_imported_where_no_test_is_marked(suite: Suite) -> None:
    suite.write("""
import sys
def coresys_isolated(): pass
def test_here():
    ours = {each for each in sys.modules if each.partition(".")[0] in ("pytest_coresys", "coresys")}
    thin = ("plugin", "options", "hookspecs", "fixtures")
    assert ours == {"pytest_coresys", *("pytest_coresys." + name for name in thin)}
""")
    with fresh_interpreters():
        result, found = suite.run()
    assert outcomes(found) == {"test_here": "..."}, result.stdout.str()


@pytest.mark.parametrize(
    ("why", "letters"),
    [("this platform has no safe fork", "s."), ("a handler for SIGCHLD is installed", ".F.")],
    ids=["platform", "moment"],
)
def test_what_cannot_be_isolated_is_not_run(suite: Suite, pytester: pytest.Pytester, why: str, letters: str) -> None:
    pytester.makepyfile(
        no_fork=f"""
        import pytest_coresys.engine.isolated as isolated
        isolated.why_no_fork = lambda: {why!r}
        isolated._OF_THE_PLATFORM = {letters == "s."!r}
        """
    )
    suite.write(DEATHS + "def test_hurts(): os._exit(1)\n")
    result, found = suite.run("-p", "no_fork", "-k", "test_hurts", "-rs")
    assert outcomes(found) == {"test_hurts": letters}
    assert f"coresys_isolated: can't be isolated: {why}" in result.stdout.str()
    assert result.ret == (0 if letters == "s." else 1)


def test_another_protocol_that_comes_first_is_kept_from_running_it(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        greedy="""
        import pytest
        from _pytest.runner import runtestprotocol
        class Greedy:
            @pytest.hookimpl(tryfirst=True)
            def pytest_runtest_protocol(self, item, nextitem):
                item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                runtestprotocol(item, nextitem=nextitem)
                return True
        @pytest.hookimpl(trylast=True)
        def pytest_collection_finish(session): session.config.pluginmanager.register(Greedy(), "run-by-greedy")
        """
    )
    suite.write(
        "import os, pytest\n@pytest.mark.coresys_isolated\ndef test_hurts(): os._exit(1)\ndef test_ok(): pass\n"
    )
    _, found = suite.run("-p", "greedy")
    assert outcomes(found) == {"test_hurts": "F.", "test_ok": "..."}
    assert "runs this test by a protocol of its own" in by_name(found, "test_hurts")["setup"]["text"]


@pytest.mark.other_plugins
@pytest.mark.parametrize("flag", [(), ("--coresys-budget",), ("-n", "2")], ids=["bare", "budget", "n2"])
def test_reruns_are_not_for_isolated_tests_and_that_is_told(suite: Suite, flag: tuple[str, ...]) -> None:
    suite.write("""
import os, pytest
@pytest.mark.coresys_isolated
def test_hurts(): os._exit(1)
def test_ok(): pass
""")
    result, found = suite.run("--reruns", "2", *flag)
    assert outcomes(found) == {"test_hurts": ".F.", "test_ok": "..."}
    told = "coresys: 1 isolated test was run once, in a process of its own, and not by rerunfailures"
    assert told in result.stdout.str()
    result, _ = suite.run(*flag)
    assert told not in result.stdout.str()


@pytest.mark.other_plugins
def test_the_limit_of_pytest_timeout_holds_in_the_process_of_the_test(suite: Suite) -> None:
    suite.write("""
import os, pytest, signal, time
pytestmark = [pytest.mark.coresys_isolated, pytest.mark.timeout(1)]
def test_sleeps(): time.sleep(600)
@pytest.mark.timeout(1, method="thread")
def test_by_thread(): time.sleep(600)
def test_quick(): pass
@pytest.mark.timeout(1, func_only=True)
def test_function_only(): time.sleep(600)
""")
    result, found = suite.run()
    assert outcomes(found) == {
        "test_sleeps": ".F.",
        "test_by_thread": ".F.",
        "test_quick": "...",
        "test_function_only": ".F.",
    }
    assert "from pytest-timeout" in by_name(found, "test_sleeps")["call"]["text"]
    assert "exit status 1" in by_name(found, "test_by_thread")["call"]["text"]
    assert result.ret == 1


@pytest.mark.other_plugins
def test_lines_that_run_there_are_covered(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(app="def here():\n    return 1\n\n\ndef there():\n    return 2\n")
    suite.write("""
import app, pytest
def test_here(): assert app.here() == 1
@pytest.mark.coresys_isolated
def test_there(): assert app.there() == 2
""")
    result, found = suite.run("--cov=app", "--cov-report=term-missing")
    assert set(outcomes(found).values()) == {"..."}
    result.stdout.fnmatch_lines(["app.py *100%*"])


LEAKS = """
import os, pytest, subprocess, threading, time
pytestmark = pytest.mark.coresys_isolated
KEPT = []
@pytest.fixture(scope="module")
def pool():
    kept = [os.open(os.devnull, os.O_RDONLY)]  # a fixture's own, closed at its end
    yield kept
    os.close(kept.pop())
def test_clean(pool): assert pool
def test_descriptor(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_thread(): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
def test_process(): KEPT.append(subprocess.Popen(["sleep", "600"]))
@pytest.mark.coresys_budget("memory.peak", max="1 MB")
def test_peak(): bytearray(3_000_000)
@pytest.mark.coresys_no_repeat(reason="once")
def test_not_repeated(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_setting(): os.environ["LEFT"] = "1"
def test_dies(): os._exit(1)
def test_unharmed(): assert "LEFT" not in os.environ and not KEPT
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_what_it_leaves_in_its_process_is_judged_as_ever(
    suite: Suite, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    suite.write(LEAKS)
    off = [f"--coresys-set={key}=off" for key in ("memory.growth", "memory.fragmentation")]
    arguments = ["--coresys-budget", "--coresys-profile=strict", "--coresys-json=run.json", *off, *workers]
    result, found = suite.run(*arguments)
    assert result.ret == 1
    tests = {
        each["nodeid"].partition("::")[2]: each
        for each in json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))["tests"]
    }
    verdicts = {name: each["verdict"] for name, each in tests.items()}
    assert verdicts == {
        "test_clean": "within",
        "test_descriptor": "over",
        "test_thread": "over",
        "test_process": "over",
        "test_peak": "over",
        "test_not_repeated": "not_measured",
        "test_setting": "over",
        "test_dies": "not_measured",
        "test_unharmed": "within",
    }, result.stdout.str()
    failed = {name for name, word in outcomes(found).items() if word == ".F."}
    assert failed == {"test_descriptor", "test_thread", "test_process", "test_peak", "test_setting", "test_dies"}
    levels = {name: [(one["key"], one["level"]) for one in each["findings"]] for name, each in tests.items()}
    assert levels["test_not_repeated"] == [("descriptors.leaked", "suspicion")]
    assert levels["test_setting"] == [("globals.changed", "error")]
    assert tests["test_setting"]["findings"][0]["locations"][0]["path"] == "test_it.py"
    assert tests["test_descriptor"]["measures"]["descriptors.leaked"]["evidence"] == "repeated"
    assert tests["test_descriptor"]["findings"][0]["locations"][0]["function"] == "test_descriptor"
    assert tests["test_dies"]["outcome"] == "failed"
    assert "the test failed" in tests["test_dies"]["why"]


def test_bytes_that_each_repetition_keeps_fail_it_too(suite: Suite) -> None:
    suite.write("import pytest\nKEPT = []\n@pytest.mark.coresys_isolated\ndef test_keeps(): KEPT.append(bytes(2000))\n")
    result, found = suite.run("--coresys-budget", "--coresys-profile=strict")
    assert outcomes(found) == {"test_keeps": ".F."}, result.stdout.str()
    assert re.match(r"memory.growth: (1\.9|2|2\.\d) KiB per run > 0 B", by_name(found, "test_keeps")["call"]["text"])


def test_observing_changes_nothing(suite: Suite) -> None:
    suite.write(LEAKS)
    _, expected = suite.run()
    _, seen = suite.run("--coresys-observe", "--coresys-repeat", "0")
    assert outcomes(seen) == outcomes(expected)


INTERRUPTED = """
import os, pytest, signal, threading
HERE = os.getpid()
@pytest.fixture
def tidy():
    yield
    open("tidied", "w").close()
@pytest.mark.coresys_isolated
def test_waits(tidy):
    os.kill(HERE, signal.SIGINT)
    while True: threading.Event().wait(0.01)
def test_later(): pass
"""


@pytest.mark.parametrize("flag", [(), ("--coresys-budget",)], ids=["bare", "budget"])
def test_ctrl_c_ends_the_run_and_lets_the_fixtures_of_the_test_put_away_what_they_made(
    suite: Suite, pytester: pytest.Pytester, flag: tuple[str, ...]
) -> None:
    suite.write(INTERRUPTED)
    result, found = suite.run(*flag)
    assert result.ret == 2
    assert outcomes(found).keys() <= {"test_waits"}  # whose setup may have been told of, or not yet
    assert (pytester.path / "tidied").exists()
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])


def test_it_is_repeated_in_the_tests_process_under_no_circumstances(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.write("""
import os, pytest
HERE = os.getpid()
@pytest.mark.coresys_isolated
def test_last():
    if os.getpid() == HERE: os._exit(77)
""")
    monkeypatch.setenv("CORESYS_REPEAT_IN_PLACE", "1")
    result, found = suite.run("--coresys-budget")
    assert result.ret == 0, result.stdout.str()
    assert outcomes(found) == {"test_last": "..."}
    assert "could not be repeated" not in result.stdout.str(), "it was tried"


ASYNC = """
import asyncio, os, pytest, pytest_asyncio
HERE = os.getpid()
pytestmark = pytest.mark.coresys_isolated(timeout="20 s")
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wide():
    await asyncio.sleep(0)
    yield os.getpid()
    assert os.getpid() == HERE
@pytest_asyncio.fixture
async def narrow():
    await asyncio.sleep(0)
    yield os.getpid()
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("turn", [1, 2])
async def test_in_a_loop_of_the_module(wide, turn):
    await asyncio.sleep(0.01)
    assert wide == HERE != os.getpid()
@pytest.mark.asyncio
async def test_in_a_loop_of_its_own(narrow):
    assert await asyncio.to_thread(os.getpid) == narrow != HERE
@pytest.mark.asyncio
async def test_dies_in_a_loop(): os._exit(1)
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_of_anyio(anyio_backend):
    import anyio
    await anyio.sleep(0)
"""


@pytest.mark.other_plugins
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_asynchronous_tests_and_fixtures_run_there_as_here(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.write(ASYNC)
    result, found = suite.run("-o", "asyncio_default_fixture_loop_scope=function", *workers)
    said = outcomes(found)
    assert said.pop("test_dies_in_a_loop") == ".F."
    assert len(said) == 5
    assert set(said.values()) == {"..."}, result.stdout.str()
