"""Does measuring change anything? Runs the suites of real packages bare and with the plugin, and compares test by test.

    python benchmarks/harmless.py                            # every suite but the long ones, serial and -n 2, one round
    python benchmarks/harmless.py --only janus --rounds 3 --modes serial
    python benchmarks/harmless.py --coresys ../other-checkout --json harmless.json

The suites stand in harmless_suites.toml. Each gets a folder of its own outside of this project, whose configuration
pytest would find, with its source distribution as pip downloads it, and a virtual environment. Runs alternate, bare
first and last, so that each run with the plugin is compared with the bare ones just before and after it. A test that
differs between bare runs is flaky, and named as such. Everything else that differs is a change: an outcome, the order
of tests, warnings, the amount of captured output, a line on stderr, a file or process left behind, the exit status.
The only change that is allowed is a finding of level error that somebody examined and wrote into the list of true
ones, with the reason.

Exit status: 0 nothing else changed; 1 something did; 2 a suite could not be prepared or run.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GOAL = 1.3  # wall time with the plugin to bare, at the median over the suites
MODES = {"serial": (), "n2": ("-n", "2")}
_COMMON = ("pytest>=8.4,<9", "pytest-xdist==3.8.0")

# Loaded by `-p` in every run. It sees what a report shows, in the process that shows it.
_RECORDER = """
import json, os, re, warnings
import pytest

class Recorder:
    def __init__(self):
        self.outcomes, self.output, self.warnings, self.order = {}, {}, {}, []

    def pytest_collectreport(self, report):
        if report.failed:
            self.outcomes.setdefault("collecting " + report.nodeid, []).append("failed")

    def pytest_runtest_logreport(self, report):
        phase = f"{report.when}:{report.outcome}" + (":xfail" if hasattr(report, "wasxfail") else "")
        if type(report).__name__ != "TestReport":
            phase += " " + type(report).__name__
        if report.nodeid not in self.outcomes:
            self.order.append(report.nodeid)
        self.outcomes.setdefault(report.nodeid, []).append(phase)
        sizes = [f"{report.when}: {name}: {text.count(chr(10))} lines" for name, text in report.sections]
        self.output.setdefault(report.nodeid, []).extend(sizes)

    def pytest_warning_recorded(self, warning_message, when, nodeid):
        text = f"{warning_message.category.__name__}: {str(warning_message.message)[:60]}"
        self.warnings.setdefault(nodeid, []).append(text)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus):
        with open(os.environ["HARMLESS_RECORD"], "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(vars(self), file)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(), "harmless-recorder-object")
"""


class PrepareError(Exception):
    """A suite could not be fetched, installed or run at all."""


# -- what is run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrueFinding:
    """A finding that was examined: the test really leaves something behind, for this reason."""

    test: str
    key: str
    why: str

    def covers(self, nodeid: str, key: str) -> bool:
        whole = nodeid == self.test or nodeid.startswith((self.test + "[", self.test + "::"))
        return whole and key == self.key


IN_PLACE = "CORESYS_REPEAT_IN_PLACE"
_NOT_THEIRS = ("PYTEST", "CORESYS")  # what variables begin with that suites must not see


@dataclass(frozen=True, slots=True)
class Suite:
    """One row of harmless_suites.toml."""

    name: str
    version: str
    kind: str
    requires: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    modes: tuple[str, ...] = tuple(MODES)
    true: tuple[TrueFinding, ...] = ()
    long: bool = False  # minutes for each of the runs: only when it is asked for


def read_suites(path: Path) -> list[Suite]:
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["suite"]
    return [
        Suite(
            name=row["name"],
            version=row["version"],
            kind=row["kind"],
            requires=tuple(row.get("requires", ())),
            arguments=tuple(row.get("arguments", ())),
            modes=tuple(row.get("modes", MODES)),
            long=bool(row.get("long", False)),
            true=tuple(TrueFinding(**finding) for finding in row.get("true", ())),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one suite lives."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


def prepare(suite: Suite, place: Place, coresys: Path) -> None:
    """Fetch, unpack and install, unless that was done before for the same wishes. Raises PrepareError."""
    wishes = json.dumps([suite.name, suite.version, suite.requires, _COMMON, str(coresys), sys.version])
    stamp = place.folder / "ready.json"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wishes:
        return
    shutil.rmtree(place.folder, ignore_errors=True)
    place.logs.mkdir(parents=True)
    (place.folder / "recorder").mkdir()
    (place.folder / "recorder" / "harmless_recorder.py").write_text(_RECORDER, encoding="utf-8")
    _fetch(suite, place)
    _command(place, [sys.executable, "-m", "venv", str(place.folder / "venv")])
    pip = [str(place.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _command(place, [*pip, *_COMMON, *suite.requires, str(place.source)])
    _command(place, [*pip, "--editable", str(coresys)])
    stamp.write_text(wishes, encoding="utf-8")


def _fetch(suite: Suite, place: Place) -> None:
    """The source distribution; only of the package itself, what builds it may be a wheel."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pinned = f"{suite.name}=={suite.version}"
    _command(place, [*download, "--no-binary", suite.name, "--dest", str(place.folder), pinned])
    archives = list(place.folder.glob("*.tar.gz"))
    if len(archives) != 1:
        raise PrepareError(f"{suite.name}: pip brought {len(archives)} archives, expected one .tar.gz")
    unpacked = place.folder / "unpacked"
    with tarfile.open(archives[0]) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(unpacked, filter="data")
        else:
            archive.extractall(unpacked)
    (top,) = unpacked.iterdir()
    top.rename(place.source)
    if not _has_own_configuration(place.source):
        # Else pytest looks for one in the folders above, and finds that of this project.
        (place.source / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")


def _has_own_configuration(source: Path) -> bool:
    marks = {"pytest.ini": "", ".pytest.ini": "", "pytest.toml": "", ".pytest.toml": "", "tox.ini": "[pytest]"}
    marks |= {"setup.cfg": "[tool:pytest]", "pyproject.toml": "[tool.pytest"}
    return any(
        (source / name).is_file() and mark in (source / name).read_text("utf-8", "replace")
        for name, mark in marks.items()
    )


def _command(place: Place, words: list[str]) -> None:
    done = subprocess.run(words, cwd=place.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrepareError(f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


# -- one run ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """What one run of a suite showed."""

    label: str
    status: int | None  # None: it was ended at the time limit
    wall: float
    cpu: float
    outcomes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    output: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    stray: Counter[str] = field(default_factory=Counter)
    litter: frozenset[str] = frozenset()
    processes: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)

    def findings(self) -> list[tuple[str, str, str, str]]:
        """Node id, key, level and summary of each finding, those of the run included."""
        found = [(test["nodeid"], each) for test in self.report.get("tests", ()) for each in test["findings"]]
        found += [(nodeid, each) for each in self.report.get("findings", ()) for nodeid in each["tests"][:1]]
        return [(_same(nodeid), each["key"], each["level"], each["summary"]) for nodeid, each in found]


def run(suite: Suite, place: Place, mode: str, label: str, options: Sequence[str], limit: float) -> Run:
    """Run the suite once, in a session of its own, and look at what is left when it ended."""
    log = place.logs / f"{mode}-{label}"
    scratch = place.folder / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "home").mkdir(parents=True)
    record = log.with_suffix(".record.json")
    record.unlink(missing_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name == IN_PLACE or not name.startswith(_NOT_THEIRS)},
        "PYTHONPATH": str(place.folder / "recorder"),
        "HARMLESS_RECORD": str(record),
        "TMPDIR": str(scratch),
        "HOME": str(scratch / "home"),
        "PYTHONHASHSEED": "0",
        "PATH": os.pathsep.join((str(place.python.parent), os.environ.get("PATH", ""))),
    }
    words = [str(place.python), "-m", "pytest", "-o", "addopts=", "-p", "harmless_recorder"]
    words += [*MODES[mode], *options, *suite.arguments]
    before = _tree(place.source)
    with open(log.with_suffix(".out"), "wb") as out, open(log.with_suffix(".err"), "wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=place.source, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        status, cpu = _wait(process, started + limit)
        wall = time.perf_counter() - started
    left = tuple(_end_children())
    litter = frozenset(_shape(path) for path in _tree(place.source) - before)
    for path in sorted(_tree(place.source) - before, reverse=True):
        _remove(place.source / path)
    litter |= frozenset("TMPDIR/" + _temporary(path.name) for path in scratch.iterdir() if path.name != "home")
    litter |= frozenset("HOME/" + _shape(path.name) for path in (scratch / "home").iterdir())
    done = Run(label, status, wall, cpu, litter=litter, processes=left)
    done.stray = Counter(map(_shape, log.with_suffix(".err").read_text("utf-8", "replace").splitlines()))
    if record.is_file():
        _take_record(done, json.loads(record.read_text(encoding="utf-8")))
    return done


def _take_record(done: Run, data: dict[str, Any]) -> None:
    done.order = [_same(nodeid) for nodeid in data["order"]]
    for name in ("outcomes", "output", "warnings"):
        merged: dict[str, tuple[str, ...]] = {}
        for nodeid, values in data[name].items():
            # How many lines there are is luck where threads log: a test of which it differs between bare runs is flaky.
            texts = values if name == "output" else map(_shape, values)
            merged[_same(nodeid)] = (*merged.get(_same(nodeid), ()), *texts)
        setattr(done, name, merged)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int | None, float]:
    """Exit status (None: had to be ended) and seconds of processor time, of the process and all it waited for."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime
        if time.perf_counter() > deadline:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGABRT)  # pytest's fault handler writes where every thread stands
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = -signal.SIGKILL
    return None, usage.ru_utime + usage.ru_stime


def _adopt_orphans() -> None:
    """What a run leaves running becomes our child, so that it is seen and ended."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _end_children() -> Iterator[str]:
    deadline = time.monotonic() + 1.0  # the orderly end of a process that was told to go is no leftover
    while _children() and time.monotonic() < deadline:
        _reap()
        time.sleep(0.02)
    while children := _children():
        for pid in children:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            yield words[:200]
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _children() -> list[int]:
    _reap()
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


_OWN_FILES = re.compile(r"__pycache__|\.pytest_cache|\.coresys|\.hypothesis")


def _tree(folder: Path) -> set[Path]:
    paths = {path.relative_to(folder) for path in folder.rglob("*")}
    return {path for path in paths if not _OWN_FILES.search(str(path))}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _same(nodeid: str) -> str:
    """The id without what differs from process to process."""
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x", nodeid)


def _shape(text: object) -> str:
    """Text without numbers and random names, so that two runs may be compared."""
    return re.sub(r"tmp[\w]{8}\b", "tmp", re.sub(r"\d+(\.\d+)?", "0", re.sub(r"0x[0-9a-f]+", "0", str(text))))


def _temporary(name: str) -> str:
    """The name of a file without the eight characters that tempfile chose."""
    return _shape(re.sub(r"(^|[^a-z0-9])[a-z0-9_]{8}(?=\.|$)", r"\1", re.sub(r"^tmp[a-z0-9_]{8}", "tmp", name)))


# -- comparing ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Comparison:
    """One suite in one mode: what changed, what was found, what it cost."""

    suite: Suite
    mode: str
    tests: int
    ratio: float
    cpu_ratio: float
    bare_seconds: float
    with_seconds: float
    changed: list[str]
    explained: list[str]
    unexamined: list[str]
    suspicions: list[str]
    flaky: list[str]

    @property
    def clean(self) -> bool:
        return not self.changed and not self.unexamined


def compare(suite: Suite, mode: str, bare: list[Run], measured: list[Run], rounds: int) -> Comparison:
    """``bare`` has one run more than ``rounds``, at its start, and further ones that only look for flaky tests."""
    flaky = sorted(set(_flaky(bare, "outcomes")))
    explained: list[str] = []
    unexamined: list[str] = []
    suspicions: list[str] = []
    failing: set[str] = set()
    for each in measured:
        for nodeid, key, level, summary in each.findings():
            if level != "error":
                suspicions.append(f"{nodeid}: {summary}")
                continue
            failing.add(nodeid)
            why = next((true.why for true in suite.true if true.covers(nodeid, key)), None)
            text = f"{nodeid}: {summary}"
            (unexamined if why is None else explained).append(text if why is None else f"{text} ({why})")
    changed = [line for each in measured for line in _changes(bare, each, set(flaky), failing, mode == "serial")]
    pairs = [(measured[i], (bare[i], bare[i + 1])) for i in range(rounds)]
    return Comparison(
        suite=suite,
        mode=mode,
        tests=len(bare[0].order),
        ratio=median(one.wall * 2 / (two[0].wall + two[1].wall) for one, two in pairs),
        cpu_ratio=median(one.cpu * 2 / (two[0].cpu + two[1].cpu) for one, two in pairs),
        bare_seconds=median(each.wall for each in bare),
        with_seconds=median(each.wall for each in measured),
        changed=_unique(changed),
        explained=_unique(explained),
        unexamined=_unique(unexamined),
        suspicions=_unique(suspicions),
        flaky=flaky,
    )


def _changes(
    bare: list[Run], measured: Run, flaky: set[str], failing: set[str], in_order: bool
) -> Iterator[str]:
    if measured.status is None:
        yield "did not end within the time limit"
    statuses = {each.status for each in bare}
    if measured.status not in statuses and measured.status is not None and not (failing and measured.status == 1):
        yield f"exit status {measured.status}, bare {sorted(map(str, statuses))}"
    for nodeid in sorted(bare[0].outcomes.keys() | measured.outcomes.keys()):
        got, known = measured.outcomes.get(nodeid), {each.outcomes.get(nodeid) for each in bare}
        if got in known or nodeid in flaky:
            continue
        if nodeid in failing and got is not None and _failed_by_us(got) in known:
            continue
        yield f"outcome of {nodeid}: {_said(known)} -> {_said([got])}"
    # In the order in which reports came, which with several workers is luck.
    steady = in_order and bare[0].order == bare[1].order
    if steady and len(bare[0].order) == len(measured.order) and bare[0].order != measured.order:
        yield "the order of the tests"
    for name in ("output", "warnings"):
        yield from _of_texts(name, bare, measured, flaky | failing)
    for line, count in measured.stray.items():
        if count > max(each.stray[line] for each in bare):
            yield f"stderr: {line[:150]}"
    known_litter = frozenset().union(*(each.litter for each in bare))
    yield from (f"litter: {path}" for path in sorted(measured.litter - known_litter))
    known_processes = {_shape(words) for each in bare for words in each.processes}
    yield from (f"process left: {words}" for words in measured.processes if _shape(words) not in known_processes)


def _of_texts(name: str, bare: list[Run], measured: Run, known_to_differ: set[str]) -> Iterator[str]:
    flaky = _flaky(bare, name)
    theirs: dict[str, tuple[str, ...]] = getattr(bare[0], name)
    ours: dict[str, tuple[str, ...]] = getattr(measured, name)
    for nodeid in sorted(theirs.keys() | ours.keys()):
        if nodeid in known_to_differ or nodeid in flaky:
            continue
        got, known = (Counter(map(_shape, texts.get(nodeid, ()))) for texts in (ours, theirs))
        if got != known:
            yield f"{name} of {nodeid or 'the session'}: more {list(got - known)[:3]}, less {list(known - got)[:3]}"


def _flaky(bare: Iterable[Run], name: str) -> set[str]:
    seen: dict[str, set[tuple[str, ...] | None]] = {}
    runs = [getattr(each, name) for each in bare]
    for nodeid in {nodeid for values in runs for nodeid in values}:
        seen[nodeid] = {tuple(sorted(values[nodeid])) if nodeid in values else None for values in runs}
    return {nodeid for nodeid, values in seen.items() if len(values) > 1}


def _failed_by_us(phases: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("call:passed" if phase == "call:failed" else phase for phase in phases)


def _said(outcomes: Iterable[tuple[str, ...] | None]) -> str:
    return " or ".join(sorted({"not run" if each is None else " ".join(each) for each in outcomes}))


def _unique(lines: list[str]) -> list[str]:
    return list(dict.fromkeys(lines))


# -- the whole ----------------------------------------------------------------------------------------------------


def judge(suite: Suite, place: Place, mode: str, *, rounds: int, options: Sequence[str]) -> Comparison:
    """Run bare and measured in turns, and again bare if something differs that may be the suite's own mood."""
    off, on = ("-p", "no:coresys"), ("--coresys-budget", *options)
    limit = 900.0

    def go(label: str, what: Sequence[str]) -> Run:
        done = run(suite, place, mode, label, what, limit)
        _say(f"  {suite.name} {mode} {label}: {done.wall:.1f} s, exit {done.status}, {len(done.order)} tests")
        if not done.order and label == "bare-0":
            log = place.logs / f"{mode}-{label}"
            raise PrepareError(f"{suite.name}: no test ran, see {log}.out")
        return done

    run(suite, place, mode, "warm", (*off, "--collect-only", "-q"), limit)  # bytecode
    bare, measured = [go("bare-0", off)], []
    limit = max(60.0, 6 * bare[0].wall)
    for number in range(rounds):
        label = f"with-{number}"
        report = place.logs / f"{mode}-{label}.run.json"
        report.unlink(missing_ok=True)
        each = go(label, (*on, f"--coresys-json={report}"))
        if report.is_file():
            each.report = json.loads(report.read_text(encoding="utf-8"))
        else:
            each.stray["(no run file was written)"] += 1
        measured.append(each)
        bare.append(go(f"bare-{number + 1}", off))
    result = compare(suite, mode, bare, measured, rounds)
    for number in (1, 2):
        if not result.changed:
            break
        bare.append(go(f"bare-{rounds + number}", off))
        result = compare(suite, mode, bare, measured, rounds)
    return result


def table(results: Sequence[Comparison]) -> list[str]:
    head = ["suite", "mode", "kind", "tests", "changed", "findings", "suspicions"]
    head += ["flaky", "bare", "with", "ratio", "cpu"]
    rows = [head]
    for each in results:
        found = f"{len(each.explained)} true" if each.explained else "0"
        if each.unexamined:
            found = f"{len(each.explained) + len(each.unexamined)} ({len(each.unexamined)} unexamined)"
        rows.append([
            f"{each.suite.name} {each.suite.version}", each.mode, each.suite.kind, str(each.tests),
            str(len(each.changed)), found, str(len(each.suspicions)), str(len(each.flaky)),
            f"{each.bare_seconds:.1f} s", f"{each.with_seconds:.1f} s", f"{each.ratio:.2f}", f"{each.cpu_ratio:.2f}",
        ])  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def details(results: Sequence[Comparison]) -> Iterator[str]:
    for each in results:
        title = f"{each.suite.name} {each.mode}"
        yield from (f"CHANGED  {title}: {line}" for line in each.changed)
        yield from (f"UNEXAMINED FINDING  {title}: {line}" for line in each.unexamined)
        yield from (f"true finding  {title}: {line}" for line in each.explained)
        yield from (f"suspicion  {title}: {line}" for line in each.suspicions[:10])
        if len(each.suspicions) > 10:
            yield f"suspicion  {title}: and {len(each.suspicions) - 10} more"
        yield from (f"flaky when bare  {title}: {line}" for line in each.flaky)


def main() -> int:
    args = _arguments()
    if args.in_place:
        os.environ[IN_PLACE] = "1"
    suites = read_suites(args.suites)
    if args.only:
        suites = [suite for suite in suites if suite.name in args.only]
    elif not args.long:
        suites = [suite for suite in suites if not suite.long]
    if not suites:
        print(f"no suite of that name in {args.suites}", file=sys.stderr)
        return 2
    _adopt_orphans()
    results: list[Comparison] = []
    broken: list[str] = []
    for suite in suites:
        place = Place(args.folder / suite.name)
        try:
            _say(f"{suite.name} {suite.version}")
            prepare(suite, place, args.coresys)
            for mode in (mode for mode in args.modes if mode in suite.modes):
                results.append(judge(suite, place, mode, rounds=args.rounds, options=args.option))
        except PrepareError as error:
            broken.append(f"{suite.name}: {error}")
    print("\n".join((*table(results), "", *details(results), *(f"NOT RUN  {text}" for text in broken))))
    if args.json is not None:
        args.json.write_text(json.dumps([_plain(each) for each in results], indent=1) + "\n", encoding="utf-8")
    for mode in args.modes:
        ratios = [each.ratio for each in results if each.mode == mode]
        if ratios:
            print(f"{mode}: {median(ratios):.2f} times bare at the median of {len(ratios)} suites; the goal is {GOAL}")
    if broken:
        return 2
    return 0 if all(each.clean for each in results) else 1


def _plain(each: Comparison) -> dict[str, Any]:
    names = [name for name in Comparison.__dataclass_fields__ if name != "suite"]
    return {"suite": each.suite.name, **{name: getattr(each, name) for name in names}}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="also suites that take minutes for each of the runs")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this suite; repeatable")
    parser.add_argument("--modes", type=_modes, default=list(MODES), metavar="LIST", help="serial,n2")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="runs with us, each between bare ones")
    parser.add_argument("--coresys", type=Path, default=ROOT, metavar="PATH", help="the checkout to test")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "coresys-harmless", metavar="PATH", help="cache"
    )
    parser.add_argument("--suites", type=Path, default=HERE / "harmless_suites.toml", metavar="PATH")
    parser.add_argument("--in-place", action="store_true", help="repeat in the process of the tests, not in a child")
    parser.add_argument("--option", action="append", default=[], metavar="OPT", help="one more option for the plugin")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result, in full, to PATH")
    args = parser.parse_args()
    args.coresys, args.folder = args.coresys.resolve(), args.folder.resolve()
    return args


def _modes(text: str) -> list[str]:
    modes = text.split(",")
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise argparse.ArgumentTypeError(f"unknown mode {unknown[0]!r}; modes: {', '.join(MODES)}")
    return modes


if __name__ == "__main__":
    sys.exit(main())
