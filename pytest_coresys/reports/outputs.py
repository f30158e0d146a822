"""Which outputs for CI a run writes, and where: by ``--coresys-ci``, or by the environment of the service. No pytest.

What cannot be written is told, and fails nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coresys.budgets.wording import printable
from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.keys import unknown
from pytest_coresys.reports import ci, runfile
from pytest_coresys.reports.model import has_run

_OPTION = "--coresys-ci"
GITHUB = "github"


@dataclass(frozen=True, slots=True)
class Outputs:
    """``files`` are formats and paths; ``summary`` is GitHub's file, which is added to; ``annotates`` the output."""

    files: tuple[tuple[str, str], ...] = ()
    summary: str | None = None
    annotates: bool = False

    def write(self, run: Mapping[str, Any], folder: Path) -> list[str]:
        """Write all, paths from ``folder``; a line for each that could not be."""
        if not has_run(run):
            return []
        problems = []
        for name, path in self.files:
            try:
                runfile.write_text(folder / path, ci.FORMATS[name](run))
            except runfile.OutputError as error:
                problems.append(f"{_OPTION} {name}: {path}: cannot be written: {error.cause}")
            except Exception as error:  # whatever a plugin has put into the run: the others are written all the same
                problems.append(f"{_OPTION} {name}: {path}: cannot be made: {_told(error)}")
        if self.summary is not None:
            try:
                with open(self.summary, "a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(ci.github_summary(run))
            except OSError as error:
                problems.append(f"the summary of GitHub's step: {self.summary}: {error.strerror or error}")
            except Exception as error:
                problems.append(f"the summary of GitHub's step: {self.summary}: cannot be made: {_told(error)}")
        return problems

    def printed(self, run: Mapping[str, Any]) -> list[str]:
        """What is for the output itself."""
        if not self.annotates:
            return []
        try:
            return ci.github_annotations(run)
        except Exception as error:
            return [f"GitHub's annotations cannot be made: {_told(error)}"]


def _told(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}", ascii_only=False)


def ci_outputs(given: Iterable[str], environment: Mapping[str, str]) -> Outputs:
    """What the options and the environment ask for. Raises ConfigError for what is no format, or has no path."""
    files = []
    for text in given:
        name, equals, path = (part.strip() for part in text.partition("="))
        if name not in ci.FORMATS:
            raise ConfigError(place=_OPTION, problem=unknown("format", name, tuple(ci.FORMATS)))
        if not equals or not path:
            raise ConfigError(place=_OPTION, problem=f'"{text}": write {name}=PATH')
        files.append((name, path))
    inside = environment.get("GITHUB_ACTIONS") == "true"
    asked = any(name == GITHUB for name, _ in files)
    summary = environment.get("GITHUB_STEP_SUMMARY") or None
    return Outputs(tuple(files), summary if inside and not asked else None, annotates=inside or asked)
