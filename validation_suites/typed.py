"""What a type checker is to find right: that the parts of our coordinators satisfy the protocols. Never imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coresys.coordinators.cleanup import CleanupCoordinator
    from coresys.coordinators.testing import TestingCoordinator
    from coresys.interfaces import ICleanupManager, IResourceManager, IStateManager, ITestManager

    def of_cleanup(made: CleanupCoordinator) -> tuple[ICleanupManager, IStateManager, IResourceManager]:
        """The three that the coordinator of cleanups is to implement."""
        return made.cleanup, made.state, made.resources

    def of_testing(made: TestingCoordinator) -> tuple[ITestManager, IResourceManager, IStateManager]:
        """The three that the coordinator of tests is to implement."""
        return made.tests, made.resources, made.state
