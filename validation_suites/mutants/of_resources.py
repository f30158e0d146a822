"""Faults in the resource manager: limits, reserves, slots, what is owned, and the figures of all of these."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

_LENDING, _POOLS, _TIERS, _OWNED, _VIEW = (
    "resources/lending.py",
    "resources/pools.py",
    "resources/tiers.py",
    "resources/owned.py",
    "resources/view.py",
)

RESOURCES = (
    Mutant(
        "resources: an owner gets one buffer more than its limit",
        _TIERS,
        "        if self.limit is not None and self.held - granted + sizes[tier] > self.limit:\n",
        "        if self.limit is not None and self.held - granted > self.limit:\n",
        ("resources",),
    ),
    Mutant(
        "resources: the owners of a channel together get one buffer more than its limit",
        _TIERS,
        "        if channel.limit is not None and channel.held + sizes[tier] + owed > channel.limit:\n",
        "        if channel.limit is not None and channel.held + owed > channel.limit:\n",
        ("resources",),
    ),
    Mutant(
        "resources: what is reserved for one owner is lent to another",
        _LENDING,
        "        return self._figures[tier].kept - outermost.kept[tier] + beside(account, tier)\n",
        "        return 0 if outermost else 0\n",
        ("resources",),
    ),
    Mutant(
        "resources: a buffer is not made zero when another owner gets it",
        _LENDING,
        "            if slab.last[slot] is not account or self._zeroes_always:\n",
        "            if self._zeroes_always:\n",
        ("resources",),
    ),
    Mutant(
        "resources: only the first half of a buffer is made zero",
        "resources/slab.py",
        "        dirty = self.exposed[number]\n        if dirty:\n",
        "        dirty = self.exposed[number] // 2\n        if dirty:\n",
        ("resources",),
    ),
    Mutant(
        "resources: every twentieth buffer that is given back is free for nobody",
        _LENDING,
        "                slab.warm.append(slot)  # as Slab.put_back\n",
        "                if number % 20:\n                    slab.warm.append(slot)  # as Slab.put_back\n",
        ("resources",),
    ),
    Mutant(
        "resources: buffers are lent without the lock",
        _LENDING,
        "            with self._lock:\n"
        "                self._holder = me\n"
        "                try:\n"
        "                    if self._closed or (channel",
        "            with allocate_lock():\n"
        "                self._holder = 0\n"
        "                try:\n"
        "                    if self._closed or (channel",
        ("resources",),
    ),
    Mutant(
        "resources: whoever gave a buffer back can go on writing into it",
        _LENDING,
        "            lease._lent[-1].release()  # its view\n",
        "            pass  # its view\n",
        ("resources",),
    ),
    Mutant(
        "resources: a buffer is charged for what was asked for, and not for what it takes",
        _LENDING,
        "            account.held += slab.slot\n            account.slots[tier] += 1\n            if not",
        "            account.held += size\n            account.slots[tier] += 1\n            if not",
        ("resources", "coordination"),
    ),
    Mutant(
        "resources: the last buffer of a tier is lent to nobody",
        "resources/slab.py",
        "        return 0 if self.is_forsaken else len(self.warm) + len(self.cold) + self.slots - self.fresh\n",
        "        return 0 if self.is_forsaken else len(self.warm) + len(self.cold) + self.slots - self.fresh - 1\n",
        ("resources",),
    ),
    Mutant(
        "resources: a slot that nobody had is lent again to the next",
        "resources/slab.py",
        "            slot, self.fresh = self.fresh, self.fresh + 1\n",
        "            slot, self.fresh = self.fresh, self.fresh + (self.fresh != 7 or self.exposed[7] > 0)\n",
        ("resources",),
    ),
    Mutant(
        "resources: what comes after one that fails to close is not closed",
        _OWNED,
        "                first = first or error\n",
        "                first = first or error\n                break\n",
        ("resources",),
    ),
    Mutant(
        "resources: what was registered first is closed first",
        _OWNED,
        "            taken = has.popitem() if name is None else (name, has.pop(name))\n",
        "            first = next(iter(has), '') if name is None else name\n"
        "            taken = (first, has.pop(first))\n",
        ("resources",),
    ),
    Mutant(
        "resources: the buffers of an owner stay lent where something failed to close",
        _VIEW,
        "    try:\n"
        "        closed = owned.close_all(owner, told=told)\n"
        "    finally:\n"
        "        taken = pools.release_owner(owner)\n",
        "    closed = owned.close_all(owner, told=told)\n    taken = pools.release_owner(owner)\n",
        ("resources",),
    ),
    Mutant(
        "resources: bytes that are free are told as of no use, whether anybody was refused or not",
        _POOLS,
        "            external=smaller / whole if was_refused else 0.0,\n",
        "            external=smaller / whole,\n",
        ("resources",),
    ),
    Mutant(
        "resources: what was lent and not asked for is told as nothing",
        _POOLS,
        "            internal=1 - asked / (busy * tier.slot) if busy else 0.0,\n",
        "            internal=0.0,\n",
        ("resources",),
    ),
    Mutant(
        "resources: requests that are refused are not counted",
        _LENDING,
        "        figures.refused += 1\n",
        "        figures.refused += 0\n",
        ("resources", "coordination"),
    ),
)
