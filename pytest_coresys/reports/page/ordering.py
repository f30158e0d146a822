"""The graph of lock orders, laid out: what is taken first stands to the left. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_coresys.reports import pictures
from pytest_coresys.reports.page.cards import names_of
from pytest_coresys.reports.words import counted

MOST = 48  # boxes: beyond that nothing is to be read, and the table beside has them all
_MOST_ROWS = 12


def picture(locks: Mapping[str, Any]) -> pictures.Drawing | None:
    """The graph, or None where no order of two locks was seen."""
    if not locks["edges"]:
        return None
    bad_edges = {number for cycle in locks["cycles"] for number in cycle["edges"]}
    pairs: dict[tuple[int, int], bool] = {}
    for number, edge in enumerate(locks["edges"]):
        pair = (edge["from"], edge["to"])
        pairs[pair] = pairs.get(pair, False) or number in bad_edges
    shown = _most_telling(pairs)
    kept = {pair: bad for pair, bad in pairs.items() if pair[0] in shown and pair[1] in shown}
    nodes = {node["id"]: node for node in locks["nodes"]}
    columns = _columns(shown, list(kept))
    places = _rows(shown, columns, kept)
    names = _names(shown, nodes)
    bad_nodes = {number for pair, bad in kept.items() if bad for number in pair}
    boxes = [
        pictures.Box(
            number,
            names[number],
            nodes[number]["kind"] if number in nodes else "lock",
            _site(nodes[number]["site"]) if number in nodes else "",
            number in bad_nodes,
            *places[number],
        )
        for number in shown
    ]
    circles = counted(len(locks["cycles"]), "circle")
    label = f"{counted(len(shown), 'lock')} in the order in which they were taken, {circles}"
    return pictures.graph(boxes, [(source, target, bad) for (source, target), bad in kept.items()], label)


def circles(locks: Mapping[str, Any]) -> list[str]:
    """Each circle in words: the locks in the order in which they were taken, and the first of them again."""
    nodes = {node["id"]: node for node in locks["nodes"]}
    known = names_of(nodes, nodes)
    found = []
    for cycle in locks["cycles"]:
        edges = [locks["edges"][at] for at in cycle["edges"]]
        names = [known.get(edge["from"], f"lock {edge['from']}") for edge in edges]
        found.append(" \u2192 ".join([*names, *names[:1]]))
    return found


def _site(site: str) -> str:
    """Where it was made; nothing where that is not known, as of threads that something else made."""
    return "" if site.endswith(":0") else site


def left_out(locks: Mapping[str, Any]) -> int:
    """How many boxes there was no room for."""
    return max(len({end for edge in locks["edges"] for end in (edge["from"], edge["to"])}) - MOST, 0)


def _names(shown: Sequence[int], nodes: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    known = names_of(nodes, nodes)
    return {number: known.get(number, f"lock {number}") for number in shown}


def _most_telling(pairs: Mapping[tuple[int, int], bool]) -> list[int]:
    """Those of circles first, then those with the most neighbours."""
    bad: set[int] = set()
    degree: dict[int, int] = {}
    for pair, is_bad in pairs.items():
        for number in pair:
            degree[number] = degree.get(number, 0) + 1
            if is_bad:
                bad.add(number)
    ordered = sorted(degree, key=lambda number: (number not in bad, -degree[number], number))
    return sorted(ordered[:MOST])


def _reachable(start: int, after: Mapping[int, Sequence[int]]) -> set[int]:
    seen: set[int] = set()
    left = [start]
    while left:
        for number in after.get(left.pop(), ()):
            if number not in seen:
                seen.add(number)
                left.append(number)
    return seen


def _columns(shown: Sequence[int], pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The longest way to each, where those of one circle count as one, and stand side by side."""
    after: dict[int, list[int]] = {}
    for source, target in pairs:
        if source != target:
            after.setdefault(source, []).append(target)
    reach = {number: _reachable(number, after) for number in shown}
    together = {number: min([number, *(each for each in reach[number] if number in reach[each])]) for number in shown}
    before: dict[int, set[int]] = {}
    for source, targets in after.items():
        for target in targets:
            if together[source] != together[target]:
                before.setdefault(together[target], set()).add(together[source])
    sizes = {head: min(sum(1 for each in together.values() if each == head), 3) for head in together.values()}
    depth: dict[int, int] = {}
    # Whoever is reached from more others comes later: an order in which each stands behind what leads to it.
    heads = sorted(set(together.values()), key=lambda head: (sum(1 for each in shown if head in reach[each]), head))
    for head in heads:
        depth[head] = max((depth[each] + sizes[each] for each in before.get(head, ())), default=0)
    columns, placed = {}, dict.fromkeys(heads, 0)
    for number in shown:
        head = together[number]
        columns[number] = depth[head] + placed[head] % sizes[head]
        placed[head] += 1
    return columns


def _rows(
    shown: Sequence[int], columns: Mapping[int, int], pairs: Iterable[tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """Within a column, by where those stand that lead to them; a long column takes the next ones too."""
    sources: dict[int, list[int]] = {}
    for source, target in pairs:
        sources.setdefault(target, []).append(source)
    rows: dict[int, float] = {}
    found: dict[int, tuple[int, int]] = {}
    shift = 0
    for column in sorted(set(columns.values())):
        members = [number for number in shown if columns[number] == column]
        members.sort(
            key=lambda number: (_mean([rows[each] for each in sources.get(number, ()) if each in rows]), number)
        )
        for at, number in enumerate(members):
            rows[number] = at % _MOST_ROWS
            found[number] = (column + shift + at // _MOST_ROWS, at % _MOST_ROWS)
        shift += (len(members) - 1) // _MOST_ROWS
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
