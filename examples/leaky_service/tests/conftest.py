from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shortlinks.server import LinkServer
from shortlinks.store import Store, open_store


@pytest.fixture(scope="session")
def seeded_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database with forty links, for tests that only read."""
    path = tmp_path_factory.mktemp("seed") / "links.db"
    store = open_store(path)
    for number in range(40):
        store.add(f"https://example.org/{number}")
    store.close()
    yield path
    path.unlink()


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store()
    yield store
    store.close()


@pytest.fixture
def server(store: Store) -> Iterator[LinkServer]:
    with LinkServer(store) as server:
        yield server
