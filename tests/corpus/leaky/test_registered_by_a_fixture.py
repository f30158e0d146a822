"""The server of a module's fixture is known to a global list, which keeps what it was asked, with or without it."""

LEAKS = "memory.growth"

import pytest

audit = []


class Server:
    def handle(self, path):
        audit.append({"server": self, "path": path})
        return 200


@pytest.fixture(scope="module")
def server():
    return Server()


def test_it_answers(server):
    assert server.handle("/") == 200
