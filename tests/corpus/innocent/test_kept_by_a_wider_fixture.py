"""What tests add to the value of a module's fixture goes with it: a fake, a mock, a database in memory."""

import sqlite3
import unittest
from unittest import mock

import pytest


class FakeMailer:
    def __init__(self):
        self.sent = []

    def send(self, to, text):
        self.sent.append((to, text))


@pytest.fixture(scope="module")
def mailer():
    return FakeMailer()


@pytest.fixture(scope="module")
def gateway():
    return mock.Mock()


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    connection.execute("create table notes (id integer primary key, text text)")
    yield connection
    connection.close()


def test_a_mail_is_sent(mailer):
    mailer.send("ada", "hello " * 10)
    assert mailer.sent


def test_the_gateway_is_asked(gateway):
    gateway.charge("ada", amount=3)
    assert gateway.charge.called


def test_a_note_is_kept(database):
    database.execute("insert into notes (text) values (?)", ("x" * 80,))
    database.commit()
    assert database.execute("select count(*) from notes").fetchone()[0]


class TestOfAClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mailer = FakeMailer()

    def test_a_mail_is_sent(self):
        self.mailer.send("bob", "bye " * 10)
        self.assertTrue(self.mailer.sent)


def setup_module():
    global outbox
    outbox = FakeMailer()


def test_the_outbox():
    outbox.send("eve", "hm " * 10)
    assert outbox.sent


def test_nothing_more():
    pass
