"""The watch of locks itself, asked a million times: ``python benchmarks/locks_storm.py``.

Sixteen threads that take turns every microsecond take locks in every way, while leaves are renewed; what each knows
that it did is compared with what was noted (``tests/support/lockstorm.py``): lost edges, false ones, records that stay.
With the methods in Python, in C, and with both in turn. Exit status 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from lockstorm import alive, storm

from coresys.threads.watching import chains, speed


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--operations", type=int, default=1_200_000, help="of all rounds together")
    options.add_argument("--rounds", type=int, default=12, help="each with threads and locks of its own")
    chosen = options.parse_args()
    ways: list[tuple[str, list[Callable[[], object]]]] = [("Python", [speed.use_python])]
    if speed.built():
        ways += [("C", [speed.use_c]), ("both", [speed.use_python, speed.use_c])]
    else:
        print("the methods in C are not built: not asked")
    chains.renew()
    before, wrong, total = alive(), 0, 0
    for number, (name, uses) in zip(range(chosen.rounds), cycle(ways), strict=False):
        started = time.perf_counter()
        done, told = one(chosen.operations // chosen.rounds, number, uses)
        kinds = zip(("parties", "chains", "idents"), alive(), before, strict=True)
        told += [f"{now - then} more {what} than before" for what, now, then in kinds if now > then]
        total += done
        wrong += len(told)
        seconds = time.perf_counter() - started
        print(f"round {number}, {name:<7}{done:>9,} operations, {seconds:5.1f} s, wrong: {told[:5]}", flush=True)
    print(f"{total:,} operations, {wrong} wrong")
    return 1 if wrong else 0


def one(operations: int, seed: int, uses: list[Callable[[], object]]) -> tuple[int, list[str]]:
    """A round, in which the languages take turns with each renewal."""
    uses[0]()
    changes = cycle(uses)
    done, told = storm(operations, seed, meanwhile=lambda: next(changes)())
    chains.renew()
    return done, told


if __name__ == "__main__":
    sys.exit(main())
