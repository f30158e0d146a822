"""Criteria files: what they may say, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.sources import named_criteria
from pytest_coresys.config.toml import loads
from pytest_coresys.criteria.loading import BUILTIN, builtin, chosen, read
from pytest_coresys.criteria.model import CriteriaFile, NamedFile
from pytest_coresys.measures import MEASURES

ONE = """\
[[criterion]]
id = "shop.order_time"
statistic = "p99"
comparison = "<"
limit = 50
unit = "ms"
"""


def load(folder: Path, text: str) -> CriteriaFile:
    (folder / "own.toml").write_text(text, encoding="utf-8")
    return read(folder / "own.toml", MEASURES, name="own.toml")


def problem(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, text)
    return str(refused.value)


def test_the_builtin_set_is_all_of_the_design() -> None:
    raw = loads(BUILTIN.read_text(encoding="utf-8"))["criterion"]
    file = builtin()
    assert file.builtin
    assert list(file.criteria) == [row["id"] for row in raw]
    assert len(file.criteria) == 134
    for row in raw:
        criterion = file.criteria[row["id"]]
        assert criterion.title == row["title"]
        assert criterion.statistic == row["statistic"]
        assert criterion.min_samples >= row.get("min_samples", 1)


@pytest.mark.parametrize(
    ("identity", "limit", "unit"),
    [
        ("state.transition_time", 0.05, "s"),
        ("resources.pool_fragmentation", 0.05, "ratio"),
        ("resources.component_memory", 500 * 1024, "B"),
        ("resources.growth_rate", 1024**2, "B/h"),
        ("locks.critical_section_time", 0.001, "s"),
        ("threads.stack_size", 1024 * 1024, "B"),
        ("testing.isolation_leaks", 0, "B"),
        ("threads.pool_max", 20, "threads"),
        ("locks.monitoring_overhead", 4, "ratio"),
        ("resources.pool_small_count", 500, "buffers"),
        ("state.centralised", True, "bool"),
    ],
)
def test_limits_are_in_base_units(identity: str, limit: float, unit: str) -> None:
    criterion = builtin().criteria[identity]
    assert criterion.limit == pytest.approx(limit)
    assert criterion.unit == unit


def test_a_file_of_a_team_of_its_own(tmp_path: Path) -> None:
    file = load(tmp_path, ONE + """
[[criterion]]
id = "shop.contention"
statistic = "value"
limit = "5 %"
measure = "locks.contention"
tests = "tests/load/*"
level = "warn"

[[criterion]]
id = "shop.audited"
statistic = "check"

[[criterion]]
id = "shop.growth"
statistic = "slope"
comparison = "<"
limit = "2 MB/h"

[[criterion]]
id = "shop.ready"
statistic = "derived"
derived_from = ["shop.*"]
""")  # fmt: skip
    found = file.criteria
    assert found["shop.order_time"].limit == pytest.approx(0.05)
    assert found["shop.order_time"].min_samples == 100
    assert (found["shop.contention"].limit, found["shop.contention"].unit) == (0.05, "ratio")
    assert (found["shop.contention"].level, found["shop.contention"].comparison) == ("warn", "<=")
    assert found["shop.growth"].limit == 2 * 1024**2
    assert found["shop.ready"].parts == ("shop.order_time", "shop.contention", "shop.audited", "shop.growth")
    assert found["shop.ready"].kind == "success"
    assert found["shop.audited"].limit is True


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "own.toml: has no criterion: write [[criterion]] tables"),
        ("criterion = []\n", "own.toml: has no criterion: write [[criterion]] tables"),
        ("[criteria]\n", 'own.toml:1: unknown key "criteria"; did you mean "criterion"?'),
        ("[[criterion]\n", "own.toml:1: not valid TOML"),
        ('[[criterion]]\nid = "x.a"\n', "own.toml:1: [[criterion]] statistic is missing"),
        (ONE.replace('id = "shop', 'name = "shop'), 'own.toml:2: [[criterion]] unknown key "name"'),
        (
            ONE.replace("shop.order_time", "order time"),
            'own.toml:2: [[criterion]] id: "order time": write a group and a name, of letters, digits, "_" and "-", '
            'such as "shop.order_time"',
        ),
        (
            ONE.replace("shop.order_time", "shop.order time"),
            'own.toml:2: [[criterion]] id: "shop.order time": write a group and a name, of letters, digits, "_" and '
            '"-", such as "shop.order_time"',
        ),
        (ONE.replace("shop.order_time", "shop.*"), 'own.toml:2: [[criterion]] id: "shop.*": write a group and a name'),
        (
            ONE.replace("shop.order_time", "locks.wait"),
            'own.toml:2: [[criterion]] id: "locks.wait" is a measure; a criterion that it feeds has measure =',
        ),
        (ONE + 'tests = "a/*"\n', "own.toml:7: [[criterion]] tests: belongs to a measure"),
        (
            ONE.replace("p99", "value").replace('"ms"', '"MB/h"') + 'measure = "memory.growth_rate"\n',
            'own.toml:7: [[criterion]] measure: "memory.growth_rate" is measured of a soak, and of none of its tests',
        ),
        (
            ONE.replace("p99", "slope").replace('"<"', '"=="'),
            "own.toml:4: [[criterion]] comparison: a slope is known as an interval",
        ),
        (
            ONE.replace("p99", "slope"),
            'own.toml:6: [[criterion]] unit: "ms" is no rate: a slope is held to one, such as "1 MB/h"',
        ),
        (
            ONE.replace("p99", "slope").replace('unit = "ms"\n', "").replace("50", '"5 MB"'),
            'own.toml:5: [[criterion]] limit: "5 MB" is no rate: a slope is held to one, such as "1 MB/h"',
        ),
        (
            ONE + '[[criterion]]\nid = "x.all"\nstatistic = "derived"\nderived_from = []\n',
            "own.toml:10: [[criterion]] derived_from: names nothing that it could rest on",
        ),
        (
            ONE + '[[criterion]]\nid = "x.all"\nstatistic = "derived"\nderived_from = ["x.all"]\n',
            'own.toml:10: [[criterion]] derived_from: "x.all" rests on itself',
        ),
        (
            ONE + '[[criterion]]\nid = "x.all"\nstatistic = "derived"\nderived_from = ["x.al"]\n',
            'own.toml:10: [[criterion]] derived_from: "x.al" matches no other criterion',
        ),
        (
            ONE + '[[criterion]]\nid = "x.all"\nstatistic = "derived"\nderived_from = ["s*"]\nmin_samples = 3\n',
            "own.toml:11: [[criterion]] min_samples: belongs to what has samples",
        ),
        (ONE.replace("p99", "p999"), 'own.toml:3: [[criterion]] statistic: unknown "p999" (valid: p50, p95, p99,'),
        (ONE.replace("p99", "p90"), 'own.toml:3: [[criterion]] statistic: unknown "p90" (valid: p50, p95, p99, total,'),
        (ONE.replace('"<"', '"=<"'), 'own.toml:4: [[criterion]] comparison: unknown "=<"; did you mean "<="? (valid:'),
        (ONE.replace('"<"', '"=>"'), 'own.toml:4: [[criterion]] comparison: unknown "=>"; did you mean ">="? (valid:'),
        (ONE.replace('"<"', '"="'), 'own.toml:4: [[criterion]] comparison: unknown "=" (valid: <, <=, ==, >=, >)'),
        (ONE.replace("limit = 50\n", ""), "own.toml:1: [[criterion]] limit is missing"),
        (
            ONE.replace("limit = 50", "limit = inf"),
            "own.toml:5: [[criterion]] limit: Infinity is no figure that anything",
        ),
        (ONE.replace("limit = 50", "limit = nan"), "own.toml:5: [[criterion]] limit: NaN is no figure that anything"),
        (ONE.replace("limit = 50", f"limit = 1{'0' * 400}"), "own.toml:5: [[criterion]] limit: 1000"),
        (ONE.replace("limit = 50", "limit = true"), "own.toml:5: [[criterion]] limit: true is no figure"),
        (ONE.replace('unit = "ms"\n', ""), "own.toml:5: [[criterion]] unit is missing"),
        (ONE.replace('"ms"', '"MS"'), 'own.toml:6: [[criterion]] unit: unknown unit "MS"; did you mean "ms"?'),
        (ONE.replace('"ms"', '"bool"'), 'own.toml:6: [[criterion]] unit: a figure is no "bool"'),
        (ONE.replace("limit = 50", 'limit = "50 parsec"'), "own.toml:5: [[criterion]] limit: "),
        (ONE + "min_samples = 0\n", "own.toml:7: [[criterion]] min_samples: 0: write a whole number, 1 or more"),
        (ONE + 'level = "off"\n', 'own.toml:7: [[criterion]] level: unknown "off"'),
        (ONE + 'kind = "aim"\n', 'own.toml:7: [[criterion]] kind: unknown "aim"'),
        (ONE + 'measure = "memory.growth"\n', "own.toml:7: [[criterion]] measure: feeds one figure for each test"),
        (ONE + 'derived_from = ["x"]\n', "own.toml:7: [[criterion]] derived_from: belongs to statistic"),
        (ONE + ONE, 'own.toml:8: [[criterion]] id: "shop.order_time" is the id of another one (own.toml:2)'),
        (
            ONE.replace("p99", "value") + 'measure = "locks.contentoin"\n',
            'own.toml:7: [[criterion]] measure: unknown key "locks.contentoin"; did you mean "locks.contention"?',
        ),
        (
            ONE.replace("p99", "value") + 'measure = "locks.contention"\n',
            "own.toml:6: [[criterion]] unit: the measure is in ratio, not in s",
        ),
        (
            ONE + '[[criterion]]\nid = "x.all"\nstatistic = "derived"\n',
            "own.toml:7: [[criterion]] derived_from is missing",
        ),
        (
            ONE + '[[criterion]]\nid = "x.all"\nstatistic = "derived"\nderived_from = ["shop.order_tine"]\n',
            'own.toml:10: [[criterion]] derived_from: "shop.order_tine" matches no other criterion; '
            'did you mean "shop.order_time"?',
        ),
        (
            '[[criterion]]\nid = "x.a"\nstatistic = "derived"\nderived_from = ["x.b"]\n'
            '[[criterion]]\nid = "x.b"\nstatistic = "derived"\nderived_from = ["x.a"]\n',
            'own.toml:4: [[criterion]] derived_from: "x.a" rests on itself: x.a -> x.b -> x.a',
        ),
        (
            '[[criterion]]\nid = "x.a"\nstatistic = "check"\nlimit = 3\n',
            "own.toml:4: [[criterion]] limit: of a check there is none but true",
        ),
    ],
)
def test_each_mistake_is_told_with_its_line_and_what_to_write(tmp_path: Path, text: str, told: str) -> None:
    assert problem(tmp_path, text).startswith(told)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    named = NamedFile("none.toml", "pyproject.toml:3")
    with pytest.raises(ConfigError, match=r'^pyproject\.toml:3: criteria = "none\.toml": there is no such file$'):
        chosen(named, MEASURES, lambda each: tmp_path / each.path)
    assert chosen(None, MEASURES, lambda each: tmp_path / each.path) is builtin()


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("pyproject.toml", '[tool.coresys]\ncriteria = "q/own.toml"\n', NamedFile("q/own.toml", "pyproject.toml:2")),
        ("coresys.toml", 'criteria = "q/own.toml"\n', NamedFile("q/own.toml", "coresys.toml:1")),
        ("pyproject.toml", '[tool.other]\ncriteria = "q/own.toml"\n', None),
        ("coresys.toml", 'profile = "ci"\n', None),
        ("none.toml", "", None),
    ],
)
def test_the_configuration_may_name_the_file(tmp_path: Path, name: str, text: str, named: NamedFile | None) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert named_criteria(tmp_path) == named


VALUE = '[[criterion]]\nid = "a.b"\nstatistic = "value"\n'


@pytest.mark.parametrize(
    ("text", "limit", "unit", "shown"),
    [
        ('limit = 500\nunit = "count of orders"', 500, "orders", "500 orders"),
        ('limit = "500 count of orders"', 500, "orders", "500 orders"),
        ('limit = "500"\nunit = "count of orders"', 500, "orders", "500"),
        ('limit = "500 orders"\nunit = "count of orders"', 500, "orders", "500 orders"),
        ('limit = 500\nunit = "buffers"', 500, "buffers", "500 buffers"),
        ('limit = "500 buffers"', 500, "buffers", "500 buffers"),
        ('limit = 3\nunit = "count"', 3, "count", "3"),
        ('limit = "3"\nunit = "count"', 3, "count", "3"),
        ('limit = "50 ms"', 0.05, "s", "50 ms"),
        ('limit = "50 ms"\nunit = "us"', 0.05, "s", "50 ms"),
        ('limit = "512 bytes"', 512, "B", "512 bytes"),
        ('limit = "0.5 ratio"', 0.5, "ratio", "0.5 ratio"),
        ('limit = 2\nunit = "GiB"', 2 * 1024**3, "B", "2 GiB"),
        ('limit = 3\nunit = "threads"\nmeasure = "threads.peak"', 3, "threads", "3 threads"),
    ],
)
def test_a_limit_has_a_unit_that_is_known_or_says_what_is_counted(
    tmp_path: Path, text: str, limit: float, unit: str, shown: str
) -> None:
    found = load(tmp_path, f"{VALUE}{text}\n").criteria["a.b"]
    assert found.limit == pytest.approx(limit)
    assert found.unit == unit
    assert found.shown_limit.removesuffix(" count") == shown


KNOWN = "known: us, ms, s, min, h, B, bytes, KB, KiB, MB, MiB, GB, GiB, B/h, KB/h, MB/h, GB/h, %, ratio, count"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('limit = 50\nunit = "mss"', 'own.toml:5: [[criterion]] unit: unknown unit "mss"; did you mean "ms"?'),
        ('limit = 50\nunit = "Kb"', 'own.toml:5: [[criterion]] unit: unknown unit "Kb"; did you mean "KB"?'),
        ('limit = 50\nunit = "seconds"', 'own.toml:5: [[criterion]] unit: unknown unit "seconds"; did you mean "s"?'),
        ('limit = 50\nunit = "orders"', f'own.toml:5: [[criterion]] unit: unknown unit "orders" ({KNOWN}'),
        ('limit = 50\nunit = "orders"', 'what is counted is written "count of orders")'),
        ('limit = 50\nunit = "count of "', "own.toml:5: [[criterion]] unit"),
        ('limit = 50\nunit = "count of open orders"', 'name what is counted by one word, such as "count of orders"'),
        ('limit = 50\nunit = "MB/s"', 'unknown unit "MB/s"; did you mean "MB/h"? (known: us, ms'),
        ('limit = 50\nunit = "count of ms"', '"ms" is a unit, and nothing that is counted'),
        ('limit = "50 parsec"', 'own.toml:4: [[criterion]] limit: "50 parsec": unknown unit "parsec" (known: us'),
        ('limit = "50 mss"', 'unknown unit "mss"; did you mean "ms"?'),
        ('limit = "50"', 'own.toml:4: [[criterion]] limit: "50": a bare number: write a unit, such as "50 ms"'),
        ('limit = "-5 ms"', "a negative quantity"),
        ('limit = "ms 5"', 'no figure: write a number and a unit, such as "50 ms"'),
        ('limit = "1.5 buffers"', "no count: write a whole number"),
        ('limit = "5 MB"\nunit = "ms"', 'own.toml:4: [[criterion]] limit: "5 MB": that is in B, not in s'),
        (
            'limit = "5 count of orders"\nunit = "ms"',
            'own.toml:4: [[criterion]] limit: "5 count of orders": that is in orders, not in s',
        ),
        ('limit = "5 bool"', 'own.toml:4: [[criterion]] limit: "5 bool"'),
        ('limit = 3\nunit = "buffers"\nmeasure = "locks.wait"', "the measure is in s, not in buffers"),
    ],
)
def test_a_unit_that_is_not_known_is_no_count(tmp_path: Path, text: str, told: str) -> None:
    assert told in problem(tmp_path, f"{VALUE}{text}\n")
