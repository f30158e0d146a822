"""Native growth and changed settings are charged to the line of the user's that runs meanwhile, and to no other."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coresys.measure import linewatch, meters
from coresys.measure.linewatch import native_lines, settings_lines, watch_lines
from coresys.measure.settings import SettingsSnapshot

THIS = __file__


def is_user(path: str) -> bool:
    return path == THIS


def marked(function: Callable[..., Any], mark: str = "# here") -> int:
    """The line of a function that carries a mark."""
    lines = Path(THIS).read_text(encoding="utf-8").splitlines()
    first = function.__code__.co_firstlineno
    return next(number for number in range(first, len(lines) + 1) if lines[number - 1].endswith(mark))


# -- the watch ------------------------------------------------------------------------------------------------------


class Counter:
    value = 0


def step(counter: Counter) -> None:
    counter.value += 1  # in step


def outer(counter: Counter) -> int:
    step(counter)
    counter.value += 10  # in outer
    numbers = [later(counter, number) for number in range(2)]  # the list
    return sum(numbers)


def later(counter: Counter, number: int) -> int:
    counter.value += 100  # in later
    return number


def test_each_change_is_charged_to_the_innermost_line_that_runs() -> None:
    counter = Counter()
    seen: list[tuple[int, str, int]] = []

    def note(line: linewatch.Line, before: int, after: int) -> None:
        seen.append((line[1], line[2], after - before))

    assert watch_lines(lambda: outer(counter), lambda: counter.value, note, is_user=is_user) == 1
    assert seen == [
        (marked(step, "# in step"), "step", 1),
        (marked(outer, "# in outer"), "outer", 10),
        (marked(later, "# in later"), "later", 100),
        (marked(later, "# in later"), "later", 100),
    ]


def test_what_called_code_of_others_changes_is_charged_to_the_calling_line() -> None:
    counter = Counter()
    seen: list[int] = []

    def run() -> None:
        os.path.join("a", "b")
        vars(counter).update(value=1)  # here

    def not_ours(path: str) -> bool:
        return is_user(path)

    watch_lines(run, lambda: counter.value, lambda line, *_: seen.append(line[1]), is_user=not_ours)
    assert seen == [marked(run)]


def test_an_exception_passes_and_the_tracer_of_before_is_back() -> None:
    def other(*_: object) -> None:
        return None

    def run() -> None:
        raise ValueError("mine")

    own = sys.gettrace()
    sys.settrace(other)
    try:
        with pytest.raises(ValueError, match="mine"):
            watch_lines(run, lambda: 0, lambda *_: None, is_user=is_user)
        back = sys.gettrace()
    finally:
        sys.settrace(own)
    assert back is other


# -- native memory ----------------------------------------------------------------------------------------------------


def _measurable() -> bool:
    try:
        meters.MemoryMeter().close()
    except NotImplementedError:
        return False
    return True


needs_counters = pytest.mark.skipif(not _measurable(), reason="the allocators of this system can't be read")
libc: Any = ctypes.CDLL(None) if sys.platform != "win32" else None
if libc is not None:
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]


def take(size: int) -> int:
    address: int = libc.malloc(size)  # here
    return address


def leaks_native() -> None:
    kept = take(30_000)
    other = libc.malloc(50_000)
    libc.free(other)
    local = bytes(30_500)  # as large, and given back only when the function has ended
    assert kept
    assert local


@needs_counters
def test_native_growth_is_charged_to_the_line_that_calls_for_it_and_not_to_one_that_gives_it_back() -> None:
    (found,) = native_lines(leaks_native, is_user=is_user, grown=30_000)
    assert (found.path, found.line, found.function) == (THIS, marked(take), "take")
    assert re.fullmatch(r"\+29\.\d KiB of native memory while this line runs", found.note)


@needs_counters
def test_a_run_with_a_problem_tells_nothing() -> None:
    def run() -> str:
        take(30_000)
        return "failed"

    assert native_lines(run, is_user=is_user, grown=30_000) == []


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings() -> Iterator[SettingsSnapshot]:
    """As they are now; they are so again afterwards."""
    before = SettingsSnapshot.take()
    yield before
    before.restore()


def changes_environment(folder: Path) -> None:
    os.environ["CORESYS_A"] = "first"
    os.environ["CORESYS_A"] = "kept"  # here
    os.environ["CORESYS_B"] = "for a while"
    del os.environ["CORESYS_B"]


def changes_folder(folder: Path) -> None:
    os.chdir(folder)  # here


def changes_path(folder: Path) -> None:
    sys.path.insert(0, str(folder))  # here


def changes_signal(folder: Path) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # here


def changes_logger(folder: Path) -> None:
    logging.getLogger("coresys.linewatch").setLevel(logging.ERROR)  # here


def changes_disabled(folder: Path) -> None:
    logging.disable(logging.INFO)  # here


def changes_filters(folder: Path) -> None:
    warnings.filterwarnings("ignore", message="coresys")  # here


def changes_hook(folder: Path) -> None:
    sys.excepthook = print  # here


def changes_umask(folder: Path) -> None:
    os.umask(0o111)  # here


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (changes_environment, "os.environ['CORESYS_A'] changed here"),
        (changes_folder, "working directory changed here"),
        (changes_path, "sys.path changed here"),
        (changes_signal, "signal SIGUSR1 changed here"),
        (changes_logger, "logger 'coresys.linewatch' changed here"),
        (changes_disabled, "logging changed here"),
        (changes_filters, "warning filters changed here"),
        (changes_hook, "sys.excepthook changed here"),
        (changes_umask, "umask changed here"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_setting_is_put_back_and_its_change_charged_to_the_line(
    change: Callable[[Path], None], note: str, settings: SettingsSnapshot, tmp_path: Path
) -> None:
    change(tmp_path)  # the first run, after which a second would change nothing
    assert SettingsSnapshot.take().changes_since(settings)
    (found,) = settings_lines(lambda: change(tmp_path), settings, is_user=is_user)
    assert (found.path, found.line, found.function) == (THIS, marked(change), change.__name__)
    assert found.note == note
    settings.restore()
    assert SettingsSnapshot.take().changes_since(settings) == []


def test_what_cannot_be_put_back_is_passed_over(settings: SettingsSnapshot, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    there = SettingsSnapshot.take()
    os.environ["CORESYS_A"] = "x"
    assert there.folder is not None
    os.chdir(there.folder + "/..")
    gone.rmdir()
    there.restore()
    assert "CORESYS_A" not in os.environ
