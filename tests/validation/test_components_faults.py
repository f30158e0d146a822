"""Each criterion of components, and of what coordinators offer, can be broken: one fault is found out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faultcases import Case, Table, above, over, raising

from coresys import ComponentManager, ResourceManager, StateManager, interfaces
from coresys.coordinators.component import ComponentCoordinator
from validation_suites import ours
from validation_suites.components import conformance, imports, measures
from validation_suites.faults import components as faults
from validation_suites.faults import threads as thread_faults
from validation_suites.state.measures import DOOR
from validation_suites.threads.locking import taken_by_with

SOUND: dict[str, Any] = {"components": ComponentManager, "state": StateManager, "resources": ResourceManager}


def coordinator(kind: Any = ComponentCoordinator, **instead: Any) -> Any:
    return kind(**{name: instead.get(name) or make() for name, make in SOUND.items()})


def signatures(offered: Any) -> list[str]:
    return conformance.signature_faults(offered, interfaces.IComponentManager)


def slow_transition() -> list[str]:
    states = coordinator(state=faults.slowly(StateManager(), "fire", 0.06)).state
    states.define("door", DOOR)
    events = iter(["push", "pull"] * 3)
    return over("components.transition_time", lambda: states.fire("door", next(events)))


def slow_operation() -> list[str]:
    resources = coordinator(resources=faults.slowly(ResourceManager(), "lease", 0.012)).resources
    return over("components.operation_time", measures.operations(resources)["lease and release"])


def bytes_of(kind: Any) -> float:
    return measures.bytes_of_coordinator(lambda: coordinator(kind), ComponentManager, 30)


def types_of(tmp_path: Path) -> list[str]:
    planted = {
        "planted": (
            "planted.coordinator",
            "IncompleteCoordinator",
            {"components": "IComponentManager"},
        )
    }
    package = tmp_path / "planted"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "coordinator.py").write_text(faults.INCOMPLETE, encoding="utf-8")
    return conformance.type_faults(conformance.program(planted), tmp_path)


_WRONG_IMPORTS = {
    "coresys.components.work": "from coresys.state import StateManager\n",
    "coresys.monitoring.manager": "def look():\n    import coresys.resources.pools\n",
    "coresys.resources.view": "from coresys.threads.manager import ThreadManager\n",
    "coresys.cleanup.sequence": "from coresys.coordinators.assembly import build_system\n",
}
_RIGHT_IMPORTS = {
    "coresys.components.work": (
        "from typing import TYPE_CHECKING\nfrom coresys.interfaces import IStateManager\n"
        "from coresys.components.registry import Registry\nfrom coresys.threads.atomics import AtomicFlag\n"
        "if TYPE_CHECKING:\n    from coresys.state import StateManager\n"
    ),
    "coresys.coordinators.assembly": "from coresys.state import StateManager\n",
}

TABLE = Table(
    faulty={
        **{
            identity: {
                "a method is missing": lambda: signatures(faults.WithoutStatus()),
                "another name": lambda: signatures(faults.WithOtherWords()),
                "it asks for more": lambda: signatures(faults.WithAWish()),
                "it takes less": lambda: signatures(faults.WithoutACause()),
                "it asks for what may be left out": lambda: signatures(faults.WithAnObligation()),
                "a coordinator without": lambda: conformance.coordinator_faults(
                    object(), {"components": "IComponentManager"}
                ),
            }
            for identity in ("components.interfaces", "testing.interfaces", "cleanup.interfaces")
        },
        "components.interface_only": {
            **{module: partial(imports.cross_imports, {module: text}) for module, text in _WRONG_IMPORTS.items()},
            "it uses what no protocol has": lambda: measures.swap_faults(faults.NosyCoordinator, SOUND),
            "it takes nothing back": lambda: measures.swap_faults(faults.ForgetfulCoordinator, SOUND),
        },
        "components.validation_hooks": {
            "nobody is asked": lambda: measures.hook_faults(faults.NobodyIsAsked),
            "asked too late": lambda: measures.hook_faults(faults.AskedTooLate),
            "asked about the named one only": lambda: measures.hook_faults(faults.OnlyTheNamed),
        },
        "components.transition_time": {"it takes its time": slow_transition},
        "components.operation_time": {"it takes its time": slow_operation},
        "components.lock_time": {
            "had late": lambda: over("components.lock_time", lambda: taken_by_with(thread_faults.SlowLock())),
        },
        "components.memory": {
            "600 KB each": lambda: above(
                "components.memory",
                measures.bytes_per_component(lambda: coordinator(faults.LargeComponents), 10),
            ),
        },
        "components.coordinator_memory": {
            "300 KB, and 10 KB each": lambda: above("components.coordinator_memory", bytes_of(faults.LargeCoordinator)),
        },
    },
    sound={
        "components.interfaces": lambda: signatures(ComponentManager()),
        "components.interfaces, of whoever takes everything": lambda: signatures(faults.WithAllSorts()),
        "components.interface_only": lambda: imports.cross_imports(_RIGHT_IMPORTS),
        "components.interface_only, ours": lambda: imports.cross_imports(imports.sources()),
        "components.interface_only, fakes": lambda: measures.swap_faults(ComponentCoordinator, SOUND),
        "components.validation_hooks": lambda: measures.hook_faults(ComponentManager),
        "components.memory": lambda: above("components.memory", measures.bytes_per_component(coordinator, 10)),
        "components.coordinator_memory": lambda: above("components.coordinator_memory", bytes_of(ComponentCoordinator)),
    },
)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.rows()])
def test_components_with_a_fault_are_found_out(case: Case) -> None:
    assert raising(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.sound.items()])
def test_sound_components_are_not_found_at_fault(case: Case) -> None:
    assert list(case()) == []


def test_there_is_a_fault_for_each_criterion_of_components() -> None:
    assert TABLE.lacks("components.", "testing.interfaces", "cleanup.interfaces") == []


def test_coordinators_of_a_system_offer_all_managers() -> None:
    with ours.system() as system:
        assert all(faults == [] for faults in conformance.of_coordinators(system).values())


@pytest.mark.slow
@pytest.mark.skipif(not conformance.has_type_checker(), reason="mypy is not installed")
def test_the_type_checker_finds_a_manager_that_lacks_a_method(tmp_path: Path) -> None:
    found = types_of(tmp_path)
    assert len(found) == 1
    assert found[0].startswith("conforming.py:")
    assert "Incompatible return value type" in found[0]
