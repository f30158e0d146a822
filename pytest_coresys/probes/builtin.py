"""The built-in probes of the first run, over the readings of ``coresys.measure``."""

from __future__ import annotations

import logging
import sys
import time

from coresys import Reading
from coresys.clock import monotonic
from coresys.measure.loopwatch import LoopWatch
from coresys.measure.meters import ProcFile
from coresys.measure.settings import RUNNER_VARIABLES, STATUS, SettingsSnapshot
from coresys.measure.system import System


class CpuShare:
    """CPU time of this process, all threads, over wall time."""

    key = "cpu.share"
    unit = "ratio"

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), monotonic()

    def stop(self) -> Reading:
        cpu, wall = time.process_time() - self._cpu, monotonic() - self._wall
        if wall <= 0:
            return Reading(None, "the clock did not advance")
        return Reading(cpu / wall)


_UNCHANGED = Reading(0.0)


class GlobalsChanged:
    """Settings of the process that the test left other than it found them.

    What a wider fixture sets in its setup, and puts back in its teardown, is that fixture's: ``leave_out`` is told.
    """

    key = "globals.changed"
    unit = "count"

    def __init__(self, *, filters: bool = True, level: bool = True) -> None:
        # Not, where the runner itself puts them back: the filters after each test, the root's level after each phase.
        self._filters, self._root_level = filters, level
        # As the last test found them, if it left them other than that; who takes it puts None there.
        self.found: SettingsSnapshot | None = None
        self._before: SettingsSnapshot | None = None
        self._modules, self._level = 0, 0
        self.undisturbed = False  # whether nothing of others runs between two tests
        self._left: SettingsSnapshot | None = None  # as the last test left them, while undisturbed
        self._status: ProcFile | None = None

    def open(self) -> None:
        """Open what is kept between tests, before anybody counts descriptors."""
        if self._status is None or self._status.pid != System.getpid():
            try:
                self._status = ProcFile(STATUS)
            except NotImplementedError:
                self._status = None

    def close(self) -> None:
        """Give up what is kept between tests."""
        self._left = None
        if self._status is not None:
            self._status.close()
            self._status = None

    def start(self) -> None:
        self._before, self._left, self._modules = self._left, None, len(sys.modules)
        self._level = logging.root.level
        if self._before is None:
            self._before = self._take()
        else:
            self._before.take_filters()  # the runner sets them for each test, before we are asked

    def _take(self) -> SettingsSnapshot:
        return SettingsSnapshot.take(self._status)

    def forget(self) -> None:
        """Between two tests something was run: the next one may find other settings than the last one left."""
        self._left = None

    def leave_out(self, before: SettingsSnapshot) -> None:
        """Leave out what changed since ``before``: it counts as found."""
        if self._before is not None:
            self._before = self._before.with_change(before, SettingsSnapshot.take())

    def stop(self) -> Reading:
        before, self._before = self._before, None  # it may hold handlers of the user's
        assert before is not None
        after = self._take()
        self._left = after if self.undisturbed else None
        if after.is_same(before):
            return _UNCHANGED
        changes = after.changes_since(before, ignore_env=RUNNER_VARIABLES)
        if not self._filters:
            changes = [change for change in changes if not change.startswith("warning filters")]
        if not self._root_level and logging.root.level == self._level:
            changes = [change for change in changes if not change.startswith("logging: root level ")]
        lasting = [change for change in changes if not self._may_be_an_import(change)]
        if changes and not lasting:
            return Reading(None, "suspected: modules were imported meanwhile, and may have done it", tuple(changes))
        self.found = before if lasting else None
        return Reading(float(len(lasting)), details=tuple(lasting))

    def _may_be_an_import(self, change: str) -> bool:
        """Whether this is of the kind that modules do once, when they are imported."""
        imported = len(sys.modules) > self._modules
        return imported and change.startswith(("warning filters", "logger ", "signal ", "threading.", "sys.", "locale"))


class LoopBlocked(LoopWatch):
    """Longest time that an asyncio event loop was kept from running."""

    key = "loop.blocked"
    unit = "s"
