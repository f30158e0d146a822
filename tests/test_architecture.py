"""Who may import whom: the table of the house, checked on the code as it is."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Layers of the library, lowest first; a module may import its own layer and what stands below. errors.hierarchy
# imports nothing, so that every layer may raise from it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("coresys.errors.hierarchy",),
    (
        "coresys.records",
        "coresys.system_records",
        "coresys.clock",
        "coresys.forks",
        "coresys.collector",
        "coresys.frames",
    ),
    ("coresys.interfaces",),
    ("coresys.budgets.units", "coresys.budgets.model"),
    ("coresys.measure",),
    ("coresys.budgets",),
    ("coresys.errors",),
    ("coresys.threads",),
    ("coresys.monitoring", "coresys.state", "coresys.resources", "coresys.cleanup"),
    ("coresys.components", "coresys.testing"),
    ("coresys.coordinators",),
    ("coresys",),
)

# Bridges to others' libraries, which are extras: each in a module of its own that nothing of ours imports.
BRIDGES = {"coresys.monitoring.otel": "opentelemetry"}

# Parts of the plugin that know nothing of pytest. "engine" names those of its modules that are pure.
NO_PYTEST = (
    "pytest_coresys.again",
    "pytest_coresys.config",
    "pytest_coresys.wire",
    "pytest_coresys.measures",
    "pytest_coresys.pyargs",
    "pytest_coresys.baseline",
    "pytest_coresys.criteria",
    "pytest_coresys.history",
    "pytest_coresys.subjects",
    "pytest_coresys.reports.again",
    "pytest_coresys.reports.ci",
    "pytest_coresys.reports.comparing",
    "pytest_coresys.reports.merging",
    "pytest_coresys.reports.outputs",
    "pytest_coresys.probes",
    "pytest_coresys.cli",
    "pytest_coresys.schema",
    "pytest_coresys.checkpoint",
    "pytest_coresys.reports.model",
    "pytest_coresys.reports.soaks",
    "pytest_coresys.reports.runfile",
    "pytest_coresys.reports.shape",
    "pytest_coresys.reports.junit",
    "pytest_coresys.reports.reading",
    "pytest_coresys.reports.terminal",
    "pytest_coresys.reports.words",
    "pytest_coresys.reports.htmlpage",
    "pytest_coresys.reports.pictures",
    "pytest_coresys.reports.page",
    "pytest_coresys.engine.confirm",
    "pytest_coresys.engine.effort",
    "pytest_coresys.engine.evidence",
    "pytest_coresys.engine.forked",
    "pytest_coresys.engine.looks",
    "pytest_coresys.engine.owners",
    "pytest_coresys.engine.parcel",
    "pytest_coresys.engine.plan",
    "pytest_coresys.engine.pools",
    "pytest_coresys.engine.recording",
    "pytest_coresys.engine.repeat",
    "pytest_coresys.engine.sandbox",
    "pytest_coresys.engine.screen",
    "pytest_coresys.engine.soakfindings",
    "pytest_coresys.engine.trends",
    "pytest_coresys.engine.warden",
)
THIN = (
    "pytest_coresys.plugin",
    "pytest_coresys.options",
    "pytest_coresys.fixtures",
    "pytest_coresys.hookspecs",
    "pytest_coresys",
)
THIN_MAY = {"pytest", "__future__", "argparse", "sys", "dataclasses", "typing", "collections", *THIN}


def modules(package: str) -> list[tuple[str, Path]]:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """What a module imports when it runs; imports for type checkers only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(tree.body) if top_level else list(ast.walk(tree))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in nodes:
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            # "from package import module" imports that module too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def layer_of(name: str) -> int:
    """The layer with the longest matching prefix."""
    best, at = "", -1
    for number, prefixes in enumerate(LAYERS):
        for prefix in prefixes:
            if is_below(name, prefix) and len(prefix) >= len(best):
                best, at = prefix, number
    return at


LIBRARY = modules("coresys")
PLUGIN = modules("pytest_coresys")


@pytest.mark.parametrize(("name", "path"), LIBRARY, ids=[name for name, _ in LIBRARY])
def test_the_library_imports_downwards_only_and_nothing_but_the_standard_library_and_psutil(
    name: str, path: Path
) -> None:
    known = {module for module, _ in LIBRARY}
    for imported in imports(path):
        first = imported.partition(".")[0]
        allowed = first in sys.stdlib_module_names or first in ("coresys", "psutil", BRIDGES.get(name))
        assert allowed, f"{name} imports {imported}"
        assert imported not in BRIDGES, f"{name} imports {imported}, which not everybody can"
        if imported in known and imported != "coresys":
            assert layer_of(imported) <= layer_of(name), f"{name} imports {imported}, which stands above it"


@pytest.mark.parametrize(("name", "path"), PLUGIN, ids=[name for name, _ in PLUGIN])
def test_the_plugin_keeps_pytest_where_it_belongs(name: str, path: Path) -> None:
    found = set(imports(path))
    private = {each for each in found if is_below(each, "_pytest")}
    assert not private or name == "pytest_coresys.engine.runner", f"{name} imports {sorted(private)}"
    if any(is_below(name, prefix) for prefix in NO_PYTEST):
        assert not any(is_below(each, "pytest") for each in found), f"{name} imports pytest"


@pytest.mark.parametrize("name", THIN)
def test_the_entry_imports_nothing_heavy_at_its_top(name: str) -> None:
    path = dict(PLUGIN)[name]
    for imported in imports(path, top_level=True):
        assert imported.partition(".")[0] in THIN_MAY or imported in THIN_MAY, f"{name} imports {imported}"


def test_every_module_of_the_house_is_typed_text_with_a_docstring() -> None:
    for name, path in (*LIBRARY, *PLUGIN):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{name} says nothing of itself"


def test_the_check_itself_sees_an_upward_import(tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.py"
    faulty.write_text("from coresys.budgets import judge\n")
    assert "coresys.budgets.judge" in set(imports(faulty))
    assert layer_of("coresys.budgets.judge") > layer_of("coresys.measure.meters")
