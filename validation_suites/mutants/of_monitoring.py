"""Faults in the monitoring manager: counters, gauges, alarms."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_ALARMS, _MANAGER = "monitoring/alarms.py", "monitoring/manager.py"

MONITORING = (
    Mutant(
        "monitoring: of what several threads count only one is told",
        "monitoring/counters.py",
        "            merged.values[key] = merged.values.get(key, 0) + value\n",
        "            merged.values[key] = value\n",
        ("state", "errors"),
    ),
    Mutant(
        "monitoring: of two threads that begin to count at a time one is lost",
        "monitoring/shards.py",
        "        self._all.update(lambda old: (*old, shard))\n",
        "        old = self._all.get()\n        __import__('time').sleep(0)\n        self._all.set((*old, shard))\n",
        ("state", "errors"),
    ),
    Mutant(
        "monitoring: an error is counted twice",
        _MANAGER,
        '            self.count("errors.seen", component=record.component)\n',
        '            self.count("errors.seen", 2, component=record.component)\n',
        ("errors", "coordination"),
    ),
    Mutant(
        "monitoring: an alarm is fired by every figure above its threshold",
        _ALARMS,
        "            return _Stand(False, number, (*old.untold, alarm)[-_MOST_UNTOLD:])\n",
        "            return _Stand(True, number, (*old.untold, alarm)[-_MOST_UNTOLD:])\n",
        ("resources",),
    ),
    Mutant(
        "monitoring: an alarm is fired at its threshold",
        _ALARMS,
        "        if value > threshold.above:\n",
        "        if value >= threshold.above:\n",
        ("resources",),
    ),
    Mutant(
        "monitoring: an alarm that was fired is never armed again",
        _ALARMS,
        "    return old._replace(armed=True) if value < threshold.lower else old\n",
        "    return old._replace(armed=True) if value < threshold.lower - 1e18 else old\n",
        ("resources",),
    ),
    Mutant(
        "monitoring: thresholds do not see gauges that are set",
        _MANAGER,
        "            if number is not None and self._alarms.watches(name):\n",
        "            if number is None and self._alarms.watches(name):\n",
        ("resources",),
    ),
)
