"""A class fixture with a temporary directory and an open file."""
import pytest


class TestStore:
    @pytest.fixture(scope="class")
    def store(self, tmp_path_factory):
        with open(tmp_path_factory.mktemp("store") / "data.bin", "w+b") as f:
            yield f

    def test_write(self, store):
        store.seek(0)
        store.write(b"abc")
        store.seek(0)
        assert store.read(3) == b"abc"
