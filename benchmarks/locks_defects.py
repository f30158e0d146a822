"""Are published deadlocks reported, and is nothing said of the release that mended them?

    python benchmarks/locks_defects.py                              # all of locks_defects.toml
    python benchmarks/locks_defects.py --only 'paho-*' --raw        # bare pytest beside: does it hang as described?
    python benchmarks/locks_defects.py --cache ~/.cache/defects

Each defect is run in the last version that has it and in the first that has not: a small test, under the plugin, in a
virtual environment outside of this project; the versions are installed beside it, one folder each, and are on its path
in turn. *Reported* is a finding of level error with the key that the list says; *clean* is a test that passes with no
finding about locks. What hangs is ended after 25 s, and has not been reported. Exit status 1 where a buggy version was
not reported, or a fixed one was not clean; 2 where something could not be installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TIMEOUT = 25.0  # seconds for one test; a deadlock has to be told within 5
ENDING = 3.0  # for the interpreter to end once the verdict is there
_BASE = ("pytest>=8.4,<9", "psutil", "Jinja2")


@dataclass(frozen=True, slots=True)
class Defect:
    """One entry of the list; see there."""

    name: str
    package: str
    buggy: str
    fixed: str
    reference: str
    needs: str
    reports: str
    hangs: bool
    what: str
    test: str
    requires: tuple[str, ...] = ()


@dataclass(slots=True)
class Seen:
    """What a run said: keys of findings of level error about locks, the outcome, and why there is no verdict."""

    keys: set[str] = field(default_factory=set)
    outcome: str = ""
    problem: str = ""


def main() -> int:
    args = _arguments()
    chosen = [defect for defect in _defects() if fnmatch(defect.name, args.only)]
    if not chosen:
        print(f"no defect matches {args.only!r}", file=sys.stderr)
        return 2
    try:
        python = _environment(args.cache)
        rows = [_row(defect, python, args) for defect in chosen]
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(map(str, error.cmd))}: {error.stderr}", file=sys.stderr)
        return 2
    wrong = sum(not right for right in rows)
    print(f"\n{len(rows) - wrong} of {len(rows)} as they should be")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="GLOB", help="names of defects")
    parser.add_argument("--raw", action="store_true", help="run bare pytest too, and tell whether it hangs")
    default = Path(tempfile.gettempdir()) / "coresys-defects"
    parser.add_argument("--cache", type=Path, default=default, metavar="PATH", help="environments and versions")
    return parser.parse_args()


def _defects() -> list[Defect]:
    entries = tomllib.loads((HERE / "locks_defects.toml").read_text(encoding="utf-8"))["defect"]
    return [Defect(**{**entry, "requires": tuple(entry.get("requires", ()))}) for entry in entries]


def _row(defect: Defect, python: Path, args: argparse.Namespace) -> bool:
    buggy, fixed = (_run(defect, version, python, args.cache) for version in (defect.buggy, defect.fixed))
    reported = defect.reports in buggy.keys
    clean = not fixed.keys and fixed.outcome == "passed"
    cells = [
        f"{defect.name:<26}",
        f"{defect.package} {defect.buggy}: {'reported' if reported else _why_not(buggy)}",
        f"{defect.fixed}: {'clean' if clean else _why_not(fixed)}",
        f"needs {defect.needs}",
    ]
    right = reported and clean
    if args.raw:
        bare = [_run(defect, version, python, args.cache, bare=True) for version in (defect.buggy, defect.fixed)]
        hung = [bool(each.problem) for each in bare]
        right = right and hung == [defect.hangs, False]
        cells.append(f"bare: {'hangs' if hung[0] else bare[0].outcome}, then {'hangs' if hung[1] else bare[1].outcome}")
    print("  ".join(cells), flush=True)
    return right


def _why_not(seen: Seen) -> str:
    return seen.problem or f"{seen.outcome}, {', '.join(sorted(seen.keys)) or 'nothing about locks'}"


# -- environments ---------------------------------------------------------------------------------------------------


def _environment(cache: Path) -> Path:
    """The interpreter of an environment with pytest and this project in it, as it is now."""
    folder = cache / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    if not python.exists():
        _call(sys.executable, "-m", "venv", str(folder))
        _call(str(python), "-m", "pip", "install", "--quiet", *_BASE)
        _call(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--editable", str(ROOT))
    return python


def _version(defect: Defect, version: str, python: Path, cache: Path) -> list[Path]:
    """Where a version and what it requires are installed."""
    folders = []
    for name, wanted in (
        (f"{defect.package}-{version}", (f"{defect.package}=={version}",)),
        (defect.package, defect.requires),
    ):
        folder = cache / "versions" / name
        if wanted and not (folder / ".done").exists():
            # Not their dependencies: those are named in the list, pinned where it matters.
            _call(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *wanted)
            (folder / ".done").touch()
        folders.append(folder)
    return folders


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


# -- runs -----------------------------------------------------------------------------------------------------------


def _run(defect: Defect, version: str, python: Path, cache: Path, *, bare: bool = False) -> Seen:
    path = os.pathsep.join(map(str, _version(defect, version, python, cache)))
    with tempfile.TemporaryDirectory(prefix="defect-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_defect.py").write_text(defect.test, encoding="utf-8")
        verdict = folder / ("junit.xml" if bare else "run.json")
        command = [str(python), "-m", "pytest", "test_defect.py", "-p", "no:cacheprovider"]
        if bare:
            command += ["--junitxml", str(verdict)]
        else:
            command += ["-p", "coresys", "--coresys-budget", "--coresys-repeat", "0", "--coresys-json", str(verdict)]
        problem = _pytest(command, folder, path, verdict)
        if not verdict.exists():
            return Seen(problem=problem or f"no verdict: {_tail(folder)}")
        text = verdict.read_text(encoding="utf-8")
        if bare:
            return Seen(outcome="passed" if 'failures="0"' in text and 'errors="0"' in text else "failed")
        return _seen(json.loads(text))


def _seen(facts: dict[str, Any]) -> Seen:
    findings = [finding for part in (facts, *facts["tests"]) for finding in part.get("findings", ())]
    keys = {each["key"] for each in findings if each["level"] == "error" and each["key"].startswith("locks.")}
    outcomes = {test["outcome"] for test in facts["tests"]}
    return Seen(keys, ", ".join(sorted(outcomes)) or "nothing was collected")


def _pytest(command: list[str], folder: Path, path: str, verdict: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CORESYS_"))}
    environment = {**kept, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with open(folder / "output.txt", "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = time.monotonic()
    written: float | None = None
    try:
        while process.poll() is None:
            time.sleep(0.05)
            now = time.monotonic()
            if written is None and verdict.exists():
                written = now
            if written is not None and now - written > ENDING:
                break
            if now - started > TIMEOUT:
                return f"hangs: not done after {TIMEOUT:.0f} s"
        return ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(folder: Path) -> str:
    text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    return " | ".join(text.strip().splitlines()[-3:])


if __name__ == "__main__":
    sys.exit(main())
