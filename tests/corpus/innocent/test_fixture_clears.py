"""A module list that only grows, until the fixture clears it."""
import pytest

outbox = []


@pytest.fixture(autouse=True)
def clean_outbox():
    yield
    outbox.clear()


def test_sends():
    for i in range(300):
        outbox.append({"to": f"user{i}@example.org", "body": "hi"})
    assert len(outbox) == 300
