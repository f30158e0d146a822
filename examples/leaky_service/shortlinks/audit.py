"""What happened: the audit log, and recordings of traffic."""

from __future__ import annotations

import logging

_recordings: list[bytearray] = []


class LevelCounter(logging.Handler):
    """Counts the messages of each level, for the status page."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = dict.fromkeys(("INFO", "WARNING", "ERROR"), 0)

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.levelname] += 1


class AuditLog:
    def __init__(self) -> None:
        self.logger = logging.getLogger("shortlinks.audit")
        self.counter = LevelCounter()
        self.logger.addHandler(self.counter)

    def refused(self, url: str, reason: str) -> None:
        self.logger.warning("refused %s: %s", url, reason)

    def close(self) -> None:
        self.counter.flush()


class Recorder:
    """Up to *size* bytes of traffic; the last recording can be replayed."""

    def __init__(self, size: int = 1024 * 1024) -> None:
        self.buffer = bytearray(size)
        self.used = 0

    def record(self, line: bytes) -> None:
        end = self.used + len(line)
        if end > len(self.buffer):
            raise OverflowError("the recording is full")
        self.buffer[self.used : end] = line
        self.used = end

    def stop(self) -> int:
        _recordings.append(self.buffer)
        return self.used


def replay(length: int) -> bytes:
    return bytes(_recordings[-1][:length])
