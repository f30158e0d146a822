"""Each setting of the process that is left other than found is named on a line; what was put back is not."""

from __future__ import annotations

import faulthandler
import gc
import locale
import logging
import os
import signal
import subprocess
import sys
import threading
import timeit
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from coresys.measure import settings
from coresys.measure.settings import SettingsSnapshot, SettingsWatch


def changes(change: Callable[[], object]) -> list[str]:
    watch = SettingsWatch()
    watch.start()
    change()
    return watch.stop()


def on_signal(_number: int, _frame: FrameType | None) -> None:
    raise AssertionError("never sent")


def hook(*_args: Any) -> None:
    raise AssertionError("never called")


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    name = "coresys.test_settings"
    yield logging.getLogger(name)
    logging.root.manager.loggerDict.pop(name)


def test_nothing_changed_is_no_line() -> None:
    assert changes(lambda: None) == []


def test_what_was_put_back_is_no_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def there_and_back() -> None:
        with monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setenv("TZ", "UTC")
            patch.chdir(tmp_path)
            patch.syspath_prepend(str(tmp_path))
            patch.setattr(sys, "excepthook", hook)
            warnings.simplefilter("ignore")
            signal.signal(signal.SIGUSR1, signal.signal(signal.SIGUSR1, on_signal))

    assert changes(there_and_back) == []


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (None, "UTC", "os.environ['COLOUR'] set to 'UTC' (was unset)"),
        ("UTC", None, "os.environ['COLOUR'] removed (was 'UTC')"),
        ("UTC", "CET", "os.environ['COLOUR'] set to 'CET' (was 'UTC')"),
        ("", "a\nb", "os.environ['COLOUR'] set to 'a\\nb' (was '')"),
        (None, "x" * 500, f"os.environ['COLOUR'] set to '{'x' * 77}...' (was unset)"),
        (None, "db://me:pw@host/x", "os.environ['COLOUR'] set to 'db://me:***@host/x' (was unset)"),
    ],
    ids=["set", "removed", "changed", "control characters", "long", "password in an address"],
)
def test_environment(monkeypatch: pytest.MonkeyPatch, before: str | None, after: str | None, line: str) -> None:
    def put(value: str | None) -> None:
        if value is None:
            monkeypatch.delenv("COLOUR", raising=False)
        else:
            monkeypatch.setenv("COLOUR", value)

    put(before)
    assert changes(lambda: put(after)) == [line]


@pytest.mark.parametrize("name", ["API_TOKEN", "DbPassword", "aws_secret_access_key", "PGPASSFILE", "BASIC_AUTH"])
def test_values_that_look_secret_are_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert changes(lambda: monkeypatch.setenv(name, "hunter2")) == [f"os.environ[{name!r}] set to *** (was unset)"]


@pytest.mark.parametrize("name", ["PWD", "GIT_AUTHOR_NAME", "PATH_TO_DATA"])
def test_ordinary_values_are_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name, raising=False)
    assert changes(lambda: monkeypatch.setenv(name, "plain")) == [f"os.environ[{name!r}] set to 'plain' (was unset)"]


def test_variables_of_the_runner_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changes(lambda: monkeypatch.setenv("PYTEST_CURRENT_TEST", "another")) == []
    before = SettingsSnapshot.take()
    monkeypatch.setenv("MINE", "1")
    assert SettingsSnapshot.take().changes_since(before, ignore_env={"MINE"}) == []


def test_an_environment_that_was_replaced_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"A": "1"})
    assert changes(lambda: monkeypatch.setattr(os, "environ", {"A": "2"})) == ["os.environ['A'] set to '2' (was '1')"]


def test_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    here = os.getcwd()
    assert changes(lambda: monkeypatch.chdir(tmp_path)) == [f"working directory: {here!r} -> {str(tmp_path)!r}"]

    def into_what_goes() -> None:
        os.chdir(gone)
        gone.rmdir()

    assert changes(into_what_goes) == [f"working directory: {str(tmp_path)!r} -> one that was removed"]


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (["/x", "/a", "/b"], ["sys.path: '/x' inserted at 0"]),
        (["/a"], ["sys.path: '/b' removed from 1"]),
        (["/b", "/a"], ["sys.path: same entries in another order"]),
        (["/a", "/b", "/b"], ["sys.path: '/b' inserted at 1"]),
        (["/a", "/c"], ["sys.path: '/c' inserted at 1", "sys.path: '/b' removed from 1"]),
    ],
    ids=["inserted", "removed", "order", "twice", "replaced"],
)
def test_search_path(monkeypatch: pytest.MonkeyPatch, after: list[str], lines: list[str]) -> None:
    monkeypatch.setattr(sys, "path", ["/a", "/b"])
    assert changes(lambda: monkeypatch.setattr(sys, "path", after)) == lines


def test_signal_handlers() -> None:
    old = signal.getsignal(signal.SIGUSR2)
    try:
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        assert changes(lambda: signal.signal(signal.SIGUSR2, on_signal)) == [
            f"signal SIGUSR2 handler changed: default -> {__name__}.on_signal"
        ]
        assert changes(lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN)) == [
            f"signal SIGUSR2 handler changed: {__name__}.on_signal -> ignored"
        ]
    finally:
        signal.signal(signal.SIGUSR2, old)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not tell who catches a signal")
def test_a_handler_that_native_code_set_is_seen() -> None:
    try:
        assert changes(lambda: faulthandler.register(signal.SIGUSR2)) == [
            "signal SIGUSR2 is now caught, set by native code"
        ]
    finally:
        faulthandler.unregister(signal.SIGUSR2)


def test_levels_and_handlers_of_the_root_logger() -> None:
    level, handler = logging.root.level, logging.StreamHandler()

    def configure() -> None:
        logging.root.setLevel("ERROR")
        logging.root.addHandler(handler)

    try:
        assert changes(configure) == [
            f"logging: root level {logging.getLevelName(level)} -> ERROR",
            "logging: root handler StreamHandler added",
        ]
        assert changes(lambda: logging.root.removeHandler(handler)) == ["logging: root handler StreamHandler removed"]
    finally:
        logging.root.setLevel(level)
        logging.root.removeHandler(handler)


def test_other_loggers(logger: logging.Logger, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", delay=True)

    def configure() -> None:
        logger.setLevel("DEBUG")
        logger.addHandler(handler)
        logger.disabled, logger.propagate = True, False

    who = f"logger {logger.name!r}:"
    assert changes(configure) == [
        f"{who} level NOTSET -> DEBUG",
        f"{who} handler FileHandler ({str(tmp_path / 'log')!r}) added",
        f"{who} disabled",
        f"{who} no longer propagates",
    ]


def test_a_logger_that_is_only_made_or_has_a_null_handler_is_no_change(logger: logging.Logger) -> None:
    assert changes(lambda: logging.getLogger(logger.name).addHandler(logging.NullHandler())) == []


def test_the_level_below_which_logging_is_disabled() -> None:
    try:
        assert changes(lambda: logging.disable(logging.INFO)) == ["logging: disabled up to level INFO (was NOTSET)"]
    finally:
        logging.disable(logging.NOTSET)


def test_warning_filters() -> None:
    def nine() -> None:
        for number in range(9):
            warnings.filterwarnings("ignore", f"m{number}")

    with warnings.catch_warnings():
        assert changes(lambda: warnings.filterwarnings("ignore", "old.*", DeprecationWarning)) == [
            "warning filters changed: 'ignore:old.*:DeprecationWarning' added"
        ]
        assert changes(nine) == [
            "warning filters changed: " + "".join(f"'ignore:m{n}:Warning' added, " for n in (8, 7, 6, 5)) + "and 5 more"
        ]


def test_hooks_for_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        (line,) = changes(lambda owner=owner, name=name: monkeypatch.setattr(owner, name, hook))  # type: ignore[misc]
        assert line.startswith(f"{owner.__name__}.{name} changed: ")
        assert line.endswith(f" -> {__name__}.hook")


def test_locale_of_one_category() -> None:
    old = locale.setlocale(locale.LC_ALL)
    other = "C" if locale.setlocale(locale.LC_CTYPE) != "C" else "C.UTF-8"
    try:
        (line,) = changes(lambda: locale.setlocale(locale.LC_CTYPE, other))
        assert line.startswith("locale: ")
        assert line.endswith(f" -> {other}")
    finally:
        locale.setlocale(locale.LC_ALL, old)


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ("C", "de_DE", "locale: C -> de_DE"),
        ("C", "LC_CTYPE=C;LC_TIME=de_DE", "locale: LC_TIME C -> de_DE"),
        ("LC_CTYPE=C;LC_TIME=de_DE", "LC_CTYPE=fr;LC_TIME=de_DE", "locale: LC_CTYPE C -> fr"),
        (None, "C", "locale: None -> C"),
    ],
)
def test_locales_are_compared_by_category(was: str | None, now: str | None, line: str) -> None:
    assert settings._locale_changes(was, now) == [line]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the umask cannot be read without setting it")
def test_umask() -> None:
    old = os.umask(0o22)
    try:
        assert changes(lambda: os.umask(0o77)) == ["umask 0o22 -> 0o77"]
    finally:
        os.umask(old)


def test_without_a_process_status_the_umask_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STATUS", "/nonexistent")
    old = os.umask(0o22)
    try:
        assert changes(lambda: os.umask(0o77)) == []
    finally:
        os.umask(old)


def test_a_change_is_taken_over_without_what_was_set_beside_it(
    monkeypatch: pytest.MonkeyPatch, logger: logging.Logger
) -> None:
    """As when a fixture of a module's is set up while another one, of a test's, and pytest's capture are up."""
    first = SettingsSnapshot.take()
    beside, own = logging.StreamHandler(), logging.StreamHandler()
    monkeypatch.setenv("CORESYS_BESIDE", "1")
    monkeypatch.setattr("sys.path", ["/beside", *sys.path])
    logging.root.addHandler(beside)
    logger.addHandler(beside)
    before = SettingsSnapshot.take()
    monkeypatch.setenv("CORESYS_OWN", "1")
    monkeypatch.delenv("PATH")
    monkeypatch.setattr("sys.path", ["/own", *sys.path])
    logging.root.addHandler(own)
    logger.setLevel(logging.ERROR)
    after = SettingsSnapshot.take()
    logging.root.removeHandler(beside)
    logger.removeHandler(beside)
    monkeypatch.delenv("CORESYS_BESIDE")
    sys.path.remove("/beside")
    now = SettingsSnapshot.take()
    merged = first.with_change(before, after)
    logging.root.removeHandler(own)
    assert now.changes_since(merged) == []
    assert {line.split(" ")[0] for line in now.changes_since(first)} == {
        *("os.environ['CORESYS_OWN']", "os.environ['PATH']", "sys.path:", "logging:", "logger")
    }


def test_of_a_mask_of_signals_only_the_bits_that_changed_are_taken_over() -> None:
    def having(umask: bytes, caught: int) -> SettingsSnapshot:
        return replace(SettingsSnapshot.take(), status=(umask, b"%016x" % 0, b"%016x" % caught))

    # The test caught one signal; the teardown of a wider fixture, later, lets go of another, and sets the umask.
    merged = having(b"0022", 0b001).with_change(having(b"0022", 0b101), having(b"0077", 0b100))
    assert merged.status == (b"0077", b"%016x" % 0, b"%016x" % 0)


def test_objects_that_refuse_to_be_compared_or_shown_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __eq__(self, _other: object) -> bool:
            raise RuntimeError("not comparable")

        def __hash__(self) -> int:
            return 1

        def __repr__(self) -> str:
            raise RuntimeError("not shown")

        def __call__(self, *_args: object) -> None:
            raise AssertionError("never called")

    monkeypatch.setattr(sys, "excepthook", Hostile())
    (line,) = changes(lambda: monkeypatch.setattr(sys, "excepthook", Hostile()))
    assert line.count("an object of") == 2
    (line,) = changes(lambda: monkeypatch.setattr(sys, "path", [*sys.path, Hostile()]))
    assert line.startswith("sys.path: <")


def test_a_watch_releases_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hook:
        def __call__(self, *_args: object) -> None:
            raise AssertionError("never called")

    watch = SettingsWatch()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "excepthook", Hook())
        seen = weakref.ref(sys.excepthook)
        watch.start()
        assert watch.stop() == []
    gc.collect()
    assert seen() is None
    assert watch.stop() == []  # not started again


def test_a_snapshot_costs_little_beside_the_public_way_to_ask_for_signal_handlers() -> None:
    def public() -> None:
        for number in signal.valid_signals():
            signal.getsignal(number)
        dict(os.environ)

    fast = min(timeit.repeat(SettingsSnapshot.take, number=20, repeat=10))
    assert fast < 2 * min(timeit.repeat(public, number=20, repeat=10))


def test_loading_it_needs_no_pytest() -> None:
    code = "import sys, coresys.measure.settings as s; s.SettingsSnapshot.take(); sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
