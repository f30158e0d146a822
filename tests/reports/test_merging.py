"""Run files of shards as one run."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_coresys import cli
from pytest_coresys.criteria.judge import judge, judge_all
from pytest_coresys.criteria.model import CriteriaFile, Criterion, Result
from pytest_coresys.criteria.records import result_to_dict
from pytest_coresys.criteria.run import RunCriteria, unpassed
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.reports import runfile
from pytest_coresys.reports.merging import MergeError, merge
from pytest_coresys.reports.model import RunReport
from pytest_coresys.reports.shape import problem_of
from pytest_coresys.schema import run_schema

SUITE = """
import threading
import pytest

POOL = threading.Lock()
CACHE = threading.RLock()

@pytest.mark.parametrize("number", range(4))
def test_is_quick(coresys_criteria, number):
    for at in range(30):
        coresys_criteria.record("shop.order_time", 0.001 * (number + 1))
    coresys_criteria.record("shop.lost", 1 if number == 3 else 0, "order 3")
    coresys_criteria.check("shop.audited", True)
    coresys_criteria.slope("shop.growth", 1000.0 * number, -100.0, 5000.0)

def test_evicts():
    with POOL, CACHE:
        pass

def test_fills():
    with CACHE, POOL:
        pass
"""
CRITERIA = """
[[criterion]]
id = "shop.order_time"
statistic = "p99"
comparison = "<"
limit = "50 ms"

[[criterion]]
id = "shop.lost"
statistic = "total"
comparison = "=="
limit = 0
unit = "count"

[[criterion]]
id = "shop.audited"
statistic = "check"

[[criterion]]
id = "shop.growth"
statistic = "slope"
comparison = "<"
limit = "1 MB/h"

[[criterion]]
id = "shop.ready"
statistic = "derived"
derived_from = ["shop.*"]
"""
OFF = ("memory.growth", "memory.fragmentation", "threads.leaked", "descriptors.leaked", "processes.leaked",
       "tasks.leaked", "globals.changed")  # fmt: skip
LEAN = ("-p", "no:cacheprovider", "-p", "no:randomly", "--coresys-repeat", "0", "--coresys-criteria", "own.toml",
        *(word for key in OFF for word in ("--coresys-set", f"{key}=off")))  # fmt: skip
SHARDS = ("quick and (0 or 1)", "quick and 2 or evicts", "quick and 3", "fills")


def run(pytester: pytest.Pytester, name: str, *options: str) -> Path:
    target = pytester.path / f"{name}.json"
    pytester.runpytest_subprocess("--coresys-budget", "--coresys-json", str(target), *LEAN, *options)
    return target


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_shop=SUITE)
    (pytester.path / "own.toml").write_text(CRITERIA, encoding="utf-8")
    return pytester


def facts(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def comparable(run: dict[str, Any]) -> dict[str, Any]:
    """A run without what two runs never share: times, ids, and where threads went."""
    run = copy.deepcopy(run)
    began = run.pop("run")["started"]
    for test in run["tests"]:
        assert test.pop("duration") >= 0
        assert test.pop("started") >= began
        for measure in test["measures"].values():
            for name in ("value", "series", "resolution"):
                measure.pop(name)
    run["tests"].sort(key=lambda test: test["nodeid"])
    for criterion in run["criteria"]:
        criterion["evidence"].sort()
        criterion["recorded"].pop("slopes", None)
    return run


@pytest.mark.slow
def test_four_shards_merged_are_the_single_run(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    whole = facts(run(suite, "whole"))
    shards = [run(suite, f"shard{number}", "-k", choice) for number, choice in enumerate(SHARDS)]
    target = suite.path / "all.json"
    assert cli.main(["merge", *map(str, shards), "-o", str(target)]) == 0
    merged = facts(target)
    assert comparable(merged) == comparable(whole)
    assert [len(facts(shard)["criteria"]) for shard in shards] == [5] * 4
    found = {each["id"]: each for each in merged["criteria"]}
    assert (found["shop.order_time"]["verdict"], found["shop.order_time"]["samples"]) == ("within", 120)
    assert facts(shards[0])["criteria"][0]["verdict"] == "not_measured", "60 samples alone are too few"
    assert found["shop.lost"]["verdict"] == found["shop.ready"]["verdict"] == "over"
    (circle,) = [each for each in merged["findings"] if each["key"] == "locks.potential_deadlocks"]
    assert circle["tests"] == ["test_shop.py::test_evicts", "test_shop.py::test_fills"]
    names = {node["id"]: (node["name"], node["function"]) for node in merged["locks"]["nodes"]}
    assert [names[number] for number in circle["lock_ids"]] == [("POOL", "<module>"), ("CACHE", "<module>")]
    assert all(not facts(shard)["findings"] for shard in shards), "no shard has seen both orders"
    jsonschema.Draft202012Validator(run_schema()).validate(merged)
    assert [shard["tests"] for shard in merged["run"]["shards"]] == [2, 2, 1, 1]
    capsys.readouterr()
    assert cli.main(["gate", str(target)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert "criterion shop.lost: over" in told
    assert any("locks.potential_deadlocks" in line for line in told)
    assert cli.main(["gate", str(shards[0])]) == 0
    assert capsys.readouterr().out == f"{shards[0]}: compliant: 2 within, 0 near, 0 over, 0 not measured\n"
    assert cli.main(["gate", str(shards[0]), "--require", "shop.order*"]) == 1
    assert "required, but not measured: shop.order_time: 60 samples, of 100" in capsys.readouterr().out


def minimal(identity: str, **facts: Any) -> dict[str, Any]:
    told = {
        "id": identity,
        "started": "2026-01-01T00:00:00+00:00",
        "duration": 1.0,
        "mode": "budget",
        "workers": 0,
        "python": "3.12.1",
        "platform": "x",
        "coresys": "0.1.0",
        "pytest": "9.0",
        "machine": {"cores": 2},
        "commit": None,
        "noise_floor": {},
    }
    parts: dict[str, Any] = {"tests": [], "findings": [], "criteria": [], "soak": {}, "summary": {}}
    parts["locks"] = {"nodes": [], "edges": [], "cycles": []}
    return {"schema": 1, "run": {**told, **facts}, **parts}


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        ([], "there is no run to merge"),
        ([minimal("a"), minimal("a")], "run a is given twice"),
        ([minimal("a"), minimal("b", mode="observe")], "mode is budget and observe"),
        ([minimal("a"), minimal("a+b", merged=["a", "b"])], "run a is part of two of them"),
        ([minimal("c+b", merged=["c", "b"]), minimal("a+b", merged=["a", "b"])], "run b is part of two of them"),
        ([minimal("a+b", shards=[{"id": "a"}, {"id": "b"}]), minimal("b")], "run b is part of two of them"),
        ([minimal("a", commit="1" * 40), minimal("b", commit="2" * 40)], "commit is 1"),
        ([minimal("a", profile="ci"), minimal("b", profile="strict")], "profile is ci and strict"),
        ([{**minimal("a"), "soak": {"x": {}}}, {**minimal("b"), "soak": {"x": {}}}], "soaks are judged each by itself"),
    ],
)
def test_what_is_no_shard_of_one_run_is_refused(runs: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(MergeError, match=problem):
        merge(runs)


def test_facts_of_different_machines_are_told_of_each() -> None:
    merged = merge(
        [
            minimal("b", started="2026-01-01T00:00:05+00:00", duration=10.0, python="3.13.0", workers=2),
            minimal("a", machine={"cores": 4}, noise_floor={"memory.growth": 16}),
        ]
    )
    told = merged["run"]
    assert (told["id"], told["duration"], told["workers"], told["python"]) == ("a+b", 15.0, 2, "3.12.1, 3.13.0")
    assert told["machine"] == {"cores": None}
    assert told["noise_floor"] == {"memory.growth": 16}
    assert [shard["machine"]["cores"] for shard in told["shards"]] == [4, 2]


@pytest.mark.parametrize(("other", "common"), [("Linux 6", "Linux"), ("Darwin 23", None), (None, None)])
def test_a_run_merged_from_different_systems_is_a_run_file(other: str | None, common: str | None) -> None:
    """Shards of a job have other kernels, now and then."""
    machines = [{"cpu": "x", "cores": 4, "memory": 1, "system": system} for system in ("Linux 5", other)]
    merged = merge([minimal(name, machine=machine) for name, machine in zip("ab", machines, strict=True)])
    merged["summary"]["compliant"] = True
    assert merged["run"]["machine"] == {**machines[0], "system": common}
    jsonschema.Draft202012Validator(run_schema()).validate(merged)
    assert problem_of(json.loads(runfile.encoded(merged))) is None


def test_what_any_shard_was_asked_for_by_pyargs_is_kept() -> None:
    merged = merge([minimal("a", pyargs=["shop"]), minimal("b"), minimal("c", pyargs=["shop", "store"])])
    assert merged["run"]["pyargs"] == ["shop", "store"]
    assert "pyargs" not in merge([minimal("a"), minimal("b")])["run"]


def test_one_run_is_itself() -> None:
    alone = minimal("a")
    assert merge([alone]) == alone


def unmeasured(nodeid: str, why: str) -> dict[str, Any]:
    return {"nodeid": nodeid, "outcome": "skipped", "verdict": "not_measured", "why": why, "measures": {},
            "repetitions": 0, "worker": None, "findings": []}  # fmt: skip


def test_a_test_that_one_shard_left_to_another_is_there_once() -> None:
    one, other = minimal("a"), minimal("b")
    one["tests"] = [unmeasured("t::x", "not run: the session stopped before it"), unmeasured("t::y", "it is slow")]
    other["tests"] = [{**unmeasured("t::x", ""), "outcome": "passed"}]
    assert [(test["nodeid"], test["outcome"]) for test in merge([one, other])["tests"]] == [
        ("t::x", "passed"),
        ("t::y", "skipped"),
    ]


def row_of(nodeid: str, outcome: str, verdict: str = "within", why: str | None = None, **more: Any) -> dict[str, Any]:
    return {**unmeasured(nodeid, ""), "outcome": outcome, "verdict": verdict, "why": why, **more}


PASSED = row_of("t::x", "passed")
OVER = row_of("t::x", "failed", "over", findings=[{"key": "memory.growth", "level": "error", "summary": "s"}])
SHARDS_OF_A_TEST: list[tuple[dict[str, Any], dict[str, Any]]] = [  # which is told, and which is not
    (PASSED, unmeasured("t::x", "not run: the session stopped before it")),
    (PASSED, unmeasured("t::x", "the test was skipped")),
    (unmeasured("t::x", "the test was skipped"), unmeasured("t::x", "not run: the session stopped before it")),
    (OVER, PASSED),
    (row_of("t::x", "failed", "not_measured", "the test failed"), PASSED),
    (row_of("t::x", "error", "not_measured", "the test had an error"), row_of("t::x", "xfailed", "not_measured", "w")),
    (row_of("t::x", "passed", "not_measured", "suspected: 8 B"), PASSED),
    (row_of("t::x", "passed", "near"), PASSED),
]


@pytest.mark.parametrize("at", range(len(SHARDS_OF_A_TEST)))
def test_a_test_is_there_once_and_is_what_it_came_to_where_it_ran_or_was_worst(at: int) -> None:
    told, other = SHARDS_OF_A_TEST[at]
    ran_twice = "skipped" not in (told["outcome"], other["outcome"])
    for first, second in ((told, other), (other, told)):
        merged = merge([{**minimal("a"), "tests": [first]}, {**minimal("b"), "tests": [second]}])
        assert merged["tests"] == [told]
        assert merged["summary"]["tests"] == 1
        notes = ["1 test ran in more than one shard, told is the worst: t::x"] if ran_twice else []
        assert merged["run"]["effort"]["notes"] == notes


def test_a_test_that_each_worker_ran_stays_a_row_of_each() -> None:
    rows = [row_of("t::x", "passed", worker=worker) for worker in ("gw0", "gw1")]
    merged = merge([{**minimal("a"), "tests": rows}, {**minimal("b"), "tests": [row_of("t::y", "passed")]}])
    assert [(test["nodeid"], test["worker"]) for test in merged["tests"]] == [
        ("t::x", "gw0"), ("t::x", "gw1"), ("t::y", None),
    ]  # fmt: skip


def test_merging_what_was_merged_is_merging_all_at_once_in_whatever_order() -> None:
    shards = [{**minimal(name), "tests": [row_of(f"t::{name}", "passed")]} for name in "abcd"]
    whole = merge(shards)
    assert whole["run"]["merged"] == ["a", "b", "c", "d"]
    assert merge([shards[2], shards[0], shards[3], shards[1]]) == whole
    pairs = merge([merge(shards[:2]), merge(shards[2:])])
    assert pairs["run"] == whole["run"]
    assert pairs["tests"] == whole["tests"]
    many = merge([minimal(f"{number:032}") for number in range(20)])
    assert len(many["run"]["merged"]) == 20
    assert len(many["run"]["id"]) < 100, "a history has so much room for it"


def judged(identity: str, samples: Samples, **found: Any) -> dict[str, Any]:
    """A run with one criterion, judged by these samples; ``found`` is what a baseline has made of it."""
    return {**minimal(identity), "criteria": [{**checked(samples), **found}]}


def checked(samples: Samples, *unpassed: str) -> dict[str, Any]:
    return result_to_dict(judge(Criterion(id="shop.lost", statistic="check"), samples, unpassed=unpassed))


def checks(*, right: int = 0, wrong: int = 0, unmeasured: str = "") -> Samples:
    return Samples(right=right, wrong=wrong, unmeasured=[unmeasured] if unmeasured else [])


def shard(identity: str, samples: Samples, outcome: str, nodeid: str = "t::x") -> dict[str, Any]:
    test = {**unmeasured(nodeid, ""), "outcome": outcome}
    found = checked(samples, *unpassed([test]).values())
    return {**minimal(identity), "criteria": [{**found, "evidence": [nodeid]}], "tests": [test]}


def test_a_test_that_was_skipped_in_one_shard_takes_nothing_from_what_another_has_measured() -> None:
    skipped, passed = shard("a", checks(), "skipped"), shard("b", checks(right=3), "passed")
    for shards in ([skipped, passed], [passed, skipped]):
        (alone,) = merge(shards)["criteria"]
        assert (alone["verdict"], alone["samples"], alone["evidence"]) == ("within", 3, ["t::x"])
    other = shard("b", checks(right=3), "passed", "t::y")
    (half,) = merge([skipped, other])["criteria"]
    assert (half["verdict"], half["samples"]) == ("not_measured", 3), "what t::x was to show nobody has seen"
    assert half["why"] == "a test that is evidence for it did not pass: t::x (skipped)"
    (broken,) = merge([shard("a", checks(right=1), "failed"), passed])["criteria"]
    assert broken["why"] == "a test that is evidence for it did not pass: t::x (failed)"
    (busy,) = merge([judged("a", checks(unmeasured="machine too busy")), judged("b", checks(right=3))])["criteria"]
    assert (busy["verdict"], busy["why"]) == ("not_measured", "machine too busy")


def test_what_budgets_feed_counts_in_the_merged_run_as_in_each_shard() -> None:
    """A test over one budget has figures of the others, which are no worse for that."""
    fed = Criterion("shop.peak", "value", "<=", 10.0, "B", measure="memory.peak")

    def of(identity: str, outcome: str) -> dict[str, Any]:
        measured = {"memory.peak": {"value": 5, "verdict": "within"}}
        test = row_of(f"t::{identity}", outcome, measures=measured)
        criteria = RunCriteria(CriteriaFile("own.toml", lambda: {fed.id: fed}))
        return {**minimal(identity), "tests": [test], "criteria": list(map(result_to_dict, criteria.results([test])))}

    shards = [of("a", "failed"), of("b", "passed")]
    assert [shard["criteria"][0]["verdict"] for shard in shards] == ["within", "within"]
    (found,) = merge(shards)["criteria"]
    assert (found["verdict"], found["samples"], found["evidence"]) == ("within", 2, ["t::a", "t::b"])


def test_a_test_that_one_worker_skipped_ran_all_the_same() -> None:
    runs = []
    for name in "ab":
        rows = [row_of("t::x", outcome, worker=outcome) for outcome in ("passed", "skipped")]
        runs.append({**judged(name, checks(right=2), evidence=["t::x"]), "tests": rows})
    (found,) = merge(runs)["criteria"]
    assert found["samples"] == 2, "counted once"


def test_of_two_shards_with_the_same_tests_the_worse_is_told() -> None:
    busy = shard("a", checks(unmeasured="machine too busy"), "passed")
    fine = shard("b", checks(right=3), "passed")
    for runs in ([busy, fine], [{**busy, "run": {**busy["run"], "id": "c"}}, fine]):
        (found,) = merge(runs)["criteria"]
        assert (found["verdict"], found["why"]) == ("not_measured", "machine too busy")


@pytest.mark.parametrize(
    ("parts", "more", "problem"),
    [
        ({"shop.gone": "within"}, {}, "criterion shop.ready rests on shop.gone, of which no figures are there"),
        ({"shop.ready": "within"}, {}, "criterion shop.ready rests on shop.ready"),
        ({"shop.lost": "within"}, {"limit": None}, "criterion shop.lost has no limit"),
    ],
)
def test_criteria_that_cannot_be_judged_again_are_refused(
    parts: dict[str, str], more: dict[str, Any], problem: str
) -> None:
    whole = result_to_dict(Result(Criterion("shop.ready", "derived"), "within", value=True))
    runs = [judged(name, checks(right=1), **more) for name in "ab"]
    for run in runs:
        run["criteria"].append({**whole, "parts": parts})
    with pytest.raises(MergeError, match=problem):
        merge(runs)


def test_what_rests_on_parts_that_only_warn_only_warns_in_the_merged_run_too() -> None:
    """Neither shard has faults enough; together they have, and the part is of level warn."""
    part = Criterion("shop.lost", "total", "<=", 3.0, "count", level="warn")
    whole = Criterion("shop.ready", "derived", parts=("shop.lost",))

    def of(identity: str) -> dict[str, Any]:
        samples = Samples()
        samples.add(2.0)
        found = judge_all(CriteriaFile("", lambda: {each.id: each for each in (part, whole)}), {part.id: samples}, {})
        assert found["shop.ready"].verdict == "within"
        return {**minimal(identity), "criteria": [result_to_dict(each) for each in found.values()]}

    merged = merge([of("a"), of("b")])
    assert [(each["verdict"], each["level"]) for each in merged["criteria"]] == [("over", "warn")] * 2
    assert merged["summary"]["compliant"] is True


@pytest.mark.parametrize(
    ("first", "second", "right", "wrong"),
    [
        ((3, 0, "xy"), (2, 0, "x"), 3, 0),
        ((3, 0, "xy"), (1, 1, "x"), 1, 1),
        ((2, 0, "x"), (2, 0, "x"), 2, 0),
        ((3, 0, "xy"), (2, 0, "yz"), 5, 0),
        ((3, 0, "x"), (2, 0, "y"), 5, 0),
    ],
    ids=["a part of it again", "again, and worse", "the same again", "in part", "apart"],
)
def test_what_a_test_recorded_in_two_shards_is_counted_once_where_that_can_be_told(
    first: tuple[int, int, str], second: tuple[int, int, str], right: int, wrong: int
) -> None:
    runs = []
    for name, (good, bad, tests) in zip("ab", (first, second), strict=True):
        run = judged(name, checks(right=good, wrong=bad), evidence=[f"t::{each}" for each in tests])
        runs.append({**run, "tests": [row_of(f"t::{each}", "passed") for each in tests]})
    for given in (runs, runs[::-1]):
        (found,) = merge(given)["criteria"]
        assert (found["recorded"]["right"], found["recorded"]["wrong"]) == (right, wrong)
        both = set(first[2]) & set(second[2])
        how = "each" if right + wrong > 3 else "once"
        said = [line for line in found["details"] if line.startswith("run in more than one shard")]
        assert [how in line for line in said] == [True] * bool(both)


@pytest.mark.parametrize(
    ("levels", "level"),
    [
        ((("over", "warn"), ("over", "error")), "error"),
        ((("over", "error"), ("over", "warn")), "error"),
        ((("over", "warn"), ("within", "error")), "warn"),
        ((("within", "error"), ("over", "warn")), "warn"),
        ((("within", "warn"), ("within", "warn")), "warn"),
    ],
)
def test_what_a_baseline_excuses_in_one_shard_is_no_excuse_for_another(
    levels: tuple[tuple[str, str], ...], level: str
) -> None:
    runs = [
        judged(f"run {at}", checks(right=1, wrong=verdict == "over"), level=found)
        for at, (verdict, found) in enumerate(levels)
    ]
    merged = merge(runs)
    assert merged["criteria"][0]["level"] == level
    assert merged["summary"]["compliant"] is (level == "warn")


def test_a_file_that_is_not_there_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(SystemExit) as ended:
        cli.main(["gate", str(path)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"coresys gate: {path}: cannot be read: No such file or directory"


def test_merging_says_which_tests_ran_more_than_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{name}.json" for name in "ab"]
    for path in paths:
        report = RunReport(mode="budget", run_id=path.stem)
        report.add_test(row_of("t::ä", "passed", "not_measured", "w"))
        path.write_bytes(runfile.encoded(report.finish(1.0)))
    assert cli.main(["merge", *map(str, paths), "-o", str(tmp_path / "all.json")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/all.json: 2 runs, 1 test, compliant",
        "1 test ran in more than one shard, told is the worst: t::ä",
    ]


def test_no_command_writes_over_what_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [tmp_path / f"{name}.json" for name in "ab"]
    for path in runs:
        path.write_bytes(runfile.encoded(RunReport(mode="budget", run_id=path.stem).finish(1.0)))
    (tmp_path / "link.html").symlink_to(runs[1])
    given = str(tmp_path / "sub" / ".." / "a.json")
    for words in (["report", str(runs[0]), "-o", given], ["report", str(runs[1]), "-o", str(tmp_path / "link.html")],
                  ["merge", *map(str, runs), "-o", given]):  # fmt: skip
        before = [path.read_bytes() for path in runs]
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("cannot be written: it is what it reads: give another -o")
        assert [path.read_bytes() for path in runs] == before
    assert cli.main(["merge", *map(str, runs), "-o", str(tmp_path / "all.json")]) == 0


def test_a_gate_says_what_holds_and_what_it_does_not_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"

    def told(*outcomes: str) -> str:
        report = RunReport(mode="budget", require_measured=["memory.*"])
        for at, outcome in enumerate(outcomes):
            verdict = "within" if outcome == "passed" else "not_measured"
            report.add_test(row_of(f"t::{at}", outcome, verdict, "w"))
        path.write_bytes(runfile.encoded(report.finish(1.0)))
        assert cli.main(["gate", str(path)]) == 0
        return capsys.readouterr().out

    assert told("passed", "failed", "error") == (
        f"{path}: compliant: 1 within, 0 near, 0 over, 2 not measured; measured as required: memory.*; "
        "not gated: 2 tests that failed, see pytest's exit status\n"
    )
    assert told() == f"{path}: compliant, but no test was run\n"
