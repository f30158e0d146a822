"""Notes into words: what a lock is called, where things stand, and whether it is one for the whole program."""

from __future__ import annotations

import dis
import inspect
from functools import lru_cache
from types import CodeType

from coresys.records import Location
from coresys.threads.sites import location
from coresys.threads.watching.chains import Book, Ident, Place, Seen
from coresys.threads.watching.graph import Edge, Node

_NAMED = frozenset({"STORE_ATTR", "STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF"})
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
        if instruction.offset > offset and instruction.opname in _NAMED:
            return instruction.opname, str(instruction.argval)
        if instruction.offset > offset and instruction.opname in ("RETURN_VALUE", "POP_TOP", "LIST_APPEND"):
            break
    return "", ""


def node_of(ident: Ident) -> Node:
    """A lock as a record: named by what it is stored under where it is made."""
    code, offset = ident.made
    site = place_of(ident.made)
    if code is None:
        # A lock without a place is older than the watch, which has found it in a module or a class: there is one of it.
        scope = "module" if ident.name and ident.kind in ("lock", "rlock") else "instance"
        return Node(ident.serial, ident.kind, ident.name or f"{ident.kind} {ident.serial}", site, scope)
    opcode, name = _stored(code, offset)
    inside = _function(code).rpartition(".")[0]
    scope = "instance"
    if not code.co_flags & inspect.CO_OPTIMIZED:
        scope = "module" if code.co_name == "<module>" else "class"
    elif opcode == "STORE_GLOBAL":
        scope = "module"
    if scope == "class":
        name = f"{_function(code)}.{name}" if name else _function(code)
    elif name and opcode == "STORE_ATTR" and inside:
        name = f"{inside}.{name}"
    return Node(ident.serial, ident.kind, ident.name or name or f"{ident.kind} made there", site, scope)


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
    # Nor is a signal a gate: whoever gave it last may hold it for ever, and keeps nobody out.
    held = frozenset(ident.serial for ident in seen.held if not ident.handed)
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


__all__ = ["edges_of", "node_of", "place_of"]
