"""A result list of ten thousand items kept per run in a history."""
import pytest

LEAKS = "memory.growth"


class History:
    results = []


@pytest.fixture(scope="module")
def history():
    return History()


def test_query(history):
    result = [None] * 10_000
    history.results.append(result)
    assert len(result) == 10_000
