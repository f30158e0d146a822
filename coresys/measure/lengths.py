"""Conditions on how many entries there are, on which it hangs that some are let go of, or that more are added.

``n = len(rows)`` and ``if n == 1000: rows.clear()``, ``if not self.left(): ...`` with a method that subtracts, ``match
len(rows)``. A length that is only shown, or claimed in a test, bounds nothing: something has to hang on it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from coresys.measure.evictions import (
    ADDING,
    MAY_LET_GO,
    blocks,
    evictions,
    hanging_on,
    is_length,
    length_of_range,
    number,
)
from coresys.measure.holders import function_at
from coresys.measure.naming import Meant, assigned, decorators, last_word, pairs_of

Size = tuple[int, int | None]  # the line, and how many; None if that can't be told


def length_bounds(path: str, meant: Meant) -> list[Size]:
    """Lines with such conditions, each with the size at which it is met."""
    return [] if meant.source is None or not meant.own else list(_Lengths(path, meant).found())


class _Lengths:
    def __init__(self, path: str, meant: Meant) -> None:
        assert meant.source is not None
        self._path, self._meant, self._source = path, meant, meant.source
        self._tree = meant.source.tree
        self._lengths: set[ast.AST] = set()  # names, and calls, of how many there are
        self._left: set[ast.AST] = set()  # of how many are missing
        for _ in range(2):  # what is returned may be kept in a variable first
            self._follow()
        changing = {line for line, _, what in evictions(path, meant) if not what.startswith(MAY_LET_GO)}
        self._changing = changing | set(self._adding())
        self._changers = {function_at(path, line) for line in self._changing} - {""}

    def found(self) -> Iterator[Size]:
        """Line and size of each condition."""
        for block in blocks(self._tree):
            for at, node in enumerate(block):
                if isinstance(node, (ast.If, ast.While)):
                    sizes = list(self._sizes(node.test))
                    if sizes and any(map(self._changes, hanging_on(node, block[at + 1 :]))):
                        yield from ((node.test.lineno, size) for size in sizes)
                elif isinstance(node, ast.Match) and self._is_length(node.subject):
                    yield from self._cases(node)
        yield from self._by_turns()

    def _cases(self, match: ast.Match) -> Iterator[Size]:
        for case in match.cases:
            caught = {each.name for each in ast.walk(case.pattern) if isinstance(each, ast.MatchAs)}
            self._lengths.update(each for each in ast.walk(case) if isinstance(each, ast.Name) and each.id in caught)
            if self._changes(case.body):
                patterns = [each for each in ast.walk(case.pattern) if isinstance(each, ast.MatchValue)]
                yield from ((each.lineno, number(each.value, self._path, self._tree)) for each in patterns)
                if case.guard is not None:
                    yield from ((case.guard.lineno, size) for size in self._sizes(case.guard))

    def _follow(self) -> None:
        for target, value in self._source.assigned:
            if isinstance(target, ast.Name):
                same = self._source.variable(self._source.scope_of[target], target.id)
                self._lengths.update(same if self._is_length(value) else ())
                self._left.update(same if self._is_left(value) else ())
        for function, values in self._source.returned.items():
            for found, is_one in ((self._lengths, self._is_length), (self._left, self._is_left)):
                if any(is_one(value) for value in values):
                    own = self._source.inside[function].own
                    named = self._source.attributes.get(function.name, ())
                    if decorators(function) & {"property", "cached_property"}:
                        found.update(each for each in named if self._source.own_class(each.value) in (own, None))
                    else:
                        found.update(each for each in self._source.calls if self._calls(each, function.name, own))

    def _calls(self, call: ast.Call, name: str, own: ast.ClassDef | None) -> bool:
        if last_word(call) != name:
            return False
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        return receiver is None or self._source.own_class(receiver) in (own, None)

    def _is_length(self, node: ast.AST) -> bool:
        return node in self._lengths or (isinstance(node, ast.expr) and is_length(node, self._meant))

    def _is_left(self, node: ast.AST) -> bool:
        """Whether it is a difference of the length and something else than a number that is written out."""
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)):
            return node in self._left
        sides = (node.left, node.right)
        others = [side for side in sides if not self._is_length(side)]
        return len(others) == 1 and not any(_measures(part) for part in ast.walk(others[0]))

    def _sizes(self, test: ast.expr) -> Iterator[int | None]:
        """The sizes at which a condition is met. Of two lengths neither bounds the other."""
        truth = test
        while isinstance(truth, ast.UnaryOp) and isinstance(truth.op, ast.Not):
            truth = truth.operand
        if isinstance(truth, ast.BoolOp):
            for value in truth.values:
                yield from self._sizes(value)
        elif isinstance(truth, ast.Compare) and len(truth.ops) == 1 and not isinstance(truth.ops[0], _NO_NUMBERS):
            sides = (truth.left, truth.comparators[0])
            measuring = [side for side in sides if self._measures(side)]
            others = [side for side in sides if side not in measuring and not any(map(_measures, ast.walk(side)))]
            if len(measuring) == len(others) == 1:
                yield number(others[0], self._path, self._tree) if self._is_length(measuring[0]) else None
        elif self._is_left(truth):
            yield None

    def _measures(self, node: ast.expr) -> bool:
        return any(self._is_length(part) or self._is_left(part) for part in ast.walk(node))

    def _adding(self) -> Iterator[int]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ADDING:
                if node.func.value in self._meant.same:
                    yield node.lineno
            elif isinstance(node, ast.Subscript) and node.value in self._meant.same and isinstance(node.ctx, ast.Store):
                yield node.lineno

    def _changes(self, block: list[ast.stmt]) -> bool:
        """Whether something is let go of, or added, in a block, or in a function of the file that it calls."""
        lines = range(block[0].lineno, (block[-1].end_lineno or block[-1].lineno) + 1)
        return any(line in lines for line in self._changing) or any(
            isinstance(part, ast.Call) and last_word(part) in self._changers
            for statement in block
            for part in ast.walk(statement)
        )

    def _by_turns(self) -> Iterator[Size]:
        """A generator's batch: bound anew in a loop, and filled in one of so many turns inside of that."""
        meant = self._meant
        for scope in meant.locals_:
            for loop in ast.walk(scope.node):
                anew = {
                    part.id
                    for statement in (loop.body if isinstance(loop, (ast.While, ast.For)) else ())
                    for target, value in assigned(statement)
                    for part, _ in pairs_of(target, value)
                    if isinstance(part, ast.Name) and part in meant.own
                }
                for turns in ast.walk(loop) if anew else ():
                    if not (isinstance(turns, ast.For) and last_word(turns.iter) == "range") or turns is loop:
                        continue
                    if any(
                        each.lineno <= line <= (each.end_lineno or 0) for each in turns.body for line in self._adding()
                    ):
                        yield turns.lineno, length_of_range(turns.iter, self._path, self._tree)


_NO_NUMBERS = (ast.Is, ast.IsNot, ast.In, ast.NotIn)


def _measures(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and last_word(node) == "len"
