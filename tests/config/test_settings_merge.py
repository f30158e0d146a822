"""Which source wins, what its origin is called, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.config.errors import ConfigError, MarkerError
from pytest_coresys.config.lines import key_lines
from pytest_coresys.config.markers import parse_budget_marker
from pytest_coresys.config.resolve import PluginBudget, Settings
from pytest_coresys.config.sources import load_settings
from pytest_coresys.config.toml import loads
from pytest_coresys.measures import MEASURES

KIB = 1024.0


def load(
    root: Path,
    toml: str = "",
    *,
    name: str = "coresys.toml",
    ini: tuple[str, ...] = (),
    sets: tuple[str, ...] = (),
    profile: str | None = None,
    repeat: int | None = None,
    require: tuple[str, ...] = (),
) -> Settings:
    if toml:
        (root / name).write_text(toml, encoding="utf-8")
    return load_settings(
        root,
        inipath=root / "pytest.ini" if ini else None,
        ini_lines=ini,
        cli_sets=sets,
        profile=profile,
        repeat=repeat,
        require_measured=require,
        measures=MEASURES,
    )


def said(settings: Settings, key: str = "memory.growth", path: str = "test_a.py", **more: Any) -> tuple[object, ...]:
    limit = settings.limits(path, more.pop("marks", ()), **more)[key]
    return limit.maximum, limit.level, limit.origin


def marker(maximum: str) -> list[Any]:
    return list(parse_budget_marker(("memory.growth",), {"max": maximum}, MEASURES, "test_a.py:7"))


LADDER = """
profile = "mine"
[profiles.mine]
budgets = { memory.growth = "2 KB" }
[budgets]
memory.growth = "3 KB"
[[overrides]]
paths = ["sub/**"]
budgets = { memory.growth = "4 KB" }
[[overrides]]
markers = ["slow"]
budgets = { memory.growth = "5 KB" }
"""


def test_each_source_is_stronger_than_the_one_before(tmp_path: Path) -> None:
    assert said(load(tmp_path)) == (0.0, "error", "default")
    only_profile = LADDER.replace('memory.growth = "3 KB"', 'memory.peak = "1 GB"')
    assert said(load(tmp_path, only_profile)) == (2 * KIB, "error", "profile mine (coresys.toml:3)")
    settings = load(tmp_path, LADDER)
    assert said(settings) == (3 * KIB, "error", "coresys.toml:6")
    assert said(settings, path="sub/deep/test_b.py") == (4 * KIB, "error", "coresys.toml:9 [[overrides]]")
    both: dict[str, Any] = {"path": "sub/test_b.py", "marks": ("slow",)}
    assert said(settings, **both) == (5 * KIB, "error", "coresys.toml:12 [[overrides]]")  # the last match wins
    hook = {"memory.growth": PluginBudget("theirs", "6 KB")}
    assert said(settings, **both, plugin_budgets=hook) == (6 * KIB, "error", "plugin theirs")
    marked = {**both, "plugin_budgets": hook, "marker_budgets": marker("7 KB")}
    assert said(settings, **marked) == (7 * KIB, "error", "marker (test_a.py:7)")
    forced = load(tmp_path, LADDER, sets=("memory.growth=8 KB",))
    assert said(forced, **marked) == (8 * KIB, "error", "--coresys-set")


def test_parts_of_a_budget_come_from_different_sources(tmp_path: Path) -> None:
    """A level alone leaves the limit, a limit alone leaves the level; the origin is that of the limit."""
    settings = load(tmp_path, '[budgets]\nmemory.growth = { level = "warn" }\nthreads.leaked = 2\n')
    assert said(settings)[:2] == (0.0, "warn")
    assert said(settings, "threads.leaked") == (2.0, "error", "coresys.toml:3")
    off = load(tmp_path, '[budgets]\nmemory.growth = { level = "off" }\n')
    assert said(off)[1] == "off"


@pytest.mark.parametrize(
    ("key", "text", "base"),
    [
        ("memory.growth", "2 KB", 2048.0),
        ("memory.growth", "1.5 MB", 1.5 * 1024 * 1024),
        ("memory.peak", "0 B", 0.0),
        ("memory.fragmentation", "4 %", 0.04),
        ("time.call", "50 ms", 0.05),
        ("time.call", "2 min", 120.0),
        ("loop.blocked", "1 h", 3600.0),
        ("threads.leaked", "3", 3.0),
    ],
)
def test_units_come_down_to_base_units(tmp_path: Path, key: str, text: str, base: float) -> None:
    assert said(load(tmp_path, sets=(f"{key}={text}",)), key) == (base, "error", "--coresys-set")


def test_the_ini_option_is_a_source_with_lines(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\ncoresys_budgets =\n  memory.growth < 2 KB\n  threads.leaked < 1\n")
    settings = load(tmp_path, ini=("memory.growth < 2 KB", "threads.leaked < 1"))
    assert said(settings) == (2 * KIB, "error", "pytest.ini:3 coresys_budgets")
    assert said(settings, "threads.leaked") == (1.0, "error", "pytest.ini:4 coresys_budgets")


def test_profiles_and_repeat_set_the_effort(tmp_path: Path) -> None:
    shares = {name: load(tmp_path, profile=name).effort.share for name in ("default", "ci", "strict")}
    assert shares == {"default": 0.2, "ci": 0.5, "strict": None}
    assert load(tmp_path, repeat=7).effort.max_repetitions == 7
    assert said(load(tmp_path, profile="strict"), "globals.changed") == (0.0, "error", "profile strict")


def test_pyproject_has_the_same_tables_below_its_own(tmp_path: Path) -> None:
    text = '[project]\nname = "x"\n[tool.coresys]\nrequire_measured = ["memory.*"]\n'
    text += '[tool.coresys.budgets]\ntime.call = "1 s"\n'
    settings = load(tmp_path, text, name="pyproject.toml", require=("threads.*",))
    assert said(settings, "time.call") == (1.0, "error", "pyproject.toml:6")
    assert settings.require_measured == ("memory.*", "threads.*")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[[overrides]]\nbudgets = { memory.growth = "1 KB" }\n',
            "coresys.toml:1: [[overrides]] needs paths or markers",
        ),
        ('[[overrides]]\npaths = ["a"]\n', "coresys.toml:1: [[overrides]] needs budgets"),
        (
            '[[overrides]]\npaths = ["/abs"]\nbudgets = { memory.growth = "1 KB" }\n',
            'coresys.toml:2: [[overrides]] paths: "/abs" must be relative to the folder of coresys.toml',
        ),
        ('[[overrides]]\npaths = "a"\nbudgets = {}\n', "coresys.toml:2: [[overrides]] paths"),
        ('[[accept]]\nkey = "memory.growth"\n', "coresys.toml:1: [[accept]] needs a reason"),
        ('require_measured = ["nope.*"]\n', 'coresys.toml:1: require_measured: "nope.*" matches no measure'),
        ('profile = "nope"\n', 'coresys.toml:1: unknown profile "nope" (valid: default, ci, strict, soak)'),
        ("[budgets]\nlocks.deadlock = 0\n", 'coresys.toml:2: [budgets] unknown key "locks.deadlock"; did you mean'),
        ('[budgets]\nmemory.growth = { level = "error", warn = "2 KB" }\n', "coresys.toml:2: "),
        ("[budgets]\nmemory.growth = true\n", "coresys.toml:2: memory.growth = true: "),
        ('[budgets]\nmemory.growth = "-1 KB"\n', 'coresys.toml:2: memory.growth = "-1 KB": '),
        ('[budgets]\n"memory" = 3\n', "coresys.toml:2: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, toml)
    assert str(caught.value).startswith(message), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "@pytest.mark.coresys_budget (test_a.py:7): "),
        (("memory.growth",), {}, "@pytest.mark.coresys_budget (test_a.py:7): "),
        (("memory.growth", "2 KB"), {}, "@pytest.mark.coresys_budget (test_a.py:7): "),
        (("memory.growth",), {"maks": "2 KB"}, "@pytest.mark.coresys_budget (test_a.py:7): "),
        ((), {"memory_grwth": "2 KB"}, '@pytest.mark.coresys_budget (test_a.py:7): unknown key "memory'),
        ((3,), {"max": "2 KB"}, "@pytest.mark.coresys_budget (test_a.py:7): "),
        (("memory.growth",), {"max": "2 KB", "level": "fatal"}, "@pytest.mark.coresys_budget (test_a.py:7): "),
    ],
)
def test_what_is_wrong_in_a_marker_is_told_with_its_line(
    args: tuple[object, ...], kwargs: dict[str, object], message: str
) -> None:
    with pytest.raises(MarkerError) as caught:
        parse_budget_marker(args, kwargs, MEASURES, "test_a.py:7")
    assert str(caught.value).startswith(message)


def test_several_budgets_in_one_marker(tmp_path: Path) -> None:
    given = parse_budget_marker((), {"memory_growth": "8 KB", "threads_leaked": 1}, MEASURES, "test_a.py:7")
    limits = load(tmp_path).limits("test_a.py", (), list(given))
    assert (limits["memory.growth"].maximum, limits["threads.leaked"].maximum) == (8 * KIB, 1.0)


EXPLAINED = [
    "   default: 0 B, level error",
    "   profile mine (coresys.toml:3): 2 KiB",
    "   coresys.toml:6: 3 KiB",
    "-> coresys.toml:9 [[overrides]]: 4 KiB (in force: 4 KiB, level error)",
]


def test_explaining_lists_every_source_and_marks_the_winner(tmp_path: Path) -> None:
    settings = load(tmp_path, LADDER)
    assert settings.explain("memory.growth", "sub/test_b.py", ()) == EXPLAINED


@pytest.mark.parametrize(
    "text",
    [
        'a = 1\n[b]\nc.d = "x"\n\n[[e]]\nf = 1\n[[e]]\nf = 2\n',
        '# top\n"quoted key" = [1,\n 2, # inside\n 3]\n[t.u]\nv = { w = 1, x = { y = 2 } }\n',
        "multi = \"\"\"\nline\n[not.a.table]\n\"\"\"\nafter = '''x\ny'''\nlast = 2020-01-01T00:00:00Z\n",
    ],
)
def test_lines_of_keys_are_those_of_the_text(text: str) -> None:
    loads(text)
    lines = key_lines(text)
    assert lines
    rows = text.splitlines()
    for path, line in lines.items():
        names = [part for part in path if isinstance(part, str)]
        if names[-1] == path[-1]:  # elements of an array stand on lines of their own
            assert str(names[-1]) in rows[line - 1], (path, line)


def test_a_text_that_the_reader_of_lines_loses_has_no_lines_rather_than_wrong_ones() -> None:
    assert key_lines("a = = 1\n") == {} or key_lines("a = = 1\n") == {("a",): 1}
    assert key_lines("[never closed\n") == {}
