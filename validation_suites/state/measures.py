"""What is measured of a state manager, known by its protocol alone. Each function returns what the criterion counts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from coresys.system_records import StateDefinition

if TYPE_CHECKING:
    from coresys.interfaces import IStateManager

DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"), ("pull", "open", "shut")))


def machines_missing_or_doubled(manager: IStateManager, machines: int = 100, threads: int = 8) -> list[str]:
    """Define machines from several threads at once; the names that are not listed exactly once."""
    names = [f"door {number}" for number in range(machines)]
    together = threading.Barrier(threads)

    def define(mine: list[str]) -> None:
        together.wait()
        for name in mine:
            manager.define(name, DOOR)

    workers = [threading.Thread(target=define, args=(names[at::threads],)) for at in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    listed = list(manager.names())
    return [name for name in names if listed.count(name) != 1]
