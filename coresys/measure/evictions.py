"""What the source says of a container: which statements let go of entries, and which keep it to a size.

Names are all there is to go by: of the global, the attribute or the variable that holds the container, of variables
assigned from it, of parameters it is given for. Which of them mean it, and which only sound like it, ``naming`` tells.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator

from coresys.measure.holders import function_at, innermost_function, tree_of
from coresys.measure.naming import Meant, anywhere, assigned, last_word, mentions

Nodes = Collection[ast.AST]  # those that mean the container


def evictions(path: str, names: frozenset[str] | Meant | None = None) -> list[tuple[int, str, str]]:
    """Line, function and what of every statement of a file that lets go of entries, or looks how many there are.

    With ``names`` (words that mean the container wherever they stand, or what means it in this file) only those that
    concern it, or a variable that was taken from it, or hand it to another function, which might do anything.
    """
    tree = tree_of(path)
    meant = anywhere(path, names) if isinstance(names, frozenset) else names
    claims = _claims_of_others(tree, meant)
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(tree) if tree is not None else ():
        what = _evicts(node, meant) if node not in claims else ""
        if what:
            line = int(getattr(node, "lineno", 1))
            found.append((line, function_at(path, line), what))
    if meant is not None and tree is not None:
        found += [(line, function_at(path, line), "bound anew") for line in _bound_anew(tree, meant)]
    return found


def _bound_anew(tree: ast.Module, meant: Meant) -> Iterator[int]:
    """Lines in functions that bind a place of the container's to something else than more of it."""
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        outer = {
            name for part in ast.walk(function) if isinstance(part, (ast.Global, ast.Nonlocal)) for name in part.names
        }
        own = set(_own_variables(function, meant))
        for node in ast.walk(function):
            for target, value in assigned(node):
                several = isinstance(target, (ast.Tuple, ast.List))  # they may be swapped
                parts = [part for part in ast.walk(target) if part in meant.own]
                # What a constructor sets is the new object's, not what it had before.
                if (several or not _is_more(value, meant.own)) and any(
                    (part.id in outer or part in own) if isinstance(part, ast.Name) else function.name != "__init__"
                    for part in parts
                    if isinstance(getattr(part, "ctx", None), ast.Store)
                ):
                    yield node.lineno  # type: ignore[attr-defined]  # it is a statement


def _own_variables(function: ast.FunctionDef | ast.AsyncFunctionDef, meant: Meant) -> Iterator[ast.AST]:
    """Where a function that keeps the container in a variable of its own binds it again, in a loop."""
    scope = meant.source.inside.get(function) if meant.source is not None else None
    if scope in meant.locals_:
        for loop in ast.walk(function):
            if isinstance(loop, (ast.For, ast.AsyncFor, ast.While)):
                yield from (part for part in ast.walk(loop) if part in meant.own)


def _is_more(value: ast.expr, meant: Nodes) -> bool:
    """Whether a value is what was there and something more: joined, or part of something larger."""
    parts = list(ast.walk(value))
    made_of = isinstance(value, (ast.BinOp, ast.BoolOp, ast.Name, ast.Attribute, ast.List, ast.Tuple, ast.JoinedStr))
    return made_of and any(each in meant for each in parts) and not any(isinstance(e, ast.Slice) for e in parts)


def own_evictions(path: str, classes: Collection[str]) -> list[tuple[int, str, str]]:
    """The same of what the methods of those classes take out of the object itself: of a dict's own subclass, say."""
    found: list[tuple[int, str, str]] = []
    for node in _within(tree_of(path), classes):
        what = ""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_self(node.func.value):
            what = f"{node.func.attr}()" if node.func.attr in _TAKING else ""
        elif isinstance(node, ast.Delete):
            subscripts = [target for target in node.targets if isinstance(target, ast.Subscript)]
            what = "del" if any(_is_self(target.value) for target in subscripts) else ""
        if what:
            line = int(getattr(node, "lineno", 1))
            found.append((line, function_at(path, line), what))
    return found


def _within(tree: ast.Module | None, classes: Collection[str]) -> Iterator[ast.AST]:
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ClassDef) and node.name in classes:
            yield from ast.walk(node)


def _is_self(node: ast.AST) -> bool:
    """``self``, ``super()`` and what a subclass may write for them: ``dict`` in ``dict.pop(self, key)`` is not."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id == "self"


_OF_TIME = frozenset(
    ("age", "ago", "clock", "deadline", "expire", "expired", "expires", "expiry", "lifetime", "monotonic", "now")
    + ("stale", "time", "timestamp", "today", "ttl", "utcnow")
)


def function_by_time(path: str, line: int) -> int | None:
    """Where the innermost function around a line begins, if it decides by a clock, or by ages; else None.

    One that only takes the time, as for a duration, decides nothing by it.
    """
    function = innermost_function(path, line)
    if function is None:
        return None
    of_time: set[str] = set()
    for _ in range(2):  # a variable may be computed from one that is
        of_time |= {
            part.id
            for node in ast.walk(function)
            for target, value in _bound_by(node)
            if _speaks_of_time(value, of_time)
            for part in ast.walk(target)
            if isinstance(part, ast.Name) and isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr))
        }
    if not any(_speaks_of_time(condition, of_time) for condition in _conditions(function)):
        return None
    return min([function.lineno, *(each.lineno for each in function.decorator_list)])


def _conditions(function: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


def _speaks_of_time(node: ast.AST, of_time: Collection[str]) -> bool:
    for part in ast.walk(node):
        name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
        if name in of_time or not _OF_TIME.isdisjoint(name.lower().split("_")):
            return True
    return False


def guards(path: str, line: int) -> list[tuple[int, range]]:
    """Conditions on a number under which a line runs, or its function is called by its own class or module.

    Each as the line of the condition, and the lines of what hangs on it: ``if self.used > self.most:``, ``while``,
    ``else``, what follows ``if self.used <= self.most: return``, ``if self.calls % 1000 == 0: self.purge()``. What
    stands on the line of the condition itself has no line to tell it by, and counts as not run. A comparison with 0
    or 1, or for equality with what nobody counts, asks for something else: whether anything is left, or in which state
    it is. That counts where it runs out: what is asked is taken from, and gets more only where it has run out.
    """
    tree = tree_of(path)
    if tree is None:
        return []
    counted = {
        node.target.id if isinstance(node.target, ast.Name) else node.target.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, (ast.Name, ast.Attribute))
    }
    lines = {line, *_calls_of(innermost_function(path, line), tree)}
    found: list[tuple[int, range]] = []
    for block in blocks(tree):
        for at, node in enumerate(block):
            if isinstance(node, ast.Try):
                for condition_at, inside in _run_out(node, tree):
                    if any(each in inside for each in lines):
                        found.append((condition_at, inside))
                continue
            if not isinstance(node, (ast.If, ast.While)):
                continue
            if not _asks_for_a_number(node.test, counted) and not _asks_what_runs_out(node, tree):
                continue
            condition = range(node.test.lineno, (node.test.end_lineno or node.test.lineno) + 1)
            for part in hanging_on(node, block[at + 1 :]):
                inside = range(part[0].lineno, (part[-1].end_lineno or part[-1].lineno) + 1)
                if any(each in inside for each in lines):
                    found.append((condition[0], range(max(inside.start, condition.stop), inside.stop)))
    return found


def _asks_what_runs_out(node: ast.If | ast.While, tree: ast.Module) -> bool:
    """``if not free``, ``if self.left == 0``, ``if not gate.acquire(blocking=False)``, where more comes only then."""
    test = node.test
    asked: ast.expr | None = None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        asked = test.operand
    elif isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Eq, ast.LtE)):
        asked = test.left if getattr(test.comparators[0], "value", None) == 0 else None
    if isinstance(asked, ast.Call) and last_word(asked) == "len" and len(asked.args) == 1:
        asked = asked.args[0]
    acquired = isinstance(asked, ast.Call) and last_word(asked) == "acquire"
    if acquired and isinstance(asked, ast.Call) and isinstance(asked.func, ast.Attribute):
        asked = asked.func.value
    if not isinstance(asked, (ast.Name, ast.Attribute)):
        return False
    inside = range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
    taken = acquired or any(line not in inside for line in _taken_from(asked, tree))
    return taken and all(line in inside for line in _given_to(asked, tree))


def _run_out(node: ast.Try, tree: ast.Module) -> Iterator[tuple[int, range]]:
    """Where something is taken in a ``try``, and the handler for that there is no more, in which alone more comes."""
    for handler in node.handlers:
        if handler.type is None or last_word(handler.type) not in ("KeyError", "IndexError", "StopIteration", "Empty"):
            continue
        inside = range(handler.body[0].lineno, (handler.body[-1].end_lineno or handler.body[-1].lineno) + 1)
        for part in (part for statement in node.body for part in ast.walk(statement)):
            taken = _what_is_taken_from(part)
            if taken is not None and all(line in inside for line in _given_to(taken, tree)):
                yield part.lineno, inside  # type: ignore[attr-defined]  # it is an expression


_TAKING_ONE = frozenset({"pop", "popitem", "popleft", "get_nowait"})


def _what_is_taken_from(node: ast.AST) -> ast.expr | None:
    taken: ast.expr | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TAKING_ONE:
        taken = node.func.value
    elif isinstance(node, ast.Call) and last_word(node) == "next" and len(node.args) == 1:
        taken = node.args[0]
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Sub):
        taken = node.target
    return taken if isinstance(taken, (ast.Name, ast.Attribute)) else None


def _taken_from(thing: ast.expr, tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        taken = _what_is_taken_from(node)
        if taken is not None and _written(taken) == _written(thing):
            yield taken.lineno


def _given_to(thing: ast.expr, tree: ast.Module) -> Iterator[int]:
    """Lines in functions, but for constructors, on which something gets more, or is bound anew."""
    text = _written(thing)
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or function.name == "__init__":
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in (*ADDING, "release") and _written(node.func.value) == text:
                    yield node.lineno
            elif isinstance(node, ast.AugAssign) and not isinstance(node.op, ast.Sub):
                if _written(node.target) == text:
                    yield node.lineno
            elif any(_written(part) == text for target, _ in assigned(node) for part in ast.walk(target)):
                yield node.lineno  # type: ignore[attr-defined]  # it is a statement


def _written(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


def hanging_on(node: ast.If | ast.While, after: list[ast.stmt]) -> list[list[ast.stmt]]:
    """What runs or not as a condition says: also what stands ``after`` it, where its own block leaves."""
    hanging = [node.body, node.orelse if isinstance(node, ast.If) else []]
    if isinstance(node.body[-1], (ast.Return, ast.Continue, ast.Raise, ast.Break)):
        hanging.append(after)
    return [block for block in hanging if block]


def blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """All lists of statements, one after the other."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _calls_of(function: ast.FunctionDef | ast.AsyncFunctionDef | None, tree: ast.Module) -> list[int]:
    """Lines on which a method is called by its own class, or a function of the module by its name."""
    if function is None:
        return []
    if function in tree.body:
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == function.name]
    own = next((node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and function in node.body), None)
    return [
        node.lineno
        for node in (ast.walk(own) if own is not None else ())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == function.name
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("self", "cls")
    ]


def _asks_for_a_number(condition: ast.expr, counted: Collection[str]) -> bool:
    for part in ast.walk(condition):
        if not isinstance(part, ast.Compare):
            continue
        sides = (part.left, *part.comparators)
        constants = [side.value for side in sides if isinstance(side, ast.Constant)]
        by_turns = any(isinstance(side, ast.BinOp) and isinstance(side.op, ast.Mod) for side in sides)
        if isinstance(part.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
            if all(isinstance(value, (int, float)) and value > 1 for value in constants):
                return True
        elif isinstance(part.ops[0], ast.Eq) and (by_turns or any(_goes_by(side, counted) for side in sides)):
            return True
    return False


def length_compared(path: str, line: int) -> int | None:
    """The line in the innermost function around another one that compares the ``len()`` of what it adds to, if any."""
    function = innermost_function(path, line)
    if function is None:
        return None
    added_to = {
        ast.dump(node.func.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ADDING
    } | {
        ast.dump(node.value).replace("Store()", "Load()")
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    }
    claims = _claims_of_others(function, None)  # one that did not hold would fail the test
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and node not in claims and _compares_length(node, None):
            sides = (node.left, *node.comparators)
            if any(ast.dump(arg) in added_to for side in sides if is_length(side, None) for arg in _arguments(side)):
                return node.lineno
    return None


ADDING = frozenset({"append", "appendleft", "add", "put", "put_nowait", "insert", "setdefault", "extend", "update"})


def own_bounds(path: str, classes: Collection[str], names: frozenset[str]) -> list[tuple[int, int | None]]:
    """Lines in those classes that keep the object itself, or what goes by one of ``names``, to a size, and the size.

    They compare its ``len()`` with anything but another's; the size is None where it can't be told.
    """
    found: list[tuple[int, int | None]] = []
    for node in _within(tree_of(path), classes):
        if not isinstance(node, ast.Compare) or not _compares_length(node, None):
            continue
        sides = (node.left, *node.comparators)
        lengths = [side for side in sides if is_length(side, None)]
        others = [side for side in sides if side not in lengths]
        if others and any(_is_held(arg, names) for side in lengths for arg in _arguments(side)):
            found.append((node.lineno, _constant(others[0], path, classes)))
    return found


def _arguments(call: ast.expr) -> list[ast.expr]:
    return call.args if isinstance(call, ast.Call) else []


def _is_held(node: ast.AST, names: frozenset[str]) -> bool:
    return _is_self(node) or _goes_by(node, names)


def _constant(node: ast.expr, path: str, classes: Collection[str]) -> int | None:
    """A number that is written out, or that one of the classes has by this name."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    name = node.attr if isinstance(node, ast.Attribute) else None
    for part in _within(tree_of(path), classes):
        for target, value in assigned(part) if name is not None else ():
            if isinstance(target, ast.Name) and target.id == name and isinstance(value, ast.Constant):
                return value.value if isinstance(value.value, int) else None
    return None


def bounds(path: str, names: frozenset[str] | Meant) -> list[tuple[int, int | None]]:
    """Lines that keep the container to a size, and the size; None if that can't be told.

    They compare its ``len()``, take its keys modulo something or by a mask, number them in a cycle, or cut off what is
    beyond a slice. What the line does about a length is not looked into: where the size is exceeded, it was none.
    """
    tree = tree_of(path)
    if tree is None:
        return []
    meant = anywhere(path, names) if isinstance(names, frozenset) else names
    claims = _claims_of_others(tree, meant)
    found: list[tuple[int, int | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and node not in claims and _compares_length(node, meant):
            (size,) = [side for side in (node.left, *node.comparators) if not is_length(side, meant)]
            found.append((node.lineno, number(size, path, tree)))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _mentions(node.value, meant):
            function = innermost_function(path, node.lineno)
            found += [(node.lineno, size) for size in _sizes_of_keys(node.slice, path, tree, function or tree)]
    return found + cut_off(path, meant)


def cut_off(path: str, meant: Meant) -> list[tuple[int, int | None]]:
    """Lines that cut the container to its last, or its first ones, and how many are left."""
    tree = tree_of(path)
    if tree is None:
        return []
    return [(line, number(size, path, tree)) for node in ast.walk(tree) for line, size in _cut_off(node, meant)]


def _sizes_of_keys(key: ast.expr, path: str, tree: ast.Module, function: ast.AST) -> Iterator[int | None]:
    """How many keys there can be at the most; None for some number. Nothing where any number may come.

    ``n % 8``, ``n & 0x7``, ``min(n, 7)``, ``next(ids)`` of ``ids = cycle(range(8))``, and a variable of the function
    around that is bound to one of these.
    """
    value = key
    if isinstance(key, ast.Name):
        bound = [v for n in ast.walk(function) for t, v in assigned(n) if isinstance(t, ast.Name) and t.id == key.id]
        value = bound[0] if len(bound) == 1 else key
    for part in ast.walk(value) if value is key else [value]:
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod):
            if not _is_text(part.left):
                yield number(part.right, path, tree)
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitAnd):
            masks = [number(side, path, tree) for side in (part.left, part.right)]
            yield next((mask + 1 for mask in masks if mask is not None), None)
        elif part is value and isinstance(part, ast.Call) and last_word(part) == "min":
            least = [most for most in (number(each, path, tree) for each in part.args) if most is not None]
            if least and len(part.args) > 1:
                yield min(least) + 1
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "next" and part.args:
            made = [v for n in ast.walk(tree) for t, v in assigned(n) if _goes_by(t, {last_word(part.args[0])})]
            cycles = [each for each in made if isinstance(each, ast.Call) and last_word(each) == "cycle" and each.args]
            if made and cycles == made:
                yield length_of_range(cycles[0].args[0], path, tree)


def turns(path: str, names: frozenset[str] | Meant) -> list[tuple[int, int | None]]:
    """Lines that make a cycle over so many, which is kept by one of the names: it holds them all after a first turn."""
    tree = tree_of(path)
    meant = anywhere(path, names) if isinstance(names, frozenset) else names
    found: list[tuple[int, int | None]] = []
    for node in ast.walk(tree) if tree is not None else ():
        for target, value in assigned(node):
            if target in meant.own and isinstance(value, ast.Call) and last_word(value) == "cycle" and tree is not None:
                size = length_of_range(value.args[0], path, tree) if value.args else None
                found += [(value.lineno, size)] if size is not None else []
    return found


def _is_text(node: ast.expr) -> bool:
    """Whether it is a text that ``%`` fills in, which bounds nothing."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))


def length_of_range(node: ast.expr, path: str, tree: ast.Module) -> int | None:
    """How many numbers ``range(n)`` has, if that is to be seen."""
    if isinstance(node, ast.Call) and last_word(node) == "range" and len(node.args) == 1:
        return number(node.args[0], path, tree)
    return None


def _cut_off(node: ast.AST, meant: Meant) -> Iterator[tuple[int, ast.expr]]:
    """Line and size where what goes by a name is cut to its last, or its first ones.

    ``del x[:-8]``, ``del x[8:]``, ``x[:] = x[-8:]``, ``self.text = (self.text + more)[-8:]``. What is assigned has to
    be the thing itself: ``last = x[-8:]`` only looks at it.
    """
    if isinstance(node, ast.Delete):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and target.value in meant.loose:
                size = _kept_by_deleting(target.slice)
                if size is not None:
                    yield node.lineno, size
        return
    for target, value in assigned(node):
        whole = target.value if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice) else target
        if whole in meant.own:
            size = _kept_of(value)
            if size is not None:
                yield value.lineno, size


def cut_where_made(path: str, line: int) -> list[int | None]:
    """The sizes to which a statement on a line cuts what it binds anew: ``self.text = (self.text + more)[-8:]``."""
    tree = tree_of(path)
    found: list[int | None] = []
    for node in ast.walk(tree) if tree is not None else ():
        for target, value in assigned(node):
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", None)
            size = _kept_of(value)
            if not name or not _speaks_of(value.value if isinstance(value, ast.Subscript) else value, name):
                continue
            if size is not None and value.lineno <= line <= (value.end_lineno or value.lineno) and tree is not None:
                found.append(number(size, path, tree))
    return found


def _kept_of(value: ast.expr) -> ast.expr | None:
    """How many a value has at the most: a slice, the n largest, the first of an iterator; also a copy of these."""
    if isinstance(value, ast.Subscript):
        return _kept_by_slicing(value.slice)
    if isinstance(value, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return _kept_of(value.generators[0].iter) if len(value.generators) == 1 else None
    if not isinstance(value, ast.Call) or not value.args:
        return None
    called = last_word(value)
    if called in ("nlargest", "nsmallest", "most_common"):
        return value.args[0]
    if called == "islice":
        return value.args[1] if len(value.args) == 2 else None
    return _kept_of(value.args[0]) if called in (*_COPIES, *_OTHER_COPIES) and len(value.args) == 1 else None


_OTHER_COPIES = frozenset({"Counter", "OrderedDict", "deque", "reversed", "enumerate", "iter"})


def _kept_by_slicing(cut: ast.expr) -> ast.expr | None:
    """How many ``x[-8:]`` or ``x[:8]`` has at the most."""
    return _size_of_one_end(cut.upper, cut.lower) if isinstance(cut, ast.Slice) and cut.step is None else None


def _kept_by_deleting(cut: ast.expr) -> ast.expr | None:
    """How many ``del x[:-8]`` or ``del x[8:]`` leaves at the most: those that a slice with its ends exchanged has."""
    return _size_of_one_end(cut.lower, cut.upper) if isinstance(cut, ast.Slice) and cut.step is None else None


def _size_of_one_end(from_start: ast.expr | None, from_end: ast.expr | None) -> ast.expr | None:
    if from_start is None and isinstance(from_end, ast.UnaryOp) and isinstance(from_end.op, ast.USub):
        return from_end.operand
    if from_end is None and from_start is not None and not isinstance(from_start, ast.UnaryOp):
        return from_start
    return None


def _claims_of_others(tree: ast.AST | None, meant: Meant | None) -> set[ast.AST]:
    """Comparisons in an ``assert`` that are not about the ``len()`` of the container itself.

    A test claims how long an answer is, and that bounds nothing; how large a cache is may tell of its bound.
    """
    if tree is None:
        return set()
    claims = [node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    comparisons = [part for claim in claims for part in ast.walk(claim) if isinstance(part, ast.Compare)]
    same: Nodes = meant.same if meant is not None else ()
    return {each for each in comparisons if not any(measured in same for measured in _measured(each))}


def _measured(comparison: ast.Compare) -> Iterator[ast.expr]:
    """What a comparison takes the ``len()`` of, also by way of a copy or a view: ``list(x)``, ``x.keys()``."""
    for side in (comparison.left, *comparison.comparators):
        for measured in _arguments(side) if is_length(side, None) else ():
            yield measured
            called = measured.func if isinstance(measured, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in _VIEWS:
                yield called.value
            elif isinstance(called, ast.Name) and called.id in _COPIES:
                yield from _arguments(measured)


_VIEWS = frozenset({"keys", "values", "items", "copy"})
_COPIES = frozenset({"list", "tuple", "set", "dict", "sorted"})


def number(node: ast.expr, path: str, tree: ast.Module) -> int | None:
    """The whole number that an expression is: written out, or by the name of a global of the module in ``path``."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    if not isinstance(node, ast.Name) or _is_local(node, tree):
        return None
    module = next((each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == path), None)
    value = None if module is None else vars(module).get(node.id)
    return value if isinstance(value, int) else None


def _is_local(name: ast.Name, tree: ast.Module) -> bool:
    """Whether a function around a name binds it, as a parameter or a variable."""
    return any(
        (isinstance(part, ast.arg) and part.arg == name.id)
        or (isinstance(part, ast.Name) and part.id == name.id and isinstance(part.ctx, ast.Store))
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        and function.lineno <= name.lineno <= (function.end_lineno or function.lineno)
        for part in ast.walk(function)
    )


def _bound_by(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets that a node binds, each with what it is bound to, or taken from."""
    yield from assigned(node)
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield node.target, node.iter
    elif isinstance(node, ast.NamedExpr):
        yield node.target, node.value


def _goes_by(node: ast.AST, names: Collection[str]) -> bool:
    return (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Attribute) and node.attr in names)


def _speaks_of(node: ast.AST, name: str) -> bool:
    return any(_goes_by(part, {name}) for part in ast.walk(node))


def _mentions(node: ast.AST, meant: Meant | None) -> bool:
    return meant is None or mentions(node, meant.loose, meant.source)


MAY_LET_GO = ("handed to", "a bound on")  # and may as well not


_HARMLESS = {"len", "iter", "list", "tuple", "set", "dict", "sorted", "sum", "min", "max", "print", "repr", "str", "id"}
_TAKING = {
    *("clear", "discard", "get_nowait", "pop", "popitem", "popleft", "remove", "truncate", "unregister", "unsubscribe"),
}


def _evicts(node: ast.AST, meant: Meant | None) -> str:
    if isinstance(node, ast.Call):
        return _taken_by(node, meant)
    if isinstance(node, ast.Delete):
        subscripts = [target for target in node.targets if isinstance(target, ast.Subscript)]
        return "del" if any(_mentions(target.value, meant) for target in subscripts) else ""
    if isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Subscript) and isinstance(t.slice, ast.Slice) for t in node.targets
    ):
        return "a slice is replaced" if any(_mentions(target, meant) for target in node.targets) else ""
    if isinstance(node, ast.Compare):
        return "a bound on len()" if _compares_length(node, meant) else ""
    return ""


def _compares_length(node: ast.Compare, meant: Meant | None) -> bool:
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        return False
    lengths = sum(is_length(side, meant) for side in (node.left, *node.comparators))
    return lengths == 1 or (lengths == 2 and meant is None)  # of two lengths of what is held neither bounds the other


def is_length(node: ast.expr, meant: Meant | None) -> bool:
    """Whether it is the ``len()`` of the container, or of something with it in it."""
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == "len" and _mentions(node, meant)


def _taken_by(call: ast.Call, meant: Meant | None) -> str:
    if isinstance(call.func, ast.Attribute) and call.func.attr in _TAKING and _mentions(call.func.value, meant):
        return f"{call.func.attr}()"
    if meant is None:
        return ""
    if (
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "update"
        and any(k.arg in meant.words for k in call.keywords)
    ):
        return "update()"
    if not isinstance(call.func, ast.Name) or call.func.id in _HARMLESS:
        return ""
    if call.func.id == "setattr":
        names = [each.value for each in call.args[1:2] if isinstance(each, ast.Constant)]
        if any(name in meant.words for name in names):
            return "setattr()"
    handed = [each for each in call.args if isinstance(each, (ast.Name, ast.Attribute)) and _mentions(each, meant)]
    return f"handed to {call.func.id}()" if handed else ""
