"""What is no run file is told in one line: no command takes it for one, and none breaks on what it does take."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bigruns
import pytest

from pytest_coresys import cli
from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.model import Criterion, Result
from pytest_coresys.criteria.records import result_to_dict
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.reports import ci
from pytest_coresys.reports.comparing import compare, lines
from pytest_coresys.reports.merging import MergeError, merge
from pytest_coresys.reports.model import breaches, unmatched
from pytest_coresys.reports.runfile import RunFileError, encoded, read_run
from pytest_coresys.reports.shape import problem_of

PLACE = {"path": "app/pool.py", "line": 31, "function": "make", "note": "made"}


def whole() -> dict[str, Any]:
    """A run with something in most lists."""
    run = bigruns.run_of(3, failing=0.5)
    timed = Samples()
    for figure in (0.001, 0.002):
        timed.add(figure)
    criteria = [(Criterion(id="shop.time", statistic="p99", limit=0.05, unit="s"), timed),
                (Criterion(id="shop.audited", statistic="check"), Samples(right=2))]  # fmt: skip
    run["criteria"] = [result_to_dict(judge(criterion, samples, ("t.py::a",))) for criterion, samples in criteria]
    run["criteria"].append(result_to_dict(Result(Criterion(id="shop.ready", statistic="derived"), "within", value=True,
                                                 parts={"shop.time": "within", "shop.audited": "within"})))  # fmt: skip
    run["tests"] = [{**test, "measures": dict(list(test["measures"].items())[:2])} for test in run["tests"]][:3]
    run["findings"] = [{"key": "threads.leaked", "level": "error", "owner": "fixture pool (c.py:9)", "summary": "s",
                        "tests": [], "details": ["d"], "locations": [PLACE]}]  # fmt: skip
    run["soak"] = {"memory.growth_rate": {
        "times": [0, 1], "values": [1, 2], "interval": [0, 1], "verdict": "within", "value": 1, "limit": 2,
        "unit": "B/h", "level": "error", "origin": "default", "why": None}}  # fmt: skip
    nodes = [{"id": number, "name": name, "site": f"app/pool.py:{number}", "kind": "lock", "scope": "module"}
             for number, name in ((1, "A"), (2, "B"))]  # fmt: skip
    edges = [{"from": one, "to": two, "thread": "main", "sites": ["a.py:1", "a.py:2"], "gates": [], "tests": ["t"]}
             for one, two in ((1, 2), (2, 1))]  # fmt: skip
    run["locks"] = {"nodes": nodes, "edges": edges, "cycles": [{"edges": [0, 1], "tests": ["t"]}]}
    found: dict[str, Any] = json.loads(encoded(run))
    return found


def test_a_run_is_one_whatever_a_later_version_has_added() -> None:
    assert problem_of(whole()) is None
    later = whole()
    for record in (later, later["run"], later["tests"][0], later["tests"][0]["measures"]["memory.growth"]):
        record["added_later"] = {"anything": [1]}
    assert problem_of(later) is None


@pytest.mark.parametrize(
    ("way", "value", "problem"),
    [
        (("tests",), {}, "no run file: tests is an object, not a list"),
        (("tests", 1), 3, "no run file: tests[1] is 3, not an object"),
        (("tests", 0, "measures", "memory.growth", "value"), "4 KB",
         "no run file: tests[0].measures.memory.growth.value is '4 KB', not a number or null"),
        (("tests", 2, "verdict"), "fine", "no run file: tests[2].verdict is 'fine', none of within, near, over, not_"),
        (("run", "workers"), 1.5, "no run file: run.workers is 1.5, not a whole number"),
        (("run", "duration"), -1, "no run file: run.duration is -1, less than 0"),
        (("run", "duration"), float("inf"), "no run file: run.duration is a number that is too large"),
        (("run", "duration"), 1e15, "no run file: run.duration is a number that is too large"),
        (("run", "duration"), 10**30, "no run file: run.duration is a number that is too large"),
        (("run", "workers"), True, "no run file: run.workers is True, not a whole number"),
        (("run", "started"), "2026-13-01T00:00:00Z", "no run file: run.started is '2026-13-01T00:00:00Z', no time"),
        (("tests", 1, "started"), "2026-01-01T99:00:00Z", "no run file: tests[1].started is '2026-01-01T99:00:00Z'"),
        (("criteria", 0, "value"), None, "no run file: criteria[0].value is null, and it is "),
        (("criteria", 0, "histogram", "counts"), [], "no run file: criteria[0].histogram has not as many counts as"),
        (("criteria", 0, "recorded"), {"right": 1}, "no run file: criteria[0].recorded has no 'count'"),
        (("criteria", 0, "recorded", "least"), None, "no run file: criteria[0].recorded has figures that do not go"),
        (("locks", "nodes", 0, "site"), "pool.py", "no run file: locks.nodes[0].site is 'pool.py', no PATH:LINE"),
        (("locks", "edges", 1, "to"), 9, "no run file: locks.edges[1] is between locks that it does not list"),
        (("locks", "edges", 1, "sites"), ["a.py:1"], "no run file: locks.edges[1].sites are not two of PATH:LINE"),
        (("locks", "cycles", 0, "edges"), [7], "no run file: locks.cycles[0].edges are not all among those that"),
        (("schema",), 99, "its schema is 99, and this version reads 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(way: tuple[Any, ...], value: Any, problem: str) -> None:
    run = whole()
    part = run
    for name in way[:-1]:
        part = part[name]
    part[way[-1]] = value
    assert str(problem_of(run)).startswith(problem)


WRONG: tuple[Any, ...] = (None, "x", -1, True, [], ...)  # the last: it is not there


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    names = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in names:
        yield (*way, name)
        yield from ways(value[name], (*way, name))


def test_what_is_taken_for_a_run_breaks_no_command() -> None:
    run = whole()
    other = {**copy.deepcopy(run), "run": {**run["run"], "id": "other"}, "soak": {}}  # two soaks are never merged
    tried = taken = 0
    for way in ways(run):
        *before, last = way
        part: Any = run
        for name in before:
            part = part[name]
        right = copy.copy(part)
        for wrong in WRONG:
            if wrong is ...:
                del part[last]
            else:
                part[last] = wrong
            tried += 1
            if problem_of(run) is None:
                taken += 1
                use(run, other)
            if isinstance(part, list):
                part[:] = right
            else:
                part.clear()
                part.update(right)
    assert 100 < taken < tried / 2, "most changes make it something else, and some do not"
    assert run == whole()


def use(run: dict[str, Any], other: dict[str, Any]) -> None:
    breaches(run, ["memory.*"])
    unmatched(run, ["memory.*"])
    lines([*compare(run, other), *compare(other, run)])
    try:
        merge([run, other])
    except MergeError:
        pass  # a commit of its own, say
    for render in ci.FORMATS.values():
        render(run)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no run file: it is empty"),
        (b"[]", "no run file: it is a list"),
        (b"null", "no run file: it is null"),
        (b"{}", "no run file: it has no 'schema'"),
        (b"\xff\xfe{}", "no run file: it is not UTF-8"),
        (b'{"schema": 1,\n "run" 3}', "no run file: it is not JSON (line 2: Expecting ':' delimiter)"),
        (b'{"schema": 1, "run": {"id": "4', "no run file: it ends too early, as if it was cut off"),
        (b'{"schema": 1, "x": NaN}', "no run file: it has NaN, which is no number of JSON"),
        (b'{"schema": ' + b"[" * 100_000, "no run file: it is not JSON"),
        (b'{"reportFormat": "CTRF", "results": {}}', "no run file: it is a CTRF report"),
        (b'{"$schema": "sarif", "runs": []}', "no run file: it is SARIF, or another format with a schema of its own"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_every_command_tells_in_one_line_what_is_no_run_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, problem: str
) -> None:
    path, good = tmp_path / "run.json", tmp_path / "good.json"
    good.write_bytes(encoded(whole()))
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data)
    with pytest.raises(RunFileError):
        read_run(path)
    out = ["-o", str(tmp_path / "out")]
    for words in (
        ["gate", str(path)],
        ["merge", str(good), str(path), *out],
        ["compare", str(good), str(path)],
        ["compare", str(path), str(good)],
        ["report", str(path), *out],
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"coresys {words[0]}: {path}: {problem}"
    assert not (tmp_path / "out").exists()
