"""The ``coresys`` command: what it prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from coresys.measure import meters
from coresys.threads.watching import speed
from pytest_coresys import cli
from pytest_coresys.measures import MEASURES


def test_doctor_tells_of_every_measure_and_why_it_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(meters, "capabilities", lambda: {**dict.fromkeys(MEASURES), "threads.leaked": "no such list"})
    monkeypatch.setattr(cli, "why_no_fork", lambda: None)
    assert cli.main(["doctor"]) == 1
    told = capsys.readouterr().out.splitlines()
    for key in MEASURES:
        (line,) = [line for line in told if line.split()[0] == key]
        assert ("not measured: no such list" in line) == (key == "threads.leaked")
    assert told[-1].strip() == "repeating: in a forked child behind a sandbox"


def test_doctor_tells_in_what_watched_locks_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for in_use, said in ((True, "in C"), (False, "in Python, three times as dear: no compiler")):
        monkeypatch.setattr(speed, "in_use", lambda in_use=in_use: in_use)
        monkeypatch.setattr(speed, "why_not", lambda: "no compiler")
        cli.main(["doctor"])
        assert f"  watched locks: {said}\n" in capsys.readouterr().out


def test_doctor_tells_where_there_is_no_safe_fork(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "why_no_fork", lambda: "this platform has no safe fork")
    assert cli.main(["doctor"]) == 1
    assert "repeating: this platform has no safe fork; only the last test" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["nonsense"], ["doctor", "--nonsense"]])
def test_what_is_wrong_is_one_line_and_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith("coresys")
    assert "--help" in line


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"coresys {version('pytest-coresys')}"


def test_who_reads_no_further_sees_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest_coresys.cli", "doctor"], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")
