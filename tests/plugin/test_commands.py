"""What is printed to be typed shows the same again: each command is taken from the screen, and run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from innersuite import Inner, InnerSuite

OWN = '[[criterion]]\nid = "shop.time"\nstatistic = "value"\nlimit = "50 ms"\n'
LEAK = """
import os, pytest
KEPT = []
@pytest.mark.coresys_criterion("shop.time")
def test_leaks(): KEPT.append(os.open(os.devnull, os.O_RDONLY))
"""
CROSSED = """
import threading
A, B = threading.Lock(), threading.Lock()
def test_one():
    with A, B: pass
def test_two():
    with B, A: pass
"""


def commands(run: Inner) -> list[str]:
    """All that the screen offers, as it stands there."""
    found = re.findall(r"^ *(?:repro|to settle:) +python -m pytest (.+)$", run.text, re.MULTILINE)
    return [str(each) for each in found]


def again(inner: InnerSuite, command: str, folder: str = ".") -> Inner:
    return inner.run(*shlex.split(command), folder=folder)


def test_a_command_judges_by_what_its_run_was_judged_by(inner: InnerSuite) -> None:
    """A test may name a criterion: without its file the run ends before it begins."""
    for name, text in (("own.toml", OWN), ("pytest.ini", "[pytest]\n"), ("test_it.py", LEAK)):
        Path(inner.path, name).write_text(text, encoding="utf-8")
    Path(inner.path, "sub").mkdir()
    given = ("--coresys-criteria", "../own.toml", "--coresys-set", "memory.peak=9 MB", "../test_it.py")
    for mode in ("--coresys-budget", "--coresys-observe"):
        first = inner.run(mode, *given, folder="sub")
        printed = commands(first)
        assert printed, first.text
        options = ["--coresys-criteria", "../own.toml", "--coresys-set", "memory.peak=9 MB"]
        assert all(shlex.split(each)[-4:] == options for each in printed), printed
    second = again(inner, printed[0], "sub")
    assert "descriptors.leaked" in second.found()["test_leaks"], second.text


def test_what_two_tests_do_together_takes_both(inner: InnerSuite) -> None:
    Path(inner.path, "test_locks.py").write_text(CROSSED, encoding="utf-8")
    for mode in ("--coresys-budget", "--coresys-observe"):
        (printed,) = commands(inner.run(mode))
        assert shlex.split(printed)[:2] == ["test_locks.py::test_one", "test_locks.py::test_two"]
    run = again(inner, printed)
    assert [each["key"] for each in run.facts["findings"]] == ["locks.potential_deadlocks"], run.text
