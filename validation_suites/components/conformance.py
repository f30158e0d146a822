"""Whether what coordinators offer are managers by the protocols: by their signatures, and by a type checker if there is
one."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coresys import interfaces

# A coordinator, by the criterion that is about it: its module and class, and its managers by the protocol of each.
COORDINATORS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "monitoring.interfaces": (
        "monitoring",
        "MonitoringCoordinator",
        {"monitoring": "IMonitoringManager", "threads": "IThreadManager", "resources": "IResourceManager"},
    ),
    "components.interfaces": (
        "component",
        "ComponentCoordinator",
        {"components": "IComponentManager", "state": "IStateManager", "resources": "IResourceManager"},
    ),
    "testing.interfaces": (
        "testing",
        "TestingCoordinator",
        {"tests": "ITestManager", "resources": "IResourceManager", "state": "IStateManager"},
    ),
    "cleanup.interfaces": (
        "cleanup",
        "CleanupCoordinator",
        {"cleanup": "ICleanupManager", "state": "IStateManager", "resources": "IResourceManager"},
    ),
}


def signature_faults(offered: object, protocol: type) -> list[str]:
    """What an object lacks of a protocol: methods, and parameters that a caller who knows only the protocol would give.

    It may take more than that, if it can be called without.
    """
    faults = []
    for name, member in vars(protocol).items():
        if name.startswith("_") or not callable(member):
            continue
        method = getattr(offered, name, None)
        if not callable(method):
            faults.append(f"{protocol.__name__}.{name}: there is none")
            continue
        asked = list(inspect.signature(member).parameters.values())[1:]  # without self
        faults += [f"{protocol.__name__}.{name}: {problem}" for problem in _unlike(inspect.signature(method), asked)]
    return faults


def _unlike(found: inspect.Signature, asked: Sequence[inspect.Parameter]) -> list[str]:
    """What is wrong with a method for those who call it as the protocol says."""
    there = dict(found.parameters)
    rest_of_names = any(each.kind is each.VAR_KEYWORD for each in there.values())
    faults = []
    places = [each for each in there.values() if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    more_places = any(each.kind is each.VAR_POSITIONAL for each in there.values())
    at = 0
    for wanted in asked:
        if wanted.kind in (wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
            if not any(each.kind is wanted.kind for each in there.values()):
                faults.append(f"takes no {wanted}")
            continue
        if wanted.kind is not wanted.KEYWORD_ONLY:
            if at >= len(places) and not more_places:
                faults.append(f"takes no {wanted.name} at its place")
                continue
            if at < len(places) and wanted.kind is not wanted.POSITIONAL_ONLY and places[at].name != wanted.name:
                faults.append(f"calls {wanted.name} {places[at].name}")
            own = places[at] if at < len(places) else None
            at += 1
        else:
            own = there.get(wanted.name)
            if own is None and not rest_of_names:
                faults.append(f"takes no {wanted.name}")
        if own is not None and wanted.default is not wanted.empty and own.default is own.empty:
            faults.append(f"asks for {wanted.name}, which may be left out")
    known = {wanted.name for wanted in asked}
    for name, own in there.items():
        named = own.kind not in (own.VAR_POSITIONAL, own.VAR_KEYWORD)
        if named and own.default is own.empty and name not in known and own not in places[:at]:
            faults.append(f"asks for {name}, which nobody gives")
    return faults


def coordinator_faults(coordinator: object, managers: Mapping[str, str]) -> list[str]:
    """The same of all managers that a coordinator offers."""
    return [
        f"{attribute}: {fault}"
        for attribute, protocol in managers.items()
        for fault in signature_faults(getattr(coordinator, attribute, None), getattr(interfaces, protocol))
    ]


def has_type_checker() -> bool:
    """Whether mypy is installed."""
    return importlib.util.find_spec("mypy") is not None


def program(coordinators: Mapping[str, tuple[str, str, Mapping[str, str]]] = COORDINATORS) -> str:
    """A program that a type checker accepts only if each of these has its managers: a function for each."""
    lines = ["import coresys.interfaces as interfaces"]
    for number, (module, name, managers) in enumerate(coordinators.values()):
        where = module if "." in module else f"coresys.coordinators.{module}"
        lines += [f"from {where} import {name} as Coordinator{number}", ""]
        for attribute, protocol in managers.items():
            lines += [
                f"def {attribute}_of_{number}(coordinator: Coordinator{number}) -> interfaces.{protocol}:",
                f"    return coordinator.{attribute}",
                "",
            ]
    return "\n".join(lines)


def type_faults(text: str, folder: Path, patience: float = 300.0) -> list[str]:
    """What ``mypy --strict`` has to say of a program; its cache is in the folder too."""
    path = folder / "conforming.py"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--config-file=", f"--cache-dir={folder / 'mypy'}", path.name]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False)
    lines = [line for line in found.stdout.splitlines() if ": error:" in line]
    if found.returncode not in (0, 1) or (found.returncode and not lines):
        raise RuntimeError(f"mypy ended with status {found.returncode}: {(found.stderr or found.stdout).strip()[:300]}")
    return lines


def of_coordinators(system: Any) -> Mapping[str, list[str]]:
    """Faults by criterion, of the coordinators of a system."""
    return {
        identity: coordinator_faults(getattr(system.coordinators, module), managers)
        for identity, (module, _, managers) in COORDINATORS.items()
    }
