"""A variable gets a value that was never there before: the C library keeps each, and the test can do nothing about it."""

import os
import tempfile
import uuid
from unittest import mock


def test_a_token(monkeypatch):
    monkeypatch.setenv("DEPOT_TOKEN", uuid.uuid4().hex)
    assert len(os.environ["DEPOT_TOKEN"]) == 32


def test_a_home_of_its_own(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("HOME", folder)
        assert os.path.expanduser("~") == folder


def test_a_patched_environment():
    with mock.patch.dict(os.environ, {"DEPOT_URL": f"https://{uuid.uuid4()}.example"}):
        assert os.environ["DEPOT_URL"]
