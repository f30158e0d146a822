"""Notes into words: what a lock is called, where things stand, and whether it is one for the whole program."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from types import CodeType
from weakref import ref

from coresys.records import Location
from coresys.threads.sites import location
from coresys.threads.watching.chains import Book, Ident, Place, Seen
from coresys.threads.watching.graph import Edge, Node, Order

_NAMED = frozenset({"STORE_ATTR", "STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF"})
# What follows on the making of a lock that is not stored itself, or with others, in an order that is not looked into.
_NOT_STORED = frozenset({"RETURN_VALUE", "POP_TOP", "LIST_APPEND", "SWAP", "BUILD_TUPLE", "BUILD_LIST"})
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
    """The instruction that stores what is made at this offset, and under which name."""
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if instruction.offset <= offset:
            continue
        if name in _NAMED:
            return name, str(instruction.argval)
        if name.startswith("STORE_FAST_"):  # 3.13: with what comes next in one
            return "STORE_FAST", str(instruction.argval[0])
        if name in _NOT_STORED or name.startswith("ROT_"):
            break
    return "", ""


def node_of(ident: Ident) -> Node:
    """A lock as a record: named by what it is stored under where it is made."""
    code, offset = ident.made
    site = place_of(ident.made)
    if code is None:
        return Node(ident.serial, ident.kind, ident.name or f"{ident.kind} {ident.serial}", site)
    opcode, name = _stored(code, offset)
    inside = _function(code).rpartition(".")[0]
    scope = "instance"
    if not code.co_flags & inspect.CO_OPTIMIZED:
        scope = "module" if code.co_name == "<module>" else "class"
        if "<locals>" in getattr(code, "co_qualname", ""):  # of a class that is made with each call
            scope = "instance"
    elif opcode == "STORE_GLOBAL":
        scope = "module"
    if scope == "class":
        name = f"{_function(code)}.{name}" if name else _function(code)
    elif name and opcode == "STORE_ATTR" and inside:
        name = f"{inside}.{name}"
    return Node(ident.serial, ident.kind, ident.name or name or f"{ident.kind} made there", site, scope)


def order_of(book: Book, show: Callable[[str], str] = str) -> Order:
    """The order that the notes of a leaf make, with paths as ``show`` names them. The notes go with this call.

    What lives on is told by what is left of the idents when the notes are gone; what is garbage counts as living.
    """
    nodes, edges = edges_of(book)
    shown = cache(lambda place: replace(place, path=show(place.path)))
    nodes = {number: replace(node, site=shown(node.site)) for number, node in nodes.items()}
    edges = [replace(edge, held_at=shown(edge.held_at), taken_at=shown(edge.taken_at)) for edge in edges]
    known = {ident.serial: ref(ident) for seen in book.seen for ident in (*seen.held, seen.ident)}
    book.seen.clear()
    lasting = frozenset(serial for serial, ident in known.items() if serial in nodes and ident() is not None)
    return Order(tuple(nodes.values()), tuple(edges), lasting)


def edges_of(book: Book) -> tuple[dict[int, Node], list[Edge]]:
    """The nodes and edges that the notes of a leaf make. Locks that were handed over are signals, and make no order."""
    nodes: dict[int, Node] = {}
    edges: list[Edge] = []
    for seen in tuple(book.seen):
        if seen.ident.handed:
            continue
        _node(nodes, seen.ident)
        edges += _edges(seen, nodes)
    return nodes, edges


def _node(nodes: dict[int, Node], ident: Ident) -> None:
    if ident.serial not in nodes:
        nodes[ident.serial] = node_of(ident)


def _edges(seen: Seen, nodes: dict[int, Node]) -> list[Edge]:
    held = frozenset(ident.serial for ident in seen.held)
    edges = []
    for ident, place in zip(seen.held, seen.places, strict=True):
        if not ident.handed:
            _node(nodes, ident)
            edges.append(
                Edge(
                    ident.serial,
                    seen.ident.serial,
                    seen.thread,
                    place_of(place),
                    place_of(seen.place),
                    held - {ident.serial},
                )
            )
    return edges


__all__ = ["edges_of", "node_of", "order_of", "place_of"]
