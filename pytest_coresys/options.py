"""One table of the options and one of the markers. Loaded in every run of every project: imports pytest alone."""

from __future__ import annotations

import argparse  # pytest has it loaded already
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

INI_BUDGETS = "coresys_budgets"

MARKERS: tuple[str, ...] = (
    "coresys_budget(key, *, max, warn, level, reason): a budget of this test, such as"
    ' coresys_budget("memory.growth", max="8 KB"), or coresys_budget(memory_growth="8 KB", threads_leaked=2).',
    'coresys_skip(*globs, reason): these measures of this test are not measured, such as "memory.*" (none: all).',
    "coresys_no_repeat(reason): this test is never repeated; what needs repetition stays a suspicion.",
    "coresys_criterion(id, ...): this test is evidence for these success criteria.",
    "coresys_alone(reason): while this test runs, no other test of the run does; never repeated, locks not watched.",
    "coresys_isolated(timeout, reason): this test runs in a forked process of its own: no crash, hang or exit of it"
    ' hurts the run. timeout: such as "10 s"; None: as long as it takes.',
)


def repetition_count(text: str) -> int:
    """The N of ``--coresys-repeat``: a whole number, 0 or more."""
    # isdecimal alone would take other scripts' digits, and int() refuses endless ones with a traceback.
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of repetitions: write 0 (never repeat) or more")
    return int(text)


def soak_duration(text: str) -> float:
    """The DURATION of ``--coresys-soak``, in seconds."""
    from pytest_coresys.config.durations import parse_duration  # only wanted where there is one
    from pytest_coresys.config.errors import ValueProblem

    try:
        return parse_duration(text)
    except ValueProblem as problem:
        raise argparse.ArgumentTypeError(problem.problem) from None


@dataclass(frozen=True, slots=True)
class Option:
    """One command-line option; ``settings`` are the keyword arguments of ``addoption``."""

    flag: str
    dest: str
    help: str
    settings: dict[str, Any] = field(default_factory=dict)


_FLAG: dict[str, Any] = {"action": "store_true", "default": False}
_LIST: dict[str, Any] = {"action": "append", "default": []}  # argparse copies the default before it appends

OPTIONS: tuple[Option, ...] = (
    Option("--coresys-budget", "coresys_budget", "measure, and fail the tests that exceed a budget", _FLAG),
    Option(
        "--coresys-observe",
        "coresys_observe",
        "measure and report in full, change no outcome and no exit status; wins over --coresys-budget",
        _FLAG,
    ),
    Option(
        "--coresys-set",
        "coresys_set",
        'one budget for this run, such as "memory.growth=2 KB" or "memory.growth=off";'
        " repeatable; stronger than all other sources",
        {**_LIST, "metavar": "KEY=VALUE"},
    ),
    Option(
        "--coresys-profile",
        "coresys_profile",
        "named set of budgets and effort: default, ci, strict, soak, or one of the configuration's own",
        {"metavar": "NAME", "default": None},
    ),
    Option(
        "--coresys-report",
        "coresys_report",
        "write the HTML compliance report to PATH",
        {"metavar": "PATH", "default": None},
    ),
    Option("--coresys-json", "coresys_json", "write the run file (JSON) to PATH", {"metavar": "PATH", "default": None}),
    Option(
        "--coresys-repeat",
        "coresys_repeat",
        "at most N repetitions of a test; 0 never repeats",
        {"metavar": "N", "default": None, "type": repetition_count},
    ),
    Option(
        "--coresys-soak",
        "coresys_soak",
        'repeat the selected tests for so long ("90 s", "1 h") and judge memory.growth_rate',
        {"metavar": "DURATION", "default": None, "type": soak_duration},
    ),
    Option(
        "--coresys-criteria",
        "coresys_criteria",
        "success criteria to judge (TOML) instead of the built-in set, or of what the configuration names",
        {"metavar": "FILE", "default": None},
    ),
    Option(
        "--coresys-subject",
        "coresys_subject",
        "what the validation suites test in a role, such as state=acme.fsm:make_manager; repeatable",
        {**_LIST, "metavar": "ROLE=MODULE:FACTORY"},
    ),
    Option(
        "--coresys-require-measured",
        "coresys_require_measured",
        "fail the run if a criterion or budget that matches was not measured; repeatable",
        {**_LIST, "metavar": "GLOB"},
    ),
    Option(
        "--coresys-baseline",
        "coresys_baseline",
        "known excesses, kept in git: only what is new, or worse, fails",
        {"metavar": "PATH", "default": None},
    ),
    Option(
        "--coresys-update-baseline",
        "coresys_update_baseline",
        "record what is over in this run in the baseline, for the reason of --coresys-reason",
        _FLAG,
    ),
    Option(
        "--coresys-reason",
        "coresys_reason",
        "why what is recorded in the baseline is known and agreed",
        {"metavar": "TEXT", "default": None},
    ),
    Option(
        "--coresys-history",
        "coresys_history",
        "where runs are kept: sqlite:///.coresys/history.db, postgresql+psycopg://USER@HOST/DB, or none",
        {"metavar": "URL", "default": None},
    ),
    Option(
        "--coresys-ci",
        "coresys_ci",
        "one more output: github, gitlab-quality, openmetrics, sarif or ctrf; repeatable",
        {**_LIST, "metavar": "FORMAT=PATH"},
    ),
    Option(
        "--coresys-explain",
        "coresys_explain",
        "print where the value of KEY comes from, for the collected tests, and stop",
        {"metavar": "KEY", "default": None},
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Add the options and the ini option of coresys to pytest's parser."""
    group = parser.getgroup("coresys", "resource budgets (coresys)")
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.dest, help=option.help, **option.settings)
    parser.addini(INI_BUDGETS, "budgets, one `KEY < VALUE` a line", type="linelist", default=[])


_WITH_VALUE = frozenset(option.flag for option in OPTIONS if option.settings.get("action") != "store_true")


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments, with those of ours that have a value written as ``--option=value``."""
    left, result = iter(arguments), []
    for argument in left:
        value = next(left, None) if argument in _WITH_VALUE else None
        result.append(argument if value is None else f"{argument}={value}")
    return result
