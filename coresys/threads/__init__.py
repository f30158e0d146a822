"""Threads that are coordinated: ranked locks, atomics, an executor with priorities, and what threads cost."""

from coresys.threads.atomics import AtomicCounter, AtomicFlag, AtomicReference
from coresys.threads.conditions import OrderedCondition
from coresys.threads.guarded import Guarded, guarded_by
from coresys.threads.locks import OrderedLock, OrderedRLock, SampledLock, held_locks
from coresys.threads.manager import ThreadManager
from coresys.threads.monitor import contention, thread_records
from coresys.threads.pool import ThreadPool
from coresys.threads.ranks import LockHierarchy, Rank
from coresys.threads.readwrite import ReadWriteLock
from coresys.threads.together import acquire_all
from coresys.threads.watching.service import LockReport, Watch, watch

__all__ = [
    "AtomicCounter",
    "AtomicFlag",
    "AtomicReference",
    "Guarded",
    "LockHierarchy",
    "LockReport",
    "OrderedCondition",
    "OrderedLock",
    "OrderedRLock",
    "Rank",
    "ReadWriteLock",
    "SampledLock",
    "ThreadManager",
    "ThreadPool",
    "Watch",
    "acquire_all",
    "contention",
    "guarded_by",
    "held_locks",
    "thread_records",
    "watch",
]
