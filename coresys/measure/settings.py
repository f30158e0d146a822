"""Settings that belong to the whole process, and which of them were left other than found.

Environment, working directory, ``sys.path``, signal handlers, logging, warning filters, excepthooks, locale, umask.

A snapshot is taken twice around every test, so it copies raw structures (some 20 us) and words nothing; words are
made only when two snapshots differ. It holds what it saw until it is dropped: keep none longer than the comparison.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the public getsignal makes an enum each time: 40 us for 62 signals
import locale
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coresys.measure.meters import ProcFile
from coresys.measure.system import System

RUNNER_VARIABLES = frozenset({"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "COLUMNS", "LINES"})
"""Variables that the test runner itself sets and removes."""

_SIGNALS: tuple[int, ...] = tuple(sorted(int(number) for number in signal.valid_signals()))
# glibc keeps these two for itself, and catches them when the first thread is cancelled or changes its user.
_OF_THE_C_LIBRARY = (32, 33)
_SECRET = re.compile(r"pass|secret|token|key|credential|(?:^|_)auth(?:_|$)|_pwd$|_pat$|cookie", re.IGNORECASE)
_USER_INFO = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@")
_LONGEST = 80
STATUS = "/proc/self/status"

LoggerState = tuple[str, int, tuple[Any, ...], bool, bool]


@dataclass(slots=True)
class SettingsSnapshot:
    """The settings at one moment."""

    environment: dict[Any, Any]
    folder: str | None
    path: tuple[Any, ...]
    signals: tuple[Any, ...]
    logging: int  # the level up to which it is disabled everywhere
    loggers: list[LoggerState]
    filters: tuple[Any, ...]
    hooks: tuple[Any, ...]
    locale: str | None
    status: tuple[bytes, bytes, bytes]

    @classmethod
    def take(cls, status: ProcFile | None = None) -> SettingsSnapshot:
        """What is set now. Changes nothing.

        ``status`` is an open ``/proc/self/status``, for those who ask often: opening it is a third of the time that it
        takes. Without it no descriptor is kept; one that another process opened is passed over.
        """
        environment = os.environ
        data = getattr(environment, "_data", None)  # the encoded form, copied in C: 0.2 us instead of 30
        return cls(
            dict(environment if data is None else data),
            _folder(),
            tuple(sys.path),
            tuple(map(_signal.getsignal, _SIGNALS)),
            logging.root.manager.disable,
            _loggers(),
            tuple(warnings.filters),
            (sys.excepthook, threading.excepthook, sys.unraisablehook),
            _locale(),
            _status(status),
        )

    def take_filters(self) -> None:
        """Take the warning filters of now into this snapshot."""
        self.filters = tuple(warnings.filters)

    def with_change(self, before: SettingsSnapshot, after: SettingsSnapshot) -> SettingsSnapshot:
        """This snapshot with what changed between two others, which were taken later, and with nothing else of them.

        Beside that change something may have been set for a while: the handlers by which pytest captures logs while a
        fixture is set up, a variable of another fixture's.
        """
        changed = [name for name in _MERGED if not _same(getattr(before, name), getattr(after, name))]
        parts = {
            name: _MERGED[name](getattr(self, name), getattr(before, name), getattr(after, name)) for name in changed
        }
        return replace(self, **parts)

    def restore(self) -> None:
        """Set what differs back to what it was when this was taken, as far as Python can set it.

        What native code set (signal handlers of C libraries) stays. Never raises for a setting that can't be set.
        """
        now = SettingsSnapshot.take()
        for name, put_back in _PUT_BACK.items():
            if not _same(getattr(self, name), getattr(now, name)):
                try:
                    put_back(self)
                except Exception:  # a folder that is gone, a signal in another thread than the main one
                    pass

    def is_same(self, before: SettingsSnapshot) -> bool:
        """Whether nothing at all differs, at a tenth of the price of ``changes_since``."""
        return _same(before, self)

    def changes_since(self, before: SettingsSnapshot, *, ignore_env: Collection[str] = RUNNER_VARIABLES) -> list[str]:
        """A line for each setting that differs. Values that look secret are not shown."""
        changes: list[str] = []
        if not _same(before.environment, self.environment):
            changes += _environment_changes(before.environment, self.environment, ignore_env)
        for name, describe in _PARTS:
            was, now = getattr(before, name), getattr(self, name)
            if not _same(was, now):
                changes += describe(was, now)
        if before.status != self.status:
            changes += _status_changes(before, self)
        return changes


class SettingsWatch:
    """Two snapshots, and the user's objects released after."""

    def __init__(self, ignore_env: Collection[str] = RUNNER_VARIABLES) -> None:
        self._ignore = frozenset(ignore_env)
        self._before: SettingsSnapshot | None = None

    def start(self) -> None:
        """Remember the settings of now."""
        self._before = SettingsSnapshot.take()

    def stop(self) -> list[str]:
        """What has changed since the start, a line each; nothing if it was not started."""
        before, self._before = self._before, None
        return [] if before is None else SettingsSnapshot.take().changes_since(before, ignore_env=self._ignore)


# -- taking -------------------------------------------------------------------------------------------------------


def _folder() -> str | None:
    try:
        return System.getcwd()
    except OSError:  # it was removed
        return None


def _loggers() -> list[LoggerState]:
    """The state of the root, and of each logger that has something of its own.

    A logger is looked at for 0.05 us; those that leave everything to their parents are passed over.
    """
    root, placeholder = logging.root, logging.PlaceHolder
    loggers: list[Any] = list(root.manager.loggerDict.values())  # a list: other threads may make loggers meanwhile
    states: list[LoggerState] = [
        (logger.name, logger.level, tuple(logger.handlers), logger.disabled, logger.propagate)
        for logger in loggers
        if logger.__class__ is not placeholder
        and (logger.handlers or logger.level or logger.disabled or not logger.propagate)
    ]
    states.append(("", root.level, tuple(root.handlers), root.disabled, root.propagate))
    return states


def _locale() -> str | None:
    try:
        return locale.setlocale(locale.LC_ALL)
    except locale.Error:
        return None


def _status(file: ProcFile | None) -> tuple[bytes, bytes, bytes]:
    """Umask, ignored and caught signals as the system tells them, each empty where it does not.

    The umask is read, never set to be read: another thread may make a file meanwhile.
    """
    text = b""
    if file is not None and file.pid == System.getpid():
        try:
            text = file.read()
        except OSError:
            pass
    if not text.startswith(b"Name:"):  # there is no such file, or its number is somebody else's by now
        try:
            text = System.read_file(STATUS)
        except OSError:
            return b"", b"", b""
    return _field(text, b"\nUmask:\t"), _field(text, b"\nSigIgn:\t"), _field(text, b"\nSigCgt:\t")


def _field(text: bytes, label: bytes) -> bytes:
    at = text.find(label)
    if at < 0:
        return b""
    at += len(label)
    end = text.find(b"\n", at)
    return text[at:end] if end > 0 else b""


# -- comparing ----------------------------------------------------------------------------------------------------


def _same(was: Any, now: Any) -> bool:
    """Whether two values are equal, by identity first; objects that cannot be compared are different."""
    try:
        return was is now or bool(was == now)
    except Exception:
        return False


def _lost_and_new(was: Sequence[Any], now: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """What is no longer there, and what is there in addition, one by one."""
    left, new = list(was), []
    for each in now:
        at = next((number for number, other in enumerate(left) if _same(other, each)), None)
        if at is None:
            new.append(each)
        else:
            del left[at]
    return left, new


def _environment_changes(was: dict[Any, Any], now: dict[Any, Any], ignore: Collection[str]) -> list[str]:
    lines = []
    for raw in sorted({*was, *now}, key=_text):
        name, old, new = _text(raw), was.get(raw), now.get(raw)
        if old == new or name in ignore:
            continue
        key = f"os.environ[{name!r}]"
        if new is None:
            lines.append(f"{key} removed (was {_value(name, old)})")
        elif old is None:
            lines.append(f"{key} set to {_value(name, new)} (was unset)")
        else:
            lines.append(f"{key} set to {_value(name, new)} (was {_value(name, old)})")
    return lines


def _text(raw: Any) -> str:
    return os.fsdecode(raw) if isinstance(raw, (bytes, str)) else type(raw).__name__


def _value(name: str, raw: Any) -> str:
    """A value of the environment as it may be printed."""
    if _SECRET.search(name):
        return "***"
    return _short(_USER_INFO.sub(r"\1***@", _text(raw)))


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...")


def _folder_changes(was: str | None, now: str | None) -> list[str]:
    def text(folder: str | None) -> str:
        return "one that was removed" if folder is None else repr(folder)

    return [f"working directory: {text(was)} -> {text(now)}"]


def _path_changes(was: tuple[Any, ...], now: tuple[Any, ...]) -> list[str]:
    before, after = [_entry(each) for each in was], [_entry(each) for each in now]
    removed, inserted = Counter(before) - Counter(after), Counter(after) - Counter(before)
    if not removed and not inserted:
        return ["sys.path: same entries in another order"]
    lines = [f"sys.path: {entry} inserted at {at}" for at, entry in _once_each(after, inserted)]
    return lines + [f"sys.path: {entry} removed from {at}" for at, entry in _once_each(before, removed)]


def _entry(entry: Any) -> str:
    return repr(entry) if isinstance(entry, (str, bytes)) else f"<{type(entry).__qualname__}>"


def _once_each(entries: list[str], wanted: Counter[str]) -> Iterator[tuple[int, str]]:
    left = Counter(wanted)
    for at, entry in enumerate(entries):
        if left[entry] > 0:
            left[entry] -= 1
            yield at, entry


def _signal_changes(was: tuple[Any, ...], now: tuple[Any, ...]) -> list[str]:
    return [
        f"signal {_signal_name(number)} handler changed: {_handler_name(old)} -> {_handler_name(new)}"
        for number, old, new in zip(_SIGNALS, was, now, strict=True)
        if not _same(old, new)
    ]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the first and the last
        return str(number)


def _handler_name(handler: Any) -> str:
    if handler is None:
        return "one not set by Python"
    if isinstance(handler, int):
        return {0: "default", 1: "ignored"}.get(int(handler), str(int(handler)))
    return _callable_name(handler)


def _callable_name(target: Any) -> str:
    """Module and name, never the repr, which may run code of the user or show what it holds."""
    while type(target).__name__ == "partial" and hasattr(target, "func"):
        target = target.func
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if not isinstance(name, str):
        return f"an object of {type(target).__qualname__}"
    return f"{module}.{name}" if isinstance(module, str) and module != "builtins" else name


def _disabled_changes(was: int, now: int) -> list[str]:
    old, new = logging.getLevelName(was), logging.getLevelName(now)
    return [f"logging: disabled up to level {new} (was {old})"]


def _logger_changes(was: list[LoggerState], now: list[LoggerState]) -> list[str]:
    before, after = {state[0]: state for state in was}, {state[0]: state for state in now}
    lines: list[str] = []
    for name in sorted({*before, *after}, key=str):
        plain = _plain_logger(name)
        lines += _changes_of_logger(before.get(name, plain), after.get(name, plain))
    return lines


def _plain_logger(name: str) -> LoggerState:
    """The state of a logger that has nothing of its own."""
    return name, logging.NOTSET, (), False, True


def _changes_of_logger(was: LoggerState, now: LoggerState) -> Iterator[str]:
    logger = f"logger {was[0]!r}:" if was[0] else "logging: root"
    if was[1] != now[1]:
        yield f"{logger} level {logging.getLevelName(was[1])} -> {logging.getLevelName(now[1])}"
    if not _same(was[2], now[2]):
        removed, added = _lost_and_new(was[2], now[2])
        for verb, handlers in (("added", added), ("removed", removed)):
            # A null handler does nothing; each library adds one to its logger when it is imported for the first time.
            yield from (
                f"{logger} handler {_log_handler_name(each)} {verb}"
                for each in handlers
                if type(each) is not logging.NullHandler
            )
        if not removed and not added:
            yield f"{logger} same handlers in another order"
    if was[3] != now[3]:
        yield f"{logger} {'disabled' if now[3] else 'no longer disabled'}"
    if was[4] != now[4]:
        yield f"{logger} {'propagates again' if now[4] else 'no longer propagates'}"


def _log_handler_name(handler: Any) -> str:
    path = getattr(handler, "baseFilename", None) if isinstance(handler, logging.FileHandler) else None
    return type(handler).__name__ + (f" ({_short(str(path))})" if path else "")


def _filter_changes(was: tuple[Any, ...], now: tuple[Any, ...]) -> list[str]:
    removed, added = _lost_and_new(was, now)
    parts = [f"{_filter_text(each)} added" for each in added] + [f"{_filter_text(each)} removed" for each in removed]
    if len(parts) > 5:
        parts[4:] = [f"and {len(parts) - 4} more"]
    return [f"warning filters changed: {', '.join(parts) or 'same filters in another order'}"]


def _filter_text(entry: Any) -> str:
    """A filter as ``-W`` would have it: action:message:category:module:line."""
    try:
        action, message, category, module, line = entry
        words = [action, _pattern(message), getattr(category, "__name__", ""), _pattern(module), str(line or "")]
        return repr(":".join(words).rstrip(":"))
    except (TypeError, ValueError):
        return type(entry).__qualname__


def _pattern(pattern: Any) -> str:
    return str(getattr(pattern, "pattern", pattern) or "")


def _hook_changes(was: tuple[Any, ...], now: tuple[Any, ...]) -> list[str]:
    names = ("sys.excepthook", "threading.excepthook", "sys.unraisablehook")
    return [
        f"{name} changed: {_callable_name(old)} -> {_callable_name(new)}"
        for name, old, new in zip(names, was, now, strict=True)
        if not _same(old, new)
    ]


def _locale_changes(was: str | None, now: str | None) -> list[str]:
    before, after = _by_category(was), _by_category(now)
    if before.keys() == after.keys() == {""}:  # one locale for all categories, both times
        return [f"locale: {was} -> {now}"]
    pairs = [
        (name, before.get(name, before.get("")), after.get(name, after.get("")))
        for name in sorted({*before, *after} - {""})
    ]
    return ["locale: " + ", ".join(f"{name} {old} -> {new}" for name, old, new in pairs if old != new)]


def _by_category(text: str | None) -> dict[str, str]:
    """A locale as ``setlocale`` names it, by category; the one of all categories under the empty name."""
    parts = (part.rpartition("=") for part in (text or "none").split(";"))
    return {name: value for name, _, value in parts}


_PARTS: tuple[tuple[str, Callable[[Any, Any], list[str]]], ...] = (
    ("folder", _folder_changes),
    ("path", _path_changes),
    ("signals", _signal_changes),
    ("logging", _disabled_changes),
    ("loggers", _logger_changes),
    ("filters", _filter_changes),
    ("hooks", _hook_changes),
    ("locale", _locale_changes),
)


def _status_changes(before: SettingsSnapshot, after: SettingsSnapshot) -> list[str]:
    lines = _native_signal_changes(before, after)
    was, now = before.status[0], after.status[0]
    if was and now and was != now:
        lines.append(f"umask {oct(int(was, 8))} -> {oct(int(now, 8))}")
    return lines


def _native_signal_changes(before: SettingsSnapshot, after: SettingsSnapshot) -> list[str]:
    """Signals whose handling changed although Python's own table did not (faulthandler, C libraries)."""
    if not all(before.status) or not all(after.status):
        return []
    ignored, caught = (int(after.status[at], 16) for at in (1, 2))
    changed = (ignored ^ int(before.status[1], 16)) | (caught ^ int(before.status[2], 16))
    lines = []
    for number, old, new in zip(_SIGNALS, before.signals, after.signals, strict=True):
        bit = 1 << (number - 1)
        if changed & bit and number not in _OF_THE_C_LIBRARY and _same(old, new):
            state = "ignored" if ignored & bit else "caught" if caught & bit else "left to the system"
            lines.append(f"signal {_signal_name(number)} is now {state}, set by native code")
    return lines


# -- merging ------------------------------------------------------------------------------------------------------


def _merged_names(mine: dict[Any, Any], was: dict[Any, Any], now: dict[Any, Any]) -> dict[Any, Any]:
    changed = {name for name in {*was, *now} if not _same(was.get(name), now.get(name))}
    kept = {name: value for name, value in mine.items() if name not in changed}
    return {**kept, **{name: value for name, value in now.items() if name in changed}}


def _merged_places(mine: tuple[Any, ...], was: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(own if _same(old, new) else new for own, old, new in zip(mine, was, now, strict=True))


def _merged_status(
    mine: tuple[bytes, bytes, bytes], was: tuple[bytes, bytes, bytes], now: tuple[bytes, bytes, bytes]
) -> tuple[bytes, bytes, bytes]:
    """The masks of signals bit by bit: each is a setting of its own."""
    if not (all(mine) and all(was) and all(now)):
        return now
    umask = mine[0] if was[0] == now[0] else now[0]
    ignored, caught = (
        b"%016x" % (int(own, 16) ^ int(old, 16) ^ int(new, 16))
        for own, old, new in zip(mine[1:], was[1:], now[1:], strict=True)
    )
    return umask, ignored, caught


def _merged_row(mine: tuple[Any, ...], was: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, ...]:
    """Less what was taken out, with what was put in: in front, or behind, as it stands now."""
    if _same(mine, was):
        return now
    removed, added = _lost_and_new(was, now)
    kept, _ = _lost_and_new(mine, removed)
    in_front = bool(added) and _same(now[0], added[0])
    return (*added, *kept) if in_front else (*kept, *added)


def _merged_loggers(mine: list[LoggerState], was: list[LoggerState], now: list[LoggerState]) -> list[LoggerState]:
    own, old, new = ({state[0]: state for state in states} for states in (mine, was, now))
    for name in {*old, *new}:
        plain = _plain_logger(name)
        before, after = old.get(name, plain), new.get(name, plain)
        if not _same(before, after):
            here = own.get(name, plain)
            _, level, _, disabled, propagates = _merged_places(here, before, after)
            own[name] = (name, level, _merged_row(here[2], before[2], after[2]), disabled, propagates)
    return [state for name, state in own.items() if not name or state != _plain_logger(name)]


def _now(mine: Any, was: Any, now: Any) -> Any:
    return now


_MERGED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "environment": _merged_names,
    "folder": _now,
    "path": _merged_row,
    "signals": _merged_places,
    "logging": _now,
    "loggers": _merged_loggers,
    "filters": _merged_row,
    "hooks": _merged_places,
    "locale": _now,
    "status": _merged_status,
}


# -- putting back -------------------------------------------------------------------------------------------------


def _put_back_environment(was: SettingsSnapshot) -> None:
    now = {_text(raw): raw for raw in SettingsSnapshot.take().environment}
    then = {_text(raw): _text(value) for raw, value in was.environment.items()}
    for name in now.keys() - then.keys():
        os.environ.pop(name, None)
    for name, value in then.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _put_back_folder(was: SettingsSnapshot) -> None:
    if was.folder is not None:
        os.chdir(was.folder)


def _put_back_path(was: SettingsSnapshot) -> None:
    sys.path[:] = was.path


def _put_back_signals(was: SettingsSnapshot) -> None:
    for number, handler in zip(_SIGNALS, was.signals, strict=True):
        if handler is not None and not _same(_signal.getsignal(number), handler):
            signal.signal(number, handler)


def _put_back_loggers(was: SettingsSnapshot) -> None:
    plain = {state[0]: _plain_logger(state[0]) for state in _loggers()}
    for name, level, handlers, disabled, propagates in (plain | {state[0]: state for state in was.loggers}).values():
        logger = logging.getLogger(name) if name else logging.root
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.disabled, logger.propagate = disabled, propagates


def _put_back_filters(was: SettingsSnapshot) -> None:
    warnings.filters[:] = was.filters  # type: ignore[index]  # typed as a Sequence, and a list
    mutated: Any = getattr(warnings, "_filters_mutated", None) or getattr(warnings, "_filters_mutated_lock_held", None)
    if mutated is not None:
        mutated()


def _put_back_hooks(was: SettingsSnapshot) -> None:
    sys.excepthook, threading.excepthook, sys.unraisablehook = was.hooks


def _put_back_locale(was: SettingsSnapshot) -> None:
    if was.locale is not None:
        locale.setlocale(locale.LC_ALL, was.locale)


def _put_back_umask(was: SettingsSnapshot) -> None:
    if was.status[0]:
        os.umask(int(was.status[0], 8))


_PUT_BACK: dict[str, Callable[[SettingsSnapshot], None]] = {
    "environment": _put_back_environment,
    "folder": _put_back_folder,
    "path": _put_back_path,
    "signals": _put_back_signals,
    "logging": lambda was: logging.disable(was.logging),
    "loggers": _put_back_loggers,
    "filters": _put_back_filters,
    "hooks": _put_back_hooks,
    "locale": _put_back_locale,
    "status": _put_back_umask,
}
