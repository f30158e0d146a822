"""Whatever is wrong with what we are given: one clear line, the status that the contract says, and no result lost."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from innersuite import InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner]

CLEAN = "def test_clean(): pass\n"


def write(inner: InnerSuite, **files: str) -> None:
    for name, text in files.items():
        path = Path(inner.path, name.replace("__", "."))
        path.write_text(text, encoding="utf-8", errors="surrogateescape")


def usage_error(inner: InnerSuite, *arguments: str) -> str:
    """The one line that the run ends with, before any test was run."""
    # In this process: nothing is registered before the configuration is read, and a process each costs a second.
    result = inner._pytester.runpytest_inprocess("--coresys-budget", "-p", "no:asyncio", *arguments)
    text = "\n".join((*result.outlines, *result.errlines))
    assert result.ret == 4, text
    assert "collected" not in text
    assert "INTERNALERROR" not in text
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("ERROR: ")]
    return line.removeprefix("ERROR: coresys: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("--coresys-set", "memory.grwth=8 KB"),
            '--coresys-set: unknown key "memory.grwth"; did you mean "memory.growth"?',
        ),
        (
            ("--coresys-set", "memory.growth=8"),
            '--coresys-set: memory.growth = "8": a bare number: write a unit, such as "2 KB" (B, KB, MB, GB)',
        ),
        (
            ("--coresys-set", "memory.growth"),
            '--coresys-set: "memory.growth": write KEY=VALUE, such as "memory.growth=2 KB"',
        ),
        (
            ("--coresys-set", "threads.leaked=1.5"),
            '--coresys-set: threads.leaked = "1.5": not a count: write a whole number, such as 2',
        ),
        (
            ("--coresys-profile", "nope"),
            '--coresys-profile: unknown profile "nope" (valid: default, ci, strict, soak)',
        ),
        (
            ("--coresys-require-measured", "nope.*"),
            '--coresys-require-measured: "nope.*" matches no measure and no criterion; did you mean "loop.*"?',
        ),
        (("--coresys-set", "="), '--coresys-set: unknown key ""'),
        (
            ("--coresys-set", "memory.growth=-1 KB"),
            '--coresys-set: memory.growth = "-1 KB": a negative quantity: write zero or more, such as "2 KB" '
            "(B, KB, MB, GB)",
        ),
        (
            ("--coresys-set", "time.call=2 KB"),
            '--coresys-set: time.call = "2 KB": unknown unit "KB": write another, such as "50 ms" (us, ms, s, min, h)',
        ),
        (("--coresys-json", ""), "--coresys-json: the path is empty"),
        (("--coresys-json", "a" * 300), f"{'a' * 300}: cannot be written: File name too long"),
        (("--coresys-json", "test_it.py/run.json"), "test_it.py/run.json: cannot be written: Not a directory"),
        (("--coresys-json", "."), ".: cannot be written: is a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options(inner: InnerSuite, arguments: tuple[str, ...], line: str) -> None:
    write(inner, test_it__py=CLEAN)
    assert usage_error(inner, *arguments) == line


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            '[tool.coresys.budgets]\nmemory.grwth = "2 KB"\n',
            'pyproject.toml:2: [tool.coresys.budgets] unknown key "memory.grwth"; did you mean "memory.growth"?',
        ),
        (
            "[tool.coresys.budgets]\n\nmemory.growth = 2048\n",
            "pyproject.toml:3: memory.growth = 2048: a bare number: write text with a unit, such as "
            '"2 KB" (B, KB, MB, GB)',
        ),
        (
            '[tool.coresys.budgets]\ntime.call = "2 KB"\n',
            'pyproject.toml:2: time.call = "2 KB": unknown unit "KB": write another, such as "50 ms" '
            "(us, ms, s, min, h)",
        ),
        (
            "[tool.coresys.budgets]\nmemory.growth = [1]\n",
            'pyproject.toml:2: memory.growth = [1]: an array: write text with a unit, such as "2 KB" (B, KB, MB, GB)',
        ),
        (
            '[tool.coresys.budgets]\nmemory.growth = { maks = "2 KB" }\n',
            'pyproject.toml:2: memory.growth.maks = "2 KB": unknown key "maks" (valid: max, warn, level, reason)',
        ),
        (
            '[tool.coresys.budgets]\nmemory.growth = { max = "2 KB", level = "fatal" }\n',
            'pyproject.toml:2: memory.growth.level = "fatal": unknown level "fatal" (valid: off, warn, error)',
        ),
        (
            '[tool.coresys]\nprofil = "ci"\n',
            'pyproject.toml:2: [tool.coresys] unknown key "profil"; did you mean "profile"?',
        ),
        ("[tool.coresys]\nprofile = 3\n", "pyproject.toml:2: [tool.coresys] profile = 3: write some text in quotes"),
        ("[tool.coresys\n", "pyproject.toml"),
    ],
    ids=["key", "bare number", "unit", "type", "sub-key", "level", "table key", "profile type", "malformed"],
)
def test_configuration_files(inner: InnerSuite, toml: str, line: str) -> None:
    write(inner, test_it__py=CLEAN, pyproject__toml=toml)
    if line == "pyproject.toml":  # pytest itself reads that file first, and refuses it
        run = inner.run("--coresys-budget")
        assert run.status == 4
        assert "pyproject.toml" in run.text
        return
    assert usage_error(inner) == line


def test_an_unknown_key_to_explain(inner: InnerSuite) -> None:
    """Told when the tests are collected, as a plugin may bring a measure along."""
    write(inner, test_it__py=CLEAN)
    run = inner.run("--coresys-budget", "--coresys-explain", "nope")
    assert (run.status, run.seen) == (4, {})
    assert 'ERROR: coresys: --coresys-explain: unknown key "nope"' in run.text.splitlines()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_explaining_prints_the_origin_for_each_test_and_runs_none(inner: InnerSuite, workers: tuple[str, ...]) -> None:
    """Also where workers would collect: they could show nothing, and would run the tests."""
    tests = "import pytest\n\ndef test_ran(): open('ran', 'w').close()\n\n"
    tests += "@pytest.mark.coresys_skip('memory.*', reason='mine')\ndef test_skipped(): pass\n"
    write(
        inner,
        test_it__py=tests,
        coresys__toml='[budgets]\nmemory.growth = "2 KB"\n',
    )
    run = inner.run("--coresys-budget", "--coresys-explain", "memory.growth", "-q", *workers)
    lines = run.text.splitlines()
    assert run.status == 0
    told = lines[lines.index("test_it.py::test_ran") :][1:3]
    assert told == ["     default: 0 B, level error", "  -> coresys.toml:2: 2 KiB (in force: 2 KiB, level error)"]
    assert "  not measured: skipped by marker: mine" in lines[lines.index("test_it.py::test_skipped") :]
    assert not Path(inner.path, "ran").exists()


@pytest.mark.parametrize("count", ["-1", "two", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_a_count_of_repetitions_that_is_none(inner: InnerSuite, count: str) -> None:
    write(inner, test_it__py=CLEAN)
    result = inner._pytester.runpytest_inprocess("--coresys-budget", "-p", "no:asyncio", f"--coresys-repeat={count}")
    assert result.ret == 4
    problem = f"argument --coresys-repeat: {count!r} is not a number of repetitions: write 0 (never repeat) or more"
    assert any(line.endswith(f"error: {problem}") for line in result.errlines)


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ('profile = "nope"\n', 'coresys.toml:1: unknown profile "nope" (valid: default, ci, strict, soak)'),
        (
            '[[overrides]]\nbudgets = { memory.peak = "2 GB" }\n',
            "coresys.toml:1: [[overrides]] needs paths or markers, or it would match no test",
        ),
        (
            '[[overrides]]\npaths = ["tests/**"]\n',
            "coresys.toml:1: [[overrides]] needs budgets, or it would change nothing",
        ),
        (
            '[[accept]]\nkey = "threads.leaked"\n',
            'coresys.toml:1: [[accept]] needs a reason, such as reason = "#412: ends with the process"',
        ),
    ],
    ids=["profile", "override of nothing", "override without budgets", "accept without reason"],
)
def test_tables_that_make_no_sense(inner: InnerSuite, toml: str, line: str) -> None:
    write(inner, test_it__py=CLEAN, coresys__toml=toml)
    assert usage_error(inner) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "memory.grwth < 2 KB",
            'pytest.ini:4: coresys_budgets unknown key "memory.grwth"; did you mean "memory.growth"?',
        ),
        (
            "memory.growth < 2",
            'pytest.ini:4: coresys_budgets memory.growth = "2": a bare number: write a unit, such as "2 KB" '
            "(B, KB, MB, GB)",
        ),
        (
            "memory.growth = 2 KB",
            'pytest.ini:4: coresys_budgets "memory.growth = 2 KB": write KEY < VALUE, such as memory.growth < 2 KB',
        ),
    ],
    ids=["key", "bare number", "no less-than"],
)
def test_the_ini_option(inner: InnerSuite, text: str, line: str) -> None:
    write(inner, test_it__py=CLEAN, pytest__ini=f"[pytest]\ncoresys_budgets =\n  threads.leaked < 1\n  {text}\n")
    assert usage_error(inner) == line


def test_a_pyproject_that_is_a_folder(inner: InnerSuite) -> None:
    write(inner, test_it__py=CLEAN)
    Path(inner.path, "pyproject.toml").mkdir()
    assert usage_error(inner) == "pyproject.toml: cannot be read: Is a directory"


def test_missing_folders_of_the_run_file_are_made(inner: InnerSuite) -> None:
    write(inner, test_it__py=CLEAN)
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", "--coresys-json", "no/such/folder/run.json")
    assert run.status == 0
    assert json.loads(Path(inner.path, "no/such/folder/run.json").read_text())["summary"]["tests"] == 1


def test_an_unreadable_and_a_malformed_coresys_toml(inner: InnerSuite) -> None:
    write(inner, test_it__py=CLEAN, coresys__toml="[budgets\n")
    assert usage_error(inner).startswith("coresys.toml:1: ")
    Path(inner.path, "coresys.toml").unlink()
    Path(inner.path, "coresys.toml").mkdir()
    assert usage_error(inner) == "coresys.toml: cannot be read: Is a directory"
    Path(inner.path, "coresys.toml").rmdir()
    Path(inner.path, "coresys.toml").write_bytes(b"[budgets]\nmemory.growth = '\xff'\n")
    assert usage_error(inner) == "coresys.toml:2: not UTF-8 text, which TOML has to be"


def test_a_coresys_toml_in_a_folder_that_is_not_the_root_is_spoken_of(inner: InnerSuite) -> None:
    write(inner, test_it__py=CLEAN, coresys__toml='[budgets]\nmemory.growth = "8 KB"\n')
    root = Path(inner.path, "root")
    root.mkdir()
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", f"--rootdir={root}")
    assert run.status == 0
    told = " ".join(run.text.split())
    assert (
        told.count("note: coresys.toml of this folder is not read, only one in the root of the run, which is root") == 1
    )
    assert "note:" not in inner.run("--coresys-budget", "--coresys-repeat", "0").text


def test_without_the_flag_a_broken_configuration_harms_nobody(inner: InnerSuite) -> None:
    write(inner, test_it__py=CLEAN, coresys__toml="[budgets\n")
    assert inner.run().status == 0


def test_a_wrong_marker_fails_its_test_and_no_other(inner: InnerSuite) -> None:
    write(
        inner,
        test_it__py="""
import pytest
@pytest.mark.coresys_budget("memory.grwth", max="8 KB")
def test_typo(): pass
@pytest.mark.coresys_budget(memory_growth=8)
def test_bare_number(): pass
@pytest.mark.coresys_skip("memry.*")
def test_skip(): pass
@pytest.mark.coresys_no_repeat("why", 3)
def test_no_repeat(): pass
def test_clean(): pass
""",
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    outcomes = {nodeid.rpartition("::")[2]: phases[1] for nodeid, phases in run.seen.items()}
    assert outcomes == {
        **dict.fromkeys(("test_typo", "test_bare_number", "test_skip", "test_no_repeat"), "call failed"),
        "test_clean": "call passed",
    }
    assert run.status == 1
    for line in (
        '@pytest.mark.coresys_budget (test_it.py:3): unknown key "memory.grwth"; did you mean "memory.growth"?',
        "@pytest.mark.coresys_budget (test_it.py:5): memory.growth = 8: a bare number: write text with a unit, "
        'such as "2 KB" (B, KB, MB, GB)',
        '@pytest.mark.coresys_skip (test_it.py:7): "memry.*" matches no measure; did you mean "memory.*"?',
        '@pytest.mark.coresys_no_repeat (test_it.py:9): takes no argument without a name; write reason="why"',
    ):
        assert line in run.text.splitlines()


# Control characters, quotes of three languages, what XML and UTF-8 refuse, and one longer than any line.
NAMES = (
    "plain",
    "'quoted' \"twice\" $HOME `id`",
    "two\nlines\r\nand\ta tab",
    "\x1b[31mred\x1b[0m\x9b31m",
    "<script>alert(1)</script>",
    "]]>&amp;",
    "a::b",
    "\x00\x08\x7f",
    "\u202edetrever\u2028",
    "\udcff",
    "x" * 600,
)
HOSTILE = """
import os, pytest
KEPT = []
NAMES = {names!r}
@pytest.mark.parametrize("value", NAMES, ids=NAMES)
def test_keeps(value): KEPT.append(1)
@pytest.mark.parametrize("value", NAMES, ids=NAMES)
def test_keeps_nothing(value): pass
"""
# Over budget after one run, so that nothing needs repeating; and each word of it is as hostile as the names.
HOSTILE_CONFTEST = """
import sys
from coresys import Reading
class Probe:
    key, unit, default, help = "mine.kept", "count", 0, {text!r}
    kept = 0
    def start(self): self.before = self.count()
    def stop(self): return Reading(self.count() - self.before, details=({text!r},))
    def count(self): return len(sys.modules["test_it"].KEPT) if "test_it" in sys.modules else 0
def pytest_coresys_probes(config): return [Probe()]
"""
# pytest escapes what is in an id, unless it is told not to.
UNESCAPED = "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
TEXT = "\x1b[31mred\x1b[0m\nsecond <b>'\"]]>& \ud800 \x07"


def is_harmless(text: str) -> bool:
    """Whether a terminal shows this as it stands."""
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_hostile_ids_reach_every_report_whole_and_harmless(
    inner: InnerSuite, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest itself prints ids as they are, and pytester takes nothing but UTF-8.
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:backslashreplace")
    names = [name for name in NAMES if not (workers and name == "\udcff")]  # xdist itself cannot carry a lone surrogate
    write(
        inner,
        test_it__py=HOSTILE.format(names=names),
        conftest__py=HOSTILE_CONFTEST.format(text=TEXT),
        pytest__ini=UNESCAPED,
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", "-v", "--junitxml", "junit.xml", *workers)
    assert run.status == 1
    shown = [name if name != "\udcff" else r"\udcff" for name in names]
    assert Path(inner.path, "run.json").read_bytes().decode("utf-8")
    verdicts = {test["nodeid"]: test["measures"]["mine.kept"]["verdict"] for test in run.facts["tests"]}
    assert verdicts == {
        **{f"test_it.py::test_keeps[{name}]": "over" for name in shown},
        **{f"test_it.py::test_keeps_nothing[{name}]": "within" for name in shown},
    }
    suite = ElementTree.parse(Path(inner.path, "junit.xml")).getroot()[0]
    failures = [failure.text or "" for failure in suite.iter("failure")]
    assert len(suite.findall("testcase")) == 2 * len(names)
    assert len(failures) == len(names)
    for text in failures:
        assert text.startswith("mine.kept: 1 > 0 (default)\n")
        assert r"\x1b[31mred\x1b[0m\nsecond <b>" in text
        assert r"\ud800 \x07" in text
        assert is_harmless(text)
    summary = run.text.partition("= coresys =")[2].partition("= short test summary info =")[0]
    assert "over  mine.kept" in summary
    assert r"test_keeps[two\nlines\r\nand\ta tab]" in summary
    assert r"test_keeps[\x1b[31mred\x1b[0m\x9b31m]" in summary
    assert is_harmless(summary)


def test_hostile_names_of_what_is_left_behind(inner: InnerSuite) -> None:
    """A thread, a file, a task and a variable that are called like an attack on the terminal."""
    write(
        inner,
        test_it__py=f"""
import asyncio, os, threading, pytest
KEPT, TEXT = [], {TEXT!r}
NAME = TEXT.replace("\\ud800", "\\udcff")
def test_thread():
    event = threading.Event()
    KEPT.append(event)
    threading.Thread(target=event.wait, name=TEXT, daemon=True).start()
def test_file(tmp_path):
    KEPT.append(os.open(os.fsencode(tmp_path) + b"/" + os.fsencode(NAME).replace(b"/", b""), os.O_CREAT | os.O_RDWR))
def test_variable(): os.environ["MINE\\x1b[31m"] = NAME
@pytest.mark.coresys_no_repeat(reason=TEXT)
def test_reason(): pass
@pytest.mark.coresys_skip("memory.*", reason=TEXT)
def test_skipped(): pass
@pytest.mark.coresys_budget(TEXT, max="8 KB")
def test_key(): pass
""",
    )
    cheap = ("--coresys-set", "memory.growth=off", "--coresys-set", "memory.fragmentation=off")
    run = inner.run("--coresys-budget", "--coresys-profile", "strict", *cheap, "--junitxml", "junit.xml")
    assert run.status == 1
    details = {
        test["nodeid"].rpartition("::")[2]: "\n".join(line for found in test["findings"] for line in found["details"])
        for test in run.facts["tests"]
    }
    assert "red" in details["test_thread"]
    assert "red" in details["test_file"]
    assert "file $TMPDIR/" in details["test_file"], "not that of the copy in which the test was repeated"
    assert "red" in details["test_variable"]
    assert not Path(inner.path, "run.json").read_bytes().decode("utf-8").count("\x1b")
    ElementTree.parse(Path(inner.path, "junit.xml"))
    assert is_harmless(run.text)
    assert r"thread '\x1b[31mred\x1b[0m\nsecond <b>" in run.text
    assert r"os.environ['MINE\x1b[31m'] set to '\x1b[31mred" in run.text
    assert r'@pytest.mark.coresys_budget (test_it.py:16): unknown key "\x1b[31mred\x1b[0m\nsecond' in run.text


PROBE = """
import pytest
class Probe:
    key, unit, default = "mine.things", "count", 0
    def start(self):
        {start}
    def stop(self):
        {stop}
@pytest.hookimpl
def pytest_coresys_probes(config): return [Probe()]
"""


@pytest.mark.parametrize(
    ("start", "stop", "why"),
    [
        ("raise RuntimeError('on strike')", "return 0", "its probe broke in start: RuntimeError: on strike"),
        ("pass", "raise KeyError('gone')", "its probe broke in stop: KeyError: 'gone'"),
        (
            "pass",
            "return 'many'",
            "its probe broke in stop: TypeError: stop() returned str, not a number, a Reading or None",
        ),
        ("pass", "return float('nan')", "its probe broke in stop: ValueError: stop() returned nan"),
    ],
    ids=["start", "stop", "type", "nan"],
)
def test_a_probe_that_breaks_is_not_measured_and_said_once(inner: InnerSuite, start: str, stop: str, why: str) -> None:
    write(inner, test_it__py=CLEAN + "def test_second(): pass\n", conftest__py=PROBE.format(start=start, stop=stop))
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.status == 0, run.text
    for name in ("test_clean", "test_second"):
        measure = run.test(name)["measures"]["mine.things"]
        assert (measure["verdict"], measure["value"], measure["why"]) == ("not_measured", None, why)
        assert run.test(name)["verdict"] == "not_measured"
    unwrapped = re.sub(r"\n +", " ", run.text)
    assert unwrapped.count(f"note: mine.things is not measured from here on: {why}") == 1


def test_a_probe_that_breaks_between_two_tests_has_measured_the_first(inner: InnerSuite) -> None:
    write(
        inner,
        test_it__py="def test_first(): pass\ndef test_second(): pass\ndef test_third(): assert 0\n",
        conftest__py=PROBE.format(
            start="self.runs = getattr(self, 'runs', 0) + 1", stop="return 0 if self.runs == 1 else 1 / 0"
        ),
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert {nodeid.rpartition("::")[2]: phases[1] for nodeid, phases in run.seen.items()} == {
        "test_first": "call passed",
        "test_second": "call passed",
        "test_third": "call failed",
    }
    said = [run.test(name)["measures"]["mine.things"] for name in ("test_first", "test_second", "test_third")]
    assert [(each["value"], each["verdict"]) for each in said] == [
        (0, "within"),
        (None, "not_measured"),
        (None, "not_measured"),
    ]
    assert said[1]["why"] == "its probe broke in stop: ZeroDivisionError: division by zero"
    assert said[2]["why"] == "the test failed"
    assert run.text.count("note: mine.things is not measured from here on") == 1


def test_workers_whose_probes_and_hooks_break_say_it_once(inner: InnerSuite) -> None:
    write(
        inner,
        test_it__py="import pytest\n@pytest.mark.parametrize('number', range(4))\ndef test_many(number): pass\n",
        conftest__py=PROBE.format(start="raise RuntimeError('on strike')", stop="return 0")
        + "def pytest_coresys_verdict(item, verdict): raise RuntimeError('mine')\n",
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", "-n", "2")
    assert run.status == 0, run.text
    assert len(run.seen) == 4
    unwrapped = re.sub(r"\n +", " ", run.text)
    why = "its probe broke in start: RuntimeError: on strike"
    assert unwrapped.count(f"note: mine.things is not measured from here on: {why}") == 1
    assert unwrapped.count("note: a plugin's pytest_coresys_verdict raised RuntimeError: mine") == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("raise RuntimeError('mine')", "RuntimeError: mine"),
        ("return 3", "TypeError: 'int' object is not iterable"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    ],
    ids=["raises", "no list", "import"],
)
def test_a_hook_for_probes_that_raises_is_a_usage_error(inner: InnerSuite, body: str, problem: str) -> None:
    write(inner, test_it__py=CLEAN, conftest__py=f"def pytest_coresys_probes(config): {body}\n")
    assert usage_error(inner) == f"plugin {inner.path / 'conftest.py'}: pytest_coresys_probes raised {problem}"


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        ("key, unit = 'memory.growth', 'B'", 'there is a measure "memory.growth" already'),
        ("key, unit = 'Mine', 'B'", "a probe's key must read like group.name, in lower case; this one is 'Mine'"),
        ("key, unit = 'mine.x', 'furlong'", "\"mine.x\": unit 'furlong' is none of B, s, ratio, count"),
        ("key, unit, default = 'mine.x', 'B', '2 hours'", '"mine.x": default: '),
    ],
    ids=["taken", "key", "unit", "default"],
)
def test_a_probe_that_makes_no_sense_is_a_usage_error(inner: InnerSuite, attributes: str, line: str) -> None:
    conftest = f"class P:\n    {attributes}\n    def start(self): pass\n    def stop(self): return 0\n"
    write(inner, test_it__py=CLEAN, conftest__py=conftest + "def pytest_coresys_probes(config): return [P()]\n")
    told = usage_error(inner)
    assert told.startswith("plugin ")
    assert line in told


@pytest.mark.parametrize("hook", ["pytest_coresys_verdict(item, verdict)", "pytest_coresys_run_finished(run)"])
def test_a_hook_of_others_that_raises_is_said_and_harms_nothing(inner: InnerSuite, hook: str) -> None:
    write(inner, test_it__py=CLEAN, conftest__py=f"def {hook}: raise RuntimeError('mine')\n")
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.status == 0
    assert run.test("test_clean")["measures"]["threads.leaked"]["verdict"] == "within"
    assert f"a plugin's {hook.partition('(')[0]} raised RuntimeError: mine" in run.text


def test_budgets_of_a_hook_that_raises_fail_that_test(inner: InnerSuite) -> None:
    write(
        inner,
        test_it__py=CLEAN + "def test_other(): pass\n",
        conftest__py="def pytest_coresys_budgets(item):\n    if 'other' in item.name: raise RuntimeError('mine')\n",
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert {nodeid.rpartition("::")[2]: phases[1] for nodeid, phases in run.seen.items()} == {
        "test_clean": "call passed",
        "test_other": "call failed",
    }
    assert "pytest_coresys_budgets raised RuntimeError: mine" in run.text


def test_budgets_of_a_hook_that_make_no_sense_fail_their_tests(inner: InnerSuite) -> None:
    cases = {
        "list": ("[1]", "pytest_coresys_budgets returned list, no mapping"),
        "key": ("{'memory.grwth': '2 KB'}", 'unknown key "memory.grwth"; did you mean "memory.growth"?'),
        "bare": (
            "{'memory.growth': 3}",
            'memory.growth = 3: a bare number: write text with a unit, such as "2 KB" (B, KB, MB, GB)',
        ),
        "part": (
            "{'memory.growth': {'max': '1 KB', 'lvl': 1}}",
            'memory.growth.lvl = 1: unknown key "lvl"; did you mean "level"?',
        ),
    }
    given = ", ".join(f"'test_{name}': {budgets}" for name, (budgets, _) in cases.items())
    write(
        inner,
        test_it__py=CLEAN + "".join(f"def test_{name}(): pass\n" for name in cases),
        conftest__py=f"def pytest_coresys_budgets(item): return {{{given}}}.get(item.name)\n",
    )
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert {nodeid.rpartition("::")[2]: phases[1] for nodeid, phases in run.seen.items()} == {
        "test_clean": "call passed",
        **{f"test_{name}": "call failed" for name in cases},
    }
    for name, (_, problem) in cases.items():
        assert f"plugin {inner.path / 'conftest.py'}: {problem}" in run.text.splitlines()
        assert run.test(f"test_{name}")["verdict"] == "not_measured"


FULL_DISK = """
import errno, os, pytest
@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    def fsync(fd): raise OSError(errno.ENOSPC, "No space left on device")
    os.fsync = fsync
"""


@pytest.mark.parametrize("target", ["run.json", "/dev/full"])
def test_a_full_disk_is_said_and_changes_no_status(inner: InnerSuite, target: str) -> None:
    write(inner, test_it__py=CLEAN, conftest__py=FULL_DISK)
    run = inner.run("--coresys-budget", "--coresys-repeat", "0", "--coresys-json", target)
    assert run.status == 0
    assert list(run.seen.values()) == [["setup passed", "call passed", "teardown passed"]]
    assert f"run file NOT written: {target}: cannot be written: No space left on device" in run.text
    assert not [path.name for path in inner.path.iterdir() if path.name.endswith((".tmp", "run.json"))]


NO_ROOM_TO_REPEAT = """
import errno, tempfile
make = tempfile.mkdtemp
def mkdtemp(suffix=None, prefix=None, dir=None):
    if (prefix or "").startswith("coresys-"): raise OSError(errno.ENOSPC, "No space left on device")
    return make(suffix, prefix, dir)
tempfile.mkdtemp = mkdtemp
"""


def test_a_full_disk_while_repeating_leaves_a_suspicion(inner: InnerSuite) -> None:
    write(
        inner,
        test_it__py="import os\nKEPT = []\ndef test_leaks(): KEPT.append(os.open(os.devnull, os.O_RDONLY))\n" + CLEAN,
        conftest__py=NO_ROOM_TO_REPEAT,
    )
    run = inner.run("--coresys-budget", "--coresys-set", "memory.growth=off")
    assert run.status == 0, run.text
    assert list(run.seen.values()) == [["setup passed", "call passed", "teardown passed"]] * 2
    measure = run.test("test_leaks")["measures"]["descriptors.leaked"]
    why = "suspected: 1 left after one run; no process could be made: [Errno 28] No space left on device"
    assert (measure["verdict"], measure["why"]) == ("not_measured", why)
    assert run.found() == {}


def test_the_run_file_survives_a_test_that_changes_the_folder(inner: InnerSuite) -> None:
    write(inner, test_it__py="import os, tempfile\ndef test_moves(): os.chdir(tempfile.gettempdir())\n")
    inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert json.loads(Path(inner.path, "run.json").read_text())["summary"]["tests"] == 1


@pytest.mark.parametrize("ends", ["pytest.fail('mine')", "pytest.skip('mine')", "raise SystemExit('mine')"])
@pytest.mark.parametrize("hook", ["pytest_coresys_verdict(item, verdict)", "pytest_coresys_run_finished(run)"])
def test_a_hook_that_fails_as_tests_do_loses_no_result(inner: InnerSuite, hook: str, ends: str) -> None:
    write(inner, test_it__py=CLEAN, conftest__py=f"import pytest\ndef {hook}: {ends}\n")
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.status == 0
    assert list(run.seen.values()) == [["setup passed", "call passed", "teardown passed"]]
    assert re.search(rf"note: a plugin's {hook.partition('(')[0]}\s+raised\s+\w+:\s+mine", run.text)


@pytest.mark.parametrize("when", ["start", "stop"])
def test_a_probe_that_fails_as_tests_do_is_not_measured(inner: InnerSuite, when: str) -> None:
    probe = f"""
import pytest
class Probe:
    key, unit, default = "mine.thing", "count", 1
    def start(self): {"pytest.fail('mine')" if when == "start" else "pass"}
    def stop(self): {"pytest.skip('mine')" if when == "stop" else "return 0"}
def pytest_coresys_probes(config): return [Probe()]
"""
    write(inner, test_it__py=CLEAN, conftest__py=probe)
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.status == 0
    measure = run.test("test_clean")["measures"]["mine.thing"]
    assert measure["verdict"] == "not_measured"
    assert re.fullmatch(rf"its probe broke in {when}: \w+: mine", measure["why"])


@pytest.mark.parametrize("given", ["[object()]", "[None]", "'abc'"])
def test_a_probe_that_is_none_is_a_usage_error(inner: InnerSuite, given: str) -> None:
    write(inner, test_it__py=CLEAN, conftest__py=f"def pytest_coresys_probes(config): return {given}\n")
    line = usage_error(inner)
    assert line.endswith("a probe's key must read like group.name, in lower case; this one is None")


def test_a_hook_may_end_the_run(inner: InnerSuite) -> None:
    """``pytest.exit()`` says that the run is to end, also where a hook says it."""
    hook = "import pytest\ndef pytest_coresys_verdict(item, verdict): pytest.exit('enough', returncode=7)\n"
    write(inner, test_it__py=CLEAN, conftest__py=hook)
    run = inner.run("--coresys-budget", "--coresys-repeat", "0")
    assert run.status == 7
    assert list(run.seen.values()) == [["setup passed", "call passed", "teardown passed"]]
