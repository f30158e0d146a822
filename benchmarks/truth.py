"""How true the verdicts are: each case of the corpus in each profile, with pytest-memray's ``limit_leaks`` beside it.

    python benchmarks/truth.py                         # tests/corpus once, default and strict
    python benchmarks/truth.py --repeat 10 --busy      # ten runs of each, both cores kept busy meanwhile
    python benchmarks/truth.py --corpus DIR --only 'leaky/test_c*' --json truth.json

A cell tells how many of the runs were right: a leaky case found (by the key that it says it leaks), an innocent one
not flagged. Exit status 1 when a leaky case was missed in strict, fewer than 90 % were found in default, or an
innocent one was flagged in either.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "corpus"))

from driver import CORPUS, IN_PLACE, Case, Seen, cases, run, run_memray  # noqa: E402

MEMRAY = "memray"
FOUND_IN_DEFAULT = 0.9
# Ends with us, however we end. The interpreter's switch interval does not matter: nothing else runs in it.
_SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(1_000_000): pass"


@dataclass(frozen=True, slots=True)
class Row:
    """All runs of one case, by tool."""

    case: Case
    runs: dict[str, list[Seen]]

    def right(self, tool: str) -> int:
        return sum(self.case.is_right(seen) for seen in self.runs[tool])


def main() -> int:
    args = _arguments()
    chosen = cases(args.corpus, args.only)
    if not chosen:
        print(f"no case in {args.corpus} matches {args.only!r}", file=sys.stderr)
        return 2
    if args.in_place:
        os.environ[IN_PLACE] = "1"
    tools = _tools(args.profiles.split(","), memray=not args.no_memray)
    with _busy() if args.busy else _idle():
        rows = list(_measure(chosen, tools, args.repeat, args.jobs))
    print()
    print("\n".join(_totals(rows, list(tools), busy=args.busy)))
    if args.json is not None:
        args.json.write_text(json.dumps(_plain(rows, list(tools), args), indent=1) + "\n", encoding="utf-8")
    return 1 if _disappoints(rows) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="a folder with leaky/ and innocent/ in it")
    parser.add_argument("--only", default="*", metavar="GLOB", help="cases to run, such as 'leaky/test_cache*'")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of each case and tool")
    parser.add_argument("--busy", action="store_true", help="keep every core busy meanwhile")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cases at the same time")
    parser.add_argument("--profiles", default="default,strict", metavar="NAMES", help="profiles, by commas")
    parser.add_argument("--in-place", action="store_true", help="repeat in the process of the tests, not in a child")
    parser.add_argument("--no-memray", action="store_true", help="leave pytest-memray out")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every run to PATH")
    return parser.parse_args()


def _tools(profiles: list[str], *, memray: bool) -> dict[str, Callable[[Case], Seen]]:
    tools: dict[str, Callable[[Case], Seen]] = {name: partial(run, profile=name) for name in profiles}
    if memray and importlib.util.find_spec("pytest_memray") is not None:
        tools[MEMRAY] = run_memray
    return tools


@contextmanager
def _idle() -> Iterator[None]:
    yield


@contextmanager
def _busy() -> Iterator[None]:
    spinners = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def _measure(chosen: list[Case], tools: dict[str, Callable[[Case], Seen]], repeat: int, jobs: int) -> Iterator[Row]:
    """Rows as they come, each printed at once: a long run shows where it stands."""
    print("  ".join([f"{'case':<48}", *(f"{name:>9}" for name in tools), "remarks"]))
    with ThreadPoolExecutor(jobs) as pool:
        for row in pool.map(partial(_row, tools=tools, repeat=repeat), chosen):
            cells = [f"{row.right(name)}/{repeat}" for name in tools]
            print("  ".join([f"{row.case.name:<48}", *(f"{cell:>9}" for cell in cells), _remarks(row)]).rstrip())
            sys.stdout.flush()
            yield row


def _row(case: Case, tools: dict[str, Callable[[Case], Seen]], repeat: int) -> Row:
    runs: dict[str, list[Seen]] = {name: [] for name in tools}
    for _ in range(repeat):
        for name, tool in tools.items():  # in turn, so that a noisy minute meets every tool
            runs[name].append(tool(case))
    return Row(case, runs)


def _remarks(row: Row) -> str:
    """Why our own verdicts were not right, each reason once."""
    remarks = {
        f"{name}: {_why_wrong(row.case, seen)}"
        for name, runs in row.runs.items()
        for seen in runs
        if name != MEMRAY and not row.case.is_right(seen)
    }
    return "; ".join(sorted(remarks))


def _why_wrong(case: Case, seen: Seen) -> str:
    if seen.problem is not None:
        return seen.problem
    if not case.leaky:
        return f"flagged {', '.join(sorted(seen.flagged))} after {seen.repetitions}"
    if case.expected is not None and seen.flagged:
        return f"flagged {', '.join(sorted(seen.flagged))}, not {case.expected}"
    reasons = [why for why in seen.unjudged if case.expected is None or why.startswith(f"{case.expected}:")]
    return f"missed after {seen.repetitions}" + (f" ({reasons[0]})" if reasons else "")


# -- what comes of it -----------------------------------------------------------------------------------------------


def _totals(rows: list[Row], tools: list[str], *, busy: bool) -> list[str]:
    leaky, innocent = _split(rows)
    lines = [f"{len(leaky)} leaky and {len(innocent)} innocent cases, {'busy' if busy else 'idle'} machine"]
    header = f"{'':<10}{'found':>12}{'missed':>8}{'flagged':>12}{'no verdict':>12}{'median s':>10}{'worst s':>9}"
    lines += [header]
    for name in tools:
        found, missed = _runs_right(leaky, name)
        clean, flagged = _runs_right(innocent, name)
        broken = sum(seen.problem is not None for row in rows for seen in row.runs[name])
        seconds = [seen.seconds for row in rows for seen in row.runs[name]]
        lines.append(
            f"{name:<10}{f'{found}/{found + missed}':>12}{missed:>8}{f'{flagged}/{clean + flagged}':>12}"
            f"{broken:>12}{median(seconds):>10.2f}{max(seconds):>9.2f}"
        )
    for name in tools:
        lines += _named(f"{name}: missed", leaky, name)
        lines += _named(f"{name}: flagged though innocent", innocent, name)
    return lines


def _split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    return [row for row in rows if row.case.leaky], [row for row in rows if not row.case.leaky]


def _runs_right(rows: list[Row], tool: str) -> tuple[int, int]:
    right = sum(row.right(tool) for row in rows)
    return right, sum(len(row.runs[tool]) for row in rows) - right


def _named(title: str, rows: list[Row], tool: str) -> list[str]:
    wrong = Counter({row.case.path.stem: len(row.runs[tool]) - row.right(tool) for row in rows})
    names = [f"{name} ({times}x)" if times > 1 else name for name, times in (+wrong).items()]
    return [f"{title}: {', '.join(names)}"] if names else []


def _disappoints(rows: list[Row]) -> bool:
    leaky, innocent = _split(rows)
    ours = [name for name in rows[0].runs if name != MEMRAY]
    for name in ours:
        found, missed = _runs_right(leaky, name)
        needed = 1.0 if name == "strict" else FOUND_IN_DEFAULT
        if found < needed * (found + missed) or _runs_right(innocent, name)[1]:
            return True
    return False


def _plain(rows: list[Row], tools: list[str], args: argparse.Namespace) -> dict[str, object]:
    def seen_to_dict(seen: Seen) -> dict[str, object]:
        return {**asdict(seen), "flagged": sorted(seen.flagged), "suspected": sorted(seen.suspected)}

    leaky, innocent = _split(rows)
    return {
        "corpus": str(args.corpus),
        "repeat": args.repeat,
        "busy": args.busy,
        "totals": {
            name: {"found": _runs_right(leaky, name)[0], "missed": _runs_right(leaky, name)[1]}
            | {"clean": _runs_right(innocent, name)[0], "flagged": _runs_right(innocent, name)[1]}
            for name in tools
        },
        "cases": [
            {"case": row.case.name, "expected": row.case.expected}
            | {name: [seen_to_dict(seen) for seen in runs] for name, runs in row.runs.items()}
            for row in rows
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
