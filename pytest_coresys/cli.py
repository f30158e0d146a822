"""The ``coresys`` command. Each error is one line on stderr and exit status 2."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coresys.budgets.wording import printable
from coresys.errors.hierarchy import CoreSysError
from coresys.measure import meters
from pytest_coresys.engine.forked import why_no_fork
from pytest_coresys.history.listing import runs_shown, trend_shown
from pytest_coresys.history.model import HistoryError
from pytest_coresys.history.opening import DEFAULT, KEEP, open_store
from pytest_coresys.measures import MEASURES
from pytest_coresys.reports.comparing import compare, lines, why_not_comparable
from pytest_coresys.reports.merging import merge
from pytest_coresys.reports.model import breaches, has_run, unmatched
from pytest_coresys.reports.reading import tests_text
from pytest_coresys.reports.runfile import OutputError, check_place, first_clash, read_run, write, write_data

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
    compare = commands.add_parser("compare", help="what changed between two runs, beyond noise")
    compare.add_argument("old", type=Path, metavar="OLD.json")
    compare.add_argument("new", type=Path, metavar="NEW.json")
    history = commands.add_parser("history", help="earlier runs, or the trend of a measure or a criterion")
    history.add_argument("key", nargs="?", metavar="KEY", help="a measure, or the id of a criterion")
    history.add_argument("--url", default=DEFAULT, help=f"where runs are kept ({DEFAULT})")
    history.add_argument("--test", metavar="NODEID", help="of this test only")
    history.add_argument("--last", type=_count_from(1), default=20, metavar="N", help="so many runs (20)")
    history.add_argument("--every-machine", action="store_true", help="not only runs on machines like the last one's")
    history.add_argument(
        "--prune", type=_count_from(1), metavar="N", help="keep the last N runs of each machine, and stop"
    )
    history.add_argument("--add", type=Path, metavar="RUN.json", help="keep this run, a merged one say, and stop")
    report = commands.add_parser("report", help="the HTML compliance report of a run file")
    report.add_argument("run", type=Path, metavar="RUN.json", help="a run file, as --coresys-json writes it")
    report.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.html", help="where the report goes")
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.error("give a command: " + ", ".join(commands.choices))
    try:
        status = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # who reads has seen enough: nothing is left to be flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except CoreSysError as error:
        parser.exit(2, f"coresys {arguments.command}: {printable(str(error), ascii_only=False)}\n")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse's usage text would be many lines
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _count_from(least: int) -> Callable[[str], int]:
    """A whole number, no less than this: ``--prune -1`` is no wish to have everything deleted."""

    def count(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r} is no number of runs: write {least} or more")
        return int(text)

    return count


def _merge(arguments: argparse.Namespace) -> int:
    runs = [read_run(path) for path in arguments.runs]
    merged = merge(runs)
    write(_output(arguments.output, arguments.runs), merged)
    summary, count = merged["summary"], len(runs)
    word = "compliant" if summary["compliant"] else "not compliant"
    print(f"{arguments.output}: {_counted(count, 'run')}, {_counted(summary['tests'], 'test')}, {word}")
    known = [note for run in runs for note in _notes(run)]
    for note in _notes(merged):
        if note not in known:
            print(printable(note, ascii_only=False))
    return 0


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _notes(run: Mapping[str, Any]) -> list[str]:
    return list(run["run"].get("effort", {}).get("notes", ()))


def _output(path: Path, read: Sequence[Path]) -> Path:
    """Where a command writes, which must be none of the files that it reads."""
    for each in read:
        if first_clash([("read", each), ("written", path)]):
            raise OutputError(path=str(path), cause="it is what it reads: give another -o")
    return check_place(path)


def _gate(arguments: argparse.Namespace) -> int:
    run = read_run(arguments.run)
    required = [*run["run"].get("require_measured", []), *arguments.require]
    found = [*breaches(run, required), *unmatched(run, arguments.require)]
    for line in found:
        print(printable(line, ascii_only=False))
    if not found:
        print(printable(f"{arguments.run}: {_what_holds(run, required)}", ascii_only=False))
    return 1 if found else 0


def _what_holds(run: Mapping[str, Any], required: Sequence[str]) -> str:
    """What was gated, and what was not: a test that failed by itself is pytest's to tell, by its exit status."""
    if not has_run(run):
        return "compliant, but no test was run"
    parts = [f"compliant: {tests_text(run['tests'])}"]
    parts += [f"measured as required: {', '.join(dict.fromkeys(required))}"] if required else []
    failed = sum(test["outcome"] in ("failed", "error") for test in run["tests"])
    parts += [f"not gated: {_counted(failed, 'test')} that failed, see pytest's exit status"] if failed else []
    return "; ".join(parts)


def _compare(arguments: argparse.Namespace) -> int:
    old, new = read_run(arguments.old), read_run(arguments.new)
    if why := why_not_comparable(old, new):
        print(printable(why, ascii_only=False))
    for line in lines(compare(old, new)) or ["no change"]:
        print(printable(line, ascii_only=False))
    return 0


def _history(arguments: argparse.Namespace) -> int:
    run = None if arguments.add is None else read_run(arguments.add)
    if (
        run is None
        and arguments.url.startswith("sqlite:///")
        and not (Path.cwd() / arguments.url.removeprefix("sqlite:///")).exists()
    ):
        raise HistoryError(url=arguments.url, problem="there is no history yet")
    store = open_store(arguments.url, Path.cwd())
    try:
        if run is not None:
            store.save(run, keep=KEEP)
            print(f"{arguments.add}: kept in {store.url}")
            return 0
        if arguments.prune is not None:
            print(f"{store.prune(arguments.prune)} runs are gone")
            return 0
        shown = runs_shown if arguments.key is None else trend_shown
        for line in shown(store, arguments.key, arguments.last, arguments.test, arguments.every_machine):
            print(printable(line, ascii_only=False))
    finally:
        store.close()
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pytest_coresys.reports import htmlpage  # with Jinja2: only wanted here

    run = read_run(arguments.run)
    target = _output(arguments.output, [arguments.run])
    write_data(target, htmlpage.data(run))
    print(arguments.output)
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


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "doctor": lambda arguments: doctor(),
    "merge": _merge,
    "gate": _gate,
    "compare": _compare,
    "history": _history,
    "report": _report,
}

if __name__ == "__main__":
    sys.exit(main())
