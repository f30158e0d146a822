"""Which names in the source mean a container, and which only sound like it.

A name alone says little: ``self.data`` of one class is not that of another, and a parameter ``rows`` may be anything.
What keeps the container says whose name it is: the global of a module, the attribute of a class, the variable that a
closure or a generator keeps, the parameter with a default. From there it is followed: through imports, variables that
are assigned from it, parameters that it is given for, what functions return.
"""

from __future__ import annotations

import ast
import functools
import gc
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from coresys.measure.holders import is_ours, tree_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
_Class = tuple[str, str]  # file, name; no file where it is not known


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by which something holds the container: of which class, and whose else that is by inheritance.

    ``cls`` is None where anything may have it: an attribute of a function, a name that nothing more is known of.
    """

    name: str
    cls: _Class | None = None
    bases: frozenset[_Class] = frozenset()
    of_class: bool = False  # it is the class itself that has it: what inherits from it finds it too


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, or a parameter, that a function sees: by the function's file, first line and name."""

    path: str
    line: int
    function: str
    name: str


@dataclass(slots=True)
class Names:
    """By what the container, and what is on the way to it, goes."""

    globals_: set[tuple[str, str]] = field(default_factory=set)  # file and name
    attributes: set[Attribute] = field(default_factory=set)
    variables: set[Variable] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    things: tuple[Any, ...] = ()
    direct: bool = False  # it is the container itself that has a name, not what holds it among others by a key

    @property
    def words(self) -> frozenset[str]:
        """All of them as they are written."""
        found = {name for _, name in self.globals_} | {each.name for each in self.attributes} | self.keys
        return frozenset(found | {each.name for each in self.variables})

    @property
    def files(self) -> list[str]:
        """Where the functions stand that have it for a variable."""
        return sorted({each.path for each in self.variables})


def names_along(things: Sequence[Any], containers: Iterable[Any] = ()) -> Names:
    """The names by which each of the things on the way to what is kept holds the next.

    Of ``containers``, of which some are on the way, it is looked who else holds them.
    """
    found = Names(things=tuple(things))
    modules = {id(vars(m)): m for m in list(sys.modules.values()) if isinstance(m, types.ModuleType)}
    named: set[int] = set()
    for at, (holder, held) in enumerate(zip(things, things[1:], strict=False)):
        before = len(found.globals_) + len(found.attributes) + len(found.variables)
        _name_link(found, things[:at], holder, held, modules)
        if len(found.globals_) + len(found.attributes) + len(found.variables) > before:
            named.add(id(held))
    ids = {id(each) for each in things}
    containers = [each for each in containers if id(each) in ids]
    found.direct = bool(containers) and all(id(each) in named for each in containers)
    for container in containers:
        for holder in gc.get_referrers(container)[:_MOST_HOLDERS]:
            if isinstance(holder, dict) and id(holder) not in modules:
                owners = [each for each in gc.get_referrers(holder) if _dict_of(each) is holder]
                if owners:
                    _name_link(found, owners[:1], holder, container, modules)
            else:
                _name_link(found, (), holder, container, modules)
    return found


_MOST_HOLDERS = 30  # that are asked for: what hundreds hold has no name of its own


def _name_link(
    found: Names, above: Sequence[Any], holder: Any, held: Any, modules: dict[int, types.ModuleType]
) -> None:
    if is_ours(holder):
        return
    if id(holder) in modules:
        path = getattr(modules[id(holder)], "__file__", None) or ""
        found.globals_.update((path, key) for key, value in list(holder.items()) if value is held)
    elif isinstance(holder, dict):
        _name_key(found, above, holder, held)
    elif isinstance(holder, type):
        names = [key for key, value in list(vars(holder).items()) if value is held]
        found.attributes.update(_attribute(name, holder, of_class=True) for name in names)
    elif isinstance(holder, types.CellType):
        function = next((each for each in reversed(above) if isinstance(each, types.FunctionType)), None)
        for each in [function] if function is not None else _closing_over(holder):
            cells = zip(each.__code__.co_freevars, each.__closure__ or (), strict=False)
            found.variables.update(_variable(each.__code__, name) for name, cell in cells if cell is holder)
    elif isinstance(holder, tuple):
        function = above[-1] if above and isinstance(above[-1], types.FunctionType) else None
        if function is not None and function.__defaults__ is holder:
            code = function.__code__
            with_default = code.co_varnames[code.co_argcount - len(holder) : code.co_argcount]
            pairs = zip(with_default, holder, strict=False)
            found.variables.update(_variable(code, name) for name, value in pairs if value is held)
    elif isinstance(holder, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)):
        _name_local(found, holder, held)
    elif not isinstance(holder, (list, set, frozenset, types.FrameType, types.FunctionType, types.MethodType)):
        ways = {*_attributes_with(holder, held), *_other_ends(holder, held)}
        found.attributes.update(_attribute(name, type(holder)) for name in ways)


def _other_ends(holder: Any, held: Any) -> Iterator[str]:
    """Attributes by which an object holds what is linked to what another one holds: ``first`` beside ``last``."""
    for name, value in list((_dict_of(holder) or {}).items()):
        if type(value) is type(held) and value is not held and _linked(value, held):
            yield name


_MOST_LINKS = 5000


def _linked(one: Any, other: Any) -> bool:
    """Whether a way leads from one thing to another over things of their own type only: nodes of a list, or a tree."""
    return type(one) is type(other) and (_leads_to(one, other) or _leads_to(other, one))


def _leads_to(start: Any, end: Any) -> bool:
    kinds = {type(start), dict} if isinstance(_dict_of(start), dict) else {type(start)}
    seen, waiting = {id(start)}, [start]
    while waiting and len(seen) < _MOST_LINKS:
        for each in gc.get_referents(waiting.pop()):
            if each is end:
                return True
            if type(each) in kinds and id(each) not in seen:
                seen.add(id(each))
                waiting.append(each)
    return False


def _name_key(found: Names, above: Sequence[Any], holder: dict[Any, Any], held: Any) -> None:
    owner = above[-1] if above else None
    keys = [key for key, value in list(holder.items()) if value is held and isinstance(key, str) and key.isidentifier()]
    if isinstance(owner, types.FunctionType):
        if owner.__kwdefaults__ is holder:
            found.variables.update(_variable(owner.__code__, key) for key in keys)
        else:
            found.attributes.update(Attribute(key) for key in keys)
    elif isinstance(owner, type):
        found.attributes.update(_attribute(key, owner, of_class=True) for key in keys)
    elif owner is not None and _dict_of(owner) is holder:
        ways = {*keys, *_other_ends(owner, held)}
        found.attributes.update(_attribute(key, type(owner)) for key in ways)
    else:
        found.keys.update(keys)


def _name_local(found: Names, holder: Any, held: Any) -> None:
    for kind in ("gi_frame", "cr_frame", "ag_frame"):
        frame = getattr(holder, kind, None)
        if frame is not None:
            found.variables.update(_variable(frame.f_code, key) for key, v in frame.f_locals.items() if v is held)


def _closing_over(cell: types.CellType) -> list[types.FunctionType]:
    tuples = [each for each in gc.get_referrers(cell) if type(each) is tuple]
    return [
        each
        for closure in tuples
        for each in gc.get_referrers(closure)
        if isinstance(each, types.FunctionType) and each.__closure__ is closure
    ]


def _variable(code: types.CodeType, name: str) -> Variable:
    return Variable(code.co_filename, code.co_firstlineno, code.co_name, name)


def _attribute(name: str, cls: type, *, of_class: bool = False) -> Attribute:
    return Attribute(name, _class_id(cls), frozenset(map(_class_id, cls.__mro__)), of_class)


def _class_id(cls: type) -> _Class:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or "", cls.__name__


def _dict_of(thing: Any) -> Any:
    try:
        return object.__getattribute__(thing, "__dict__")
    except Exception:
        return None


def _attributes_with(holder: Any, held: Any) -> Iterator[str]:
    attributes = _dict_of(holder)
    if isinstance(attributes, dict):
        yield from (key for key, value in list(attributes.items()) if value is held)
    for cls in type(holder).__mro__:
        for slot in getattr(cls, "__slots__", ()) or ():
            try:
                if object.__getattribute__(holder, slot) is held:
                    yield slot
            except Exception:
                continue


# -- the names of a file, and the scopes they belong to ---------------------------------------------------------------


class _Scope:
    """A module, class, function or comprehension: what is bound in it, and what it says is bound further out."""

    def __init__(self, node: ast.AST, parent: _Scope | None) -> None:
        self.node, self.parent = node, parent
        self.bound: set[str] = set()
        self.globals_: set[str] = set()
        self.outer: set[str] = set()
        self.own: ast.ClassDef | None = None  # the class of which this is a method
        self.self_name = ""

    def of(self, name: str) -> _Scope:
        """The scope in which a name is bound that is used in this one."""
        scope: _Scope = self
        while scope.parent is not None:
            if name in scope.globals_:
                break
            if name in scope.bound and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                return scope
            scope = scope.parent
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def bind(self, name: str) -> None:
        if name not in self.globals_ and name not in self.outer:
            self.bound.add(name)


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Source:
    """A file's names, each with its scope; what is assigned, called and returned."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path, self.tree = path, tree
        self.scope_of: dict[ast.Name, _Scope] = {}  # where it is bound
        self.names: dict[str, list[ast.Name]] = {}
        self.attributes: dict[str, list[ast.Attribute]] = {}
        self.keyed: dict[str, list[ast.Subscript]] = {}
        self.bindings: list[tuple[ast.expr, ast.expr]] = []  # targets, each with what it is taken from
        self.assigned: list[tuple[ast.expr, ast.expr]] = []  # of these those that are what they are assigned
        self.calls: list[ast.Call] = []
        self.functions: dict[str, list[Function]] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.inside: dict[Function | ast.Lambda | ast.ClassDef, _Scope] = {}  # the scope that a function, a class makes
        self.returned: dict[Function, list[ast.expr]] = {}
        self.annotations: dict[tuple[_Scope, str], ast.expr] = {}
        self.imported: list[tuple[_Scope, str, str]] = []  # in functions: the name there, and in the module
        self.called: set[ast.expr] = set()  # what stands before the brackets
        self.receivers: dict[ast.expr, ast.Attribute] = {}
        self._used: list[tuple[ast.Name, _Scope]] = []
        self._visit(tree, _Scope(tree, None), None)
        for name, scope in self._used:
            self.scope_of[name] = scope.of(name.id)
            self.names.setdefault(name.id, []).append(name)

    def _visit(self, node: ast.AST, scope: _Scope, function: Function | None) -> None:
        if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            self._enter_function(node, scope)
            return
        if isinstance(node, ast.ClassDef):
            scope.bind(node.name)
            self.classes.setdefault(node.name, node)
            inner = self.inside[node] = _Scope(node, scope)
            for each in (*node.bases, *node.keywords, *node.decorator_list):
                self._visit(each, scope, function)
            for statement in node.body:
                self._visit(statement, inner, function)
            return
        if isinstance(node, _COMPREHENSIONS):
            scope = _Scope(node, scope)
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.bind(node.id)
            self._used.append((node, scope))
        elif isinstance(node, ast.Attribute):
            self.attributes.setdefault(node.attr, []).append(node)
            self.receivers[node.value] = node
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            if isinstance(node.slice.value, str):
                self.keyed.setdefault(node.slice.value, []).append(node)
        elif isinstance(node, ast.Global):
            scope.globals_.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.outer.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                scope.bind(alias.asname or alias.name.partition(".")[0])
                if scope.parent is not None and isinstance(node, ast.ImportFrom):
                    self.imported.append((scope, alias.asname or alias.name, alias.name))
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            scope.bind(node.name)
        elif isinstance(node, ast.Call):
            self.calls.append(node)
            self.called.add(node.func)
        elif isinstance(node, (ast.Return, ast.Yield)) and node.value is not None and function is not None:
            self.returned.setdefault(function, []).append(node.value)
        elif isinstance(node, ast.NamedExpr):
            outer = scope
            while isinstance(outer.node, _COMPREHENSIONS) and outer.parent is not None:
                outer = outer.parent
            outer.bind(node.target.id)
            self._used.append((node.target, outer))
            self.bindings.append((node.target, node.value))
            self.assigned.append((node.target, node.value))
            self._visit(node.value, scope, function)
            return
        self.bindings.extend(_taken(node))
        self.assigned.extend(pair for target, value in assigned(node) for pair in pairs_of(target, value))
        for child in ast.iter_child_nodes(node):
            self._visit(child, scope, function)

    def _enter_function(self, node: Function | ast.Lambda, scope: _Scope) -> None:
        inner = self.inside[node] = _Scope(node, scope)
        arguments = node.args
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self._visit(default, scope, None)
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        for each in parameters:
            inner.bound.add(each.arg)
            if each.annotation is not None:
                self.annotations[inner, each.arg] = each.annotation
        if isinstance(node, ast.Lambda):
            self._visit(node.body, inner, None)
            return
        scope.bind(node.name)
        self.functions.setdefault(node.name, []).append(node)
        for decorator in node.decorator_list:
            self._visit(decorator, scope, None)
        if isinstance(scope.node, ast.ClassDef) and parameters and "staticmethod" not in decorators(node):
            inner.own, inner.self_name = scope.node, parameters[0].arg
        for statement in node.body:
            self._visit(statement, inner, node)

    def own_class(self, receiver: ast.expr) -> ast.ClassDef | None:
        """The class whose method calls its own object by this name."""
        if isinstance(receiver, ast.Name):
            scope = self.scope_of[receiver]
            return scope.own if receiver.id == scope.self_name else None
        return None

    def function_of(self, variable: Variable) -> Function | ast.Lambda | ast.ClassDef | None:
        """The function that starts where a code object says, and has its name."""
        for node in self.inside:
            name = "<lambda>" if isinstance(node, ast.Lambda) else getattr(node, "name", "")
            lines = [node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]
            if name == variable.function and min(lines) == variable.line and not isinstance(node, ast.ClassDef):
                return node
        return None

    def variable(self, scope: _Scope, name: str) -> list[ast.Name]:
        """Where a variable of a scope is used."""
        return [node for node in self.names.get(name, ()) if self.scope_of[node] is scope]


def decorators(function: Function) -> set[str]:
    """The last words of what a function is decorated with."""
    found = set()
    for each in function.decorator_list:
        plain = each.func if isinstance(each, ast.Call) else each
        found.add(plain.attr if isinstance(plain, ast.Attribute) else getattr(plain, "id", ""))
    return found


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets of an assignment, each with its value."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value


def pairs_of(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """``a, b = x, y`` as ``a = x`` and ``b = y``."""
    if (
        isinstance(target, (ast.Tuple, ast.List))
        and isinstance(value, (ast.Tuple, ast.List))
        and len(target.elts) == len(value.elts)
        and not any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts))
    ):
        for one, of in zip(target.elts, value.elts, strict=True):
            yield from pairs_of(one, of)
    else:
        yield target, value


def _taken(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target, value in assigned(node):
        yield from pairs_of(target, value)
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield node.target, node.iter


@functools.lru_cache(maxsize=64)
def source_of(path: str) -> Source | None:
    """The names of a source file; None where there is none to be had."""
    tree = tree_of(path)
    try:
        return None if tree is None else Source(path, tree)
    except RecursionError:
        return None


# -- what they mean ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Meant:
    """Nodes of a file that mean the container: ``own`` are its places, ``same`` are also other names for it.

    ``loose`` are these, and variables that were taken from something with it in it: an entry, a view, its length.
    """

    own: set[ast.AST] = field(default_factory=set)
    same: set[ast.AST] = field(default_factory=set)
    loose: set[ast.AST] = field(default_factory=set)
    source: Source | None = None
    locals_: set[_Scope] = field(default_factory=set)  # of generators that keep it in a variable
    words: frozenset[str] = frozenset()


def anywhere(path: str, words: frozenset[str]) -> Meant:
    """As if each of the words meant it wherever it stands."""
    names = Names(attributes={Attribute(word) for word in words}, keys=set(words))
    return Meaning([path], names, anywhere=True).of(path)


_ROUNDS = 3  # of following it from name to name


class Meaning:
    """What the names of some files mean, followed from those by which the container is held."""

    def __init__(self, paths: Iterable[str], names: Names, *, anywhere: bool = False) -> None:
        self._names, self._anywhere = names, anywhere
        self._sources = [source for path in dict.fromkeys(paths) if (source := source_of(path)) is not None]
        self._meant = {source.path: Meant(source=source, words=names.words) for source in self._sources}
        self._attributes = set(names.attributes)
        self._by_name: dict[str, list[Attribute]] = {}
        self._called = {last_word(call.func) for source in self._sources for call in source.calls}
        for each in self._attributes:
            self._by_name.setdefault(each.name, []).append(each)
        for source in self._sources:
            self._place(source, self._meant[source.path])
        for _ in range(_ROUNDS):
            before = sum(len(meant.same) for meant in self._meant.values())
            for source in self._sources:
                self._follow(source, self._meant[source.path])
            if sum(len(meant.same) for meant in self._meant.values()) == before:
                break
        for source in self._sources:
            meant = self._meant[source.path]
            meant.loose = meant.same | set(_taken_from(source, meant.same))
        if not names.direct and not anywhere:
            for _ in range(2):  # what a function returned may be given to another
                self._hand_on_what_was_taken()

    def _hand_on_what_was_taken(self) -> None:
        """What is taken from a table of containers may be the one: ``self.trim(self.by_user[user])``."""
        for source in self._sources:
            loose = self._meant[source.path].loose
            for call in source.calls:
                arguments = (*call.args, *(each.value for each in call.keywords))
                given = [each for each in arguments if each in loose or self._is_entry(each, loose)]
                for other in self._sources if given else ():
                    for function in other.functions.get(last_word(call.func), ()):
                        names = _parameters_given(other, function, call, given)
                        for name in names:
                            self._meant[other.path].loose.update(other.variable(other.inside[function], name))
            for function, values in source.returned.items():
                if any(self._is_entry(value, loose) for value in values):
                    for other in self._sources:
                        calls = {call for call in other.calls if last_word(call.func) == function.name}
                        self._meant[other.path].loose |= calls | set(_taken_from(other, calls))

    def _is_entry(self, node: ast.expr, loose: Collection[ast.AST]) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOKING_UP:
            return node.func.value in loose
        return isinstance(node, ast.Subscript) and node.value in loose

    def of(self, path: str) -> Meant:
        """Those of one file."""
        return self._meant.get(path) or Meant()

    def _place(self, source: Source, meant: Meant) -> None:
        own = meant.own
        module = _module_of(source.path)
        things = {id(each) for each in self._names.things}
        for word in self._names.words:
            here = (source.path, word) in self._names.globals_ or self._anywhere
            if not here and module is not None:  # imported
                here = _is_container(vars(module).get(word)) and id(vars(module).get(word)) in things
            if here:
                own.update(n for n in source.names.get(word, ()) if self._anywhere or source.scope_of[n].parent is None)
            for node in source.attributes.get(word, ()):
                if self._is_attribute(source, node, module, things):
                    own.add(node)
            own.update(node for node in source.keyed.get(word, ()) if self._is_key(word, node))
        # By another name it may have been imported, too.
        for key, value in list(vars(module).items()) if module is not None and not self._anywhere else ():
            if _is_container(value) and id(value) in things:
                own.update(node for node in source.names.get(key, ()) if source.scope_of[node].parent is None)
        for variable in self._names.variables:
            function = source.function_of(variable) if variable.path == source.path else None
            if function is not None:
                scope = source.inside[function].of(variable.name)
                own.update(source.variable(scope, variable.name))
                meant.locals_.add(scope)
        for scope, name, of in source.imported:
            if any(of == word for _, word in self._names.globals_):
                own.update(source.variable(scope, name))
        meant.same |= own

    def _is_key(self, word: str, node: ast.Subscript) -> bool:
        if word in self._names.keys:
            return True
        # vars(self)["rows"], self.__dict__["rows"]
        return last_word(node.value) in ("vars", "__dict__") and word in self._by_name

    def _is_attribute(
        self, source: Source, node: ast.Attribute, module: types.ModuleType | None, things: Collection[int]
    ) -> bool:
        """Whether an attribute is one that holds the container, as far as can be told whose it is."""
        held_by = self._by_name.get(node.attr, [])
        if self._anywhere or any(each.cls is None for each in held_by):
            return True
        own = source.own_class(node.value)
        if own is not None:
            return any(self._has(source, own, each) for each in held_by)
        known, receiver = _value_of(source, node.value, module)
        if known:
            if isinstance(receiver, types.ModuleType):
                value = vars(receiver).get(node.attr)
                return _is_container(value) and id(value) in things
            cls = receiver if isinstance(receiver, type) else type(receiver)
            if _speaks_for_others(cls):
                return bool(held_by)
            ids = frozenset(map(_class_id, cls.__mro__))
            return any(_class_id(cls) in each.bases or each.cls in ids for each in held_by)
        return bool(held_by) or any(name == node.attr for _, name in self._names.globals_)

    def _has(self, source: Source, own: ast.ClassDef, attribute: Attribute) -> bool:
        """Whether objects of a class in the source have the attribute of those that hold the container."""
        bases = {name for path, name in attribute.bases if path in ("", source.path)}
        if own.name in bases:
            return True
        if attribute.of_class and attribute.cls is not None and _descends(source, own, attribute.cls[1]):
            return True
        # It may have been given to it. One that is called by its name is followed; of others nothing is known.
        if own.name in self._called:
            return False
        values = [v for t, v in source.assigned if isinstance(t, ast.Attribute) and t.attr == attribute.name
                  and source.own_class(t.value) is own]  # fmt: skip
        return any(isinstance(value, ast.Name) for value in values)

    def _follow(self, source: Source, meant: Meant) -> None:
        """From what is known to mean it to what is assigned from that, given that, or returns it."""
        same = meant.same
        for target, value in source.assigned:
            if value in same and target not in same:
                self._also(source, meant, target)
        for call in source.calls:
            name = last_word(call.func)
            arguments = [*call.args, *(each.value for each in call.keywords)]
            several = [part for each in arguments if isinstance(each, (ast.Tuple, ast.List)) for part in each.elts]
            given = {each for each in (*arguments, *several) if each in same}
            if not given:
                continue
            for other in self._sources:
                for function in other.functions.get(name, ()):
                    self._given(other, function, call, given)
                cls = other.classes.get(name)
                for function in other.functions.get("__init__", ()) if cls is not None else ():
                    if function in cls.body:  # type: ignore[union-attr]  # it is one
                        self._given(other, function, call, given)
            for other in self._sources:  # submit(trim, rows), Thread(target=trim, args=(rows,))
                self._handed_on(other, call)
        for function, values in source.returned.items():
            if any(value in same for value in values):
                self._returned(source, function)

    def _also(self, source: Source, meant: Meant, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            meant.same.update(source.variable(source.scope_of[target], target.id))
        elif isinstance(target, ast.Attribute):
            own = source.own_class(target.value)
            for node in source.attributes.get(target.attr, ()):
                if own is not None and source.own_class(node.value) is own:
                    meant.same.add(node)
                    meant.own.add(node)

    def _given(self, source: Source, function: Function, call: ast.Call, given: Collection[ast.expr]) -> None:
        for name in _parameters_given(source, function, call, given):
            self._meant[source.path].same.update(source.variable(source.inside[function], name))

    def _handed_on(self, source: Source, call: ast.Call) -> None:
        for word in {last_word(each) for each in (*call.args, *(k.value for k in call.keywords))} - {""}:
            for function in source.functions.get(word, ()):
                for each in (*function.args.posonlyargs, *function.args.args):
                    if each.arg in self._names.words:
                        self._meant[source.path].same.update(source.variable(source.inside[function], each.arg))

    def _returned(self, source: Source, function: Function) -> None:
        """What a function returns it is called for; a property is read, and a fixture is a parameter of its name."""
        how = decorators(function)
        own = source.inside[function].own
        for other in self._sources:
            same = self._meant[other.path].same
            if how & {"property", "cached_property"}:
                for node in other.attributes.get(function.name, ()):
                    if other.own_class(node.value) in (own, None):
                        same.add(node)
            elif "fixture" in how:
                for each, scope in other.inside.items():
                    if isinstance(each, _FUNCTIONS) and (each.name.startswith("test") or "fixture" in decorators(each)):
                        same.update(other.variable(scope, function.name))
            else:
                same.update(call for call in other.calls if last_word(call.func) == function.name)


_LOOKING_UP = frozenset({"get", "setdefault"})


def _parameters_given(source: Source, function: Function, call: ast.Call, given: Collection[ast.expr]) -> Iterator[str]:
    """The parameters of a function that a call gives one of some expressions."""
    positional = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if positional[:1] == [source.inside[function].self_name]:
        del positional[0]
    yield from (name for name, each in zip(positional, call.args, strict=False) if each in given)
    yield from (each.arg for each in call.keywords if each.arg and each.value in given)


def _is_container(value: object) -> bool:
    """Whether something is nobody else's: what is held by its name, and no number that is the same for everybody."""
    return value is not None and not isinstance(value, (int, str, bytes, float, types.ModuleType))


def _taken_from(source: Source, same: Collection[ast.AST]) -> Iterator[ast.Name]:
    for target, value in source.bindings:
        if mentions(value, same, source):
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield from source.variable(source.scope_of[part], part.id)


def mentions(node: ast.AST, meant: Collection[ast.AST], source: Source | None) -> bool:
    """Whether the container stands in an expression; ``cache.hits`` is not ``cache``, though ``cache.keys()`` is."""
    for part in ast.walk(node):
        if part in meant:
            above = source.receivers.get(part) if source is not None and isinstance(part, ast.expr) else None
            if above is None or above in meant or above in source.called:  # type: ignore[union-attr]
                return True
    return False


def last_word(node: ast.AST) -> str:
    """The name of what is called or read: ``put`` of ``self.cache.put``, and of ``put(...)``."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _speaks_for_others(cls: type) -> bool:
    """Whether it is a proxy, whose attributes may be anybody's."""
    plain: tuple[Any, ...] = (object.__getattribute__, type.__getattribute__)
    return hasattr(cls, "__getattr__") or cls.__getattribute__ not in plain


def _module_of(path: str) -> types.ModuleType | None:
    found = (each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == path)
    return next((each for each in found if isinstance(each, types.ModuleType)), None)


def _value_of(source: Source, receiver: ast.expr, module: types.ModuleType | None) -> tuple[bool, Any]:
    """What a receiver is, if it is known: a global, or a variable that an object of a known class was assigned to.

    For the latter the class stands in its place.
    """
    if module is None or not isinstance(receiver, ast.Name):
        return False, None
    scope = source.scope_of[receiver]
    if scope.parent is None:
        value = vars(module).get(receiver.id)
        return value is not None, value
    made_by: ast.expr | None = source.annotations.get((scope, receiver.id))
    values = [v for t, v in source.assigned if isinstance(t, ast.Name) and t.id == receiver.id
              and source.scope_of[t] is scope]  # fmt: skip
    if made_by is None and len(values) == 1 and isinstance(values[0], ast.Call):
        made_by = values[0].func
    if isinstance(made_by, ast.Name) and source.scope_of.get(made_by, scope).parent is None:
        value = vars(module).get(made_by.id)
        if isinstance(value, type):
            abstract = getattr(value, "_is_protocol", False) or getattr(value, "__abstractmethods__", None)
            return not abstract, value
    return False, None


def _descends(source: Source, cls: ast.ClassDef, name: str, depth: int = 5) -> bool:
    for base in map(last_word, cls.bases):
        other = source.classes.get(base)
        if base == name or (depth and other is not None and _descends(source, other, name, depth - 1)):
            return True
    return False
