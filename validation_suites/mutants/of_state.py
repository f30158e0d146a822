"""Faults in the state manager: its machines, their histories, the table, the store."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_MACHINE, _MANAGER, _SQLITE, _TOGETHER = "state/machine.py", "state/manager.py", "state/sqlite.py", "state/together.py"

STATE = (
    Mutant(
        "state: no machine that is defined is listed",
        _MANAGER,
        "    def names(self) -> tuple[str, ...]:",
        "    def names(self) -> tuple[str, ...]:\n        return ()\n\n    def _names(self) -> tuple[str, ...]:",
        ("state",),
    ),
    Mutant(
        "state: machines are held without the lock, so that one of two that come together is lost",
        _MANAGER,
        "        with self._lock:\n"
        "            for machine in machines:\n"
        "                self._machines[machine.name] = machine\n",
        "        for _ in (self._machines,):\n"
        "            for machine in machines:\n"
        "                held = dict(self._machines)\n"
        "                __import__('time').sleep(0)\n"
        "                self._machines = {**held, machine.name: machine}\n",
        ("state",),
    ),
    Mutant(
        "state: transitions of one machine are made without its lock",
        _MACHINE,
        "            with self._lock:\n"
        "                self._owner = me\n"
        "                try:\n"
        "                    result = work()\n",
        "            with allocate_lock():\n"
        "                self._owner = me\n"
        "                try:\n"
        "                    result = work()\n",
        ("state", "threads"),
    ),
    Mutant(
        "state: an event that is not declared is taken, and leads to where the machine is",
        _MACHINE,
        '            raise self._refusal(event, "it is not declared there")\n',
        "            edge = self._table.move(event, trigger._source, trigger._source, told=False)\n",
        ("state",),
    ),
    Mutant(
        "state: a guard that says no is passed over",
        _MACHINE,
        "                    if not answer:\n                        break\n",
        "                    if not answer:\n                        continue\n",
        ("state",),
    ),
    Mutant(
        "state: a transition is published before what may undo it",
        _MACHINE,
        "        made = self._entered(chosen, trigger, began)\n",
        "        made = self._entered(chosen, trigger, began)\n        made.publish()\n",
        ("state",),
    ),
    Mutant(
        "state: a rollback goes back one step too far",
        _MACHINE,
        "            return entries[sequence][1]\n",
        "            return entries[sequence][0] or entries[sequence][1]\n",
        ("errors", "coordination"),
    ),
    Mutant(
        "state: a snapshot remembers the state before",
        _MACHINE,
        "            self._more().snapshots[label] = (last[4], last[0])\n",
        "            self._more().snapshots[label] = (last[3] or last[4], last[0])\n",
        ("state",),
    ),
    Mutant(
        "state: the history leaves out every seventh transition",
        _MACHINE,
        "        entries = list(self._history or ())\n",
        "        entries = [entry for entry in self._history or () if entry[0] % 7]\n",
        ("state", "coordination"),
    ),
    Mutant(
        "state: the last transitions that are asked for are one too few",
        _MACHINE,
        "            entries = entries[max(0, len(entries) - last) :]\n",
        "            entries = entries[max(0, len(entries) - last) + 1 :]\n",
        ("state", "coordination"),
    ),
    Mutant(
        "state: every fiftieth transition is told to nobody",
        _MACHINE,
        "        if scope.sink is not None:\n            # Of a bare machine",
        "        if scope.sink is not None and made.entry[0] % 50:\n            # Of a bare machine",
        ("state", "coordination"),
    ),
    Mutant(
        "state: a rollback is told to nobody",
        _MACHINE,
        "        made = self._locked(back)\n        self._tell(made)\n",
        "        made = self._locked(back)\n",
        ("state", "coordination"),
    ),
    Mutant(
        "state: the error state is not entered where an observer failed",
        _MACHINE,
        '        if error_state is not None and failure.phase != "store" and source != error_state:\n',
        '        if error_state is not None and failure.phase == "guard" and source != error_state:\n',
        ("errors",),
    ),
    Mutant(
        "state: of several machines each is moved as soon as it may be",
        _TOGETHER,
        "            all_made.append(machine._prepare(edge, trigger, began, asynchronous=False))\n",
        "            all_made.append(machine._prepare(edge, trigger, began, asynchronous=False))\n"
        "            all_made[-1].publish()\n",
        ("coordination", "state"),
    ),
    Mutant(
        "state: a store that fails is noticed after the transition was published",
        _MACHINE,
        "        timers = {made.machine.name: tuple(made.timers.values()) "
        "for made in all_made if made.timers is not None}\n",
        "        timers = {made.machine.name: tuple(made.timers.values()) "
        "for made in all_made if made.timers is not None}\n"
        "        publish_all(all_made)\n",
        ("state",),
    ),
    Mutant(
        "state: a machine is taken up again in the state before its last",
        _MACHINE,
        "                last.sequence, last.time, last.event, last.source, last.target, last.cause, last.actor,\n",
        "                last.sequence, last.time, last.event, last.source, last.source, last.cause, last.actor,\n",
        ("state",),
    ),
    Mutant(
        "state: the store acknowledges what it is only about to write",
        _SQLITE,
        "            self._wait_or_lead(ticket)\n",
        "            __import__('threading').Thread(target=self._wait_or_lead, args=(ticket,), daemon=True).start()\n",
        ("state",),
    ),
    Mutant(
        "state: the store keeps no history of every tenth transition",
        _SQLITE,
        "                execute(\n                    _INSERT,\n",
        "                sequence % 10 and execute(\n                    _INSERT,\n",
        ("state", "coordination"),
    ),
    Mutant(
        "state: a table with a state that nothing leads to is accepted",
        "state/table.py",
        "        return [*self._of_reach(), *self._of_guards(), *self._of_timers()]\n",
        "        return [*self._of_guards(), *self._of_timers()]\n",
        ("coordination",),
    ),
)
