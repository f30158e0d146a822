"""What is printed to be typed shows the same again: each command is taken from the screen, and run."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from innersuite import Inner, InnerSuite

import pytest_coresys

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


@pytest.mark.parametrize("options", [[], ["-n", "1"]], ids=["here", "worker"])
def test_what_pyargs_found_is_found_again(
    inner: InnerSuite, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids of such tests are no paths from the root; nor is ``test_deep`` a module that anybody finds."""
    root = Path(pytest_coresys.__file__).parents[1]  # workers are started anew: they take this plugin, of a clone too
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (inner.path, root))))
    leak = LEAK.replace('@pytest.mark.coresys_criterion("shop.time")', '@pytest.mark.parametrize("at", ["a b"])')
    leak = leak.replace("test_leaks()", "test_leaks(at)")
    for name, text in (
        ("shop/__init__.py", ""),
        ("shop/test_it.py", leak),
        ("shop/deep/test_deep.py", leak),
        ("root/pytest.ini", "[pytest]\n"),
        ("root/test_here.py", leak),
    ):
        Path(inner.path, name).parent.mkdir(parents=True, exist_ok=True)
        Path(inner.path, name).write_text(text, encoding="utf-8")
    first = inner.run("--coresys-budget", "--pyargs", "shop", "test_here.py", *options, folder="root")
    named = {tuple(shlex.split(each.partition(" --coresys")[0])) for each in commands(first)}
    places = ["--pyargs shop.test_it", "--pyargs shop.deep.test_deep", "test_here.py"]
    assert named == {(*place.split()[:-1], f"{place.split()[-1]}::test_leaks[a b]") for place in places}, first.text
    assert first.facts["run"]["pyargs"] == ["shop"]
    assert [test.get("module") for test in first.facts["tests"]] == ["shop.deep.test_deep", "shop.test_it", None]
    (deep, *_) = [each for each in commands(first) if "deep" in each]
    second = again(inner, deep.replace("--pyargs", "--pyargs test_here.py"), "root")
    assert len([each for each in second.facts["tests"] if each["outcome"] == "failed"]) == 2, second.text
