"""What is wrong with a configuration or a marker. Callers turn these into a usage error or a failed test.

Their text repeats what somebody wrote, and ends up in terminals: what is no printable character is escaped.
"""

from __future__ import annotations

from coresys.budgets.wording import printable
from coresys.errors.hierarchy import CoreSysError


class ConfigError(CoreSysError):
    """The configuration cannot be used: the whole run stops with a usage error (exit status 4).

    ``place`` is where it was written (``pyproject.toml:14``, ``--coresys-set``), ``problem`` what is wrong.
    """

    def __init__(self, *, place: str, problem: str) -> None:
        self.place, self.problem = place, problem
        super().__init__(printable(f"{place}: {problem}", ascii_only=False))


class MarkerError(CoreSysError):
    """A marker cannot be used: the test that carries it fails. ``place`` names the marker and its line."""

    def __init__(self, *, place: str, problem: str) -> None:
        self.place, self.problem = place, problem
        super().__init__(printable(f"{place}: {problem}", ascii_only=False))


class ValueProblem(CoreSysError):
    """What is wrong with one key or value, before it is known where it was written.

    ``where`` are the sub-keys below the value in question (``("max",)``), empty for the value itself.
    """

    def __init__(self, problem: str, where: tuple[str, ...] = ()) -> None:
        self.problem, self.where = problem, where
        super().__init__(problem)
