"""The faults, all of them. Each is one that people make: an update lost, a limit off by one, an error swallowed."""

from __future__ import annotations

import sys

from validation_suites.mutants.machine import Mutant
from validation_suites.mutants.of_cleanup import CLEANUP
from validation_suites.mutants.of_components import COMPONENTS, COORDINATORS, TESTING
from validation_suites.mutants.of_errors import ERRORS
from validation_suites.mutants.of_monitoring import MONITORING
from validation_suites.mutants.of_resources import RESOURCES
from validation_suites.mutants.of_state import STATE
from validation_suites.mutants.of_threads import THREADS

_ALL: tuple[Mutant, ...] = (
    *STATE,
    *RESOURCES,
    *ERRORS,
    *THREADS,
    *MONITORING,
    *COMPONENTS,
    *COORDINATORS,
    *TESTING,
    *CLEANUP,
)

MUTANTS = tuple(each for each in _ALL if sys.version_info >= each.since)
