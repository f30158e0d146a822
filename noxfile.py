"""Every Python that is found, against the built wheel, oldest and newest pytest, with and without xdist."""

import nox

nox.options.error_on_missing_interpreters = False
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", ["oldest", "newest"])
def tests(session: nox.Session, pytest: str) -> None:
    session.install(".[dev]")
    session.install("pytest==8.2.0" if pytest == "oldest" else "pytest>=9")
    session.run("pytest", "-q", "-n", "2", "-m", "not slow")


@nox.session(python=PYTHONS)
def types(session: nox.Session) -> None:
    session.install(".[dev]")
    session.run("mypy")
