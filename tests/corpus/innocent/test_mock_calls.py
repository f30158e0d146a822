"""A local mock called hundreds of times."""
from unittest import mock


def notify_all(users, send):
    for u in users:
        send(u, subject="hello")


def test_notifies_everyone():
    send = mock.MagicMock()
    notify_all(range(200), send)
    assert send.call_count == 200
