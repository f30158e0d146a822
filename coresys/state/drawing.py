"""Transition tables drawn: as text for Mermaid and for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coresys.state.table import State, Transition, TransitionTable


def _label(each: Transition) -> str:
    guards = " and ".join(str(getattr(guard, "__name__", guard)) for guard in each.guards)
    return f"{each.event} [{guards}]" if guards else each.event


def _parts(table: TransitionTable, parent: str | None) -> list[State]:
    return [each for each in table.states.values() if each.parent == parent]


def mermaid(table: TransitionTable) -> str:
    """A ``stateDiagram-v2``; states are declared with an alias, so that a name may be any text."""
    alias = {name: f"s{number}" for number, name in enumerate(table.states)}

    def text(words: str) -> str:
        # Mermaid ends a label at a line's end, and takes ; for one; # begins a code of a character.
        for character in '#;:"\n\r':
            words = words.replace(character, f"#{ord(character)};" if character != "#" else "\0")
        return words.replace("\0", "#35;")

    def level(parent: str | None, indent: str) -> Iterator[str]:
        for state in _parts(table, parent):
            own = alias[state.name]
            yield f'{indent}state "{text(state.name)}" as {own}'
            if state.initial:
                yield f"{indent}[*] --> {own}"
            if state.final:
                yield f"{indent}{own} --> [*]"
            if _parts(table, state.name):
                yield f"{indent}state {own} {{"
                yield from level(state.name, indent + "    ")
                yield f"{indent}}}"

    lines = ["stateDiagram-v2", *level(None, "    ")]
    for each in table.transitions:
        lines.append(f"    {alias[each.source]} --> {alias[each.target]}: {text(_label(each))}")
    return "\n".join(lines) + "\n"


def dot(table: TransitionTable) -> str:
    """A digraph with a cluster for each state that has parts."""

    def quoted(words: str) -> str:
        return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    def leaf(name: str) -> str:
        while parts := _parts(table, name):
            name = next(each.name for each in parts if each.initial)
        return name

    def level(parent: str | None, indent: str) -> Iterator[str]:
        for state in _parts(table, parent):
            if _parts(table, state.name):
                yield f"{indent}subgraph {quoted('cluster ' + state.name)} {{"
                yield f"{indent}    label={quoted(state.name)};"
                yield from level(state.name, indent + "    ")
                yield f"{indent}}}"
                continue
            shape = "doublecircle" if state.final else "box"
            colour = ", color=red" if state.error else ""
            bold = ", style=bold" if state.name == table.initial else ""
            yield f"{indent}{quoted(state.name)} [shape={shape}{colour}{bold}];"

    lines = [f"digraph {quoted(table.name)} {{", "    compound=true;", *level(None, "    ")]
    for each in table.transitions:
        ends = [
            f"{end}={quoted('cluster ' + name)}"
            for end, name in (("ltail", each.source), ("lhead", each.target))
            if _parts(table, name)
        ]
        style = ", ".join([f"label={quoted(_label(each))}", *ends])
        lines.append(f"    {quoted(leaf(each.source))} -> {quoted(leaf(each.target))} [{style}];")
    return "\n".join([*lines, "}"]) + "\n"
