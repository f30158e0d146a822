"""Success criteria in a run: recorded by tests, put together from workers, judged at its end."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_coresys.criteria.model import NamedFile
from pytest_coresys.given import criteria_of
from pytest_coresys.measures import MEASURES
from pytest_coresys.subjects import ROLES, try_subjects

SUITE = """
import _thread
import threading
import pytest

kept = []

@pytest.mark.parametrize("part", range(4))
def test_is_quick(coresys_criteria, part):
    for number in range(50):
        coresys_criteria.record("shop.order_time", 0.001 * (part + 1))
    with coresys_criteria.time("shop.order_time"):
        pass

def test_that_is_repeated_records_once(coresys_criteria):
    kept.append(bytearray(100_000))
    coresys_criteria.check("shop.orders_lost", True)
    coresys_criteria.check("shop.orders_lost", False, "order 3 was lost")

@pytest.mark.coresys_isolated
def test_in_a_process_of_its_own(coresys_criteria):
    coresys_criteria.slope("shop.growth", 2000, 1000, 3000, "of 60 s")

@pytest.mark.coresys_alone(reason="it looks at locks")
def test_alone_has_raw_locks(coresys_criteria):
    assert type(threading.Lock()) is _thread.LockType
    coresys_criteria.check("shop.audited", True)

def test_others_have_watched_ones():
    assert type(threading.Lock()) is not _thread.LockType

@pytest.mark.coresys_criterion("shop.reviewed")
def test_that_fails(coresys_criteria):
    coresys_criteria.check("shop.reviewed", True)
    assert False

@pytest.mark.coresys_criterion("shop.skipped")
def test_that_is_skipped(coresys_criteria):
    pytest.skip("not today")

@pytest.fixture
def broken():
    raise RuntimeError

@pytest.mark.coresys_criterion("shop.set_up")
def test_whose_setup_fails(broken):
    pass

def test_with_a_sample_of_the_same(coresys_criteria):
    coresys_criteria.check("shop.set_up", True)

@pytest.mark.coresys_criterion("shop.order_tine")
def test_of_an_unknown_criterion():
    pass
"""
CRITERIA = """
[[criterion]]
id = "shop.order_time"
title = "Taking an order"
statistic = "p99"
comparison = "<"
limit = "5 ms"

[[criterion]]
id = "shop.orders_lost"
statistic = "total"
comparison = "=="
limit = 0
unit = "count"

[[criterion]]
id = "shop.growth"
statistic = "slope"
comparison = "<"
limit = "1 MB/h"

[[criterion]]
id = "shop.audited"
statistic = "check"

[[criterion]]
id = "shop.reviewed"
statistic = "check"

[[criterion]]
id = "shop.skipped"
statistic = "check"

[[criterion]]
id = "shop.set_up"
statistic = "check"

[[criterion]]
id = "shop.threads"
statistic = "value"
comparison = "<"
limit = 3
unit = "count"
measure = "threads.peak"

[[criterion]]
id = "shop.ready"
statistic = "derived"
derived_from = ["shop.*"]
"""
LEAN = ("-p", "no:cacheprovider", "-p", "no:randomly")


def run(pytester: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    target = pytester.path / "run.json"
    target.unlink(missing_ok=True)
    result = pytester.runpytest_subprocess("--coresys-json", str(target), *LEAN, *options)
    facts: dict[str, Any] = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    return result, facts


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_criteria_of_a_team_are_judged(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_shop=SUITE)
    temporary = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    (pytester.path / "own.toml").write_text(CRITERIA, encoding="utf-8")
    result, facts = run(
        pytester,
        "--coresys-budget",
        "--coresys-criteria",
        "own.toml",
        "--coresys-set",
        "threads.peak=100",
        "--coresys-profile",
        "strict",
        *workers,
    )
    assert result.ret == 1
    found = {each["id"]: each for each in facts["criteria"]}
    assert list(found) == ["shop.order_time", "shop.orders_lost", "shop.growth", "shop.audited", "shop.reviewed",
                           "shop.skipped", "shop.set_up", "shop.threads", "shop.ready"]  # fmt: skip

    quick = found["shop.order_time"]
    assert (quick["verdict"], quick["samples"], quick["unit"], quick["limit"]) == ("within", 204, "s", 0.005)
    assert quick["value"] == pytest.approx(0.004, rel=0.01)
    assert sum(quick["histogram"]["counts"]) == 204
    assert len(quick["histogram"]["bounds"]) == len(quick["histogram"]["counts"])
    assert len(quick["evidence"]) == 4

    lost = found["shop.orders_lost"]
    assert (lost["verdict"], lost["value"], lost["samples"]) == ("over", 1, 2), "repetitions record nothing"
    assert lost["details"] == ["order 3 was lost"]
    repeated = next(test for test in facts["tests"] if "repeated" in test["nodeid"])
    assert repeated["repetitions"] > 2

    growth = found["shop.growth"]
    assert (growth["verdict"], growth["interval"], growth["details"]) == ("within", [1000, 3000], ["of 60 s"])
    assert (found["shop.audited"]["verdict"], found["shop.audited"]["value"]) == ("within", True)
    assert found["shop.reviewed"]["verdict"] == "not_measured"
    assert found["shop.reviewed"]["why"] == (
        "a test that is evidence for it did not pass: test_shop.py::test_that_fails (failed)"
    )
    assert found["shop.skipped"]["verdict"] == "not_measured"
    assert found["shop.skipped"]["why"] == (
        "a test that is evidence for it did not pass: test_shop.py::test_that_is_skipped (skipped)"
    )
    (erring,) = (test for test in facts["tests"] if test["nodeid"].endswith("test_whose_setup_fails"))
    assert erring["outcome"] == "error"
    assert (found["shop.set_up"]["verdict"], found["shop.set_up"]["samples"]) == ("not_measured", 1)
    assert found["shop.set_up"]["why"].endswith("test_whose_setup_fails (error in its setup or teardown)")
    assert found["shop.threads"]["verdict"] in ("within", "near")
    assert len(found["shop.threads"]["evidence"]) > 4
    assert found["shop.ready"]["verdict"] == "over"
    assert found["shop.ready"]["parts"]["shop.orders_lost"] == "over"

    assert facts["summary"]["compliant"] is False
    outcomes = {test["nodeid"].partition("::")[2]: test["outcome"] for test in facts["tests"]}
    assert outcomes["test_alone_has_raw_locks"] == outcomes["test_others_have_watched_ones"] == "passed"
    assert not list(temporary.glob("coresys-*")), "what kept tests apart is gone with the run"
    text = result.stdout.str()
    assert "success criteria: 3 within" in text or "success criteria: 4 within" in text
    assert "  over    shop.orders_lost  total 1 != 0 (2 samples)" in text
    assert "order 3 was lost" in text
    assert 'there is no criterion "shop.order_tine" in own.toml; did you mean "shop.order_time"?' in text


ONE = """
def test_it(coresys_criteria):
    coresys_criteria.record("shop.order_time", 0.2)
"""
FILE = '[[criterion]]\nid = "shop.order_time"\nstatistic = "value"\nlimit = "50 ms"\n'


@pytest.mark.parametrize("flag", ["--coresys-budget", "--verbose"])
def test_a_mistake_in_recording_is_told_by_the_lines_of_the_test(pytester: pytest.Pytester, flag: str) -> None:
    pytester.makepyfile(test_shop=ONE.replace('"shop.order_time", 0.2', '"shop.order_tine", None'))
    (pytester.path / "own.toml").write_text(FILE, encoding="utf-8")
    text = pytester.runpytest_inprocess(flag, "--coresys-criteria", "own.toml", *LEAN).stdout.str()
    assert "E       pytest_coresys.criteria.recorder.CriterionError: " in text
    assert "test_shop.py:2: CriterionError" in text
    assert "recorder.py" not in text


@pytest.mark.slow
def test_what_a_criterion_does_to_the_exit_status(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop=ONE)
    own = pytester.path / "own.toml"

    def status(text: str, *options: str) -> int:
        own.write_text(text, encoding="utf-8")
        return int(run(pytester, "--coresys-criteria", "own.toml", *options)[0].ret)

    assert status(FILE, "--coresys-budget") == 1
    assert status(FILE, "--coresys-observe") == 0
    assert status(FILE + 'level = "warn"\n', "--coresys-budget") == 0
    more = FILE.replace("50 ms", "500 ms") + '[[criterion]]\nid = "shop.audited"\nstatistic = "check"\n'
    assert status(more, "--coresys-budget") == 0
    assert status(more, "--coresys-budget", "--coresys-require-measured", "shop.*") == 1
    assert status(more, "--coresys-budget", "--coresys-require-measured", "shop.order*") == 0
    assert status(FILE.replace("value", "valeu"), "--coresys-budget") == 4


def test_mistakes_are_usage_errors(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop="def test_it(): pass")
    for options, told in (
        (
            ("--coresys-criteria", "none.toml"),
            'coresys: --coresys-criteria: criteria = "none.toml": there is no such file',
        ),
        (("--coresys-subject", "state"), "write ROLE=MODULE:FACTORY"),
        (("--coresys-subject", "stat=a:b"), 'unknown role "stat"; did you mean "state"?'),
        (("--coresys-subject", "state=no_such_module:make"), "state=no_such_module:make: ModuleNotFoundError"),
        (("--coresys-subject", "state=json:none"), "state=json:none: AttributeError"),
        (("--coresys-subject", "state=json:__name__"), "state=json:__name__: that is no function, but str"),
        (("--coresys-subject", "state=a:b", "--coresys-subject", "state=c:d"), "state is a:b already"),
        (
            ("--coresys-subject", "resources=json:loads"),
            "resources=json:loads: a factory needs no argument, and is given those of its signature that a suite "
            "offers: missing a required argument: 's'",
        ),
        (
            ("--coresys-subject", "cleanup=validation_suites.foreign.bytearrays:make"),
            "what it makes (BytearrayResources) has no add, run; what ICleanupManager asks for, and it cannot do,",
        ),
        (("--coresys-subject", "resources=builtins:dict"), "(dict) has no lease, limit, register, leases,"),
        (("--coresys-subject", "cleanup=builtins:iter"), "cleanup=builtins:iter: it raised TypeError: iter expected"),
    ):
        result = pytester.runpytest_inprocess("--coresys-budget", *LEAN, *options)
        assert result.ret == 4, options
        result.stderr.fnmatch_lines([f"*{told.replace('[', '[[]')}*"])


def test_a_subject_in_the_current_folder_is_told_how_it_is_found(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop="def test_it(): pass", strange_pool="import absent")
    options = ("--coresys-budget", *LEAN, "--coresys-subject", "resources=strange_pool:make")
    hint = "(strange_pool.py is in the current folder, which python -m pytest puts on the path, as does pythonpath ="
    assert f"No module named 'strange_pool' {hint}" in pytester.runpytest_inprocess(*options).stderr.str()
    pytester.makeini("[pytest]\npythonpath = .\n")
    told = pytester.runpytest_inprocess(*options).stderr.str()
    assert "resources=strange_pool:make: ModuleNotFoundError: No module named 'absent'\n" in told
    (pytester.path / "strange_pool.py").write_text("def make(): raise OSError('no pool')\n", "utf-8")
    told = pytester.runpytest_inprocess(*options).stderr.str()
    assert "resources=strange_pool:make: it raised OSError: no pool" in told


FOREIGN = ["threads=executors", "resources=bytearrays", "errors=logs", "cleanup=stacks", "monitoring=counters"]


def test_what_satisfies_its_protocol_is_a_subject() -> None:
    try_subjects(f"{role}=validation_suites.ours:{role}" for role in ROLES)
    own = [*FOREIGN, *(["state=transitions_state"] if find_spec("transitions") else [])]  # of the extra bench
    try_subjects(f"{each.replace('=', '=validation_suites.foreign.')}:make" for each in own)


def test_without_the_flag_the_fixture_checks_and_drops(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_shop="""
        import pytest

        @pytest.mark.coresys_criterion("own.id")
        @pytest.mark.coresys_alone
        def test_it(coresys_criteria):
            coresys_criteria.check("state.centralised", False)
            coresys_criteria.record("own.id", "3 ms")
            with pytest.raises(Exception, match="is no number"):
                coresys_criteria.record("own.id", None)
        """
    )
    options = ("--strict-markers", "--coresys-criteria", "none.toml", *LEAN)
    result = pytester.runpytest_inprocess(*options)  # a file that is wanted by measuring runs only
    result.assert_outcomes(passed=1)
    assert "criteria" not in result.stdout.str()


@pytest.mark.slow
def test_the_configuration_names_a_file_and_the_option_is_stronger(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is looked for from the folder of the configuration, wherever pytest was started."""
    folder, quality = pytester.mkdir("inner"), pytester.mkdir("quality")
    (pytester.path / "coresys.toml").write_text('criteria = "quality/own.toml"\n', "utf-8")
    (pytester.path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (quality / "own.toml").write_text(FILE, "utf-8")
    (quality / "lenient.toml").write_text(FILE.replace("50 ms", "500 ms"), "utf-8")
    (folder / "test_shop.py").write_text(ONE, "utf-8")
    monkeypatch.chdir(folder)
    result, facts = run(pytester, "--coresys-budget", "-n", "1")
    assert (result.ret, facts["run"]["criteria"]["file"]) == (1, "quality/own.toml")
    assert [each["verdict"] for each in facts["criteria"]] == ["over"]
    result, facts = run(pytester, "--coresys-budget", "--coresys-criteria", "../quality/lenient.toml")
    assert (result.ret, [each["verdict"] for each in facts["criteria"]]) == (0, ["within"])


@pytest.mark.parametrize(
    ("option", "worker", "read"),
    [
        ("own.toml", False, "here/own.toml"),
        ("own.toml", True, "here/own.toml"),
        ("far.toml", True, "root/far.toml"),  # a worker on another machine is not where the run was started
        (None, False, "root/configured.toml"),
        (None, True, "root/configured.toml"),
    ],
)
def test_a_worker_finds_the_file_where_it_has_it(tmp_path: Path, option: str | None, worker: bool, read: str) -> None:
    for name in ("here/own.toml", "root/far.toml", "root/configured.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(FILE.replace("order_time", path.stem), "utf-8")
    config: Any = SimpleNamespace(
        getoption=lambda name: option,
        invocation_params=SimpleNamespace(dir=tmp_path / "here"),
        rootpath=tmp_path / "root",
        **({"workerinput": {}} if worker else {}),
    )
    file = criteria_of(config, NamedFile("configured.toml", "coresys.toml:2"), MEASURES)
    assert list(file.criteria) == [f"shop.{Path(read).stem}"]
    assert file.origin == ("coresys.toml:2" if option is None else "--coresys-criteria")


def test_where_the_criteria_are_from_is_explained(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_shop="""
        import pytest
        @pytest.mark.coresys_criterion("shop.order_time")
        def test_marked(): pass
        def test_other(): pass
        """
    )

    def told(*options: str) -> list[str]:
        return [str(line) for line in pytester.runpytest_inprocess(*LEAN, *options).stdout.lines]

    assert "criteria: the built-in set of coresys" in told("--coresys-explain", "criteria")
    assert not any(line.startswith("criteria:") for line in told("--coresys-explain", "memory.growth"))
    (pytester.path / "own.toml").write_text(FILE, "utf-8")
    (pytester.path / "coresys.toml").write_text('profile = "ci"\ncriteria = "own.toml"\n', "utf-8")
    assert "criteria: own.toml (coresys.toml:2)" in told("--coresys-explain", "memory.growth")
    (pytester.path / "other.toml").write_text(FILE, "utf-8")
    lines = told("--coresys-explain", "shop.order_time", "--coresys-criteria", "other.toml")
    at = lines.index("criteria: other.toml (--coresys-criteria)")
    assert lines[at + 1 : at + 4] == [
        "shop.order_time: value <= 50 ms (other.toml:2)",
        "test_shop.py::test_marked",
        "  evidence, by its marker",
    ]
    assert "test_shop.py::test_other" not in lines
    for mistyped, near in (("shop.order_tine", "shop.order_time"), ("criterion", "criteria")):
        result = pytester.runpytest_inprocess(*LEAN, "--coresys-explain", mistyped, "--coresys-criteria", "other.toml")
        assert result.ret == 4
        assert f'--coresys-explain: unknown key "{mistyped}"; did you mean "{near}"?' in result.stderr.str()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('profile = "ci"\ncriteria = "none.toml"\n', 'coresys.toml:2: criteria = "none.toml": there is no such file'),
        ("criteria = 5\n", "coresys.toml:1: criteria = 5: write some text in quotes"),
        ('criterion = "own.toml"\n', 'coresys.toml:1: unknown key "criterion"; did you mean "criteria"?'),
        ('criteria = "own.toml"\n', 'own.toml:3: [[criterion]] statistic: unknown "valeu"; did you mean "value"?'),
    ],
)
def test_a_mistake_in_naming_a_file_is_a_usage_error(pytester: pytest.Pytester, config: str, told: str) -> None:
    pytester.makepyfile(test_shop="def test_it(): pass")
    (pytester.path / "coresys.toml").write_text(config, "utf-8")
    (pytester.path / "own.toml").write_text(FILE.replace('"value"', '"valeu"'), "utf-8")
    result = pytester.runpytest_inprocess("--coresys-budget", *LEAN)
    assert result.ret == 4
    assert told in result.stderr.str()


DYING = """
import os
import pytest

@pytest.mark.coresys_criterion("shop.audited")
def test_that_kills_its_worker():
    os._exit(3)

@pytest.mark.coresys_criterion("shop.audited")
def test_that_is_well(coresys_criteria):
    coresys_criteria.check("shop.audited", True)
"""


@pytest.mark.slow
def test_evidence_that_kills_its_worker_is_evidence_that_failed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop=DYING)
    (pytester.path / "own.toml").write_text('[[criterion]]\nid = "shop.audited"\nstatistic = "check"\n', "utf-8")
    _, facts = run(pytester, "--coresys-budget", "--coresys-criteria", "own.toml", "-n", "2")
    (audited,) = facts["criteria"]
    assert (audited["verdict"], audited["samples"]) == ("not_measured", 1)
    died = "test_shop.py::test_that_kills_its_worker (its worker died while it ran)"
    assert audited["why"] == f"a test that is evidence for it did not pass: {died}"


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_files_of_tests_that_run_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if hasattr(report, "node") and report.when == "call":
                raise KeyboardInterrupt
        """
    )
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.coresys_alone
        def test_alone(): pass
        def test_other(): pass
        """
    )
    temporary = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    result, _ = run(pytester, "--coresys-budget", "-n", "2")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert not list(temporary.glob("coresys-*"))


def test_the_builtin_set_is_listed_and_silent_where_no_test_speaks_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop="def test_it(): pass")
    result, facts = run(pytester, "--coresys-budget")
    assert result.ret == 0
    assert len(facts["criteria"]) == 134
    assert {each["verdict"] for each in facts["criteria"]} == {"not_measured"}
    assert facts["summary"]["compliant"] is True
    assert "criteria" not in result.stdout.str()
    assert Path("run.json").name in result.stdout.str()
