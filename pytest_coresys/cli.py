"""The ``coresys`` command. Each error is one line on stderr and exit status 2."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from coresys.budgets.wording import printable
from coresys.measure import meters
from pytest_coresys.engine.forked import why_no_fork
from pytest_coresys.measures import MEASURES
from pytest_coresys.reports.merging import MergeError, merge
from pytest_coresys.reports.model import breaches
from pytest_coresys.reports.runfile import OutputError, RunFileError, check_place, read_run, write

_WIDTH = max(map(len, MEASURES)) + 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is the return value."""
    parser = _Parser(prog="coresys", description="Resource budgets for tests: what they leave behind fails them.")
    parser.add_argument("--version", action="version", version=f"coresys {version('pytest-coresys')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    commands.add_parser("doctor", help="what can be measured on this machine, and why not")
    merge = commands.add_parser("merge", help="shards of one suite become one run, with one verdict and one lock graph")
    merge.add_argument("runs", nargs="+", type=Path, metavar="RUN.json")
    merge.add_argument("-o", "--output", type=Path, required=True, metavar="ALL.json")
    gate = commands.add_parser("gate", help="exit 1 with a line for each thing that keeps a run from being compliant")
    gate.add_argument("run", type=Path, metavar="RUN.json")
    gate.add_argument(
        "--require", action="append", default=[], metavar="GLOB", help="budgets and criteria to be measured; repeatable"
    )
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.error("give a command: " + ", ".join(commands.choices))
    try:
        return _COMMANDS[arguments.command](arguments)
    except (OutputError, MergeError, RunFileError) as error:
        parser.exit(2, f"coresys {arguments.command}: {printable(str(error), ascii_only=False)}\n")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse's usage text would be many lines
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _merge(arguments: argparse.Namespace) -> int:
    merged = merge([read_run(path) for path in arguments.runs])
    write(check_place(arguments.output), merged)
    summary = merged["summary"]
    word = "compliant" if summary["compliant"] else "not compliant"
    print(f"{arguments.output}: {len(arguments.runs)} runs, {summary['tests']} tests, {word}")
    return 0


def _gate(arguments: argparse.Namespace) -> int:
    run = read_run(arguments.run)
    required = [*run["run"].get("require_measured", []), *arguments.require]
    found = breaches(run, required)
    for line in found:
        print(printable(line, ascii_only=False))
    return 1 if found else 0


def doctor() -> int:
    """Print what can be measured here, and why not; 0 if everything can be."""
    why_not = meters.capabilities()
    print(f"CPython {platform.python_version()} on {platform.platform()}")
    for key, measure in MEASURES.items():
        why = why_not.get(key)
        print(f"  {key:<{_WIDTH}}{'not measured: ' + why if why else 'measured'}   ({measure.help})")
    print(f"  watched locks: {_language()}")
    fork = why_no_fork()
    if fork:
        print(f"  repeating: {fork}; only the last test of a process is repeated, in that process: run a test alone")
    else:
        print("  repeating: in a forked child behind a sandbox")
    return 1 if fork or any(why_not.values()) else 0


def _language() -> str:
    from coresys.threads.watching import speed

    import_module("coresys.threads.watching.locks")  # which offers its classes to ``speed``
    return "in C" if speed.in_use() else f"in Python, three times as dear: {speed.why_not()}"


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "doctor": lambda arguments: doctor(),
    "merge": _merge,
    "gate": _gate,
}

if __name__ == "__main__":
    sys.exit(main())
