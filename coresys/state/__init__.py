"""State machines over shared, checked tables: thread-safe, recorded, undone as a whole, and durable by name."""

from coresys.state.machine import Machine
from coresys.state.manager import StateManager
from coresys.state.sqlite import SQLiteStore
from coresys.state.store import Durability, StateStore
from coresys.state.table import State, Transition, TransitionTable, Trigger, after, inside, on

__all__ = [
    "Durability",
    "Machine",
    "SQLiteStore",
    "State",
    "StateManager",
    "StateStore",
    "Transition",
    "TransitionTable",
    "Trigger",
    "after",
    "inside",
    "on",
]
