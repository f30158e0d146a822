"""Notes into words: what a lock is called, where things stand, and whether it is one for the whole program."""

from __future__ import annotations

import dis
import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, lru_cache
from types import CodeType
from weakref import ref

from coresys.records import Location
from coresys.threads.sites import location
from coresys.threads.watching.chains import Book, Ident, Permits, Place, Seen
from coresys.threads.watching.graph import TOKENS, Edge, Node, Order

_NAMED = frozenset({"STORE_ATTR", "STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF"})
_NOT_STORED = frozenset({"RETURN_VALUE", "POP_TOP", "LIST_APPEND", "STORE_SUBSCR"})
_UNKNOWN = Location("a place not known", 0)


def place_of(place: Place) -> Location:
    """Where a place is: file, line and function."""
    code, offset = place
    found = location(code, offset)
    if code is None or found is None:
        return _UNKNOWN
    return Location(found.path, found.line, _function(code))


def _function(code: CodeType) -> str:
    name: str = getattr(code, "co_qualname", code.co_name)  # 3.11
    return name.replace(".<locals>", "")


@lru_cache(maxsize=256)
def _stored(code: CodeType, offset: int) -> tuple[str, str]:
    """The instruction that stores what is made at this offset, and under which name.

    Of ``one, other = Lock(), Lock()`` both are made first, and stored then: in their order where they are turned round
    on the stack, else the last one first.
    """
    later, turned = 0, False
    stores: list[tuple[str, str]] = []
    for instruction in dis.get_instructions(code):
        if instruction.offset <= offset:
            continue
        name = instruction.opname
        if name in _NAMED:
            stores.append((name, str(instruction.argval)))
        elif name == "STORE_FAST_LOAD_FAST":  # 3.13, as the next
            stores.append(("STORE_FAST", str(instruction.argval[0])))
        elif name == "STORE_FAST_STORE_FAST":
            stores += [("STORE_FAST", str(each)) for each in instruction.argval]
        elif name in _NOT_STORED or (stores and not name.startswith("LOAD_FAST")):
            break
        elif name.startswith("CALL"):
            later += 1
        elif name.startswith(("SWAP", "ROT_", "UNPACK_")):
            turned = True
    if len(stores) < 2 or not (later or turned):
        return stores[0] if stores else ("", "")
    if later >= len(stores):
        return "", ""
    return stores[len(stores) - 1 - later] if turned else stores[later]


@lru_cache(maxsize=256)
def _call(code: CodeType, offset: int) -> int:
    """Which call of its line it is that stands at this offset, from 1 on."""
    found, here = 0, location(code, offset)
    for instruction in dis.get_instructions(code):
        if instruction.offset > offset:
            break
        if instruction.opname.startswith("CALL") and location(code, instruction.offset) == here:
            found += 1
    return found


def node_of(ident: Ident) -> Node:
    """A lock as a record: named by what it is stored under where it is made."""
    code, offset = ident.made
    site = place_of(ident.made)
    if code is None:
        # A lock without a place is older than the watch, which has found it in a module or a class: there is one of it.
        scope = "module" if ident.name and ident.kind in ("lock", "rlock") else "instance"
        return Node(ident.serial, ident.kind, ident.name or f"{ident.kind} {ident.serial}", site, scope)
    if ident.kind in TOKENS:
        return Node(ident.serial, ident.kind, ident.name or _of_queue(ident.kind, code, offset), site)
    opcode, name = _stored(code, offset)
    body = ident.body
    once = body is not None and body.count == 1
    inside = _function(code).rpartition(".")[0]
    scope = "instance"
    if not code.co_flags & inspect.CO_OPTIMIZED:
        scope = "module" if code.co_name == "<module>" else "class"
        if "<locals>" in getattr(code, "co_qualname", ""):  # of a class that is made with each call
            scope = "instance"
    elif opcode == "STORE_GLOBAL" or once:
        scope = "module"
    if scope == "class":
        name = f"{_function(code)}.{name}" if name else _function(code)
    elif name and opcode == "STORE_ATTR" and inside:
        name = f"{inside}.{name}"
    permits = ident.limit if type(ident) is Permits else 1
    called = ident.name or name or _without_name(ident.kind, site)
    if body is None or not once:
        # Of several that one line made (in a loop, say) each is another one: none of them stands for the others.
        scope = "instance" if body is not None else scope
        return Node(ident.serial, ident.kind, called, site, scope, permits)
    calls = _call(*body.place), _call(code, offset)
    return Node(ident.serial, ident.kind, called, site, scope, permits, place_of(body.place), calls)


def _without_name(kind: str, site: Location) -> str:
    return f"{kind} made at {os.path.basename(site.path)}:{site.line}"


def _of_queue(kind: str, code: CodeType, offset: int) -> str:
    name = _stored(code, offset)[1]
    return f"{kind} of {name}" if name else f"{kind} of a queue"


def order_of(book: Book, show: Callable[[str], str] = str) -> Order:
    """The order that the notes of a leaf make, with paths as ``show`` names them. The notes go with this call.

    What lives on is told by what is left of the idents when the notes are gone; what is garbage counts as living.
    """
    notes = book.notes()  # once: those of queues are made up by it
    nodes, edges = _edges_of(notes)
    shown = cache(lambda place: replace(place, path=show(place.path)))
    nodes = {
        number: replace(node, site=shown(node.site), origin=None if node.origin is None else shown(node.origin))
        for number, node in nodes.items()
    }
    edges = [replace(edge, held_at=shown(edge.held_at), taken_at=shown(edge.taken_at)) for edge in edges]
    known = {ident.serial: ref(ident) for seen in notes for ident in (*seen.held, seen.ident)}
    notes.clear()
    book.clear()
    lasting = frozenset(serial for serial, ident in known.items() if serial in nodes and ident() is not None)
    return Order(tuple(nodes.values()), tuple(edges), lasting)


def edges_of(book: Book) -> tuple[dict[int, Node], list[Edge]]:
    """The nodes and edges that the notes of a leaf make."""
    return _edges_of(book.notes())


def _edges_of(notes: Iterable[Seen]) -> tuple[dict[int, Node], list[Edge]]:
    """The nodes and edges that the notes of a leaf make. Locks that were handed over are signals, and make no order."""
    nodes: dict[int, Node] = {}
    edges: list[Edge] = []
    for seen in notes:
        if seen.ident.handed or type(seen.ident) is Permits:
            continue
        _node(nodes, seen.ident)
        edges += _edges(seen, nodes)
        edges += _collected(seen)
    return nodes, edges


def _collected(seen: Seen) -> list[Edge]:
    """What a finalizer took that the collector ran: the collector may run while that is held, by the same thread.

    Only of locks that cannot be taken twice, and that a user made: what the libraries' callbacks do they have
    thought of.
    """
    ident = seen.ident
    if ident.kind != "lock" or ident.inner or ident.outside is None:
        return []
    place = place_of(ident.outside)
    return [Edge(ident.serial, held.serial, "a thread", place, place) for held in seen.held if held.kind == "collector"]


def _node(nodes: dict[int, Node], ident: Ident) -> None:
    if ident.serial not in nodes:
        nodes[ident.serial] = node_of(ident)


def _edges(seen: Seen, nodes: dict[int, Node]) -> list[Edge]:
    # Nor is a signal a gate: whoever gave it last may hold it for ever, and keeps nobody out.
    locks: list[tuple[int, Place]] = []
    several: list[tuple[int, int]] = []
    for ident, place in zip(seen.held, seen.places, strict=True):
        if ident.handed:
            continue
        _node(nodes, ident)
        if type(ident) is Permits:
            several.append((ident.serial, ident.limit))
        else:
            locks.append((ident.serial, place))
    held, permits = frozenset(serial for serial, _ in locks), frozenset(several)
    target, taken_at = seen.ident.serial, place_of(seen.place)
    return [
        Edge(serial, target, seen.thread, place_of(place), taken_at, held - {serial}, permits, seen.by)
        for serial, place in locks
    ]


__all__ = ["edges_of", "node_of", "order_of", "place_of"]
