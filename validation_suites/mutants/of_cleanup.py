"""Faults in the cleanup manager: order, steps that fail or hang, what is told of them."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_MANAGER, _SEQUENCE, _VERIFY = "cleanup/manager.py", "cleanup/sequence.py", "cleanup/verify.py"

CLEANUP = (
    Mutant(
        "cleanup: steps are taken as they were declared, whatever they come after",
        _SEQUENCE,
        "        for before in set(step.after) & numbers.keys():\n",
        "        for before in set(step.after) - numbers.keys():\n",
        ("resources", "cleanup", "coordination"),
    ),
    Mutant(
        "cleanup: steps after one that failed are skipped",
        _MANAGER,
        "            run.note(step.spec, error)\n        self._over_with(step)\n",
        "            run.note(step.spec, error)\n            run.plan.clear()\n        self._over_with(step)\n",
        ("cleanup",),
    ),
    Mutant(
        "cleanup: what a step raises is swallowed",
        _MANAGER,
        '        self.failed.append((step.name, f"{type(error).__name__}: {error}".rstrip(": ")))\n',
        "        self.failed.extend(())\n",
        ("cleanup",),
    ),
    Mutant(
        "cleanup: a step that hangs is waited for beyond its deadline",
        _MANAGER,
        "                in_time = thread.ended.wait(seconds)\n",
        "                in_time = thread.ended.wait(None if seconds is None else seconds + 15)\n",
        ("cleanup",),
    ),
    Mutant(
        "cleanup: a step that hangs is told to nobody",
        _MANAGER,
        "        run.hung.append(step.spec.name)\n",
        "        run.hung.extend(())\n",
        ("cleanup",),
    ),
    Mutant(
        "cleanup: a channel leaves out those within it",
        _SEQUENCE,
        ' if step.channel == channel or step.channel.startswith(f"{channel}/")]\n',
        " if step.channel == channel]\n",
        ("resources", "cleanup"),
    ),
    Mutant(
        "cleanup: what a channel's steps come after is left out",
        _SEQUENCE,
        "            at += steps[name].after\n",
        "            at += ()\n",
        ("resources", "cleanup", "coordination"),
    ),
    Mutant(
        "cleanup: what is kept is written before what is there was worked off",
        _SEQUENCE,
        'PHASES = ("stop-intake", "drain", "flush", "release", "verify")\n',
        'PHASES = ("stop-intake", "flush", "drain", "release", "verify")\n',
        ("cleanup", "resources"),
    ),
    Mutant(
        "cleanup: what is left is not told",
        _VERIFY,
        "                if identity not in before:\n",
        "                if identity in ():\n",
        ("resources", "cleanup"),
    ),
)
