"""Faults in the error manager: marks, paths, groups, context, recovery."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_MANAGER, _RECOVERY = "errors/manager.py", "errors/recovery.py"

ERRORS = (
    Mutant(
        "errors: an error that is on its way is counted anew by each who reports it",
        _MANAGER,
        "        mark = marks.setdefault(self._key, fresh)\n",
        "        mark = marks[self._key] = fresh\n",
        ("errors",),
    ),
    Mutant(
        "errors: paths end after three names",
        "errors/paths.py",
        "        while path[-1] not in self._sinks:\n",
        "        while path[-1] not in self._sinks and len(path) < 3:\n",
        ("errors", "coordination"),
    ),
    Mutant(
        "errors: what a sink raises is swallowed",
        _MANAGER,
        '            self.report(problem, component=f"sink {record.route[-1]}", ended=True)\n',
        "            del problem\n",
        ("errors",),
    ),
    Mutant(
        "errors: members of a group are not told to monitoring",
        _MANAGER,
        "            self._seen(inside.get(number) or beyond[-1])\n",
        '            self._note("seen", inside.get(number) or beyond[-1])\n',
        ("errors",),
        since=(3, 11),
    ),
    Mutant(
        "errors: a group inside of a group is left out",
        _MANAGER,
        "                groups.append(member)\n",
        "                groups.append(member) if len(passed) > 9 else None\n",
        ("errors",),
        since=(3, 11),
    ),
    Mutant(
        "errors: what is reported while another thread counts is not counted",
        _MANAGER,
        "        self._pending.append((what, record))\n",
        "        self._lock.locked() or self._pending.append((what, record))\n",
        ("errors",),
    ),
    Mutant(
        "errors: context variables are not kept",
        "errors/capture.py",
        "        present = copy_context()\n        found =",
        "        present = type(copy_context())()\n        found =",
        ("errors",),
    ),
    Mutant(
        "errors: work that is handed on does not take its context variables along",
        "errors/executors.py",
        "    context = copy_context()\n\n    @wraps(function)\n",
        "    context = type(copy_context())()\n\n    @wraps(function)\n",
        ("errors", "coordination"),
    ),
    Mutant(
        "errors: the last exception, and its frames, are kept alive",
        _MANAGER,
        "            mark.record = record = self._captured(error, component, severity, task, numbered)\n",
        "            mark.record = record = self._captured(error, component, severity, task, numbered)\n"
        "            self._last_error = error\n",
        ("errors",),
    ),
    Mutant(
        "errors: procedures are asked in the reverse order",
        _RECOVERY,
        "            for procedure in procedures:\n",
        "            for procedure in reversed(procedures):\n",
        ("errors",),
    ),
    Mutant(
        "errors: nobody further on the path is asked to recover",
        _RECOVERY,
        "        for at in self._manager.paths.resolve(self._component):\n",
        "        for at in self._manager.paths.resolve(self._component)[:1]:\n",
        ("errors",),
    ),
    Mutant(
        "errors: a budget of retries has one more than it says",
        "errors/budget.py",
        "            if self._tokens >= 1.0 - 1e-9:\n",
        "            if self._tokens >= 0.0 and self._taken < self.burst + 1:\n",
        ("errors",),
    ),
    Mutant(
        "errors: a retry stops one attempt late",
        "errors/retry.py",
        "        if self._stop(state):\n",
        "        state.attempt_number -= 1\n"
        "        stop = self._stop(state)\n"
        "        state.attempt_number += 1\n"
        "        if stop:\n",
        ("errors",),
    ),
)
