"""Circles, and what waiting costs, in words. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from coresys.budgets.units import format_quantity
from coresys.budgets.wording import numbered
from coresys.records import Location, Part
from coresys.threads.watching.contention import Contention
from coresys.threads.watching.graph import TOKENS, Cycle, Node

if TYPE_CHECKING:
    from coresys.threads.watching.deadlocks import Broken, Stuck

_OF_TASKS = frozenset({"asyncio.Lock", "asyncio.Semaphore"})


def part_of(cycle: Cycle, nodes: Mapping[int, Node], tests: Sequence[str] = (), *, met: bool = False) -> Part:
    """What was seen of a circle, and where: for each of its edges who held what, and what was taken then.

    ``tests``: where it is not all of one test, that of each edge. ``met``: threads did wait for each other there.
    """
    names = names_of(cycle, nodes)
    details, where = [], []
    for at, edge in enumerate(cycle):
        held, wanted = names[edge.source], names[edge.target]
        in_test = f", in {tests[at]}" if tests else ""
        if nodes[edge.source].kind in TOKENS:
            details.append(_needs(nodes[edge.source].kind, held, wanted, edge.thread) + in_test)
            where.append(_at(edge.taken_at, f"{wanted} taken"))
        elif nodes[edge.target].kind == "collector":
            details.append(f"{held} is taken elsewhere too, and the collector may run while it is held{in_test}")
            where.append(_at(edge.held_at, f"{held} taken"))
        else:
            did = "waited for" if nodes[edge.target].kind in TOKENS else "took"
            details.append(f"{edge.thread} held {held} and {did} {wanted}{in_test}")
            where.append(_at(edge.held_at, f"{held} taken"))
            where.append(_at(edge.taken_at, f"then {did} {wanted}" if did != "took" else f"then {wanted}"))
    if any(nodes[number].kind == "collector" for number in names):
        details.append("a thread in which that happens waits for itself for ever")
    else:
        who = "tasks" if any(nodes[edge.source].kind in _OF_TASKS for edge in cycle) else "threads"
        alone = len({(edge.by, edge.thread) for edge in cycle}) == 1 and not tests
        here = f"{cycle[0].thread} did all of it" if alone else "they did not meet"
        here = "some did" if met else here
        details.append(f"{who} that do this at once wait for each other for ever; here {here}")
    return Part(tuple(details), tuple(where), sites_of(cycle, nodes))


def sites_of(cycle: Cycle, nodes: Mapping[int, Node]) -> tuple[str, ...]:
    """Where the locks of a circle are made, each place once."""
    sites = (nodes[edge.source].site for edge in cycle)
    return tuple(dict.fromkeys(f"{site.path}:{site.line}" for site in sites))


def _needs(kind: str, token: str, wanted: str, thread: str) -> str:
    """Why a token is not to be had without a lock."""
    return {
        "task": f"{thread} took {wanted} before it ended",
        "item": f"{thread} took {wanted} before it put into that queue, and nobody put without",
        "room": f"{thread} took {wanted} before it got the next from that queue",
        "end of work": f"{thread} took {wanted} before it was done with what it had got",
        "collector": f"a finalizer that the garbage collector ran in {thread} took {wanted}",
    }.get(kind, f"{token} took {wanted}")


def names_of(cycle: Cycle, nodes: Mapping[int, Node]) -> dict[int, str]:
    """What each lock of a circle is called; numbered where several would be called the same."""
    return numbered({edge.source: nodes[edge.source].name for edge in cycle})


def part_of_contention(lock: Contention) -> Part:
    """What a lock cost, and where: it, the longest wait for it, where it had been taken then, where its holder stood.

    Of the holder's stack the frame is told that took the lock, and the innermost.
    """
    share = format_quantity(lock.wait_share, "ratio")
    details = [
        f"{lock.name}: {_counted(lock.threads, 'thread')} lost {_seconds(lock.blocked)} of {_seconds(lock.active)} "
        "that they were active",
        f"{_counted(lock.waits, 'wait')} of {_seconds(lock.waited)} in all ({share}), "
        f"the longest {_seconds(lock.longest)}",
    ]
    where = [_at(lock.site, f"{lock.name} made")]
    if lock.waiter is not None:
        where.append(_at(lock.waiter, f"{lock.waiting} waited longest"))
    if lock.holder is not None:
        where.append(_at(lock.holder, f"taken by {lock.holding} then"))
        where += [_at(place, f"{lock.holding} stood here") for place in _stood(lock)]
    return Part(tuple(details), tuple(where))


_MOST_FRAMES = 12


def part_of_deadlock(deadlock: Broken) -> Part:
    """A deadlock that happened: who waits for what, held by whom, and where; who was told; then the stacks."""
    told = f"broken by a DeadlockError in {deadlock.thread}"
    details, where = [told if deadlock.thread else "not broken: they go on waiting"], []
    for each in deadlock.threads:
        holds = f"; it holds {', '.join(each.held)}" if each.held else ""
        details.append(f"{each.thread} waits for {each.wanted}{_in_whose_hand(each)}{holds}")
        where.append(_at(each.at, f"{each.thread} waits for {each.wanted}"))
        if each.taken_at is not None:
            where.append(_at(each.taken_at, f"{each.wanted} taken by {each.holder}"))
    for each in deadlock.threads:
        details.append(f"stack of {each.thread}: {' < '.join(_of_interest(each.stack)[:_MOST_FRAMES])}")
    return Part(tuple(details), tuple(where))


def _in_whose_hand(stuck: Stuck) -> str:
    if not stuck.holder or stuck.wanted.startswith("the end of "):
        return ""
    if stuck.wanted.startswith("the future of "):
        return f", which {stuck.holder} works on"
    if stuck.taken_at is None:
        return f", which is to come from {stuck.holder}"
    return f", held by {stuck.holder}"


_LIBRARY = os.path.dirname(os.__file__) + os.sep
_BEGINNINGS = (" in _bootstrap", " in _bootstrap_inner", " in _run_code", " in _run_module_as_main")


def _of_interest(stack: tuple[str, ...]) -> tuple[str, ...]:
    """Without how the interpreter begins a thread, or a program; the library's files by their names in it."""
    most = len(stack)
    while most > 1 and stack[most - 1].endswith(_BEGINNINGS):
        most -= 1
    return tuple(line.removeprefix(_LIBRARY) for line in stack[:most])


def _stood(lock: Contention) -> list[Location]:
    holder = lock.holder
    took = [
        place
        for place in lock.stack
        if holder is not None and (place.path, place.function) == (holder.path, holder.function)
    ][:1]
    return list(dict.fromkeys([*took, *lock.stack[:1]]))


def _seconds(value: float) -> str:
    return format_quantity(value, "s")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _at(place: Location, note: str) -> Location:
    return replace(place, note=note)


__all__ = ["names_of", "part_of", "part_of_contention", "part_of_deadlock", "sites_of"]
