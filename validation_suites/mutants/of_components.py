"""Faults in the component manager, and in the coordinators that bring managers together."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_MANAGER, _REGISTRY = "components/manager.py", "components/registry.py"

COMPONENTS = (
    Mutant(
        "components: hooks are asked about the first component of a change only",
        _MANAGER,
        "                for name in work.asked:\n",
        "                for name in work.asked[:1]:\n",
        ("components",),
    ),
    Mutant(
        "components: hooks are not asked when a component is registered",
        _MANAGER,
        '            self._ask(ComponentChange(spec.name, "register"))\n',
        "            pass\n",
        ("components",),
    ),
    Mutant(
        "components: a hook that refuses by raising is passed over",
        "components/hooks.py",
        "                raise _refused(change, named, in_short(error)) from error\n",
        "                reason = None if error else ''\n",
        ("components",),
    ),
    Mutant(
        "components: what is needed is stopped before what needs it",
        _MANAGER,
        "            each for each in reversed(users) if each.state != STOPPED",
        "            each for each in users if each.state != STOPPED",
        ("components", "coordination"),
    ),
    Mutant(
        "components: they are started as they were declared, whatever they need",
        _REGISTRY,
        "        return tuple(order)\n",
        "        return tuple(declared)\n",
        ("components", "coordination"),
    ),
    Mutant(
        "components: what needs a component runs on when that is stopped",
        _MANAGER,
        "        users = self._of(self._registry.with_users(self._named(work)))\n",
        "        users = self._of(self._registry.sorted(self._named(work)))\n",
        ("components", "coordination"),
    ),
    Mutant(
        "components: what was started stays up where another fails to start",
        _MANAGER,
        "            self._undo(work, problems, [each for each, _ in work.started])\n            self._raise(",
        "            self._raise(",
        ("components", "coordination"),
    ),
    Mutant(
        "components: one is restarted once more than it may be",
        "errors/restart.py",
        "            if len(made) >= self.restarts:\n",
        "            if len(made) > self.restarts:\n",
        ("errors", "coordination"),
    ),
    Mutant(
        "components: those that need one that is restarted are not started again",
        _MANAGER,
        "        work.starts = self._of(registry.sorted({*down, *_names(affected)}))\n",
        "        work.starts = self._of(registry.sorted({*down}))\n",
        ("coordination",),
    ),
)

_COMPONENT, _CLEANUP, _ENVIRONMENT = (
    "coordinators/component.py",
    "coordinators/cleanup.py",
    "coordinators/environment.py",
)

COORDINATORS = (
    Mutant(
        "coordinators: what a component held stays lent when it has stopped",
        _COMPONENT,
        "        self._let_go(name)\n        with suppress(StateError):\n",
        "        with suppress(StateError):\n",
        ("components", "coordination"),
    ),
    Mutant(
        "coordinators: what is lent when a system has gone down is not told",
        _CLEANUP,
        "                self._note(self._resources.leases())\n",
        "                pass\n",
        ("cleanup", "coordination"),
    ),
    Mutant(
        "coordinators: what an owner holds is told, and not taken back",
        _CLEANUP,
        "        self._resources.release_owner(owner)\n",
        "        pass\n",
        ("resources", "cleanup", "coordination"),
    ),
    Mutant(
        "coordinators: a cleanup step that fails is reported to nobody",
        "coordinators/assembly.py",
        '    errors.report(error, component="cleanup")\n',
        "    del error\n",
        ("errors", "coordination"),
    ),
    Mutant(
        "coordinators: a report has no figure of refused requests",
        "coordinators/monitoring.py",
        '            for figure in ("busy", "refused", "overflowed", "external", "internal", "idle"):\n',
        '            for figure in ("busy", "overflowed", "external", "internal", "idle"):\n',
        ("coordination", "monitoring"),
    ),
    Mutant(
        "coordinators: locks are not told to monitoring",
        "coordinators/monitoring.py",
        "        for lock in self._threads.locks():\n",
        "        for lock in self._threads.locks()[:0]:\n",
        ("coordination", "monitoring"),
    ),
)

TESTING = (
    Mutant(
        "testing: a second environment is the first",
        "testing/manager.py",
        "            environment = self._make(spec)\n",
        "            environment = self.__dict__.setdefault('_first', None) or self._make(spec)\n"
        "            self._first = environment\n",
        ("testing",),
    ),
    Mutant(
        "testing: buffers that a test left are not told",
        _ENVIRONMENT,
        "            self._left = (*self._taken, *lent, *self._going, *failed, *hung)\n",
        "            self._left = (*self._going, *failed, *hung)\n",
        ("testing",),
    ),
    Mutant(
        "testing: tasks and locks that a test left are not told",
        _ENVIRONMENT,
        "        self._going = [*self._tasks(), *self._locks()]\n",
        "        self._going = []\n",
        ("resources",),
    ),
    Mutant(
        "testing: what is left is not found before the environment is closed",
        "testing/manager.py",
        "        return replace(record, left=environment.left())\n",
        "        return replace(record, left=())\n",
        ("testing",),
    ),
    Mutant(
        "testing: an environment that is closed stays open",
        "testing/manager.py",
        "            left = environment.close()\n",
        "            left = environment.left()\n",
        ("testing",),
    ),
)
