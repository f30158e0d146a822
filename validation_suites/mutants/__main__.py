"""Which faults the suites catch: ``python -m validation_suites.mutants [--only GLOB] [--at-once N] [--list]``.

Exit status 0 if all were caught, 1 if one survived, 2 if the list, or a suite, is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from fnmatch import fnmatch

from validation_suites.mutants.listed import MUTANTS
from validation_suites.mutants.machine import MutantError, line, run


def main(arguments: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m validation_suites.mutants", description=__doc__)
    parser.add_argument("--only", default="*", metavar="GLOB", help="mutants whose name, or suite, matches")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at a time")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    chosen = parser.parse_args(arguments)
    mutants = [
        each for each in MUTANTS if fnmatch(each.name, chosen.only) or any(fnmatch(s, chosen.only) for s in each.suites)
    ]
    if not mutants:
        print(f"no mutant matches {chosen.only!r}", file=sys.stderr)
        return 2
    if chosen.list:
        print("\n".join(f"{each.name}  ({each.path})" for each in mutants))
        return 0
    survivors = []
    try:
        for outcome in run(mutants, at_once=max(chosen.at_once, 1)):
            print(line(outcome), flush=True)
            survivors += [] if outcome.caught else [outcome.mutant.name]
    except MutantError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} caught")
    for name in survivors:
        print(f"survived: {name}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
