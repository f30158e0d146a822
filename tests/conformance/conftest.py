"""What the suites of this folder are given."""

from conforming import one, other, pair, pytest_generate_tests
from storms import no_threads_left

__all__ = ["no_threads_left", "one", "other", "pair", "pytest_generate_tests"]
