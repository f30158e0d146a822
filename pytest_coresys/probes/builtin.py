"""The built-in probes of the first run, over the readings of ``coresys.measure``."""

from __future__ import annotations

import time

from coresys import Reading


class CpuShare:
    """CPU time of this process, all threads, over wall time."""

    key = "cpu.share"
    unit = "ratio"

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self) -> Reading:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        if wall <= 0:
            return Reading(None, "the clock did not advance")
        return Reading(cpu / wall)
