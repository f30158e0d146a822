"""A mock that stands for the whole session remembers each call of it: that is what it is for."""

import socket
from unittest import mock

import pytest


@pytest.fixture(autouse=True, scope="session")
def cached_name():
    with mock.patch("socket.getfqdn", return_value="localhost"):
        yield


def test_greets():
    assert f"220 {socket.getfqdn()} {socket.getfqdn('a')}" == "220 localhost localhost"
