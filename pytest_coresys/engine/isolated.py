"""Run one test in a process of its own, and bring back its reports as if it had been run here.

Here stay: the fixtures that are wider than the test, set up before the fork and torn down after it, and whoever hears
of reports. There: setup, call and teardown of the test and of its own fixtures. What a test asks for only while it
runs, of a wider scope and not up yet, is set up there, and falls there at the test's end.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pytest

from pytest_coresys.engine import sandbox
from pytest_coresys.engine.forked import Message, Send, why_no_fork
from pytest_coresys.engine.parcel import pack, unpack
from pytest_coresys.engine.runner import (
    Sibling,
    failed_subtests,
    quiet_timers,
    report_of,
    resume_watchdog,
    run_phases,
    set_failed_subtests,
    wider_fixtures_up,
)
from pytest_coresys.engine.warden import Ending, how_it_ended, run_watched

MARKER = "coresys_isolated"
_OF_THE_PLATFORM = not sys.platform.startswith("linux")  # whether it is the platform that can't
Phase = Literal["setup", "call", "teardown"]


class Around(Protocol):
    """Measures the test, in its process: nothing else happens there."""

    def begin(self) -> None:
        """Before the setup."""

    def end(self) -> dict[str, Any]:
        """After the teardown: plain values, for the tests' process."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a test is isolated. ``limit`` in seconds, ``limit_text`` with whose it is.

    ``in_child`` is called in its process, before the setup, with what sends.
    """

    limit: float | None
    limit_text: str
    in_child: Callable[[Send], None]
    around: Around | None = None


@dataclass(slots=True)
class Outcome:
    """The reports of the phases, and what was measured; None where the test did not come to its end."""

    reports: list[pytest.TestReport] = field(default_factory=list)
    measured: dict[str, Any] | None = None


def run_isolated(item: pytest.Item, nextitem: Any, terms: Terms, log: Callable[[Any], None]) -> Outcome:
    """Run the test; ``log`` hears each report, in order, as soon as nothing of ours can change it any more.

    Raises ``pytest.exit.Exception`` where the test asked for the end of the run.
    """
    run = _Run(item, terms, log)
    try:
        with wider_fixtures_up(item, nextitem, run.wider_fell):
            run.fork()
    finally:
        run.close()
    run.log_teardown()
    if run.exit is not None:
        message, status = run.exit
        pytest.exit(message, status)
    return run.outcome


def not_run(
    item: pytest.Item, text: str, log: Callable[[Any], None], *, skip: bool = False, nextitem: Any = None
) -> Outcome:
    """The reports of a test that can't be isolated: nothing of it is run. Failed, or skipped, with the reason."""
    say: Callable[[], object] = functools.partial(_skip, text) if skip else functools.partial(_fail, text)
    outcome = Outcome()
    steps: list[tuple[Phase, Callable[[], object]]] = [("setup", say)] if skip else [("setup", _nothing), ("call", say)]

    def fall() -> None:
        item.session._setupstate.teardown_exact(nextitem)

    for when, do in [*steps, ("teardown", fall)]:
        report = report_of(item, pytest.CallInfo.from_call(do, when=when))
        if do is say:
            _in_our_words(report, text)
        outcome.reports.append(report)
        log(report)
    return outcome


def _fail(text: str) -> None:
    raise pytest.fail.Exception(text, pytrace=False)


def _in_our_words(report: pytest.TestReport, text: str) -> None:
    """The text alone: pytest would write the name of the exception before it, in the line of its summary."""
    if isinstance(report.longrepr, str) or hasattr(report.longrepr, "toterminal"):
        report.longrepr = text


def _skip(text: str) -> None:
    raise pytest.skip.Exception(text, _use_item_location=True)


def _nothing() -> None:
    """What a phase does that does nothing."""


class _Run:
    """One isolated run, as the tests' process sees it."""

    def __init__(self, item: pytest.Item, terms: Terms, log: Callable[[Any], None]) -> None:
        self._item, self._terms, self._log = item, terms, log
        self.outcome = Outcome()
        self.exit: tuple[str, int | None] | None = None
        self._fall: Any = None
        self._late: list[tuple[str, str]] = []  # sections of a report that came when the time was up
        self._printed = _Printed(item.config)
        self._others = [each.name for each in threading.enumerate() if each is not threading.current_thread()]

    def fork(self) -> None:
        """Run it, hear its reports, and write those that are missing in the end."""
        quiet_timers(self._item)
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            _flush(stream)  # what is in it would be written twice
        try:
            ending = run_watched(
                self._in_child,
                limit=self._terms.limit,
                own_group=not _on_terminal(self._item.config),
                on_message=self._heard,
            )
        except OSError as error:
            ending = Ending(broke=f"no process could be made: {error}")
        if not ending.over and self.exit is None:
            self._complete(ending)

    # -- there --------------------------------------------------------------------------------------------------------

    def _in_child(self, send: Send) -> None:
        item, around = self._item, self._terms.around
        sandbox.renew_pollers()
        self._printed.tee()
        _hear_of_reports(item.config, lambda report: send({"inner": self._packed(report)}))

        def hear(report: pytest.TestReport) -> None:
            _flush(sys.stdout)
            _flush(sys.stderr)
            send({"subtests": failed_subtests(item), "report": self._packed(report)})
            self._printed.forget()

        try:
            with _warnings_told(item, send):
                self._terms.in_child(send)
                resume_watchdog(item.config)
                if around is not None:
                    around.begin()
                run_phases(item, Sibling(item), log=False, hear=hear)
                if around is not None:
                    send({"measured": pack(around.end())})
        except pytest.exit.Exception as error:
            send({"exit": pack((str(error.msg), error.returncode))})
        stops = {name: str(value) for name in ("shouldstop", "shouldfail") if (value := getattr(item.session, name))}
        if stops:
            send({"stops": stops})
        _save_coverage()
        _flush(sys.stdout)
        _flush(sys.stderr)

    def _packed(self, report: Any) -> Any:
        return pack(self._item.config.hook.pytest_report_to_serializable(config=self._item.config, report=report))

    # -- here ---------------------------------------------------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        if "report" in message:
            set_failed_subtests(self._item, message["subtests"])
            self._take(self._unpacked(message["report"]))
        elif "late" in message:
            if "report" in message["late"]:
                self._late = self._unpacked(message["late"]["report"]).sections
        elif "inner" in message:
            self._log(self._unpacked(message["inner"]))
        elif "warning" in message:
            _warn_again(self._item, unpack(message["warning"]))
        elif "measured" in message:
            self.outcome.measured = unpack(message["measured"])
        elif "exit" in message:
            self.exit = unpack(message["exit"])
        elif "stops" in message:
            for name, value in message["stops"].items():
                setattr(self._item.session, name, value)

    def _unpacked(self, data: Any) -> Any:
        hook = self._item.config.hook
        return hook.pytest_report_from_serializable(config=self._item.config, data=unpack(data))

    def _take(self, report: pytest.TestReport) -> None:
        report.sections = _merged(report.sections)
        self.outcome.reports.append(report)
        if report.when != "teardown":  # which the wider fixtures' is still to come to
            self._log(report)

    def _complete(self, ending: Ending) -> None:
        """The process died: the phase that it was in failed."""
        reports = self.outcome.reports
        self.outcome.measured = None
        if reports:
            self._item.user_properties[:] = reports[-1].user_properties
        after = bool(reports) and reports[-1].when == "teardown"
        if after:
            reports.pop()  # not logged yet
        phase: Phase = "setup"
        if reports:
            phase = "call" if reports[-1].when == "setup" and reports[-1].passed else "teardown"
        text = f"{MARKER}: {how_it_ended(ending, phase=_in_words(phase, after), limit=self._terms.limit_text)}"
        if ending.timed_out and self._others:
            text += f"\n\n{_absent(self._others)}"
        seconds = max(ending.seconds - sum(report.duration for report in reports), 0.0)
        self._died(phase, functools.partial(_fail, text), seconds, text)
        if phase != "teardown":
            self._died("teardown", _nothing, 0.0)

    def _died(self, phase: Phase, do: Callable[[], object], seconds: float, text: str = "") -> None:
        reports = self.outcome.reports
        sections = list(reports[-1].sections) if reports else None
        report = report_of(self._item, pytest.CallInfo.from_call(do, when=phase), seconds)
        if text:
            _in_our_words(report, text)
        if sections is not None:
            report.sections = sections
        report.sections = _merged([*report.sections, *self._late, *self._printed.left(phase)])
        self._take(report)

    def wider_fell(self, call: pytest.CallInfo[None]) -> None:
        """The wider fixtures that nobody needs any more have fallen, well or not."""
        self._fall = call

    def close(self) -> None:
        """Give up what is kept open."""
        self._printed.close()

    def log_teardown(self) -> None:
        """Log the teardown, which is the test's and the wider fixtures' together, as ever."""
        reports = self.outcome.reports
        if self._fall is None or not reports or reports[-1].when != "teardown":
            return
        theirs = reports.pop()
        # Sections of the fall were added to the item's, beside those of the wider setup that its reports have already.
        sections = [
            (f"Captured {key} {when}", text) for when, key, text in self._item._report_sections if when == "teardown"
        ]
        if self._fall.excinfo is not None:
            ours = report_of(self._item, self._fall)
            if theirs.passed:
                theirs.outcome, theirs.longrepr = ours.outcome, ours.longrepr
            else:
                sections.append(("Teardown of wider fixtures", ours.longreprtext))
        theirs.duration += self._fall.duration
        theirs.stop = max(theirs.stop, self._fall.stop)
        theirs.sections = _merged([*theirs.sections, *sections])
        reports.append(theirs)
        self._log(theirs)


def why_not_isolated() -> tuple[str, bool] | None:
    """Why no test can be isolated here and now, and whether that is the platform's nature; None if it can."""
    why = why_no_fork()
    if why is None:
        return None
    return why, _OF_THE_PLATFORM


def _in_words(phase: Phase, after: bool) -> str:
    return "what came after its teardown" if after else f"its {phase}"


def _absent(others: list[str]) -> str:
    names = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    return (
        f"Threads of the tests' process that did not come along: {names}. What waits for one of them, or for a lock"
        " that it held, waits for ever."
    )


def _on_terminal(config: pytest.Config) -> bool:
    """Whether the test may talk to a person: who is not in the terminal's group would be stopped."""
    talks = config.getoption("capture", "no") == "no"
    return talks or bool(config.getoption("usepdb", False)) or bool(config.getoption("trace", False))


def rejoin_group() -> None:
    """Back into the group of the tests' process: a debugger is to read from the terminal."""
    try:
        os.setpgid(0, os.getpgid(os.getppid()))
    except OSError:
        pass


def _merged(sections: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """One section for what has one title: of the wider fixtures' setup, and of the test's own."""
    by_title: dict[str, list[str]] = {}
    for title, text in sections:
        texts = by_title.setdefault(title, [])
        if text not in texts:
            texts.append(text)
    return [(title, _joined(texts)) for title, texts in by_title.items()]


def _joined(texts: list[str]) -> str:
    return "".join(text if text.endswith("\n") or text is texts[-1] else f"{text}\n" for text in texts)


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except Exception:  # None, closed, or put there by the test
        pass


def _hear_of_reports(config: pytest.Config, hear: Callable[[Any], None]) -> None:
    """Whoever hears of reports is in the tests' process. Those that the test logs itself, of subtests, go there."""
    config.hook.pytest_runtest_logreport._hookimpls.clear()
    config.pluginmanager.register(_Hears(hear), "coresys-hears")


class _Hears:
    def __init__(self, hear: Callable[[Any], None]) -> None:
        self._hear = hear

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._hear(report)


# -- what is printed ------------------------------------------------------------------------------------------------


class _Printed:
    """What the test printed so far, should it die.

    Captured by descriptor it stands in files that both processes have. Captured by ``sys.stdout`` alone it is in the
    memory of the process: there, it is written to a file of ours as well.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._fds: dict[str, int] = {}
        for name, stream in self._in_memory():
            if hasattr(stream, "write"):
                self._fds[name] = os.memfd_create(f"coresys-{name}")

    def close(self) -> None:
        """In the tests' process, at the end."""
        for fd in self._fds.values():
            os.close(fd)

    def _in_memory(self) -> Iterator[tuple[str, Any]]:
        whole: Any = getattr(self._capture, "_global_capturing", None)
        for name, which in (("stdout", "out"), ("stderr", "err")):
            stream = getattr(getattr(whole, which, None), "tmpfile", None)
            if hasattr(stream, "getvalue"):
                yield name, stream

    def tee(self) -> None:
        """Begin, in the test's process."""
        for name, stream in self._in_memory():
            stream.write = _tee(stream.write, self._fds[name])

    def forget(self) -> None:
        """What was printed is on a report by now."""
        for fd in self._fds.values():
            os.ftruncate(fd, 0)

    def left(self, phase: str) -> list[tuple[str, str]]:
        """Sections of what is on no report, once: for the tests' process."""
        texts = {"stdout": "", "stderr": ""}
        if getattr(self._capture, "_global_capturing", None) is not None:
            texts["stdout"], texts["stderr"] = self._capture.read_global_capture()
        for name, fd in self._fds.items():
            texts[name] += os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "replace")
            os.ftruncate(fd, 0)
        return [(f"Captured {name} {phase}", text) for name, text in texts.items() if text]


def _tee(write: Callable[[str], int], fd: int) -> Callable[[str], int]:
    def writes(text: str) -> int:
        os.pwrite(fd, text.encode("utf-8", "backslashreplace"), os.fstat(fd).st_size)
        return write(text)

    return writes


# -- warnings ---------------------------------------------------------------------------------------------------------


@contextmanager
def _warnings_told(item: pytest.Item, send: Send) -> Iterator[None]:
    """Send the warnings that pytest would keep of the test: its list is in another process."""
    if not item.config.pluginmanager.has_plugin("warnings"):
        yield
        return
    with warnings.catch_warnings(record=True) as caught:
        assert caught is not None
        try:
            yield
        finally:
            for each in caught:
                send({"warning": pack(_warning(each))})


def _warning(given: warnings.WarningMessage) -> tuple[Any, ...]:
    kind = given.category
    return str(given.message), kind.__module__, kind.__qualname__, given.filename, given.lineno, bool(given.source)


def _warn_again(item: pytest.Item, told: tuple[Any, ...]) -> None:
    text, module, name, filename, line, has_source = told
    kind: Any = functools.reduce(
        lambda found, part: getattr(found, part, None), name.split("."), sys.modules.get(module)
    )
    if not (isinstance(kind, type) and issubclass(kind, Warning)):  # made or imported by the test
        kind = type(name, (UserWarning,), {})
    source = object() if has_source else None
    message = warnings.WarningMessage(Warning(text), kind, filename, line, source=source)
    given = {"warning_message": message, "nodeid": item.nodeid, "when": "runtest", "location": None}
    item.ihook.pytest_warning_recorded.call_historic(kwargs=given)


def _save_coverage() -> None:
    """What coverage saw here, where each process has a file of its own, as with pytest-cov."""
    module: Any = sys.modules.get("coverage")
    current = module.Coverage.current() if module is not None else None
    if current is not None and (getattr(current, "_data_suffix_specified", None) or current.config.parallel):
        current.stop()
        current.save()
