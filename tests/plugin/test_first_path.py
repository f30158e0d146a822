"""The smallest path from end to end: what leaks fails by name, what does not stays as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SUITE = """
    import subprocess, threading, pytest
    KEPT = []
    def test_clean(): pass
    def test_object(): KEPT.append(object())
    def test_descriptor(): KEPT.append(open("/dev/null"))
    def test_process(): KEPT.append(subprocess.Popen(["sleep", "60"]))
    def test_thread():
        event = threading.Event()
        thread = threading.Thread(target=event.wait, daemon=True)
        thread.start()
        KEPT.append(thread)
    def test_own_failure(): assert 0
    def test_temporary_folder(tmp_path): (tmp_path / "x").write_text("x")
    def test_first_import(): import xml.dom.minidom
    @pytest.mark.skip
    def test_skipped(): pass
    @pytest.mark.xfail
    def test_expected(): assert 0
"""
EXPECTED = {
    "test_clean": ("passed", set()),
    "test_object": ("failed", {"memory.growth"}),
    "test_descriptor": ("failed", {"descriptors.leaked"}),
    "test_process": ("failed", {"processes.leaked"}),
    "test_thread": ("failed", {"threads.leaked"}),
    "test_own_failure": ("failed", set()),
    "test_temporary_folder": ("passed", set()),
    "test_first_import": ("passed", set()),
    "test_skipped": ("skipped", set()),
    "test_expected": ("xfailed", set()),
}


def run(pytester: pytest.Pytester, *args: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-W", "ignore", "--coresys-json", "run.json", *args)
    return result, json.loads(Path(pytester.path, "run.json").read_text())


@pytest.mark.slow
@pytest.mark.inner
@pytest.mark.other_plugins
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "n2"])
def test_every_leak_fails_by_its_key_and_nothing_else_does(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makepyfile(SUITE)
    _result, facts = run(pytester, "--coresys-budget", "--coresys-profile", "strict", *workers)
    for test in facts["tests"]:
        outcome, keys = EXPECTED[test["nodeid"].rpartition("::")[2]]
        found = {finding["key"] for finding in test["findings"] if finding["level"] == "error"}
        assert (test["nodeid"], test["outcome"]) == (test["nodeid"], outcome)
        assert keys <= found if keys else not found, (test["nodeid"], found)
    assert len(facts["tests"]) == len(EXPECTED)


@pytest.mark.other_plugins
def test_a_leak_is_one_failure_and_its_first_line_tells_key_actual_and_limit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("KEPT = []\ndef test_x(): KEPT.append(bytearray(100_000))")
    result, _facts = run(pytester, "--coresys-budget")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["memory.growth: 97.* KiB per run > 0 B (default)"])


def test_what_kept_a_loop_is_named_by_its_place_below_the_root(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, time, pytest
        async def work():
            time.sleep(0.05)
            await asyncio.sleep(0)
        @pytest.mark.coresys_budget(loop_blocked="10 ms")
        def test_x(): asyncio.run(work())
        """
    )
    _result, facts = run(pytester, "--coresys-budget")
    (finding,) = [each for each in facts["tests"][0]["findings"] if each["key"] == "loop.blocked"]
    place = finding["locations"][0]
    assert finding["level"] == "error"
    assert place["path"].startswith("test_what_kept_a_loop"), "relative to the root"
    assert (place["line"], place["function"]) == (4, "work")


def test_observing_changes_no_outcome_and_no_exit_status(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("KEPT = []\ndef test_x(): KEPT.append(bytearray(100_000))")
    result, facts = run(pytester, "--coresys-observe")
    result.assert_outcomes(passed=1)
    assert (result.ret, facts["summary"]["over"]) == (0, 1)


def test_a_repetition_changes_nothing_for_later_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        from pathlib import Path
        COUNT = []
        def test_first():
            COUNT.append(1)
            with open("log.txt", "a") as file:
                file.write("x")
        def test_second():
            assert COUNT == [1]
            assert Path("log.txt").read_text() == "x"
        """
    )
    result, _facts = run(pytester, "--coresys-budget")
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("mark", "why"),
    [("coresys_no_repeat(reason='slow')", "*coresys_no_repeat: slow*"), ("coresys_skip('memory.*')", "*skipped by*")],
)
def test_what_may_not_be_judged_is_not_measured_and_says_why(pytester: pytest.Pytester, mark: str, why: str) -> None:
    pytester.makepyfile(f"import pytest\nKEPT = []\n@pytest.mark.{mark}\ndef test_x(): KEPT.append(bytearray(100_000))")
    result, facts = run(pytester, "--coresys-budget")
    result.assert_outcomes(passed=1)
    measure = facts["tests"][0]["measures"]["memory.growth"]
    assert measure["verdict"] == "not_measured"
    assert Path(measure["why"]).match(why) or why.strip("*") in measure["why"]


def test_an_unknown_key_is_a_usage_error_that_names_the_nearest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(): pass")
    result = pytester.runpytest_subprocess("--coresys-budget", "--coresys-set", "memory.grwth=2 KB")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*memory.grwth*memory.growth*"])


@pytest.mark.other_plugins
def test_without_a_flag_nothing_but_the_thin_entry_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_x():
            ours = {name for name in sys.modules if name.startswith(("coresys", "pytest_coresys", "psutil"))}
            parts = ("plugin", "options", "hookspecs", "fixtures")
            thin = {"pytest_coresys", *("pytest_coresys." + name for name in parts)}
            assert ours <= thin
        """
    )
    pytester.runpytest_subprocess("-W", "ignore").assert_outcomes(passed=1)
