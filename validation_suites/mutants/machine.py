"""Put one fault into a copy of the library, run the suites that ought to notice, and tell whether they did.

A mutant is *caught* if a criterion is over, a test fails, or the run does not come to its end; it *survives* if the run
is as green as without it. What does not apply (the text it changes is not there, once) is an error of the list.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coresys

LIBRARY = Path(coresys.__file__).resolve().parent
SUITES = Path(__file__).resolve().parents[1]
SECONDS = 120.0  # for one run: a mutant may make something wait for ever, and that is caught


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: in the file ``path`` of the library ``old`` becomes ``new``; ``suites`` ought to notice it.

    A suite is a folder of ``validation_suites``, perhaps with a file in it. ``since`` is the first Python that has what
    it breaks.
    """

    name: str
    path: str
    old: str
    new: str
    suites: tuple[str, ...]
    since: tuple[int, int] = (3, 10)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``by`` is what caught it: criteria that are over, or tests that failed; empty if it survived."""

    mutant: Mutant
    by: tuple[str, ...] = ()
    seconds: float = 0.0
    problem: str = ""

    @property
    def caught(self) -> bool:
        return bool(self.by)


class MutantError(Exception):
    """A mutant that cannot be made, or suites that are not green without one."""


def applied(mutant: Mutant, text: str) -> str:
    """The text with the fault. Raises MutantError where it does not stand there exactly once."""
    times = text.count(mutant.old)
    if times != 1:
        raise MutantError(f"{mutant.name}: what it changes stands {times} times in {mutant.path}")
    changed = text.replace(mutant.old, mutant.new)
    try:
        compile(changed, mutant.path, "exec")
    except SyntaxError as error:
        raise MutantError(f"{mutant.name}: {mutant.path} is no Python then: {error}") from None
    return changed


def check(mutants: Sequence[Mutant]) -> None:
    """Raise MutantError for one that does not apply, or whose name or suite is wrong."""
    names = [each.name for each in mutants]
    for mutant in mutants:
        if names.count(mutant.name) > 1:
            raise MutantError(f"{mutant.name}: two have this name")
        applied(mutant, (LIBRARY / mutant.path).read_text(encoding="utf-8"))
        for suite in mutant.suites:
            if not (SUITES / suite).exists():
                raise MutantError(f"{mutant.name}: there is no suite {suite}")


def run(mutants: Sequence[Mutant], *, at_once: int) -> Iterator[Outcome]:
    """What became of each, in the order of the list. Raises MutantError at first, where a suite is not green."""
    check(mutants)
    with ThreadPoolExecutor(at_once) as pool:
        needed = list(dict.fromkeys((suite,) for mutant in mutants for suite in mutant.suites))
        for _ in pool.map(check_unchanged, needed):
            pass
        yield from pool.map(judged, mutants)


def check_unchanged(suites: tuple[str, ...]) -> None:
    """Raise MutantError where these suites are not green without any fault: they would catch everything.

    They are run twice where they are red: several mutants at once make a machine busy.
    """
    by: tuple[str, ...] = ()
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="coresys-mutant-") as folder:
            by = _faults(Path(folder), suites)
        if not by:
            return
    raise MutantError(f"{', '.join(suites)}: not green without any fault: {'; '.join(by)}")


def judged(mutant: Mutant) -> Outcome:
    """What became of one."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coresys-mutant-") as name:
        folder = Path(name)
        shutil.copytree(LIBRARY, folder / "coresys", ignore=shutil.ignore_patterns("__pycache__"))
        place = folder / "coresys" / mutant.path
        place.write_text(applied(mutant, place.read_text(encoding="utf-8")), encoding="utf-8")
        by = _faults(folder, mutant.suites)
    return Outcome(mutant, by, time.monotonic() - began)


def _faults(folder: Path, suites: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong with the library in ``folder`` (or the one that is installed), as the suites see it."""
    target = folder / "run.json"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--rootdir", str(folder), "-c", str(folder / "pytest.ini")]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not coresys_alone"]
    command += ["--coresys-budget", "--coresys-repeat", "0", "--coresys-json", str(target)]
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command += [str(SUITES / suite) for suite in suites]
    told = _ended(command, folder)
    if told is None:
        return (f"did not end within {SECONDS:.0f} s",)
    if not target.exists():
        return (f"the run broke: {told[-200:]}",)
    facts = json.loads(target.read_text(encoding="utf-8"))
    return tuple(_wrong(facts))


def _wrong(facts: dict[str, Any]) -> Iterator[str]:
    for criterion in facts["criteria"]:
        if criterion["verdict"] == "over" and criterion["statistic"] != "derived":
            yield criterion["id"]
    for test in facts["tests"]:
        if test["outcome"] in ("failed", "error"):
            yield test["nodeid"].rpartition("/")[2]


def _ended(command: Sequence[str], folder: Path) -> str | None:
    """Its output, or None where it had to be ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CORESYS_"))}
    path = os.pathsep.join(filter(None, [str(folder), environment.get("PYTHONPATH", "")]))
    environment |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder)}
    output = folder / "output.txt"
    with open(output, "wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)
    return output.read_text(encoding="utf-8", errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """It, and whatever it has left running."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
    else:
        process.kill()
    process.wait()


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each, as they come to be printed."""
    return [line(outcome) for outcome in outcomes]


def line(outcome: Outcome) -> str:
    """One of them: what caught it."""
    word = "caught  " if outcome.caught else "SURVIVED"
    by = ", ".join(outcome.by[:3]) + (f" and {len(outcome.by) - 3} more" if len(outcome.by) > 3 else "")
    return f"{word} {outcome.seconds:5.1f} s  {outcome.mutant.name}{f'  ({by})' if by else ''}"
