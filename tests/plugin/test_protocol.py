"""The run of one test: reported once, and with all that pytest offers as it is without us."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest
from innersuite import FAILED_BY_US, LEAK, InnerSuite, changed

pytestmark = [pytest.mark.slow, pytest.mark.inner]

# Bytes take many more repetitions than what can be counted.
WITHOUT_BYTES = ("--coresys-set", "memory.growth=off", "--coresys-set", "memory.fragmentation=off")


def write(inner: InnerSuite, text: str) -> None:
    Path(inner.path, "test_it.py").write_text(text, encoding="utf-8")


# All that a test can come to, beside one that leaks. None of it leaks, so nothing else may change.
EVERYTHING = (
    LEAK
    + """
import asyncio, logging, sys, unittest, warnings
import pytest

@pytest.fixture
def broken_setup(): raise RuntimeError("in setup")
@pytest.fixture
def broken_teardown():
    yield
    raise RuntimeError("in teardown")
@pytest.fixture
def skips(): pytest.skip("in a fixture")

def test_passes(): pass
def test_fails(): assert 0, "its own words"
def test_fails_and_leaks():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    assert 0, "its own words"
def test_breaks_in_setup(broken_setup): pass
def test_breaks_in_teardown(broken_teardown): pass
def test_skips_in_fixture(skips): pass
def test_skips(): pytest.skip("here")
@pytest.mark.skip(reason="marked")
def test_marked_skip(): pass
@pytest.mark.xfail
def test_xfails(): assert 0
@pytest.mark.xfail
def test_xpasses(): pass
@pytest.mark.xfail(strict=True)
def test_xpasses_strictly(): pass
@pytest.mark.xfail(raises=KeyError)
def test_xfails_otherwise(): assert 0
@pytest.mark.parametrize("value", [1, 2, "a b", "x::y", "[z]"])
def test_many(value): assert value != 2
def test_exits(): sys.exit(3)
def test_warns(): warnings.warn("mine")
def test_logs(caplog):
    logging.getLogger("mine").warning("logged %d", 1)
    assert caplog.messages == ["logged 1"]
def test_prints(capsys):
    print("printed")
    assert capsys.readouterr().out == "printed\\n"
def test_writes_to_descriptor(capfd):
    os.write(1, b"raw")
    assert capfd.readouterr().out == "raw"
def test_uses_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINE", "1")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("x")
def test_remembers(record_property): record_property("mine", 1)

class TestGroup:
    def setup_method(self): self.value = 1
    def test_method(self): assert self.value == 1
class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.shared = []
    def setUp(self): self.addCleanup(self.shared.clear)
    def test_case(self): self.shared.append(1)
    def test_case_fails(self): self.fail("its own words")
    @unittest.skip("unittest's")
    def test_case_skips(self): pass
    @unittest.expectedFailure
    def test_case_xfails(self): self.fail()
    def test_case_subtests(self):
        for number in range(3):
            with self.subTest(number=number): self.assertLess(number, 3)
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self): await asyncio.sleep(0)
    async def test_async_case(self): await asyncio.sleep(0)
"""
)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_whatever_a_test_comes_to_only_the_leak_is_changed(inner: InnerSuite, workers: tuple[str, ...]) -> None:
    write(inner, EVERYTHING)
    bare, measured = inner.both("-W", "ignore", *workers)
    assert len(bare.seen) > 30
    assert changed(bare, measured) == {"test_leaks": FAILED_BY_US}, measured.text
    assert measured.found().keys() == {"test_leaks"}
    assert measured.status == bare.status == 1
    assert sorted(measured.started) == sorted(bare.started)
    assert sorted(measured.finished) == sorted(bare.finished)
    assert len(measured.facts["tests"]) == len(bare.seen)
    assert measured.test("test_fails_and_leaks")["verdict"] == "not_measured"
    first = measured.text.partition("_ test_fails_and_leaks _")[2]
    assert first.index("its own words") < (
        first.index("descriptors.leaked") if "descriptors.leaked" in first else 10**9
    )


def test_outcomes_are_told_apart_in_the_run_file(inner: InnerSuite) -> None:
    write(inner, EVERYTHING)
    measured = inner.run("--coresys-budget", "-W", "ignore")
    outcomes = {test["nodeid"].rpartition("::")[2]: test["outcome"] for test in measured.facts["tests"]}
    expected = {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_breaks_in_setup": "error",
        "test_breaks_in_teardown": "error",
        "test_skips": "skipped",
        "test_skips_in_fixture": "skipped",
        "test_marked_skip": "skipped",
        "test_xfails": "xfailed",
        "test_xpasses": "xpassed",
        "test_xpasses_strictly": "failed",
        "test_xfails_otherwise": "failed",
        "test_leaks": "failed",
        "test_case_xfails": "xfailed",
    }
    assert {name: outcomes[name] for name in expected} == expected


def test_a_leak_is_one_failure_in_terminal_and_junit(inner: InnerSuite) -> None:
    write(inner, LEAK + "def test_clean(): pass")
    measured = inner.run("--coresys-budget", "--junitxml", "junit.xml")
    assert measured.status == 1
    assert list(measured.seen.values()) == [FAILED_BY_US[1], FAILED_BY_US[0]]
    assert re.search(r"=+ 1 failed, 1 passed in ", measured.text)
    assert measured.text.count("FAILED test_it.py::test_leaks - descriptors.leaked: 1 per run > 0") == 1
    assert "ERROR" not in measured.text
    suite = ElementTree.parse(Path(inner.path, "junit.xml")).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    leaking, clean = suite.findall("testcase")
    failure = leaking.find("failure")
    assert failure is not None
    assert (failure.text or "").startswith("descriptors.leaked: 1 per run > 0 (default)")
    properties = {each.get("name"): each.get("value") for each in clean.iter("property")}
    assert properties["coresys.descriptors.leaked"] == "0"
    assert properties["coresys.memory.growth"] == "0"


def test_observing_changes_no_outcome_and_wins(inner: InnerSuite) -> None:
    write(inner, LEAK)
    for arguments in (("--coresys-observe",), ("--coresys-observe", "--coresys-budget")):
        measured = inner.run(*arguments)
        assert measured.status == 0
        assert list(measured.seen.values()) == [["setup passed", "call passed", "teardown passed"]]
        assert measured.facts["run"]["mode"] == "observe"
        assert "descriptors.leaked" in measured.found()["test_leaks"]
        assert "over  descriptors.leaked" in measured.text


@pytest.mark.parametrize(
    ("arguments", "run"),
    [
        (("-x",), ["test_first", "test_leaks"]),
        (("-k", "last or first"), ["test_first", "test_last"]),
        (("--deselect", "test_it.py::test_leaks"), ["test_first", "test_last"]),
        (("--setup-only",), ["test_first", "test_leaks", "test_last"]),
        (("--setup-plan",), ["test_first", "test_leaks", "test_last"]),
        (("--collect-only",), []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_run_is_what_pytest_was_told(inner: InnerSuite, arguments: tuple[str, ...], run: list[str]) -> None:
    write(inner, "def test_first(): pass\n" + LEAK + "def test_last(): pass\n")
    measured = inner.run("--coresys-budget", *arguments)
    assert [nodeid.rpartition("::")[2] for nodeid in measured.seen] == run, measured.text
    if "--setup-only" in arguments or "--setup-plan" in arguments:
        assert measured.status == 0


def test_leaks_count_towards_the_failures_that_end_a_run(inner: InnerSuite) -> None:
    write(inner, LEAK + "test_leaks_too = test_leaks\ndef test_clean(): pass\n")
    measured = inner.run("--coresys-budget", *WITHOUT_BYTES, "--maxfail", "2")
    assert list(measured.seen.values()) == [FAILED_BY_US[1]] * 2
    assert "stopping after 2 failures" in measured.text
    assert measured.test("test_clean")["verdict"] == "not_measured"


# What is printed of each of these is pytest's own, but for one last line.
SHOWN = """
import logging, sys, pytest
@pytest.fixture(scope="module")
def shared():
    print("shared is set up")
    yield 1
    print("shared is torn down")
@pytest.fixture
def own(shared):
    print("own is set up")
    yield shared
    print("own is torn down")
def test_passes(own):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger().warning("to the log")
def test_fails(own):
    print("to stdout of the failing")
    logging.getLogger().warning("to the log of the failing")
    assert own == 2
@pytest.mark.xfail(reason="known")
def test_xfails(): assert 0
@pytest.mark.skip(reason="later")
def test_skips(): pass
@pytest.mark.parametrize("number", [1, 2])
def test_many(number): pass
"""


def without_figures(text: str) -> list[str]:
    """What was printed, without what took how long, and without what we add at the end."""
    text = re.sub(r"^=+ coresys =+\n.*?^(?=coresys: )", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith("coresys: ")]
    return [re.sub(r"\d+\.\d\ds", "0.00s", line).strip("=") for line in lines]


def shown(inner: InnerSuite, arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What is printed bare, and while tests are measured and repeated."""
    write(inner, SHOWN)
    bare = inner.run(*arguments)
    measured = inner.run("--coresys-budget", "--coresys-repeat", "10", *arguments)
    assert all(measured.test(name)["repetitions"] > 0 for name in ("test_passes", "test_many[1]"))
    assert measured.status == bare.status == 1
    return without_figures(bare.text), without_figures(measured.text)


@pytest.mark.parametrize("arguments", [("-q",), ("-vv",), ("-rA",), ("--tb=line", "--show-capture=no")], ids=" ".join)
def test_what_is_shown_of_tests_is_as_it_is_without_us(inner: InnerSuite, arguments: tuple[str, ...]) -> None:
    bare, measured = shown(inner, arguments)
    assert measured == bare


@pytest.mark.parametrize("arguments", [("-s", "-v"), ("--setup-show",), ("-o", "log_cli=true", "-v")], ids=" ".join)
def test_what_is_shown_while_a_test_runs_is_shown_once(inner: InnerSuite, arguments: tuple[str, ...]) -> None:
    """Only the word for a test that passed comes later: after its teardown, when it is judged."""
    bare, measured = shown(inner, arguments)
    assert Counter("".join("".join(measured).split())) == Counter("".join("".join(bare).split()))
    assert sum(line.count("own is set up") for line in measured) == sum(line.count("own is set up") for line in bare)


def test_no_terminal(inner: InnerSuite) -> None:
    write(inner, LEAK)
    measured = inner.run("--coresys-budget", *WITHOUT_BYTES, "-p", "no:terminal")
    assert measured.status == 1
    assert measured.seen == {"test_it.py::test_leaks": FAILED_BY_US[1]}
    assert "descriptors.leaked" in measured.found()["test_leaks"]
    assert "coresys" not in measured.text


# Output, properties and durations of tests that are run again and again, in the words of a JUnit file. Time is
# counted, not measured: it passes only where a test says so.
RECORDED = """
import logging, sys, pytest
import _pytest.timing as timing
now = [1000.0]
timing.perf_counter = timing.time = lambda: now[0]
@pytest.fixture
def slow():
    now[0] += 2
    yield
    print("torn down")
    now[0] += 4
def test_records(slow, record_property):
    now[0] += 1
    record_property("mine", 1)
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger().warning("to the log")
def test_uses_its_capture(capsys, caplog, slow):
    now[0] += 1
    print("taken")
    logging.getLogger().warning("taken")
    assert capsys.readouterr().out == "taken\\n"
    assert caplog.messages == ["taken"]
    print("left")
def test_uses_descriptors(capfd):
    print("taken")
    assert capfd.readouterr().out == "taken\\n"
    print("left")
"""


def test_output_properties_and_durations_are_those_of_the_one_run(inner: InnerSuite) -> None:
    write(inner, RECORDED)
    cases = []
    for extra in ((), ("--coresys-budget", "--coresys-repeat", "10")):
        run = inner.run("--junitxml", "junit.xml", "-o", "junit_logging=all", "--durations=0", "-vv", *extra)
        suite = ElementTree.parse(Path(inner.path, "junit.xml")).getroot()[0]
        cases.append(
            [
                (
                    case.get("name"),
                    case.get("time"),
                    [
                        (each.get("name"), each.get("value"))
                        for each in case.iter("property")
                        if "." not in each.get("name", "")
                    ],
                    [(part.tag, part.text) for part in case if part.tag.startswith("system-")],
                )
                for case in suite.iter("testcase")
            ]
        )
        durations = sorted(
            line.split(" test_it")[0] for line in run.text.splitlines() if re.match(r"\d+\.\d\ds ", line)
        )
        assert [line for line in durations if not line.startswith("0.00s")] == [
            "1.00s call    ",
            "1.00s call    ",
            "2.00s setup   ",
            "2.00s setup   ",
            "4.00s teardown",
            "4.00s teardown",
        ]
    assert cases[0] == cases[1]
    assert [case[:3] for case in cases[0]] == [
        ("test_records", "7.000", [("mine", "1")]),
        ("test_uses_its_capture", "7.000", []),
        ("test_uses_descriptors", "0.000", []),
    ]
    assert str(cases[0][0][3]).count("to stdout") == 1
    assert all(run.test(str(case[0]))["repetitions"] > 0 for case in cases[0])


# A test of each kind, each leaking where that kind of test can.
KINDS = """
import asyncio, os, unittest, pytest
KEPT = []
def leak(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
@pytest.mark.parametrize("leaking", [True, False])
def test_parametrised(leaking): leak() if leaking else None
@pytest.fixture
def leaks_in_setup(): leak()
@pytest.fixture
def leaks_in_teardown():
    yield
    leak()
def test_in_setup(leaks_in_setup): pass
def test_in_teardown(leaks_in_teardown): pass
class TestGroup:
    def setup_method(self): leak()
    def test_method(self): pass
class TestCase(unittest.TestCase):
    def tearDown(self): KEPT.append(1)
    def test_case(self): leak()
    def test_cleanup(self): self.addCleanup(leak)
    def test_subtest(self):
        with self.subTest(number=1): leak()
    def test_clean(self): pass
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_async_case(self): leak()
    async def test_async_clean(self): await asyncio.sleep(0)
"""


def test_a_leak_is_found_in_each_kind_of_test_and_phase(inner: InnerSuite) -> None:
    write(inner, KINDS)
    bare = inner.run()
    measured = inner.run("--coresys-budget", *WITHOUT_BYTES)
    leaking = {
        "test_parametrised[True]",
        "test_in_setup",
        "test_in_teardown",
        "test_method",
        "test_case",
        "test_cleanup",
        "test_subtest",
        "test_async_case",
    }
    assert measured.found() == {name: {"descriptors.leaked"} for name in leaking}, measured.text
    for name, (was, now) in changed(bare, measured).items():
        assert name in leaking
        assert now == [
            word.replace("call passed", "call failed") if word == "call passed" else word for word in was or ()
        ]
    assert changed(bare, measured).keys() == leaking


def test_last_failed_runs_the_leak_again(inner: InnerSuite) -> None:
    write(inner, LEAK + "def test_clean(): pass")
    assert inner.run("--coresys-budget", "--lf").status == 1
    again = inner.run("--coresys-budget", "--lf")
    assert list(again.seen) == ["test_it.py::test_leaks"]


@pytest.mark.parametrize("how", [("--pdb",), ("--trace",)], ids=["pdb", "trace"])
def test_the_debugger_is_entered_as_without_us_and_never_by_a_repetition(
    inner: InnerSuite, how: tuple[str, ...]
) -> None:
    write(inner, "def test_fails():\n    assert 0\n" + LEAK)
    prompts = []
    for extra in ((), ("--coresys-budget",)):
        run = inner.run(*how, *extra, stdin=b"c\nc\nc\nc\nc\nc\n")
        prompts.append(run.text.count("(Pdb)"))
    assert prompts[0] == prompts[1] > 0
    assert how == ("--trace",) or run.found().keys() == {"test_leaks"}


@pytest.mark.parametrize("asks", ["input()", "sys.stdin.readline() or 1 / 0"], ids=["input", "readline"])
def test_a_test_that_asks_is_answered_once(inner: InnerSuite, asks: str) -> None:
    """A repetition finds its input at its end, and takes nothing away from the tests that follow."""
    write(
        inner,
        f"import sys\ndef ask(): return {asks}\n"
        "def test_first(): assert ask().strip() == 'one'\ndef test_second(): assert ask().strip() == 'two'\n",
    )
    measured = inner.run("-s", "--coresys-budget", "--coresys-repeat", "10", stdin=b"one\ntwo\n")
    assert measured.status == 0, measured.text
    assert list(measured.seen.values()) == [FAILED_BY_US[0]] * 2


@pytest.mark.parametrize(
    ("ends", "status"),
    [("raise KeyboardInterrupt", 2), ("pytest.exit('enough', returncode=7)", 7)],
    ids=["interrupt", "exit"],
)
def test_a_run_that_is_cut_short_reports_what_it_had(inner: InnerSuite, ends: str, status: int) -> None:
    write(inner, "import pytest\n" + LEAK + f"def test_ends(): {ends}\ndef test_never(): pass")
    bare, measured = inner.both()
    assert bare.status == measured.status == status
    assert measured.found().keys() == {"test_leaks"}
    assert measured.test("test_never")["verdict"] == "not_measured"
    assert measured.test("test_never")["why"]


def test_doctests_and_items_that_are_no_functions_are_run_and_measured(inner: InnerSuite) -> None:
    Path(inner.path, "conftest.py").write_text(
        """
import pytest
class Text(pytest.File):
    def collect(self): yield Line.from_parent(self, name="line")
class Line(pytest.Item):
    def runtest(self): assert self.path.read_text() == "fine"
def pytest_collect_file(file_path, parent):
    return Text.from_parent(parent, path=file_path) if file_path.suffix == ".text" else None
"""
    )
    Path(inner.path, "its.text").write_text("fine")
    Path(inner.path, "module.py").write_text(
        'KEPT = []\ndef add(a, b):\n    """\n    >>> add(1, 2)\n    3\n    """\n    return a + b\n'
    )
    write(inner, LEAK)
    bare, measured = inner.both("--doctest-modules")
    assert changed(bare, measured) == {"test_leaks": FAILED_BY_US}, measured.text
    assert "its.text::line" in measured.seen
    assert "module.py::module.add" in measured.seen


def test_repetitions_are_seen_by_nobody(inner: InnerSuite) -> None:
    """Not in the project's files, the output, the log, the durations, nor by the tests that follow."""
    write(
        inner,
        """
import logging, os, pathlib, sys
RUNS = pathlib.Path("runs.txt")
count = 0
KEPT = []
def test_counts():
    global count
    count += 1
    with RUNS.open("a") as file: file.write("x")
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger().error("to the log")
def test_leaks():
    print("printed once")
    logging.getLogger().error("logged once")
    KEPT.append(object())
def test_follows():
    assert count == 1
    assert len(KEPT) == 1
    assert RUNS.read_text() == "x"
    assert sorted(p.name for p in pathlib.Path().iterdir() if p.name.startswith("made")) == []
""",
    )
    for capture in ("-s", "--capture=fd"):
        Path(inner.path, "runs.txt").unlink(missing_ok=True)
        Path(inner.path, "log.txt").unlink(missing_ok=True)
        measured = inner.run("--coresys-budget", "--coresys-profile", "strict", "--log-file", "log.txt", capture)
        assert measured.found() == {"test_leaks": {"memory.growth"}}, measured.text
        assert measured.test("test_leaks")["repetitions"] > 10
        assert measured.seen["test_it.py::test_follows"] == ["setup passed", "call passed", "teardown passed"]
        assert Path(inner.path, "runs.txt").read_text() == "x"
        assert Path(inner.path, "log.txt").read_text().count("logged once") == 1
        assert measured.text.count("printed once") == 1
        assert measured.test("test_counts")["repetitions"] == 0
        why = measured.test("test_counts")["measures"]["memory.growth"]["why"] or "screened"
        assert "runs.txt" in why or why == "screened"


def test_nested_runs_of_pytest_are_left_alone(inner: InnerSuite) -> None:
    """A suite that tests a plugin with pytester, in the process and in others, while it is measured itself."""
    Path(inner.path, "conftest.py").write_text('pytest_plugins = ["pytester"]\n')
    write(
        inner,
        """
SOURCE = "KEPT = []\\ndef test_inner(): KEPT.append(object())\\ndef test_other(): assert 0"
def test_in_process(pytester):
    pytester.makepyfile(SOURCE)
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1, failed=1)
def test_in_subprocess(pytester):
    pytester.makepyfile(SOURCE)
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1, failed=1)
def test_measured_inside(pytester):
    pytester.makepyfile(SOURCE)
    result = pytester.runpytest_inprocess("-p", "no:randomly", "--coresys-budget", "--coresys-repeat", "0")
    result.assert_outcomes(passed=1, failed=1)
    assert "coresys: " in result.stdout.str()
""",
    )
    bare, measured = inner.run(), inner.run("--coresys-budget", "--coresys-repeat", "30")
    assert changed(bare, measured) == {}, measured.text


def test_off_it_imports_nothing(inner: InnerSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        inner,
        """
import sys, pytest
pytestmark = pytest.mark.coresys_budget("memory.growth", max="8 KB")
@pytest.mark.coresys_skip("memory.*")
@pytest.mark.coresys_no_repeat(reason="once")
def test_nothing_is_there():
    ours = {name for name in sys.modules if name.startswith(("coresys", "pytest_coresys"))}
    thin = ("plugin", "options", "hookspecs", "fixtures")
    assert ours <= {"pytest_coresys", *("pytest_coresys." + name for name in thin)}
    assert not {"psutil", "jinja2", "sqlite3", "tracemalloc", "ctypes"} & sys.modules.keys()
""",
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others import all sorts of things
    bare = inner.run("--strict-markers", "-p", "pytest_coresys.plugin", fresh=True)
    assert bare.status == 0, bare.text


@pytest.mark.parametrize(("option", "value"), [("json", "run.json"), ("require-measured", "memory.*")])
def test_off_it_refuses_what_somebody_would_wait_for(pytester: pytest.Pytester, option: str, value: str) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_inprocess("-p", "no:asyncio", f"--coresys-{option}", value)
    assert result.ret == 4
    line = f"ERROR: --coresys-{option} belongs to a measuring run: add --coresys-budget or --coresys-observe"
    assert [each for each in result.errlines if each] == [line]
    assert not Path(pytester.path, "run.json").exists()


@pytest.mark.parametrize(
    "option",
    [
        "--coresys-set=memory.growth=2 KB",
        "--coresys-profile=strict",
        "--coresys-repeat=0",
    ],
)
def test_options_that_stand_in_addopts_do_nothing_while_it_is_off(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    pytester.makeini(f"[pytest]\naddopts = '{option}'\n")
    result = pytester.runpytest_inprocess("-p", "no:asyncio")
    result.assert_outcomes(passed=1)
    assert "coresys:" not in result.stdout.str()


def test_explaining_needs_no_other_flag(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): assert 0")
    result = pytester.runpytest_inprocess("-p", "no:asyncio", "--coresys-explain", "memory.growth")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*::test_nothing", "  -> default: 0 B, level error (in force: 0 B, level error)"])


def on_terminal(path: Path, *words: str) -> str:
    """What a command prints on a terminal of 80 columns."""
    import pty

    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    process = subprocess.Popen(words, cwd=path, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    printed = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not data:
            break
        printed += data
    os.close(leader)
    process.wait()
    return printed.decode("utf-8", "replace")


def as_it_stands(printed: str) -> str:
    """One line of a terminal, once all is printed: later characters stand over earlier ones."""
    cells: list[str] = []
    column = 0
    for character in re.sub(r"\x1b\[[0-9;]*m", "", printed):
        if character == "\b":
            column -= 1
        elif character != "\r":
            cells[column : column + 1] = [character]
            column += 1
    return "".join(cells).rstrip()


@pytest.mark.skipif(sys.platform != "linux", reason="terminals are those of Linux")
def test_a_terminal_shows_what_is_being_repeated_and_nothing_of_it_stays(inner: InnerSuite) -> None:
    write(inner, "KEPT = []\ndef test_leaks(): KEPT.append(object())\n")
    words = (sys.executable, "-m", "pytest", "-p", "no:randomly", "-W", "ignore")
    bare, measured = on_terminal(inner.path, *words), on_terminal(inner.path, *words, "--coresys-budget")
    assert "repeating" not in bare
    (line,) = [line for line in measured.split("\n") if "coresys: repeating test_leaks (" in line]
    assert len(re.findall(r"repeating test_leaks \(\d+ runs?\)", line)) > 3
    assert as_it_stands(line).split() == ["test_it.py", "F", "[100%]"]


def test_a_debugger_that_is_quit_loses_no_failure(inner: InnerSuite) -> None:
    write(inner, "def test_fails(): assert 0\ndef test_after(): pass\n")
    bare, measured = inner.run("--pdb"), inner.run("--pdb", "--coresys-budget", "--coresys-repeat", "0")
    assert bare.seen == {"test_it.py::test_fails": ["setup passed", "call failed"]}
    assert measured.seen == bare.seen
    assert measured.status == bare.status == 2
    assert "1 failed" in measured.text


@pytest.mark.parametrize("ends", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_a_run_that_is_ended_in_a_teardown_loses_no_call(inner: InnerSuite, ends: str) -> None:
    fixture = f"import pytest\n@pytest.fixture\ndef ending():\n    yield\n    {ends}\n"
    write(inner, fixture + "def test_passes(ending): pass\n")
    bare, measured = inner.run(), inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert bare.seen == {"test_it.py::test_passes": ["setup passed", "call passed"]}
    assert measured.seen == bare.seen
    assert measured.status == bare.status
    test = measured.test("test_passes")
    assert (test["outcome"], test["verdict"]) == ("passed", "not_measured")
    assert test["why"] == "not judged: the session was ended before it was"


def test_a_run_that_is_ended_while_a_test_is_judged_loses_nothing(inner: InnerSuite) -> None:
    hook = "def pytest_coresys_verdict(item, verdict): raise KeyboardInterrupt\n"  # as Ctrl-C while it is repeated
    Path(inner.path, "conftest.py").write_text(hook)
    write(inner, "def test_passes(): pass\ndef test_after(): pass\n")
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.status == 2
    assert run.seen == {"test_it.py::test_passes": ["setup passed", "call passed", "teardown passed"]}
    outcomes = {name: (run.test(name)["outcome"], run.test(name)["why"]) for name in ("test_passes", "test_after")}
    assert outcomes == {
        "test_passes": ("passed", "not judged: the session was ended before it was"),
        "test_after": ("skipped", "not run: the session stopped before it"),
    }


HANDLER = """
import os, pytest, signal, time
def end(number, frame): {ends}
signal.signal(signal.SIGALRM, end)
RUNNER, KEPT = os.getpid(), []
def test_passes():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    time.sleep(0.02)
    if len(KEPT) == 1 and os.getpid() == RUNNER: signal.setitimer(signal.ITIMER_REAL, 0.4)
def test_after(): pass
"""


@pytest.mark.parametrize("in_place", ["", "1"], ids=["child", "in place"])
@pytest.mark.parametrize("ends", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_a_handler_of_signals_may_end_the_run_while_a_test_is_repeated(
    inner: InnerSuite, ends: str, in_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORESYS_REPEAT_IN_PLACE", in_place)
    write(inner, HANDLER.replace("{ends}", ends))
    run = inner.run("--coresys-budget", "--coresys-profile", "strict")
    assert run.status == 2, run.text
    assert run.seen == {"test_it.py::test_passes": ["setup passed", "call passed", "teardown passed"]}, run.text
    assert run.test("test_after")["why"] == "not run: the session stopped before it"


def test_a_doctest_that_leaks_is_found(inner: InnerSuite) -> None:
    write(
        inner,
        """
import os
KEPT = []
def leak(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def leaking():
    '''
    >>> leak()
    '''
def clean():
    '''
    >>> len(KEPT) >= 0
    True
    '''
""",
    )
    run = inner.run("--doctest-modules", "--coresys-budget", *WITHOUT_BYTES)
    assert run.found() == {"test_it.leaking": {"descriptors.leaked"}}
    assert not run.found("suspicion")


@pytest.mark.parametrize("most", [1, 3, 7, 30])
def test_a_test_is_repeated_no_more_often_than_asked(inner: InnerSuite, most: int) -> None:
    """The test itself tells, in memory that its copies in other processes share."""
    write(
        inner,
        """
import ctypes, pathlib
import multiprocessing.sharedctypes as shared
number = shared.RawValue(ctypes.c_long)

def test_counts(): number.value += 1
def test_tells(): pathlib.Path("runs.txt").write_text(str(number.value))
""",
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", str(most), "--coresys-set", "memory.peak=1 GB")
    assert run.status == 0
    assert 0 < run.test("test_counts")["repetitions"] <= most
    assert int(Path(inner.path, "runs.txt").read_text()) <= 1 + most


def test_what_is_to_be_run_again_is_named_from_where_one_stands(inner: InnerSuite) -> None:
    Path(inner.path, "pytest.ini").write_text("[pytest]\n")
    Path(inner.path, "below").mkdir()
    Path(inner.path, "below", "test_it.py").write_text(LEAK)
    run = inner.run("--rootdir=..", "test_it.py", "--coresys-budget", *WITHOUT_BYTES, folder="below")
    assert run.found() == {"test_leaks": {"descriptors.leaked"}}
    assert 'pytest "test_it.py::test_leaks" --coresys-budget' in run.text
    assert "below/test_it.py::test_leaks" in run.facts["tests"][0]["nodeid"]


COLLECTED = """
import gc, weakref, pytest
ALIVE, KEPT = weakref.WeakSet(), []
class Node:
    def __init__(self):
        self.me = self
        ALIVE.add(self)
@pytest.fixture(autouse=True)
def collected(): gc.collect()
def test_one_is_alive():
    Node()
    assert len(ALIVE) == 1
def test_one_is_alive_and_leaks():
    Node()
    KEPT.append(bytes(3000))
    assert len(ALIVE) == 1
class Base: pass
def test_its_class_alone():
    class Plug(Base): pass
    assert Base.__subclasses__() == [Plug]
"""


def test_tests_that_look_whether_the_last_run_was_collected_are_repeated(inner: InnerSuite) -> None:
    """What is garbage when a child begins is not collected, for it takes long; but here it has to be."""
    write(inner, COLLECTED)
    run = inner.run("--coresys-budget")
    assert run.found() == {"test_one_is_alive_and_leaks": {"memory.growth"}}, run.text
    assert all(test["repetitions"] for test in run.facts["tests"]), run.text
