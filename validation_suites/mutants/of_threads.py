"""Faults in the thread manager: atomics, locks and their ranks, the pool."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_ATOMICS, _LOCKS, _POOL, _SCHEDULER, _MANAGER = (
    "threads/atomics.py",
    "threads/locks.py",
    "threads/pool.py",
    "threads/scheduler.py",
    "threads/manager.py",
)

THREADS = (
    Mutant(
        "threads: a counter is added to without its lock",
        _ATOMICS,
        "        with self._lock:\n            value = self._value = self._value + amount\n",
        "        value = self._value\n"
        "        __import__('time').sleep(0)\n"
        "        value = self._value = value + amount\n",
        ("threads",),
    ),
    Mutant(
        "threads: compare-and-set of a counter lets two through",
        _ATOMICS,
        "        with self._lock:\n"
        "            if self._value != expected:\n"
        "                return False\n"
        "            self._value = value\n",
        "        if self._value != expected:\n"
        "            return False\n"
        "        __import__('time').sleep(0)\n"
        "        self._value = value\n",
        ("threads",),
    ),
    Mutant(
        "threads: a lock out of order is let in",
        _LOCKS,
        "    if rank is None or other is None or other.index < rank.index:\n",
        "    if rank is None or other is None or other.index != rank.index:\n",
        ("threads", "locks"),
    ),
    Mutant(
        "threads: two locks of one rank are let in one after the other",
        _LOCKS,
        "            if top is BOTTOM or (top.group is self.group and top.index < self.index):\n",
        "            if top is BOTTOM or (top.group is self.group and top.index <= self.index):\n",
        ("threads", "locks"),
    ),
    Mutant(
        "threads: a lock is compared with the outermost that is held, not with the innermost",
        _LOCKS,
        "    for each in reversed(held):\n",
        "    for each in held:\n",
        ("threads", "locks"),
    ),
    Mutant(
        "threads: a lock in order is refused where the one before was let go",
        _LOCKS,
        "    held[1:] = [each for each in held[1:] if each.owned()]\n",
        "    held[1:] = [each for each in held[1:] if each.owned() or each.index > entry.index]\n",
        ("threads", "locks"),
    ),
    Mutant(
        "threads: a lock that another has is not waited for",
        _LOCKS,
        "            if not acquire(False):\n                self._wait(self.timeout, asked=False)\n",
        "            if not acquire(False):\n                __import__('time').sleep(0)\n",
        ("threads",),
    ),
    Mutant(
        "threads: the timeout of a lock is ignored",
        _LOCKS,
        "                self._wait(timeout, asked=asked)\n",
        "                self._wait(None, asked=asked)\n",
        ("threads",),
    ),
    Mutant(
        "threads: a circle of waits for ranked locks is told to nobody",
        "threads/waits.py",
        "        if owner is me:\n            return path\n",
        "        if owner is me:\n            return []\n",
        ("threads", "locks"),
    ),
    Mutant(
        "threads: who waited for a lock is not counted",
        "threads/waits.py",
        "    waits.contended += 1\n",
        "    waits.contended += 0\n",
        ("threads", "locks"),
    ),
    Mutant(
        "threads: data is handed out to those who do not hold its lock",
        "threads/guarded.py",
        "        if __debug__:\n            self._lock.assert_held()\n        return self._value\n",
        "        return self._value\n",
        ("threads",),
    ),
    Mutant(
        "threads: whoever writes does not wait for those who read",
        "threads/readwrite.py",
        "            for share in self.shares():\n                if share is own:\n",
        "            for share in self.shares()[:0]:\n                if share is own:\n",
        ("threads",),
    ),
    Mutant(
        "threads: the pool has one worker more than it may",
        _POOL,
        "            workers=most,\n",
        "            workers=most + 1,\n",
        ("threads",),
    ),
    Mutant(
        "threads: what matters least is done first",
        _SCHEDULER,
        "_DOWN if (self.picks + 1) % AGEING else _UP\n",
        "_UP if (self.picks + 1) % AGEING else _DOWN\n",
        ("threads",),
    ),
    Mutant(
        "threads: what was submitted last in a channel is done first",
        _SCHEDULER,
        "            task = channel.tasks.popleft()\n",
        "            task = channel.tasks.pop()\n",
        ("threads",),
    ),
    Mutant(
        "threads: a channel is let go before its task was run",
        _SCHEDULER,
        "                channel.counts[task.level] -= 1\n                self._begin(task, me)\n",
        "                channel.counts[task.level] -= 1\n"
        "                self._begin(task, me)\n"
        "                channel.runner = 0\n",
        ("threads",),
    ),
    Mutant(
        "threads: a task does not have the context variables of who submitted it",
        _POOL,
        "        task.work = (fn, args, kwargs or _NO_KWARGS, copy_context())",
        "        task.work = (fn, args, kwargs or _NO_KWARGS, type(copy_context())())",
        ("errors", "threads"),
    ),
    Mutant(
        "threads: a task of a priority does not have the context variables of who submitted it",
        _POOL,
        "        return self._submit((fn, (), {}, copy_context()), _level(priority), channel)\n",
        "        return self._submit((fn, (), {}, type(copy_context())()), _level(priority), channel)\n",
        ("errors", "threads"),
    ),
    Mutant(
        "threads: locks stay open after a shutdown",
        _MANAGER,
        "        for lock in locks:\n            lock.close()\n",
        "        for lock in locks[:0]:\n            lock.close()\n",
        ("threads",),
    ),
    Mutant(
        "threads: what is queued is run though it was to be cancelled",
        _POOL,
        "        if cancel_futures:\n",
        "        if cancel_futures and not wait:\n",
        ("threads",),
    ),
    Mutant(
        "threads: tasks that were done are not counted",
        _SCHEDULER,
        "                    self.completed += 1\n                    if task._exception is not None:\n",
        "                    self.completed += 0\n                    if task._exception is not None:\n",
        ("threads",),
    ),
)
