"""Who imports whom among coresys' parts, read off their source: no module is run for it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import coresys

FOLDER = Path(coresys.__file__).parent

# Parts that hold a manager each. They know one another's protocols, which ``coresys.interfaces`` has, and no more.
PARTS = ("monitoring", "state", "resources", "cleanup", "components", "testing")
# Everybody's: what locks and threads are made of. Its manager is nobody's but the composition root's.
_CONCRETE = ("ThreadManager", "ThreadPool", "thread_manager")
_ASSEMBLY = "assembly"


def imported(text: str) -> Iterator[tuple[int, str]]:
    """Line and name of what a source imports when it runs. What is for type checkers only is left out: it is not there
    when the program runs, and the checker follows protocols."""
    tree = ast.parse(text)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def sources(folder: Path = FOLDER) -> Mapping[str, str]:
    """The text of each module of a package, by its name from there: ``coresys.state.manager``."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def cross_imports(modules: Mapping[str, str], parts: Iterable[str] = PARTS) -> list[str]:
    """Where a part imports another part, or a manager of threads: a line for each."""
    known = tuple(parts)
    faults = []
    for module, text in modules.items():
        part = _part_of(module, known)
        if part is None:
            continue
        for line, name in imported(text):
            other = _part_of(name, known)
            if (other is not None and other != part) or name.startswith("coresys.coordinators"):
                faults.append(f"{module}, line {line}, imports {name}")
            elif name.startswith("coresys.threads") and name.rpartition(".")[2] in _CONCRETE:
                faults.append(f"{module}, line {line}, imports {name}, which is a concrete manager")
    return faults


def _part_of(name: str, parts: tuple[str, ...]) -> str | None:
    first, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return part if first == "coresys" and part in parts else None


def concrete_imports_of_coordinators(modules: Mapping[str, str] | None = None) -> list[str]:
    """Where a coordinator imports a concrete manager, or any part that has one. The composition root does, it alone;
    values that threads share (atomics) and what locks are made of are everybody's."""
    faults = []
    for module, text in (sources() if modules is None else modules).items():
        if not module.startswith("coresys.coordinators.") or module.endswith(f".{_ASSEMBLY}"):
            continue
        for line, name in imported(text):
            if not name.startswith("coresys.") or name.startswith("coresys.interfaces."):
                continue
            last = name.rpartition(".")[2]
            concrete = _part_of(name, PARTS) is not None or last.endswith("Manager") or last in _CONCRETE
            if concrete or name.startswith(f"coresys.coordinators.{_ASSEMBLY}"):
                faults.append(f"{module}, line {line}, imports {name}")
    return faults
