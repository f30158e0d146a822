"""Every Python that is found: oldest and newest pytest, with and without xdist; and the wheel, as users get it."""

from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]

LEAKS = "KEPT = []\n\n\ndef test_keeps():\n    KEPT.append(object())\n\n\ndef test_clean():\n    pass\n"


@nox.session(python=PYTHONS)
@nox.parametrize("workers", ["0", "2"])
@nox.parametrize("pytest", ["oldest", "newest"])
def tests(session: nox.Session, pytest: str, workers: str) -> None:
    session.install(".[dev]")
    session.install("pytest==8.2.0" if pytest == "oldest" else "pytest>=9")
    session.run("pytest", "-q", "-n", workers, "-m", "not slow")


@nox.session(python=PYTHONS)
def types(session: nox.Session) -> None:
    session.install(".[dev]")
    session.run("mypy")


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """What is installed, with nothing of the checkout beside it, finds a leak and writes its run file."""
    session.install(".")
    session.run("python", "-c", "from coresys.threads.watching import locks, speed; print('in C:', speed.in_use())")
    session.chdir(session.create_tmp())
    Path("test_it.py").write_text(LEAKS, encoding="utf-8")
    session.run("pytest", "-q", "--coresys-budget", "--coresys-json", "run.json", "test_it.py", success_codes=[1])
    session.run("python", "-c", "import json; assert json.load(open('run.json'))['summary']['over'] == 1")
    session.run("coresys", "doctor")
