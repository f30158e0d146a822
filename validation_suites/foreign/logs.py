"""Errors: the module ``logging``. A component is a logger, a route its parent, a sink a handler.

Each report is a record of its own, whether the error is on its way or not; groups are one record. A handler that
raises is what ``logging`` makes of it: with ``handleError`` a text on stderr, which is switched off here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from coresys.system_records import ErrorRecord, ErrorStatistics, FrameRecord

if TYPE_CHECKING:
    from coresys.interfaces import IErrorManager, IMonitoringManager


class _Sink(logging.Handler):
    """A handler that hands records on."""

    def __init__(self, receive: Callable[[ErrorRecord], object]) -> None:
        super().__init__()
        self._receive = receive

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock."""
        try:
            self._receive(record.coresys)  # type: ignore[attr-defined]  # see ``report``
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """As with ``logging.raiseExceptions`` off, which programs in production have."""


class LoggedErrors:
    """Loggers of a tree of their own, so that the program's are left alone."""

    def __init__(self, monitoring: IMonitoringManager | None = None) -> None:
        self._root = logging.RootLogger(logging.ERROR)
        self._manager = logging.Manager(self._root)
        self._monitoring = monitoring
        self._recent: deque[ErrorRecord] = deque(maxlen=256)
        self._numbers = 0
        self._by_component: Counter[str] = Counter()
        self._by_kind: Counter[str] = Counter()

    def _logger(self, name: str) -> logging.Logger:
        return self._manager.getLogger(name.replace(".", "_"))

    def route(self, component: str, to: str) -> None:
        """The logger of ``to`` is the parent; a circle is not looked for, and is a log call without end."""
        self._logger(component).parent = self._logger(to)

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        """A handler of the logger of that name."""
        self._logger(name).handlers = [_Sink(receive)]

    def report(self, error: BaseException, *, component: str, severity: str = "error") -> ErrorRecord:
        """``logger.error(...)``."""
        self._numbers += 1
        record = ErrorRecord(
            number=self._numbers,
            time=time.time(),
            kind=type(error).__qualname__,
            message=str(error),
            component=component,
            fingerprint=type(error).__qualname__,
            thread=threading.current_thread().name,
            frames=_frames(error),
            severity=severity,
        )
        self._logger(component).error("%s", error, extra={"coresys": record})
        self._recent.append(record)
        self._by_component[component] += 1
        self._by_kind[record.kind] += 1
        if self._monitoring is not None:
            self._monitoring.error_seen(record)
        return record

    def recent(self, component: str | None = None) -> tuple[ErrorRecord, ...]:
        """The last ones."""
        return tuple(each for each in list(self._recent) if component in (None, each.component))

    def statistics(self) -> ErrorStatistics:
        """What was reported; what became of it is not known."""
        return ErrorStatistics(
            seen=self._numbers,
            delivered=0,
            recovered=0,
            escalated=0,
            undelivered=0,
            rate=0.0,
            by_component=tuple(self._by_component.items()),
            by_kind=tuple(self._by_kind.items()),
        )


def _frames(error: BaseException) -> tuple[FrameRecord, ...]:
    found = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(FrameRecord(code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    return tuple(found)


def make(monitoring: IMonitoringManager | None = None) -> LoggedErrors:
    """The subject."""
    return LoggedErrors(monitoring)


if TYPE_CHECKING:
    _check: type[IErrorManager] = LoggedErrors
