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
    run = inner.run("--coresys-budget", *arguments)
    assert run.status == 4, run.text
    assert run.seen == {}
    assert "INTERNALERROR" not in run.text
    assert "Traceback" not in run.text
    (line,) = [line for line in run.text.splitlines() if line.startswith("ERROR: ")]
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
            '--coresys-profile: unknown profile "nope" (valid: default, ci, strict)',
        ),
        (
            ("--coresys-require-measured", "nope.*"),
            '--coresys-require-measured: "nope.*" matches no measure; did you mean "loop.*"?',
        ),
        (("--coresys-explain", "nope"), '--coresys-explain: unknown key "nope"'),
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


def test_an_unreadable_and_a_malformed_coresys_toml(inner: InnerSuite) -> None:
    write(inner, test_it__py=CLEAN, coresys__toml="[budgets\n")
    assert usage_error(inner).startswith("coresys.toml:1: ")
    Path(inner.path, "coresys.toml").unlink()
    Path(inner.path, "coresys.toml").mkdir()
    assert usage_error(inner) == "coresys.toml: cannot be read: Is a directory"
    Path(inner.path, "coresys.toml").rmdir()
    Path(inner.path, "coresys.toml").write_bytes(b"[budgets]\nmemory.growth = '\xff'\n")
    assert usage_error(inner) == "coresys.toml:2: not UTF-8 text, which TOML has to be"


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
    run = inner.run("--coresys-budget")
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


HOSTILE = r"""
import pytest
KEPT = []
NAMES = ["plain", "'quoted' \"twice\"", "two\nlines", "\x1b[31mred\x1b[0m"]
NAMES += ["<script>alert(1)</script>", "\ud800", "a::b", "]]>&amp;"]
@pytest.mark.parametrize("value", NAMES, ids=range(len(NAMES)))
def test_by_value(value): pass
def pytest_generate_tests(metafunc): pass
@pytest.mark.parametrize("value", [1], ids=["<b>'\"]]>&"])
def test_leaks(value): KEPT.append(open("/dev/null"))
"""
HOSTILE_CONFTEST = r"""
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        if "by_value" in item.name:
            item._nodeid = item.nodeid.split("[")[0] + "[" + item.callspec.params["value"] + "]"
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_hostile_ids_reach_every_report_whole_and_harmless(inner: InnerSuite, workers: tuple[str, ...]) -> None:
    write(inner, test_it__py=HOSTILE, conftest__py=HOSTILE_CONFTEST)
    arguments = ("--junitxml", "junit.xml", *workers)
    if workers:  # xdist itself cannot carry a lone surrogate
        write(inner, test_it__py=HOSTILE.replace('"\\ud800", ', ""))
    bare, run = inner.run(*arguments), inner.run("--coresys-budget", *arguments)
    assert run.seen.keys() == bare.seen.keys()
    assert len(run.facts["tests"]) == len(bare.seen)
    Path(inner.path, "run.json").read_bytes().decode("utf-8")
    assert any("descriptors.leaked" in keys for keys in run.found().values())
    shown = run.text.partition("= coresys =")[2].partition("short test summary")[0]
    assert "\x1b" not in shown
    suite = ElementTree.parse(Path(inner.path, "junit.xml")).getroot()[0]
    assert len(suite.findall("testcase")) == len(bare.seen)


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
    run = inner.run("--coresys-budget")
    assert run.status == 0, run.text
    for name in ("test_clean", "test_second"):
        measure = run.test(name)["measures"]["mine.things"]
        assert (measure["verdict"], measure["value"], measure["why"]) == ("not_measured", None, why)
        assert run.test(name)["verdict"] == "not_measured"
    unwrapped = re.sub(r"\n +", " ", run.text)
    assert unwrapped.count(f"note: mine.things is not measured from here on: {why}") == 1


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
    run = inner.run("--coresys-budget")
    assert run.status == 0
    assert run.test("test_clean")["verdict"] == "within"
    assert f"a plugin's {hook.partition('(')[0]} raised RuntimeError: mine" in run.text


def test_budgets_of_a_hook_that_raises_fail_that_test(inner: InnerSuite) -> None:
    write(
        inner,
        test_it__py=CLEAN + "def test_other(): pass\n",
        conftest__py="def pytest_coresys_budgets(item):\n    if 'other' in item.name: raise RuntimeError('mine')\n",
    )
    run = inner.run("--coresys-budget")
    assert {nodeid.rpartition("::")[2]: phases[1] for nodeid, phases in run.seen.items()} == {
        "test_clean": "call passed",
        "test_other": "call failed",
    }
    assert "pytest_coresys_budgets raised RuntimeError: mine" in run.text


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
    run = inner.run("--coresys-budget", "--coresys-json", target)
    assert run.status == 0
    assert list(run.seen.values()) == [["setup passed", "call passed", "teardown passed"]]
    assert f"run file NOT written: {target}: cannot be written: No space left on device" in run.text
    assert not [path.name for path in inner.path.iterdir() if path.name.endswith((".tmp", "run.json"))]


def test_the_run_file_survives_a_test_that_changes_the_folder(inner: InnerSuite) -> None:
    write(inner, test_it__py="import os, tempfile\ndef test_moves(): os.chdir(tempfile.gettempdir())\n")
    inner.run("--coresys-budget")
    assert json.loads(Path(inner.path, "run.json").read_text())["summary"]["tests"] == 1
