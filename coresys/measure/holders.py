"""Who keeps an object alive: the chain of referrers from a root (a global, a class, a frame) down to the object.

``gc.get_referrers`` looks at every tracked object of the process, so each step of a chain costs milliseconds: the
search goes breadth first, stops at the first good root, and is bounded by depth, number and time.
"""

from __future__ import annotations

import ast
import functools
import gc
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from coresys.clock import monotonic

_MOST_REFERRERS = 60  # of one object: what thousands hold is no way to a root worth telling
_MOST_VISITED = 400
_FOR_OTHERS = 3.0  # seconds
RUNNERS = frozenset({"_pytest", "pytest", "pluggy", "coresys", "pytest_coresys", "xdist", "execnet"})
_FRAMES = (types.FrameType,)
_RUNNING = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


@dataclass(frozen=True, slots=True)
class _Step:
    """An object on the way up, with the link by which it holds the one below."""

    thing: Any
    link: str
    below: _Step | None
    depth: int


_STANDARD = os.path.dirname(os.__file__) + os.sep  # the standard library's folder


class Paths:
    """How files are named: relative to the root when they are below it, else as short as can be understood."""

    def __init__(self, root_path: str, is_user: Callable[[str], bool]) -> None:
        self._root = root_path.rstrip("/\\")
        self.is_user = is_user

    def show(self, path: str) -> str:
        """The path as it is told to a person."""
        if self._root and path.startswith((self._root + "/", self._root + "\\")):
            return path[len(self._root) + 1 :]
        for mark in ("site-packages/", "dist-packages/", _STANDARD):
            if mark in path:
                return path.partition(mark)[2]
        return path


def holder_chains(
    objects: Iterable[Any],
    *,
    is_user: Callable[[str], bool],
    root_path: str = "",
    most: int = 3,
    depth: int = 12,
    seconds: float = 2.0,
    ignore: Sequence[Any] = (),
) -> list[tuple[str, ...]]:
    """For each object the chain that keeps it, root first, its own type last; equal chains once, at most ``most``.

    An object whose root is not found within the bounds has no chain. ``ignore`` are containers of the caller's that
    hold the objects too.
    """
    found = ranked_chains(
        objects, is_user=is_user, root_path=root_path, most=most, depth=depth, seconds=seconds, ignore=ignore
    )
    return [each.chain for each in found]


USERS, LIBRARIES, FIXTURES, _RUNNERS = range(4)  # ranks of a root


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chain with the rank of its root, and what is on the way: the root's side first, what is kept last."""

    chain: tuple[str, ...]
    rank: int
    things: tuple[Any, ...]

    @property
    def owners(self) -> tuple[type, ...]:
        """The types of what is on the way."""
        return tuple(map(type, self.things))


def ranked_chains(
    objects: Iterable[Any],
    *,
    is_user: Callable[[str], bool],
    root_path: str,
    most: int,
    depth: int,
    seconds: float,
    ignore: Sequence[Any],
    now: Callable[[], float] = monotonic,
    grown: Iterable[Any] = (),
) -> list[Ranked]:
    """As ``holder_chains``, each with the rank of its root: ``USERS``, ``LIBRARIES``, ``FIXTURES`` of a wider scope.

    What a fixture returned that is up is a root of its own: the test runner holds it until its teardown, and no longer.
    It is told only where nothing else was found: a logger outlives the fixture that returned it. What is in one of the
    containers that have ``grown`` is kept by that, whoever else has it in hand just now: a generator its last value.
    """
    gc.unfreeze()  # what is frozen is not looked at by get_referrers
    search = _Search(Paths(root_path, is_user), depth, [*ignore, ignore], now, seconds, grown)
    chains: list[Ranked] = []
    for thing in objects:
        search.ignore(objects)
        found = search.chain(thing)
        if found is not None and all(found.chain != each.chain for each in chains):
            chains.append(found)
            search.hurry()
        if len(chains) >= most or search.is_late():
            break
    return chains


class _Search:
    def __init__(
        self,
        paths: Paths,
        depth: int,
        ignored: Sequence[Any],
        now: Callable[[], float],
        seconds: float,
        grown: Iterable[Any],
    ) -> None:
        self._grown = frozenset(map(id, grown))
        self._paths, self._depth, self._now, self._began = paths, depth, now, now()
        self._deadline = self._began + seconds
        self._ignored = {id(each) for each in ignored}
        self._modules = {
            id(vars(module)): module for module in list(sys.modules.values()) if isinstance(module, types.ModuleType)
        }
        self._fixtures = {
            getattr(each.func, "__code__", None): each.argname for each in gc.get_objects() if _is_wider_fixture(each)
        }
        self.ignore(self.__dict__, self._modules, self._ignored, self._fixtures, self)

    def ignore(self, *things: Any) -> None:
        self._ignored.update(map(id, things))

    def is_late(self) -> bool:
        return self._now() > self._deadline

    def hurry(self) -> None:
        """One chain was found: others are good to know, and not worth waiting for."""
        self._deadline = min(self._deadline, self._began + _FOR_OTHERS)

    def chain(self, thing: Any) -> Ranked | None:
        """The chain from the best root that was found: the user's first, a test runner's never."""
        queue: deque[_Step] = deque([_Step(thing, type_name(thing), None, 0)])
        self.ignore(queue)
        seen = {id(thing)}
        second: Ranked | None = None
        visited = 0
        while queue and visited < _MOST_VISITED and not self.is_late():
            step = queue.popleft()
            self.ignore(step)
            visited += 1
            root = self._root_of(step)
            if root is not None:
                name, rank = root
                if rank == _RUNNERS or (second is not None and second.rank <= rank):
                    continue
                second = Ranked((name, *_links(step)), rank, _things(step))
                if rank == USERS:
                    return second
                continue
            if step.depth < self._depth:
                self._climb(step, queue, seen)
        return second

    def _climb(self, step: _Step, queue: deque[_Step], seen: set[int]) -> None:
        referrers = gc.get_referrers(step.thing)
        self.ignore(referrers)
        if step.depth == 0:
            referrers = [each for each in referrers if id(each) in self._grown] or referrers
            self.ignore(referrers)
        # A module's globals are a root as good as any, and stand last where the collector's lists were joined: looked
        # at first, they spare the way through a thousand children that all know their parent.
        referrers.sort(key=self._is_no_module)
        frame = sys._getframe()
        for referrer in referrers[:_MOST_REFERRERS]:
            if id(referrer) in seen or id(referrer) in self._ignored or referrer is frame or is_ours(referrer):
                continue
            seen.add(id(referrer))
            link = _link(referrer, step.thing)
            if link is not None:
                enqueue = queue.append if self._is_no_module(referrer) else queue.appendleft
                enqueue(_Step(referrer, link, step, step.depth + 1))

    def _is_no_module(self, thing: Any) -> bool:
        return id(thing) not in self._modules

    def _root_of(self, step: _Step) -> tuple[str, int] | None:
        """The name of a root, and its rank."""
        thing = step.thing
        if step.below is None:
            return None
        if id(thing) in self._modules:
            return self._module_root(self._modules[id(thing)], thing, step.below.thing)
        if isinstance(thing, type):
            return self._class_root(thing, step.below.thing)
        if isinstance(thing, types.FunctionType):
            return self._function_root(thing, step.link)
        if isinstance(thing, (*_FRAMES, *_RUNNING)):
            return self._frame_root(thing, step.below.thing)
        if _is_wider_fixture(thing):
            return self._fixture_root(thing.argname, getattr(thing.func, "__code__", None))
        return None

    def _fixture_root(self, name: str, code: types.CodeType | None) -> tuple[str, int]:
        if code is None:
            return f"fixture {name}", FIXTURES
        return f"{self._paths.show(code.co_filename)}:{code.co_firstlineno} fixture {name}", FIXTURES

    def _module_root(self, module: types.ModuleType, names: dict[str, Any], below: Any) -> tuple[str, int] | None:
        name = next((key for key, value in list(names.items()) if value is below), None)
        if name is None:
            return None
        path = getattr(module, "__file__", None) or ""
        if module.__name__.partition(".")[0] in RUNNERS:
            return f"{module.__name__}.{name}", _RUNNERS
        if not self._paths.is_user(path):
            return f"{module.__name__}.{name}", LIBRARIES
        return f"{self._paths.show(path)}:{line_of_global(path, name)} global {name}", USERS

    def _class_root(self, cls: type, below: Any) -> tuple[str, int] | None:
        name = next((key for key, value in list(vars(cls).items()) if value is below), None)
        module = sys.modules.get(cls.__module__)
        path = getattr(module, "__file__", None) or ""
        rank = (
            _RUNNERS
            if cls.__module__.partition(".")[0] in RUNNERS
            else USERS
            if self._paths.is_user(path)
            else LIBRARIES
        )
        what = f"class {cls.__qualname__}" + (f".{name}" if name else "")
        if rank:
            return f"{cls.__module__}: {what}", rank
        return f"{self._paths.show(path)}:{line_of_class(path, cls.__qualname__)} {what}", USERS

    def _function_root(self, function: types.FunctionType, link: str) -> tuple[str, int] | None:
        code = function.__code__
        rank = USERS if self._paths.is_user(code.co_filename) else LIBRARIES
        if rank and function.__module__ and function.__module__.partition(".")[0] in RUNNERS:
            rank = _RUNNERS
        place = f"{self._paths.show(code.co_filename)}:{code.co_firstlineno}"
        return f"{place} function {function.__qualname__} {link}", rank

    def _frame_root(self, thing: Any, below: Any) -> tuple[str, int] | None:
        frame = thing if isinstance(thing, types.FrameType) else _frame_of(thing)
        if frame is None:
            return None
        code = frame.f_code
        if code.co_filename == __file__:
            return None
        if code in self._fixtures and not isinstance(thing, types.FrameType):  # it waits for its teardown
            return self._fixture_root(self._fixtures[code], code)
        kind = "frame" if isinstance(thing, types.FrameType) else f"suspended {type(thing).__name__}"
        user = self._paths.is_user(code.co_filename)
        place = f"{self._paths.show(code.co_filename)}:{frame.f_lineno} {kind} {code.co_name}()"
        if isinstance(thing, types.FrameType):
            return place, LIBRARIES if user else _RUNNERS
        if not user:
            return None
        # Reading f_locals of a running frame may pin objects on old versions: only suspended ones are read.
        name = next((f" local {key!r}" for key, value in frame.f_locals.items() if value is below), "")
        return f"{place}{name}", LIBRARIES


def _is_wider_fixture(thing: Any) -> bool:
    """Whether it is pytest's own record of a fixture that is up for more than the test."""
    cls = type(thing)
    return (
        cls.__name__ == "FixtureDef"
        and cls.__module__ == "_pytest.fixtures"
        and getattr(thing, "scope", "function") != "function"
    )


def _things(step: _Step) -> tuple[Any, ...]:
    found: list[Any] = []
    below: _Step | None = step
    while below is not None:
        found.append(below.thing)
        below = below.below
    return tuple(found)


def _frame_of(thing: Any) -> Any:
    for name in ("gi_frame", "cr_frame", "ag_frame"):
        frame = getattr(thing, name, None)
        if frame is not None:
            return frame
    return None


def _links(step: _Step) -> list[str]:
    """The links below a root, downwards; the root's own is in its name."""
    links = []
    below = step.below
    while below is not None:
        links.append(below.link)
        below = below.below
    return links


def is_ours(thing: Any) -> bool:
    """Whether it is part of the search, or of whoever searches."""
    if isinstance(thing, _Step):
        return True
    if isinstance(thing, types.FrameType):
        return thing.f_code.co_filename.startswith(_OUR_FOLDER)
    module = thing.__module__ if isinstance(thing, type) else type(thing).__module__
    return isinstance(module, str) and module.partition(".")[0] in ("coresys", "pytest_coresys")


_OUR_FOLDER = __file__.rpartition("measure")[0]


def _link(referrer: Any, thing: Any) -> str | None:
    """How ``referrer`` holds ``thing``, as a person would write it; None for what is no way up."""
    if isinstance(referrer, dict):
        return _dict_link(referrer, thing)
    if isinstance(referrer, (list, tuple, deque)):
        try:
            at = next(number for number, each in enumerate(referrer) if each is thing)
        except (StopIteration, RuntimeError):
            return type(referrer).__name__
        return f"{type(referrer).__name__}[{at}]"
    if isinstance(referrer, (set, frozenset)):
        return f"{type(referrer).__name__} member"
    if isinstance(referrer, types.CellType):
        return "closure cell"
    if isinstance(referrer, types.MethodType):
        return f"bound method {referrer.__func__.__qualname__}"
    if isinstance(referrer, types.FunctionType):
        return _function_link(referrer, thing)
    if isinstance(referrer, functools.partial):
        return "partial"
    if isinstance(referrer, (types.ModuleType, types.FrameType)):
        return type(referrer).__name__
    return _instance_link(referrer, thing)


def _dict_link(referrer: dict[Any, Any], thing: Any) -> str:
    for key, value in list(referrer.items()):
        if value is thing:
            return f"{type(referrer).__name__}[{_key_text(key)}]"
        if key is thing:
            return f"{type(referrer).__name__} key"
    return type(referrer).__name__


def _key_text(key: Any) -> str:
    if isinstance(key, (str, bytes, int, float, bool, type(None))):
        text = repr(key)
        return text if len(text) <= 40 else f"{text[:37]}..."
    return f"<{type_name(key)}>"  # a repr of the user's own would run code of theirs


def _function_link(function: types.FunctionType, thing: Any) -> str:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        if cell is thing or (not _is_empty(cell) and cell.cell_contents is thing):
            return f"closure {name!r}"
    if function.__defaults__ is thing or function.__kwdefaults__ is thing:
        return "defaults"
    if function.__dict__ is thing:
        return "attributes"
    return "function"


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # reading is the question
    except ValueError:
        return True
    return False


def _instance_link(referrer: Any, thing: Any) -> str:
    """``Session.items`` for an attribute: since 3.11 an instance may hold its values without a dict."""
    name = type_name(referrer)
    try:
        attributes = object.__getattribute__(referrer, "__dict__")
    except Exception:
        attributes = None
    if isinstance(attributes, dict):
        if attributes is thing:
            return name
        for key, value in list(attributes.items()):
            if value is thing:
                return f"{name}.{key}"
    for cls in type(referrer).__mro__:
        for slot in getattr(cls, "__slots__", ()) or ():
            try:
                if object.__getattribute__(referrer, slot) is thing:
                    return f"{name}.{slot}"
            except Exception:
                continue
    return name


def type_name(thing: Any) -> str:
    """The name of an object's type, with its module unless that is built in."""
    cls = type(thing)
    return cls.__qualname__ if cls.__module__ in ("builtins", "__main__") else f"{cls.__qualname__}"


@functools.lru_cache(maxsize=64)
def tree_of(path: str) -> ast.Module | None:
    """The syntax tree of a source file; None where there is none to be had."""
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def line_of_global(path: str, name: str) -> int:
    """The line on which a module first binds a name at its top, or by ``global``; 1 if it is not to be seen."""
    tree = tree_of(path)
    for node in ast.walk(tree) if tree is not None else ():
        targets: list[Any] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            targets = [node.target]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name:
            return node.lineno
        for target in targets:
            if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(target)):
                return int(getattr(node, "lineno", 1))
    return 1


def line_of_class(path: str, qualname: str) -> int:
    """The line of a class statement; 1 if it is not to be seen."""
    tree = tree_of(path)
    wanted = qualname.rpartition(".")[2]
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ClassDef) and node.name == wanted:
            return node.lineno
    return 1


def innermost_function(path: str, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The innermost function around a line; None at the top of a module."""
    tree = tree_of(path)
    around = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno) if around else None


def function_at(path: str, line: int) -> str:
    """The name of the innermost function around a line; empty at the top of a module."""
    function = innermost_function(path, line)
    return "" if function is None else function.name
