"""The ``coresys`` command. Each error is one line on stderr and exit status 2."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from coresys.budgets.wording import printable
from coresys.errors.hierarchy import CoreSysError
from coresys.measure import meters
from pytest_coresys.engine.forked import why_no_fork
from pytest_coresys.measures import MEASURES

_WIDTH = max(map(len, MEASURES)) + 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is the return value."""
    parser = _Parser(prog="coresys", description="Resource budgets for tests: what they leave behind fails them.")
    parser.add_argument("--version", action="version", version=f"coresys {version('pytest-coresys')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    commands.add_parser("doctor", help="what can be measured on this machine, and why not")
    wanted = commands.add_parser("report", help="the HTML compliance report of a run file")
    wanted.add_argument("run", metavar="RUN.json", help="a run file, as --coresys-json writes it")
    wanted.add_argument("-o", "--output", metavar="FILE.html", required=True, help="where the report goes")
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.error("give a command: doctor, report")
    try:
        return report(arguments.run, arguments.output) if arguments.command == "report" else doctor()
    except CoreSysError as error:
        print(f"coresys {arguments.command}: {printable(str(error), ascii_only=False)}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse's usage text would be many lines
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def report(run: str, output: str) -> int:
    """Write the HTML report of a run file; 0, or a CoreSysError of one line."""
    from pytest_coresys.reports import htmlpage, runfile  # with Jinja2: only wanted here

    target = runfile.check_place(Path(output))
    runfile.write_data(target, htmlpage.data(runfile.read(Path(run))))
    print(output)
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
