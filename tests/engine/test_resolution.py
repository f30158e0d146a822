"""How much a test must leave to be suspected after one run."""

from __future__ import annotations

import pytest

from pytest_coresys.engine.screen import MEMORY_RESOLUTION, Resolution


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param([0] * 100, MEMORY_RESOLUTION, id="nothing"),
        pytest.param([40_000] * 20, MEMORY_RESOLUTION, id="too few to know"),
        pytest.param([0, 0, 10**6] * 30, MEMORY_RESOLUTION, id="a third of them much"),
        pytest.param([40_000] * 100, 8 * MEMORY_RESOLUTION, id="all of them garbage"),
        pytest.param([40_000] * 100 + [0] * 64, MEMORY_RESOLUTION, id="all of them, at first"),
        pytest.param([-(10**6)] * 100, MEMORY_RESOLUTION, id="what is let go of"),
    ],
)
def test_the_resolution_of_one_run_is_what_stands_out_among_the_last_tests(left: list[int], expected: int) -> None:
    resolution = Resolution()
    for each in left:
        resolution.take(each)
    assert resolution.bytes == expected
