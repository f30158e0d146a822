"""The criteria ``components.*``, and those of what coordinators offer."""

from __future__ import annotations

from functools import partial

import pytest

from coresys.coordinators.assembly import COORDINATORS
from coresys.coordinators.component import ComponentCoordinator
from coresys.threads import OrderedLock
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.asking import count, faults_of
from validation_suites.components import conformance, imports, measures
from validation_suites.conftest import Subject
from validation_suites.state.measures import DOOR
from validation_suites.threads.recording import time_lock, told


def coordinator(subject: Subject) -> ComponentCoordinator:
    """One over the run's subjects."""
    return ComponentCoordinator(
        components=subject("components"), state=subject("state"), resources=subject("resources")
    )


@pytest.mark.coresys_no_repeat(reason="signatures are the same each time, and a type checker takes seconds")
@pytest.mark.coresys_criterion(*conformance.COORDINATORS)
def test_coordinators_offer_managers_by_the_protocols(
    tmp_path_factory: pytest.TempPathFactory, coresys_criteria: CriteriaRecorder
) -> None:
    with ours.system() as system:
        for identity, faults in conformance.of_coordinators(system).items():
            coresys_criteria.check(identity, not faults, "; ".join(faults[:5]))
    if not conformance.has_type_checker():
        for identity in conformance.COORDINATORS:
            coresys_criteria.note(identity, "by signatures alone: mypy is not installed")
        return
    folder = tmp_path_factory.mktemp("types")
    found = faults_of(lambda: conformance.type_faults(conformance.program(), folder))
    for number, identity in enumerate(conformance.COORDINATORS):
        # The checker names the functions of the program only by lines: what it says of one is told of all.
        coresys_criteria.check(identity, not found, f"mypy --strict: {'; '.join(found[:3])}")
        coresys_criteria.note(identity, f"by signatures and by mypy --strict, coordinator {number + 1} of 4")


@pytest.mark.coresys_no_repeat(reason="what is imported is the same each time")
@pytest.mark.coresys_criterion("components.interface_only")
def test_parts_know_one_another_by_interfaces_only(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "components.interface_only"):
        identity = "components.interface_only"
        count(coresys_criteria, identity, lambda: imports.cross_imports(imports.sources()))
        sound = {name: partial(subject, name) for name in measures.FAKES}
        count(coresys_criteria, identity, lambda: measures.swap_faults(ComponentCoordinator, sound))


@pytest.mark.coresys_criterion("components.validation_hooks")
def test_hooks_are_asked_before_each_change(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "components.validation_hooks"):
        identity = "components.validation_hooks"
        if not hasattr(subject("components"), "add_hook"):
            coresys_criteria.unmeasured(identity, "the subject has no add_hook(): nobody is asked before a change")
            return
        count(coresys_criteria, identity, lambda: measures.hook_faults(lambda: subject("components")))


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("components.transition_time")
def test_a_transition_through_the_coordinator_is_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "components.transition_time"):
        states = coordinator(subject).state
        states.define("door", DOOR)
        table, events = {"shut": "open", "open": "shut"}, {"shut": "push", "open": "pull"}
        at = ["shut"]

        def transition() -> None:
            states.fire("door", events[at[0]])
            at[0] = table[at[0]]

        def a_look_into_a_dictionary() -> str:
            return table[at[0]]

        coresys_criteria.timed(
            "components.transition_time", transition, beside=a_look_into_a_dictionary, calls=10_000, rounds=3
        )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("components.operation_time")
def test_operations_through_the_coordinator_are_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "components.operation_time"):
        resources = coordinator(subject).resources

        def a_bytearray() -> bytearray:
            return bytearray(4096)

        def another(number: int) -> None:
            measures.operations(resources, f"other-{number}")["lease and release"]()

        with measures.others_at_work(another):
            for operation in measures.operations(resources).values():
                coresys_criteria.timed(
                    "components.operation_time", operation, beside=a_bytearray, calls=1_000, rounds=3
                )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("components.lock_time")
def test_the_lock_of_the_coordinator_is_had_soon(coresys_criteria: CriteriaRecorder) -> None:
    with ours.system() as system:
        lock = OrderedLock(system.hierarchy[COORDINATORS], name="as of a coordinator")
        time_lock(coresys_criteria, "components.lock_time", lock)


@pytest.mark.coresys_no_repeat(reason="it traces what is allocated, which takes long")
@pytest.mark.coresys_criterion("components.memory", "components.coordinator_memory")
def test_components_are_small(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "components.memory", "components.coordinator_memory"):
        coresys_criteria.record("components.memory", measures.bytes_per_component(lambda: coordinator(subject)))
        whole = measures.bytes_of_coordinator(lambda: coordinator(subject), lambda: subject("components"))
        coresys_criteria.record("components.coordinator_memory", whole)
