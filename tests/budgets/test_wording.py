"""The words of a finding: the first line, at most so many more, and safe for any terminal."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from coresys.budgets.model import Verdict
from coresys.budgets.wording import MAX_LINES, advice, clipped, finding_text, first_line, printable, summary_of
from coresys.records import Finding, Location

OVER = Verdict(
    key="memory.growth",
    status="over",
    value=1_468_006.4,
    limit=512_000,
    unit="B",
    level="error",
    origin="pyproject.toml:12",
    evidence="repeated",
    resolution=16,
    series=(1_468_006.4, 1_468_006.4),
)
HOSTILE = "a\x1b[31m\u202eb\ud800\n\r\t\x00\x7f\x85\u2028\u00e9"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain ~text!", "plain ~text!"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x7f\x85", r"\x00\x7f\x85"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066\u200b\ufeff", r"\u2066\u200b\ufeff"),
        ("\ud800", r"\ud800"),
        ("\u00e9\U0001f600", r"\xe9\U0001f600"),
        (7, "7"),
    ],
)
def test_whatever_a_terminal_may_act_on_is_escaped(text: object, escaped: str) -> None:
    assert printable(text) == escaped


def test_letters_of_all_scripts_can_be_kept_and_controls_never() -> None:
    assert printable("\u00e9\u6f22\U0001f600", ascii_only=False) == "\u00e9\u6f22\U0001f600"
    kept = printable(HOSTILE, ascii_only=False)
    assert kept == r"a\x1b[31m\u202eb\ud800\n\r\t\x00\x7f\x85\u2028" + "\u00e9"
    kept.encode()  # no surrogate is left


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (OVER, "memory.growth: 1.4 MiB per run > 500 KiB (pyproject.toml:12)"),
        (replace(OVER, evidence="screened"), "memory.growth: 1.4 MiB > 500 KiB (pyproject.toml:12)"),
        (replace(OVER, key="memory.peak"), "memory.peak: 1.4 MiB > 500 KiB (pyproject.toml:12)"),
        (replace(OVER, status="near"), "memory.growth: 1.4 MiB per run, limit 500 KiB (pyproject.toml:12)"),
        (
            replace(OVER, key="threads.leaked", value=2, limit=0, unit="count"),
            "threads.leaked: 2 per run > 0 (pyproject.toml:12)",
        ),
        (replace(OVER, status="not_measured", value=None, why="suspected: 3 KiB"), "memory.growth: suspected: 3 KiB"),
        (replace(OVER, status="not_measured", value=None), "memory.growth: not measured"),
        (replace(OVER, origin="a\x1b\nb"), r"memory.growth: 1.4 MiB per run > 500 KiB (a\x1b\nb)"),
        (replace(OVER, value=None, why="\x1b"), r"memory.growth: \x1b"),
    ],
)
def test_the_first_line_tells_what_was_seen_and_claims_no_more(verdict: Verdict, line: str) -> None:
    assert summary_of(verdict) == line


def test_the_first_line_says_per_run_only_where_it_was_repeated() -> None:
    assert first_line("k", "2", "1", True, "default") == "k: 2 per run > 1 (default)"
    assert first_line("k", "2", "1", False, "default") == "k: 2 > 1 (default)"


def test_a_finding_in_full() -> None:
    finding = Finding(
        "memory.growth",
        "error",
        "",
        details=("3 Session objects more per run",),
        locations=(Location("app/cache.py", 41, "put", "+1.4 MiB"),),
        holders=(("app/cache.py:12 global _CACHE", "dict['k']", "Session"),),
    )
    text = finding_text(finding, replace(OVER, reason="#412"), nodeid="tests/test_a.py::test_x")
    assert text == [
        "memory.growth: 1.4 MiB per run > 500 KiB (pyproject.toml:12)",
        "  seen       1.4 MiB in each of 2 repetitions; resolution 16 B",
        "             3 Session objects more per run",
        "  where      app/cache.py:41 put +1.4 MiB",
        "  held by    app/cache.py:12 global _CACHE -> dict['k'] -> Session",
        "  limit      500 KiB, set by pyproject.toml:12: #412",
        "  try        bound or clear what holds it at teardown (a cache, a registry, a list of listeners)",
        '  repro      pytest "tests/test_a.py::test_x" --coresys-budget',
    ]


def test_a_finding_of_the_run_names_owner_and_tests() -> None:
    finding = Finding(
        "threads.leaked", "error", "threads.leaked: 1 left", owner="fixture pool (c.py:9)", tests=("t::a", "t::b")
    )
    assert finding_text(finding, None) == [
        "threads.leaked: 1 left",
        "  owner      fixture pool (c.py:9)",
        "  tests      t::a and t::b",
        "  try        join() or close() its owner at teardown, or give the thread a stop signal",
        '  repro      pytest "t::a" "t::b" --coresys-budget',
    ]
    many = finding_text(replace(finding, tests=("t::a", "t::b", "t::c")), None, words=['"t"'], options="--x")
    assert (many[2], many[-1]) == ("  tests      t::a and 2 more", '  repro      pytest "t" --coresys-budget --x')
    whole = finding_text(finding, None, words=[])
    assert whole[-1] == "  repro      pytest --coresys-budget", "no words are the whole suite"


def test_of_two_tests_without_an_owner_each_has_a_line_and_the_command_both() -> None:
    lines = finding_text(Finding("locks.potential_deadlocks", "error", "1 > 0", tests=("t::a", "t::b")), None)
    assert lines[1:3] == ["  tests      t::a", "             t::b"]
    assert lines[-1] == '  repro      pytest "t::a" "t::b" --coresys-budget'


@pytest.mark.parametrize("of_run", [False, True])
def test_a_block_is_never_long_and_always_ascii(of_run: bool) -> None:
    finding = Finding(
        "memory.growth",
        "error",
        HOSTILE,
        details=tuple(HOSTILE * 100 for _ in range(50)),
        locations=tuple(Location("x" * 5000, n, HOSTILE, HOSTILE) for n in range(50)),
        holders=tuple((HOSTILE * 50,) * 10 for _ in range(50)),
        owner=HOSTILE if of_run else None,
        tests=(HOSTILE, HOSTILE) if of_run else (),
    )
    lines = finding_text(finding, None if of_run else replace(OVER, reason=HOSTILE, origin=HOSTILE), nodeid=HOSTILE)
    assert len(lines) <= MAX_LINES
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert all(len(line) <= 400 for line in lines[:-1])
    assert sum("more" in line for line in lines) >= 3


@pytest.mark.parametrize(
    ("series", "text"),
    [
        ((64,), "64 B in 1 repetition; resolution 16 B"),
        ((64, 64, 64), "64 B in each of 3 repetitions; resolution 16 B"),
        ((0, 64, 128), "0 B, 64 B, 128 B in 3 repetitions; resolution 16 B"),
        (tuple(range(7)), "0 B to 6 B in each of 7 repetitions; resolution 16 B"),
        ((float("nan"), 64), "64 B in 1 repetition; resolution 16 B"),
    ],
)
def test_a_series_is_told_in_one_line(series: tuple[float, ...], text: str) -> None:
    lines = finding_text(Finding("memory.growth", "error", ""), replace(OVER, series=series))
    assert lines[1] == f"  seen       {text}"


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "ab...g"),
        ("abcdefgh", 7, "ab...gh"),
        ("abcdef", 3, "..."),
    ],
)
def test_what_is_too_long_is_cut_in_the_middle(text: str, most: int, short: str) -> None:
    assert clipped(text, most) == short


@pytest.mark.parametrize(
    "nodeid", ["t.py::test_x", "t.py::test_x[a b]", "t.py::t[$HOME]", "t.py::t[`x`]", 't.py::t["q\'"]', "t.py::t[!]"]
)
def test_the_command_to_see_it_again_survives_a_shell(nodeid: str) -> None:
    line = finding_text(Finding("memory.growth", "error", ""), OVER, nodeid=nodeid)[-1]
    assert shlex.split(line.removeprefix("  repro      ")) == ["pytest", nodeid, "--coresys-budget"]


def test_there_is_advice_for_each_measure_of_ours_and_none_for_others() -> None:
    assert advice("memory.growth")
    assert advice("acme.widgets") is None


@pytest.mark.parametrize(
    ("details", "holders", "tried"),
    [
        ((), (), "bound or clear what holds it at teardown (a cache, a registry, a list of listeners)"),
        (("native: 8 KiB per run",), (), "give it back to the library that allocated it (its free, close or destroy"),
        (("native: 8 KiB per run",), (("global A", "list[1]"),), "bound or clear what holds it at teardown"),
        (("grows along with threads.leaked, which may be all",), (), "see to that first, and measure again"),
    ],
    ids=["held", "native", "held and native", "along with a thread"],
)
def test_advice_on_memory_depends_on_what_keeps_it(
    details: tuple[str, ...], holders: tuple[tuple[str, ...], ...], tried: str
) -> None:
    finding = Finding("memory.growth", "error", "", details=details, holders=holders)
    (line,) = [line for line in finding_text(finding, OVER) if line.startswith("  try ")]
    assert line.split(None, 1)[1].startswith(tried)


def test_what_a_lock_cost_is_told_of_runs() -> None:
    verdict = Verdict(
        "locks.contention", "over", 0.3, 0.05, "ratio", "error", "default", "repeated", 0.0, series=(0.4, 0.3, 0.5)
    )
    lines = finding_text(Finding("locks.contention", "error", ""), verdict, nodeid="test_a.py::test_hot")
    assert lines[0] == "locks.contention: 30 % > 5 % (default)"
    assert lines[1] == "  seen       40 %, 30 %, 50 % in 3 runs"


@pytest.mark.parametrize(
    ("details", "try_"),
    [
        (["a waits for l, held by b; it holds m", "b waits for m, held by a; it holds l"], "one order everywhere"),
        (["a waits for l, held by a; it holds l"], "where it is not held"),
        (
            ["w_0 waits for a future that no worker is free for, which is to come from w_0"],
            "give the pool more workers",
        ),
        (["MainThread waits for an Event"], "on every path"),
        (
            ["MainThread waits for the end of thread w; it holds l", "w waits for l, held by MainThread"],
            "let go of the lock",
        ),
        (["a waits for the end of thread b", "b waits for the end of thread a"], "wait for one of them only"),
        (["Task-1 waits for what a thread is to do", "asyncio_0 waits for l, held by MainThread"], "over an await"),
    ],
)
def test_a_deadlock_has_the_advice_of_its_kind(details: list[str], try_: str) -> None:
    stacks = [f"stack of t{at}: a.py:1 in f" for at in range(2)]
    finding = Finding("locks.deadlocks", "error", "locks.deadlocks: 1 > 0", details=("broken", *details, *stacks))
    lines = finding_text(finding, None)
    (told,) = [line for line in lines if line.startswith("  try ")]
    assert try_ in told
    assert [line.split("  ")[-1].strip() for line in lines if "stack of" in line] == stacks


def test_a_deadlock_of_very_many_threads_says_where_all_of_them_are() -> None:
    details = tuple(f"stack of t{at}: a.py:1 in f" for at in range(30))
    lines = finding_text(Finding("locks.deadlocks", "error", "locks.deadlocks: 1 > 0", details=details), None)
    assert any(line.endswith("... and 17 more: all are in the file of --coresys-json") for line in lines)
