"""``--coresys-report``: written in the end, by the controller alone, and never a reason for tests to end otherwise."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from pytest_coresys import cli
from pytest_coresys.reports import runfile
from pytest_coresys.reports.model import RunReport
from pytest_coresys.reports.page import cards

SUITE = """
import os
KEPT = []
def test_leaks(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
def test_does_not(): os.chdir("/")
"""

pytestmark = pytest.mark.inner


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_report_is_written_where_it_was_asked_for_and_is_that_of_the_run_file(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUITE)
    options = ("--coresys-budget", "--coresys-report", "out/report.html", "--coresys-json", "out/run.json", *workers)
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["coresys: * - run file: out/run.json - report: out/report.html"])
    page = (pytester.path / "out" / "report.html").read_bytes()
    assert b"Not compliant: 1 of 2 tests over budget" in page
    assert b"descriptors.leaked" in page
    again = pytester.path / "again.html"
    assert cli.main(["report", str(pytester.path / "out" / "run.json"), "-o", str(again)]) == 0
    assert again.read_bytes() == page
    assert sorted(path.name for path in (pytester.path / "out").iterdir()) == ["report.html", "run.json"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--coresys-report", "r.html"), "--coresys-report belongs to a measuring run"),
        (("--coresys-budget", "--coresys-report="), "--coresys-report: the path is empty"),
        (("--coresys-budget", "--coresys-report", "."), ": cannot be written: "),
        (("--coresys-budget", "--coresys-report", "test_it.py/r.html"), "cannot be written: Not a directory"),
        (
            ("--coresys-budget", "--coresys-json", "x.json", "--coresys-ci", "sarif=./x.json"),
            "--coresys-ci sarif: --coresys-json names the same file",
        ),
    ],
)
def test_a_place_that_cannot_be_is_a_usage_error_before_any_test(
    pytester: pytest.Pytester, options: tuple[str, ...], said: str
) -> None:
    pytester.makepyfile(test_it=SUITE)
    result = pytester.runpytest_subprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}*"])
    result.stdout.no_fnmatch_line("*passed*")


def test_a_report_that_cannot_be_written_in_the_end_is_told_and_changes_no_status(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib
        def test_takes_the_place():
            pathlib.Path("report.html").mkdir()
        """
    )
    result = pytester.runpytest_subprocess("--coresys-budget", "--coresys-report", "report.html", "--coresys-repeat=0")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["coresys: * - report NOT written: report.html: cannot be written: *"])


def test_a_run_that_no_page_can_be_made_of_is_told_and_changes_no_status(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        from pytest_coresys.reports import htmlpage
        def broken(run): raise LookupError("no such template")
        htmlpage.page = broken
        """
    )
    pytester.makepyfile("def test_fine(): pass")
    result = pytester.runpytest_subprocess("--coresys-budget", "--coresys-report", "r.html", "--coresys-repeat=0")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*report NOT written: r.html: cannot be made: LookupError: no such template"])
    assert not (pytester.path / "r.html").exists()


def test_without_a_report_nothing_of_jinja2_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import atexit, sys
        def test_fine():
            atexit.register(lambda: print("LOADED", sorted(each for each in sys.modules if each.startswith("jinja2"))))
        """
    )
    for options, loaded in ((("--coresys-json", "r.json"), False), (("--coresys-report", "r.html"), True)):
        result = pytester.runpytest_subprocess("--coresys-budget", "--coresys-repeat=0", *options)
        (line,) = [line for line in result.outlines if line.startswith("LOADED")]
        assert (line != "LOADED []") == loaded


def test_without_jinja2_a_report_is_a_usage_error_and_all_else_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_fine(): pass")
    (pytester.path / "hide.py").write_text(
        "import sys, importlib.abc\n"
        "class Hider(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'jinja2': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hider())\n"
    )
    told = ("--coresys-budget", "--coresys-repeat=0", "-p", "hide")
    assert pytester.runpytest_subprocess(*told).ret == pytest.ExitCode.OK
    result = pytester.runpytest_subprocess(*told, "--coresys-report", "r.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--coresys-report*Jinja2*"])


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "no run file: it ends too early"),
        ("[]", "no run file: it is a list"),
        (
            '{"schema": 99, "run": {}, "summary": {}, "tests": [], "findings": [], "criteria": [], "soak": {},'
            ' "locks": {}}',
            "its schema is 99, and this version reads 1",
        ),
        ('{"schema": 1, "tests": []}', "no run file: it has no 'run'"),
    ],
)
def test_what_is_no_run_file_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(tmp_path / "run.json"), "-o", str(tmp_path / "r.html")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("coresys report: ")
    assert said in line
    assert not (tmp_path / "r.html").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="paths are named otherwise")
def test_a_report_that_can_go_nowhere_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_file = tmp_path / "run.json"
    run_file.write_bytes(runfile.encoded(RunReport(mode="observe").finish(0)))
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(run_file), "-o", str(tmp_path)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written: is a directory" in line


def test_without_jinja2_the_command_says_so_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    run = RunReport(mode="budget").finish(1.0)
    runfile.write(tmp_path / "run.json", run)
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(tmp_path / "run.json"), "-o", str(tmp_path / "run.html")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("that needs Jinja2, which is not installed")
    assert not (tmp_path / "run.html").exists()


CRITERIA = """
[[criterion]]
id = "app.size"
title = "Size of it"
statistic = "value"
comparison = "<="
limit = "1 KB"
unit = "B"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_the_command_of_a_criterion_shows_the_same_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest
        @pytest.mark.parametrize("what", ["a b", "it's $HOME", 'quo"te', "[x]"])
        def test_odd(what, coresys_criteria): coresys_criteria.record("app.size", 2048)
        def test_other(): pass
        """
    )
    pytester.path.joinpath("own.toml").write_text(CRITERIA)
    options = ("--coresys-criteria", "own.toml", "--coresys-set", "memory.growth=off", "--coresys-repeat=0")
    pytester.runpytest_subprocess("--coresys-budget", "--coresys-json", "run.json", *options)
    (card,) = cards.cards(runfile.read_run(pytester.path / "run.json"))
    assert card.command is not None
    command = " ".join(card.command).replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    done = pytester.run("sh", "-c", f"{command} --coresys-json again.json --coresys-repeat=0")
    done.assert_outcomes(passed=4)
    again = runfile.read_run(pytester.path / "again.json")
    assert [(each["id"], each["verdict"]) for each in again["criteria"]] == [("app.size", "over")]
    assert "memory.growth" not in again["tests"][0]["measures"]
