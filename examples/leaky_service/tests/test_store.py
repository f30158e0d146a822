from __future__ import annotations

import sqlite3
import unittest
from collections.abc import Iterator
from pathlib import Path

import pytest
from shortlinks.store import Store, StoreError, open_store


@pytest.fixture(scope="module")
def catalogue(seeded_database: Path) -> Iterator[Store]:
    """The seeded database, opened once for this module."""
    store = open_store(seeded_database)
    yield store
    store.close()


def test_the_catalogue_is_complete(catalogue: Store) -> None:
    assert len(catalogue.urls()) == 40


@pytest.mark.parametrize("code", ["1", "A", "e"])
def test_the_catalogue_finds_codes(catalogue: Store, code: str) -> None:
    assert catalogue.find(code) in catalogue.urls()


def test_a_page_and_its_token(catalogue: Store) -> None:
    page, token = catalogue.first_page(size=15)

    assert len(page) == 15
    assert page == sorted(page)
    assert token


def test_all_pages(catalogue: Store) -> None:
    page, token = catalogue.first_page(size=15)
    sizes = []
    while page:
        sizes.append(len(page))
        page, token = catalogue.next_page(token)
    assert sizes == [15, 15, 10]


def test_a_database_is_there_when_opened_again(tmp_path: Path) -> None:
    first = open_store(tmp_path / "links.db")
    code = first.add("https://example.org/kept")
    first.close()

    second = open_store(tmp_path / "links.db")
    assert second.find(code) == "https://example.org/kept"
    second.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "newer.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()

    with pytest.raises(StoreError, match="schema 9 is newer"):
        open_store(tmp_path / "newer.db")


@pytest.mark.skip(reason="needs a PostgreSQL server")
def test_links_in_postgresql() -> None:
    open_store("postgresql://localhost/links")


class LinksInMemory(unittest.TestCase):
    def setUp(self) -> None:
        self.store = open_store()

    def tearDown(self) -> None:
        self.store.close()

    def test_codes_count_up(self) -> None:
        self.assertEqual([self.store.add("https://example.org/") for _ in range(3)], ["1", "2", "3"])

    def test_a_removed_link_is_gone(self) -> None:
        code = self.store.add("https://example.org/")
        self.store.remove(code)
        self.assertIsNone(self.store.find(code))

    def test_a_link_may_have_an_end(self) -> None:
        code = self.store.add("https://example.org/sale", ttl=3600)
        self.assertEqual(self.store.find(code), "https://example.org/sale")
