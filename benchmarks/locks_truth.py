"""How true the verdicts about locks are: each file of tests/corpus_locks, in a table of kinds.

    python benchmarks/locks_truth.py                                  # once, idle
    python benchmarks/locks_truth.py --runs 20 --loads idle,busy      # twenty times each, alone and beside 4 burners
    python benchmarks/locks_truth.py --pythons ~/v310/bin/python,~/v313/bin/python --only 'potential/*'

A file that says what is in it is *found* if that key was flagged, as often as the file says, and each line that it
marks was named; else *missed*. *False* is a finding in an innocent file, one of another key, or an innocent test that
failed. *Broken* is an innocent file without a verdict. *Known* are the files of the kind "missed", while they are: what
is there, and is not found for the reason that each of them gives, which is printed.
Each Python needs the plugin and pytest-xdist installed. Exit status 1 when anything is missed, false or broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "corpus_locks"))

from locks_driver import KINDS, MISSED, Case, Score, cases, run, score, version_of  # noqa: E402

BURNERS = 4
# Ends with us, however we end.
_SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(1_000_000): pass"


@dataclass(frozen=True, slots=True)
class Setting:
    """One Python, on an idle machine or a busy one."""

    python: str
    version: tuple[int, ...]
    busy: bool

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.version))} {'busy' if self.busy else 'idle'}"


Scores = dict[Setting, dict[Case, list[Score]]]
_longest: dict[str, tuple[float, str]] = {}  # by setting: the longest that a deadlock took until it was told


def main() -> int:
    args = _arguments()
    chosen = cases(args.only)
    if not chosen:
        print(f"no file matches {args.only!r}", file=sys.stderr)
        return 2
    scores: Scores = {}
    for setting in _settings(args):
        scores[setting] = _run(setting, chosen, args.runs)
    print()
    print("\n".join(_table(scores)))
    for name, (seconds, case) in _longest.items():
        print(f"{name}: a deadlock was told after {seconds:.1f} s at most ({case})")
    print("\n".join(_wrong(scores)))
    if args.json is not None:
        args.json.write_text(json.dumps(_plain(scores), indent=1) + "\n", encoding="utf-8")
    return 0 if all(each.right for by_case in scores.values() for seen in by_case.values() for each in seen) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="runs of each file in each setting")
    parser.add_argument("--pythons", default=sys.executable, metavar="PATHS", help="interpreters, by commas")
    parser.add_argument("--loads", default="idle", metavar="LOADS", help="idle, busy or both, by a comma")
    parser.add_argument("--only", default="*", metavar="GLOB", help="files to run, such as 'innocent/test_aio*'")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every score to PATH")
    args = parser.parse_args()
    if unknown := set(args.loads.split(",")) - {"idle", "busy"}:
        parser.error(f"--loads: {', '.join(sorted(unknown))}: neither idle nor busy")
    return args


def _settings(args: argparse.Namespace) -> Iterator[Setting]:
    for python in map(os.path.abspath, args.pythons.split(",")):  # it runs elsewhere; a link of a venv stays one
        version = version_of(python)
        for load in args.loads.split(","):
            yield Setting(python, version, load == "busy")


def _run(setting: Setting, chosen: list[Case], runs: int) -> dict[Case, list[Score]]:
    found: dict[Case, list[Score]] = defaultdict(list)
    with _busy() if setting.busy else _idle():
        for number in range(1, runs + 1):
            started = time.monotonic()
            seen = run(chosen, python=setting.python, version=setting.version)
            for case, each in seen.items():
                found[case].append(score(case, each))
                if case.may_hang and found[case][-1].right:
                    told = (each.seconds, case.name)
                    _longest[str(setting)] = max(_longest.get(str(setting), told), told)
            wrong = sum(not found[case][-1].right for case in seen)
            print(
                f"{setting}, run {number}: {wrong} of {len(seen)} wrong, {time.monotonic() - started:.0f} s", flush=True
            )
    return found


@contextmanager
def _idle() -> Iterator[None]:
    yield


@contextmanager
def _busy() -> Iterator[None]:
    spinners = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(BURNERS)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


# -- what comes of it -----------------------------------------------------------------------------------------------


def _table(scores: Scores) -> list[str]:
    lines = [f"{'':<14}{'kind':<15}{'files':>6}{'found':>12}{'known':>8}{'missed':>8}{'false':>8}{'broken':>8}"]
    for setting, by_case in scores.items():
        for kind in KINDS:
            mine = {case: seen for case, seen in by_case.items() if case.kind == kind}
            if mine:
                lines.append(f"{setting!s:<14}" + _row(kind, list(mine.values())))
        lines.append(f"{setting!s:<14}" + _row("all", list(by_case.values())))
    return lines


def _row(title: str, rows: list[list[Score]]) -> str:
    words = Counter(each.word for seen in rows for each in seen)
    right, total = words["found"] + words["clean"], sum(words.values())
    cells = "".join(f"{words[word]:>8}" for word in ("known", "missed", "false", "broken"))
    return f"{title:<15}{len(rows):>6}{f'{right}/{total}':>12}{cells}"


def _wrong(scores: Scores) -> list[str]:
    """Each file that was not always judged rightly, and why; and why known misses are."""
    reasons: dict[Case, Counter[str]] = defaultdict(Counter)
    for by_case in scores.values():
        for case, seen in by_case.items():
            reasons[case].update(
                f"{each.word}{f' ({each.why})' if each.why else ''}" for each in seen if not each.right
            )
            if case.kind == MISSED and any(each.word == "found" for each in seen):
                reasons[case].update(["found: it is no known miss any more"])
    wrong = [
        f"{case.name}: " + ", ".join(f"{times}x {reason}" for reason, times in why.items())
        for case, why in reasons.items()
        if why
    ]
    return wrong + [f"{case.name} is not found: {case.because}" for case in reasons if case.kind == MISSED]


def _plain(scores: Scores) -> list[dict[str, object]]:
    return [
        {"setting": str(setting), "case": case.name, "needs": case.needs}
        | {"scores": [each.word for each in seen], "why": sorted({each.why for each in seen if each.why})}
        for setting, by_case in scores.items()
        for case, seen in by_case.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
